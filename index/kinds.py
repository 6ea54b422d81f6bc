"""Kinds of FAISS index: exact, exact in less memory, and approximate ones for more than a million vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from catalogue.errors import BadInput, BadRelease

AUTO, FLAT, FP16, SQ8, IVF, HNSW = "auto", "flat", "fp16", "sq8", "ivf", "hnsw"
KINDS = (AUTO, FLAT, FP16, SQ8, IVF, HNSW)
EXACT_TO = 1_000_000     # vectors; beyond it the automatic kind is an approximate one
LEAST_RECALL = 0.99      # of an approximate index, against exact search
DEPTH = 100              # items among which it is measured: ten products have several photos each
MOVED = 0.6
MOST_QUERIES = 500
CHUNK = 20_000


@dataclass(frozen=True)
class Made:
    """A FAISS index with what was measured: its kind, and the share of the ten nearest items that its own search, not
    scored again, finds."""

    index: Any
    kind: str
    recall_at_10: float


def chosen_kind(kind: str, vectors: int, exact_to: int = EXACT_TO) -> str:
    """The kind to build; `auto` is exact up to `exact_to` vectors and IVF beyond."""
    if kind not in KINDS:
        raise BadInput(f"unknown kind of index {kind!r}; choose one of {', '.join(KINDS)}")
    return kind if kind != AUTO else FLAT if vectors <= exact_to else IVF


def make_index(vectors: np.ndarray, ids: np.ndarray, kind: str) -> Made:
    """Build an inner-product index over unit vectors (n, d) float32 under these ids (n,).

    An approximate kind searches as widely as it takes to find 0.99 of the hundred nearest items, which ten products
    may take, or is refused as `BadRelease`.
    """
    import faiss
    vectors = np.ascontiguousarray(vectors, np.float32)
    names = {FLAT: "Flat", FP16: "SQfp16", SQ8: "SQ8", HNSW: "HNSW32",
             IVF: f"IVF{max(1, min(int(4 * len(vectors)**0.5), len(vectors) // 39))},Flat"}
    inner = faiss.index_factory(vectors.shape[1], names[kind], faiss.METRIC_INNER_PRODUCT)
    if not inner.is_trained:
        inner.train(vectors)
    index = faiss.IndexIDMap2(inner)
    index.add_with_ids(vectors, ids)
    if kind == FLAT:
        return Made(index, kind, 1.0)
    if kind in (IVF, HNSW):
        _widen(inner, index, vectors, ids, kind)
    return Made(index, kind, recall_at(index, vectors, ids))


def recall_at(index: Any, vectors: np.ndarray, ids: np.ndarray, k: int = 10) -> float:
    """The share of the k nearest items that the index finds, for at most 500 queries: its own vectors moved about as
    far as another photo of the same shoe lies (asked with a vector it holds, an index is better than it is)."""
    random = np.random.default_rng(0)
    asked = vectors[random.permutation(len(vectors))[:MOST_QUERIES]]
    asked = asked + random.normal(0, MOVED * vectors.shape[1]**-0.5, asked.shape).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    k = min(k, len(vectors))
    _, found = index.search(asked, k)
    nearest = np.empty((len(asked), k), np.int64)
    for start in range(0, len(asked), 64):
        scores = asked[start:start + 64] @ vectors.T
        nearest[start:start + 64] = ids[np.argpartition(-scores, k - 1, axis=1)[:, :k]]
    return float(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(found, nearest, strict=True)]))


def slack_of(index: Any, vectors: np.ndarray) -> float | None:
    """How far a score by this index may lie from the exact one, at most; None for an approximate kind, which may miss
    an item altogether.

    The vectors that it holds lie at most so far (in length) from the exact ones (n, d), and a query has length one.
    """
    import faiss
    inner = faiss.downcast_index(index.index)
    if isinstance(inner, faiss.IndexFlat):
        return 0.0
    if not isinstance(inner, faiss.IndexScalarQuantizer):
        return None
    starts = range(0, len(vectors), CHUNK)
    return max((float(np.linalg.norm(inner.reconstruct_n(start, min(CHUNK, len(vectors) - start))
                                     - vectors[start:start + CHUNK], axis=1).max()) for start in starts), default=0.0)


def _widen(inner: Any, index: Any, vectors: np.ndarray, ids: np.ndarray, kind: str) -> None:
    """Double how widely an approximate index searches until it finds enough; the setting is saved with it."""
    name, most = ("nprobe", inner.nlist) if kind == IVF else ("hnsw", 4096)
    width = 8 if kind == IVF else 64
    while True:
        if kind == IVF:
            inner.nprobe = min(width, most)
        else:
            inner.hnsw.efSearch = width
        recall = recall_at(index, vectors, ids, DEPTH)
        if recall >= LEAST_RECALL:
            return
        if width >= most:
            raise BadRelease(f"the {kind} index finds {recall:.3f} of what exact search finds, and {LEAST_RECALL} is "
                             f"needed ({name} at its widest); build with --kind flat, fp16 or sq8")
        width *= 2
