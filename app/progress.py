"""Progress bars of the command line, on standard error where that is a terminal."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from training.loop import Step


def speaks() -> bool:
    """Whether this process speaks for all: of those that `torchrun` started the first does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def counting(what: str, total: int | None = None, unit: str = "photo") -> Iterator[Callable[..., None]]:
    """Yield a function of (done[, total]) that moves a bar; there is none until it is called, from any thread."""
    bars: list[tqdm[Any]] = []
    turn = threading.Lock()

    def move(done: int, of: int | None = None, **facts: Any) -> None:
        with turn:
            if not bars:
                bars.append(tqdm(total=total if of is None else of, desc=what, unit=unit, dynamic_ncols=True,
                                 mininterval=0.3, disable=None if speaks() else True))
            bar = bars[0]
            if of is not None:
                bar.total = of
            if facts:
                bar.set_postfix(facts, refresh=False)
            bar.update(done - bar.n)

    try:
        yield move
    finally:
        for bar in bars:
            bar.close()


def stepping(move: Callable[..., None]) -> "Callable[[Step], None]":
    """Return what moves a bar of `counting` by the steps of a training."""
    def step(now: "Step") -> None:
        move((now.epoch - 1) * now.steps + now.step, now.epochs * now.steps, epoch=f"{now.epoch}/{now.epochs}",
             loss=f"{now.loss:.3f}", photos_per_s=round(now.photos_per_s))

    return step
