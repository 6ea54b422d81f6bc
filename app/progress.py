"""Progress bars of the command line, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


@contextmanager
def counting(what: str, total: int | None = None, unit: str = "photo") -> Iterator[Callable[..., None]]:
    """Yield a function of (done[, total]) that moves a bar."""
    with tqdm(total=total, desc=what, unit=unit, dynamic_ncols=True, mininterval=0.3) as bar:
        def move(done: int, of: int | None = None, **facts: Any) -> None:
            if of is not None and bar.total != of:
                bar.reset(of)
            if facts:
                bar.set_postfix(facts, refresh=False)
            bar.update(done - bar.n)
        yield move
