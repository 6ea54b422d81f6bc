"""Which photos an epoch sees: class-balanced, so that a product with one photo counts as much as one with twenty."""

import numpy as np


def balanced_epoch(labels: np.ndarray, views: int, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of one epoch, shuffled: each class `views` times, cycling through its photos.

    labels: class of every photo (n,). The order depends on seed and epoch alone, so a resumed run sees the same.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    offsets = random.integers(0, sizes)
    picks = starts[:, None] + (offsets[:, None] + np.arange(views)) % sizes[:, None]   # (classes, views)
    return random.permutation(order[picks.ravel()])
