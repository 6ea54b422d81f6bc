"""Batches of an epoch, made ready by a thread while the step before them is computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.recipes import Recipe

AHEAD = 2
CHUNK = 128
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Labelled:
    """What to train on: `rows` (n,) of packed pixels and masks uint8 (N, s, s, 4), each row's class and model (n,)."""

    packed: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    families: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.labels) == len(self.families):
            raise ValueError("as many labels as photos")


@dataclass(frozen=True)
class Batch:
    """Photos on the training device: pixels and masks uint8 (n, s, s, 4), and their classes (n,)."""

    packed: Tensor
    labels: Tensor


def batches(data: Labelled, choices: Iterable[np.ndarray], size: int, device: torch.device) -> Iterator[Batch]:
    """Yield the chosen photos batch by batch, `size` pixels wide."""
    def make(chosen: np.ndarray) -> Batch:
        parts = torch.from_numpy(data.packed[data.rows[chosen]]), torch.from_numpy(data.labels[chosen])
        if device.type == "cuda":
            parts = parts[0].pin_memory(), parts[1].pin_memory()
        packed, labels = (part.to(device, non_blocking=True) for part in parts)
        return Batch(shrunk(packed, size), labels)

    return ahead(make, choices)


def in_order(data: Labelled, size: int, device: torch.device) -> Iterator[Batch]:
    """Yield every photo once, in the order of `data`, as `batches` does."""
    return batches(data, np.split(np.arange(len(data.rows)), range(CHUNK, len(data.rows), CHUNK)), size, device)


def ahead(make: Callable[[T], R], wanted: Iterable[T]) -> Iterator[R]:
    """Yield make(x) of each x in order; a thread is always a few ahead. What `make` raises is raised here."""
    with ThreadPoolExecutor(1, "batches") as thread:
        waiting: deque[Future[R]] = deque()
        try:
            for one in wanted:
                waiting.append(thread.submit(make, one))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def size_at(recipe: Recipe, epoch: int) -> int:
    """The width of the photos in an epoch (from 0): it grows in steps of 16 over the first three quarters.

    Where photos are shown in parts, a network is best asked at a larger size than it was trained at, for enlarged parts
    are larger and softer than what it sees then (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
    """
    size = recipe.train_size or recipe.size
    if not recipe.size_from or recipe.epochs == 1:
        return size
    share = min(1.0, epoch / max(1, 0.75 * (recipe.epochs - 1)))
    if share == 1:
        return size
    grown = round((recipe.size_from + (size - recipe.size_from) * share) / 16) * 16
    return min(size, max(recipe.size_from, grown))


def gathered_at(recipe: Recipe, shown: int) -> int:
    """The width at which photos are gathered, for parts of them to be shown `shown` pixels wide."""
    return round(shown * recipe.size / (recipe.train_size or recipe.size))


def shrunk(packed: Tensor, size: int) -> Tensor:
    """Return uint8 pixels and masks (n, s, s, 4) as (n, size, size, 4)."""
    if packed.shape[1] == size:
        return packed
    # As sharp as photos are prepared: averaging would teach a network on blurred photos, and it is asked with others.
    small = F.interpolate(packed.permute(0, 3, 1, 2).float(), (size, size), mode="bicubic", antialias=True)
    return small.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
