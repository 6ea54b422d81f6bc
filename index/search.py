"""Search in one part of an index: the nearest items of a gallery by its FAISS index, and their exact scores."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.gallery import Gallery
from index.kinds import slack_of

MOST_ON_GPU = 2048  # the k that faiss selects on a GPU
CHUNK = 4096


@dataclass(frozen=True)
class Match:
    """A product found: its id, the best item's score (cosine similarity), that item's photo and gallery-item id.

    `own_product_id` is the product that the item was made for: another than `product_id` where that was merged since.
    """

    product_id: int
    score: float
    sha256: str
    item: int
    own_product_id: int


class Part:
    """A gallery with its FAISS index, on a GPU where faiss finds one: a base index or a segment that adds to it."""

    def __init__(self, name: str, gallery: Gallery, index: Any) -> None:
        self.name = name
        self.gallery = gallery
        self.index = on_gpu(index)
        # faiss indexes on a GPU are not safe from several threads, those on a CPU are.
        self._turn: AbstractContextManager[object] = nullcontext() if self.index is index else threading.Lock()
        self._cpu_index = index
        self._slack = slack_of(index, gallery.vectors)

    def nearest(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, float]:
        """Return the rows of the k items nearest to each view (v, d), and the score no other item can be above.

        That is −1 less a little where there are no other items. An index that keeps its vectors in less than float32
        allows for it, so that answers are exact all the same. Of an approximate index (IVF, HNSW) it holds only for
        the items that it does not miss: its recall against exact search stands in the manifest.
        """
        total = len(self.gallery.ids)
        searched = self.index if k <= MOST_ON_GPU else self._cpu_index
        with self._turn:
            scores, ids = searched.search(np.ascontiguousarray(vectors, dtype=np.float32), min(k, total))
        # An approximate index that looked everywhere it would fills up with -1.
        rows = np.array([self.gallery.row_of[number] for number in set(ids.ravel().tolist()) - {-1}], np.int64)
        unseen = scores[ids[:, -1] != -1, -1]
        return rows, float(unseen.max()) + (self._slack or 0.0) if k < total and len(unseen) else -2.0

    def scores(self, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the rows' best scores (r,) over the views (v, d), the same for the same vector wherever it lies.

        A matrix product's last bit depends on what stands around a row; equal photos must tie in every arrangement.
        """
        found = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), CHUNK):
            some = self.gallery.vectors[rows[start:start + CHUNK]]
            found[start:start + CHUNK] = np.max([(some * view).sum(1) for view in vectors], axis=0)
        return found


def on_gpu(index: Any) -> Any:
    """The index copied to all GPUs that faiss sees; the index itself where there is none (always with faiss-cpu), or
    where it is of a kind that faiss has no GPU form of."""
    import faiss
    inner = faiss.downcast_index(index.index)
    if not getattr(faiss, "get_num_gpus", lambda: 0)() or not isinstance(inner, faiss.IndexFlat | faiss.IndexIVFFlat):
        return index
    return faiss.index_cpu_to_all_gpus(index)
