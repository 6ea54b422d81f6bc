"""Evaluation: how often the right product comes first, for photos of the gallery itself or for a folder of queries."""

from typing import Any

import numpy as np

from index.gallery import Gallery
from vision.measures import leave_one_out, ranked_hits, retrieval

CHUNK = 512
MOST_QUERIES = 4000


def evaluate(gallery: Gallery) -> dict[str, Any]:
    """Leave one photo out: every photo asks the rest of the gallery, near-duplicates of itself hidden.

    Returns the measures over all queries with the slices `held_out` (photos the network was not trained on) and
    `unseen` (products it never saw) beside them. The headline is `held_out` where there is any: a photo the network
    was trained on proves little. Of a slice with more than 4,000 photos a draw asks.
    """
    slices = {
        "all": np.ones(len(gallery.ids), bool),
        "held_out": np.isin(gallery.sides, ("val", "unseen", "new")),
        "unseen": unseen_products(gallery),
    }
    found = {name: _measure(gallery, some(np.flatnonzero(chosen), MOST_QUERIES)) for name, chosen in slices.items()}
    headline = "held_out" if found["held_out"]["queries"] else "all"
    return {**found[headline], "headline": headline, "slices": found}


def evaluate_queries(gallery: Gallery, vectors: np.ndarray, products: np.ndarray) -> dict[str, Any]:
    """Measure queries from outside the gallery: unit vectors (q, d) and the id of the product each shows (q,)."""
    hits = [ranked_hits(vectors[start:start + CHUNK] @ gallery.vectors.T, products[start:start + CHUNK],
                        gallery.products) for start in range(0, len(vectors), CHUNK)]
    return {**retrieval(np.concatenate(hits), products).as_dict(), "headline": "queries"}


def some(rows: np.ndarray, most: int) -> np.ndarray:
    """Return the rows, or where they are more than `most` a draw of that many, the same at every call."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def unseen_products(gallery: Gallery) -> np.ndarray:
    """Which items (n,) are of products with no photo on the train side."""
    trained = np.unique(gallery.products[gallery.sides == "train"])
    return ~np.isin(gallery.products, trained)


def _measure(gallery: Gallery, rows: np.ndarray) -> dict[str, Any]:
    hits, labels = [], []
    for start in range(0, len(rows), CHUNK):
        scores, queries = leave_one_out(gallery.vectors, gallery.products, gallery.groups, rows[start:start + CHUNK])
        hits.append(ranked_hits(scores, gallery.products[queries], gallery.products))
        labels.append(gallery.products[queries])
    if not hits:
        return retrieval(np.empty((0, 10)), np.empty(0)).as_dict()
    return retrieval(np.concatenate(hits), np.concatenate(labels)).as_dict()
