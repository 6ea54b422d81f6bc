"""Retrieval and classification measures as functions of NumPy arrays; intervals resample whole products."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Retrieval:
    """Measures of one evaluation, None without queries.

    `ci95` bounds recall@1 by bootstrap over query products; shares lie in [0, 1].
    """

    queries: int
    products: int
    recall_at_1: float | None = None
    recall_at_5: float | None = None
    recall_at_10: float | None = None
    map_at_10: float | None = None
    ci95: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, object]:
        """The measures under the names people print: `recall@1`, `mAP@10`, …"""
        interval = None if self.ci95 is None else list(self.ci95)
        return {"recall@1": self.recall_at_1, "recall@5": self.recall_at_5, "recall@10": self.recall_at_10,
                "mAP@10": self.map_at_10, "ci95": interval, "queries": self.queries, "products": self.products}


def ranked_hits(scores: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray, k: int = 10) -> np.ndarray:
    """Return whether each query's k best *distinct products* are its own: bool (q, k), best first.

    scores: (q, g), higher is nearer, -inf where a gallery item is hidden from a query. Labels are product numbers
    (q,) and (g,). A product's score is that of its best item, as it is when serving.
    """
    best, labels = best_by_product(scores, gallery_labels)
    return hits_at(ranks_of(best, labels, query_labels), k)


def best_by_product(scores: np.ndarray, gallery_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every product's best score (q, m) by scores (q, g) of items, and the products' labels (m,), sorted."""
    labels, columns = np.unique(gallery_labels, return_inverse=True)
    if not len(labels):
        return np.empty((len(scores), 0), np.float32), labels
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(len(labels)))
    return np.maximum.reduceat(scores[:, order], starts, axis=1), labels


def ranks_of(best: np.ndarray, labels: np.ndarray, query_labels: np.ndarray,
             own: np.ndarray | None = None) -> np.ndarray:
    """Return how many products come before each query's own (q,); -1 where it cannot be found.

    best: (q, m) with labels (m,) as from `best_by_product`; equal scores go by label. `own` (q,) puts other scores in
    the place of the queries' own products', as if these had other photos.
    """
    at = np.searchsorted(labels, query_labels)
    known = at < len(labels)
    known[known] = labels[at[known]] == query_labels[known]
    at, every = np.where(known, at, 0), np.arange(len(best))
    if not len(labels):
        return np.full(len(best), -1)
    score = (best[every, at] if own is None else own)[:, None]
    before = (best > score) | ((best == score) & (np.arange(len(labels)) < at[:, None]))
    before[every, at] = False
    return np.where(known & np.isfinite(score[:, 0]), before.sum(1), -1)


def hits_at(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """Return bool (q, k): true in the column of each query's rank (q,), nowhere where that is none of them."""
    return ranks[:, None] == np.arange(k)


def retrieval(hits: np.ndarray, query_labels: np.ndarray, seed: int = 0) -> Retrieval:
    """Summarise the hits (q, 10) of queries with product labels (q,).

    Each product can be right once in a ranking, so average precision is the reciprocal rank.
    """
    if not len(hits):
        return Retrieval(0, 0)
    rank = 1 / np.arange(1, hits.shape[1] + 1)
    return Retrieval(len(hits), len(np.unique(query_labels)), float(hits[:, 0].mean()),
                     float(hits[:, :5].any(1).mean()), float(hits[:, :10].any(1).mean()),
                     float((hits * rank).max(1).mean()), cluster_interval(hits[:, 0], query_labels, seed))


def cluster_interval(values: np.ndarray, clusters: np.ndarray, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of values (n,), resampling clusters (n,) whole."""
    _, at = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(at, weights=values), np.bincount(at)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def leave_one_out(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, rows: np.ndarray,
                  look: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ask with each of `rows` whose product has a photo of another group; return (scores, the rows asked).

    vectors: unit (n, d); labels: products (n,); groups: near-duplicate groups (n,): a query's own group is hidden, so
    that a rendition of the same picture never answers for it. `look` are vectors (len(rows), d) of those rows' photos
    in another look; without it they ask as they stand in the gallery. scores: (q, n) with -inf where hidden.
    """
    can = askable(labels, groups)[rows]
    queries = rows[can]
    scores = (vectors[queries] if look is None else look[can]) @ vectors.T
    scores[groups[queries][:, None] == groups[None, :]] = -np.inf
    return scores, queries


def askable(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Which photos (n,) are of a product (n,) that has a photo of another near-duplicate group (n,) too."""
    pairs = np.unique(np.column_stack([labels, groups]), axis=0)
    products, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.isin(labels, products[counts > 1])


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None,
                               bins: int = 10) -> float:
    """Return the mean gap between confidence (n,) and accuracy of right (n,) over equal-width bins, by weights (n,)."""
    shares = np.full(len(right), 1 / len(right)) if weights is None else weights / weights.sum()
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = [at == number for number in range(bins) if (at == number).any()]
    return float(sum(abs((shares * (confidence - right))[inside].sum()) for inside in filled))


def some(rows: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """Return the rows, or where they are more than `most` a draw of that many, the same at every call."""
    found = np.asarray(rows, dtype=int)
    return found if len(found) <= most else np.sort(np.random.default_rng(0).choice(found, most, replace=False))
