"""Which photos an epoch sees: each once, or class-balanced: a product with one photo counts as one with twenty."""

import math

import numpy as np

from training.recipes import Recipe


def epoch_order(recipe: Recipe, labels: np.ndarray, families: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of one epoch as the recipe samples them; labels and models are those of every photo (n,)."""
    if recipe.sampling == "natural":
        return natural_epoch(len(labels), seed, epoch)
    return balanced_epoch(labels, families, views_of(recipe, labels), recipe.group, seed, epoch)


def views_of(recipe: Recipe, labels: np.ndarray) -> int:
    """How often a balanced epoch shows each class: as the recipe says, or so that it is as long as there are photos."""
    if recipe.views:
        return recipe.views
    return math.ceil(len(labels) / len(np.unique(labels)) / recipe.group) * recipe.group


def balanced_epoch(labels: np.ndarray, families: np.ndarray, views: int, group: int, seed: int,
                   epoch: int) -> np.ndarray:
    """Return the rows of one epoch: each class `views` times, cycling through its photos, in runs of `group`.

    labels: class of every photo (n,); families: model of every photo (n,). Runs of two colourways of one model stand
    side by side where there are two: the hardest negatives meet in a batch. The order depends on seed and epoch alone,
    so a resumed run sees the same.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    offsets = random.integers(0, sizes)
    picks = starts[:, None] + (offsets[:, None] + np.arange(views)) % sizes[:, None]   # (classes, views)
    runs = order[picks].reshape(-1, group)                                             # (runs, group)
    runs = random.permutation(runs)
    runs = runs[np.argsort(families[runs[:, 0]], kind="stable")]
    even = len(runs) - len(runs) % 2
    pairs = random.permutation(runs[:even].reshape(-1, 2 * group))
    return np.concatenate([pairs.ravel(), runs[even:].ravel()])


def natural_epoch(photos: int, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of one epoch: each photo once, in an order that depends on seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(photos)
