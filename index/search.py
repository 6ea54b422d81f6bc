"""Exact search: a query's vectors against the gallery, the best item of each product, as many products as wanted."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.gallery import Gallery

MOST_ON_GPU = 2048  # the k that faiss selects on a GPU


@dataclass(frozen=True)
class Match:
    """A product found: its id, the best item's score (cosine similarity), that item's photo and row."""

    product_id: int
    score: float
    sha256: str
    row: int


class Searcher:
    """A gallery with its FAISS index, on a GPU where faiss finds one."""

    def __init__(self, gallery: Gallery, index: Any) -> None:
        self.gallery = gallery
        self.index = on_gpu(index)
        # faiss indexes on a GPU are not safe from several threads, those on a CPU are.
        self._turn: AbstractContextManager[object] = nullcontext() if self.index is index else threading.Lock()
        self._cpu_index = index

    def search(self, vectors: np.ndarray, products: int) -> list[Match]:
        """Return up to `products` distinct products for one query seen in v views (v, d), best first.

        A product's score is its best item's best score over the views. Many items of one product never crowd others
        out: the search widens until enough products are found or the gallery is exhausted.
        """
        total = len(self.gallery.ids)
        k = min(total, 4 * products)
        while True:
            best = self._best_rows(vectors, k)
            if len(best) >= products or k >= total:
                ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))
                return [Match(product, score, str(self.gallery.photos[row]), row)
                        for product, (score, row) in ranked[:products]]
            k = min(total, 4 * k)

    def score(self, vectors: np.ndarray, product_id: int) -> Match:
        """Return one product's best item for the query's views (v, d), however far down it ranks."""
        rows = np.flatnonzero(self.gallery.products == product_id)
        scores = (self.gallery.vectors[rows] @ vectors.T).max(1)
        best = int(rows[scores.argmax()])
        return Match(product_id, float(scores.max()), str(self.gallery.photos[best]), best)

    def _best_rows(self, vectors: np.ndarray, k: int) -> dict[int, tuple[float, int]]:
        if not k:
            return {}
        searched = self.index if k <= MOST_ON_GPU else self._cpu_index
        with self._turn:
            scores, ids = searched.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        best: dict[int, tuple[float, int]] = {}
        for score, number in zip(scores.ravel().tolist(), ids.ravel().tolist(), strict=True):
            row = self.gallery.row_of[number]
            product = int(self.gallery.products[row])
            if product not in best or score > best[product][0]:
                best[product] = (score, row)
        return best


def on_gpu(index: Any) -> Any:
    """The index copied to all GPUs that faiss sees; the index itself where there is none (always with faiss-cpu)."""
    import faiss
    if not getattr(faiss, "get_num_gpus", lambda: 0)():
        return index
    return faiss.index_cpu_to_all_gpus(index)
