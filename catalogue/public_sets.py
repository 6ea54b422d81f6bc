"""Public sets of labelled product photos, in the folders they are handed out in, with their official splits.

Stanford Online Products (Song et al. 2016), DeepFashion In-Shop (Liu et al. 2016) and UT-Zappos50K (Yu & Grauman 2014).
Each has its own terms of use: fetch it from its authors. A folder goes in, labelled photos come out.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from catalogue.errors import BadInput
from catalogue.products_csv import PICTURES, read_csv

Side = Literal["train", "query", "gallery", "both"]


@dataclass(frozen=True)
class PublicPhoto:
    """One photo of a public set: where it lies, which product it shows, what it is for.

    `side` is `train`, `query` or `gallery`; `both` where every photo asks all others. `model` is what the product's
    colourways share, the product itself where the set does not say.
    """

    path: Path
    product: str
    model: str
    kind: str
    side: Side
    brand: str = ""


def read_public(layout: str, folder: Path) -> tuple[PublicPhoto, ...]:
    """The photos of a public set as it is unpacked in `folder`; `BadInput` names the file that is missing or bad."""
    if layout not in LAYOUTS:
        raise BadInput(f"there is no layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    photos = tuple(LAYOUTS[layout](folder))
    if not photos:
        raise BadInput(f"{folder} holds no photos in the layout {layout}; name the folder it was unpacked in")
    missing = [photo.path for photo in photos if not photo.path.is_file()]
    if missing:
        raise BadInput(f"{len(missing)} of the {len(photos)} photos of {folder} are missing, first "
                       f"{missing[0]}; unpack all of the set's archives there")
    return photos


def online_products(folder: Path) -> Iterator[PublicPhoto]:
    """Stanford Online Products: `Ebay_train.txt` and `Ebay_test.txt`, whose paths start at the folder."""
    sides: tuple[tuple[str, Side], ...] = (("Ebay_train.txt", "train"), ("Ebay_test.txt", "both"))
    for name, side in sides:
        path = _needed(folder / name)
        for line, words in _rows(path, 4, heads=1):
            if not (words[0].isdigit() and words[1].isdigit()):
                raise BadInput(f"{path}, line {line}: an image and a class number are expected, not {' '.join(words)}")
            kind = Path(words[3]).parts[0].removesuffix("_final")
            yield PublicPhoto(_inside(folder, words[3], path, line), words[1], words[1], kind, side)


def in_shop(folder: Path) -> Iterator[PublicPhoto]:
    """DeepFashion In-Shop: `list_eval_partition.txt`, photos under `img/`; in the folders `Eval` and `Img`, or not."""
    path = _needed(folder / "Eval" / "list_eval_partition.txt", folder / "list_eval_partition.txt")
    root = _needed(folder / "Img" / "img", folder / "img").parent
    rows = list(_rows(path, 3, heads=2))
    stated = next(iter(path.read_text(encoding="utf-8").split(maxsplit=1)), "nothing")
    if stated != str(len(rows)):
        raise BadInput(f"{path} promises {stated} photos and lists {len(rows)}; it was cut short, fetch it again")
    for line, (name, item, side) in rows:
        if side not in ("train", "query", "gallery"):
            raise BadInput(f"{path}, line {line}: a photo is for train, query or gallery, not {side!r}")
        kind = "/".join(Path(name).parts[1:3])
        yield PublicPhoto(_inside(root, name, path, line), item, item, kind, side)  # type: ignore[arg-type]


def zappos(folder: Path) -> Iterator[PublicPhoto]:
    """UT-Zappos50K: `<category>/<subcategory>/<brand>/<number>.<colour>.jpg`, kinds from `meta-data.csv`.

    The set's own splits are of pairs for comparing attributes; here half of the models, by the hash of their number,
    are for training. Most products have one photo: two of a model are then two colourways.
    """
    meta = _needed(folder / "ut-zap50k-data" / "meta-data.csv", folder / "meta-data.csv")
    root = _needed(folder / "ut-zap50k-images", folder / "ut-zap50k-images-square", folder / "images")
    kinds = {row["CID"]: "/".join(filter(None, (row.get("Category"), row.get("SubCategory"))))
             for _, row in read_csv(meta, required=("CID",))}
    for path in sorted(root.glob("*/*/*/*")):
        if path.suffix.lower() not in PICTURES:
            continue
        product = path.stem.replace(".", "-")
        model = product.partition("-")[0]
        if product not in kinds:
            raise BadInput(f"{meta} has no row with the CID {product} of {path}; fetch images and data of one version")
        trained = hashlib.sha256(model.encode()).digest()[0] < 128
        yield PublicPhoto(path, product, model, kinds[product], "train" if trained else "both",
                          path.parent.name)


LAYOUTS: dict[str, Callable[[Path], Iterator[PublicPhoto]]] = {
    "sop": online_products, "inshop": in_shop, "zappos": zappos}


def _needed(*places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    raise BadInput(f"{' or '.join(str(place) for place in places)} is missing; name the folder that the set's archives "
                   "were unpacked in")


def _rows(path: Path, columns: int, heads: int) -> Iterator[tuple[int, Sequence[str]]]:
    """Lines of words with their numbers, but for the first `heads`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no text ({error}); fetch it again") from error
    for number, line in enumerate(lines[heads:], heads + 1):
        words = line.split()
        if words and len(words) != columns:
            raise BadInput(f"{path}, line {number}: {columns} columns are expected, not {len(words)}: {line[:80]!r}")
        if words:
            yield number, words


def _inside(root: Path, name: str, listing: Path, line: int) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BadInput(f"{listing}, line {line}: {name} lies outside the set's folder")
    return root / name
