"""The gallery: which vector shows which product, and its saved form beside the FAISS file."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from catalogue.errors import BadRelease
from index.kinds import FLAT, Made, make_index

FAISS_FILE = "index.faiss"
ITEMS_FILE = "gallery.npz"
VECTORS_FILE = "vectors.npy"
# What reading damaged files raises: NumPy's and the zip archive's errors, and those of FAISS.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, BadZipFile)


@dataclass(frozen=True)
class Gallery:
    """n items of m products.

    Items: `ids` int64 (n,) gallery-item ids, `products` int64 (n,) product ids, `photos` (n,) sha256 names, `groups`
    int64 (n,) near-duplicate groups, `sides` (n,) the snapshot side of the photo when the network was trained (`train`,
    `val`, `unseen`; `new` if it came later), `places` int64 (n,) where the photo stands among those that its shop shows
    (0 the first, -1 where it is not known), `vectors` float32 (n, d) of unit length.
    Products: `product_ids` int64 (m,) sorted, with `keys`, `brands`, `types` (m,) (of shoe; empty where not known)
    and `models` int64 (m,): equal models are colourways of one another, -1 where the model is not known.
    """

    ids: np.ndarray
    products: np.ndarray
    photos: np.ndarray
    groups: np.ndarray
    sides: np.ndarray
    places: np.ndarray
    vectors: np.ndarray
    product_ids: np.ndarray
    keys: np.ndarray
    brands: np.ndarray
    models: np.ndarray
    types: np.ndarray

    def __post_init__(self) -> None:
        columns = (self.ids, self.products, self.photos, self.groups, self.sides, self.places, self.vectors)
        items = {len(column) for column in columns}
        if len(items) != 1 or len(np.unique(self.ids)) != len(self.ids):
            raise ValueError("gallery columns must be of one length and ids unique")
        if not np.isin(self.products, self.product_ids).all():
            raise ValueError("a gallery item names a product that the gallery does not hold")

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Gallery-item id → row."""
        return {int(number): row for row, number in enumerate(self.ids)}

    @cached_property
    def product_row(self) -> dict[int, int]:
        """Product id → row of the product columns."""
        return {int(number): row for row, number in enumerate(self.product_ids)}

    @cached_property
    def item_models(self) -> np.ndarray:
        """A model number for every item (n,): products without a known model are a model of their own (negative)."""
        at = np.searchsorted(self.product_ids, self.products)
        return np.where(self.models[at] < 0, -2 - self.products, self.models[at])

    @cached_property
    def item_types(self) -> np.ndarray:
        """The shoe type of every item (n,)."""
        return self.types[np.searchsorted(self.product_ids, self.products)]

    def only(self, chosen: np.ndarray) -> "Gallery":
        """The gallery of these items alone, by a mask (n,) or by rows; the products stay known."""
        names = ("ids", "products", "photos", "groups", "sides", "places", "vectors")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def write(self, folder: Path, kind: str = FLAT) -> Made:
        """Write the FAISS file (inner product, ids are gallery-item ids) and the columns; a kind that does not hold
        the exact vectors gets them beside it."""
        import faiss
        made = make_index(self.vectors, self.ids, kind)
        # Through Python's file: FAISS's own says nothing of a disk that is full when it closes.
        with (folder / FAISS_FILE).open("wb") as file:
            faiss.write_index(made.index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
        if kind != FLAT:
            np.save(folder / VECTORS_FILE, self.vectors)
        columns = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "vectors"}
        np.savez(folder / ITEMS_FILE, **columns)
        return made


def read_shown(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read only which product (n,) and which photo (n,) the items of a gallery show, without their vectors."""
    try:
        with np.load(folder / ITEMS_FILE, allow_pickle=False) as columns:
            return columns["products"], columns["photos"]
    except _DAMAGE as error:
        raise BadRelease(f"the index in {folder} cannot be read ({error}); build it again") from error


def read_gallery(folder: Path) -> tuple[Gallery, Any]:
    """Read a gallery and its FAISS index; `BadRelease` if they are damaged or do not belong together."""
    import faiss
    try:
        index: Any = faiss.read_index(str(folder / FAISS_FILE))
        with np.load(folder / ITEMS_FILE, allow_pickle=False) as columns:
            found = {name: columns[name] for name in columns.files}
        # An index of a former version has neither of these.
        found.setdefault("types", np.full(len(found["product_ids"]), ""))
        found.setdefault("places", np.full(len(found["ids"]), -1))
        # Exact vectors beside another kind of index are read from the disk as they are needed.
        vectors = (np.load(folder / VECTORS_FILE, mmap_mode="r") if (folder / VECTORS_FILE).is_file()
                   else faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal))
        if not np.array_equal(faiss.vector_to_array(index.id_map), found["ids"]):
            raise ValueError("the FAISS ids are not those of the gallery")
        return Gallery(vectors=vectors, **found), index
    except _DAMAGE as error:
        raise BadRelease(f"the index in {folder} cannot be read ({error}); build it again") from error
