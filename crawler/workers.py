"""Processes that parse pages and decode photos for the threads of a crawl: what takes long, too much memory or a whole
process down fails alone, and threads that fetch are not held up by those that compute."""

import logging
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import ParamSpec, TypeVar

from catalogue.errors import FetchFailed, SoleSearchError
from crawler.pace import Stopped
from crawler.processes import belong_to_parent, processes

PATIENCE_S = 20.0
# After so many tasks a process makes room for a fresh one, and what leaked in it is freed.
_LIFE = 10_000
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


class Workers:
    """Runs functions for several threads in so many processes, which begin when they are first needed."""

    def __init__(self, processes: int) -> None:
        # The last one back is the first one taken: a process that nobody needs never begins.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._begun: list[_Process] = []
        self._stopped = False
        self._lock = threading.Lock()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()
        for process in self._begun:
            process.close()

    def run(self, url: str, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns for these arguments; all of them are pickled.

        Our own errors and those of the operating system come through. Everything else that goes wrong, a process that
        ends or takes too long included, is a `FetchFailed` that names `url`; `Stopped` after `stop`.
        """
        answer = self._answer(url, (what, args, kwargs))
        if isinstance(answer, _Tripped):
            log.error("%s tripped its reader:\n%s", url, answer.trace)
            raise FetchFailed(f"{url} could not be read ({answer.what}); please report it")
        if isinstance(answer, _Refused):
            raise answer.error
        result: T = answer  # type: ignore[assignment]
        return result

    def stop(self) -> None:
        """Cut off what is being done: a page that takes long keeps nobody from going home."""
        with self._lock:
            self._stopped = True
            for process in self._begun:
                process.kill()

    def _answer(self, url: str, task: object) -> object:
        process = self._idle.get()  # whoever waits for a process is not on the clock yet
        try:
            process = process or self._begin()
            return process.ask(task)
        except (TimeoutError, EOFError, OSError) as error:
            if process is not None:
                self._end(process)
                process = None
            if self._stopped:
                raise Stopped from error
            log.warning("reading %s took its process down or too long: %r", url, error)
            raise FetchFailed(f"{url} could not be read within {PATIENCE_S:.0f} s") from error
        finally:
            if process is not None and process.is_old:
                self._end(process)
                process = None
            self._idle.put(process)

    def _begin(self) -> "_Process":
        with self._lock:
            if self._stopped:
                raise Stopped
            self._begun.append(_Process())
            return self._begun[-1]

    def _end(self, process: "_Process") -> None:
        with self._lock:
            self._begun.remove(process)
        process.kill()
        process.close()


@dataclass(frozen=True)
class _Refused:
    """An error that the caller knows what to make of."""

    error: Exception


@dataclass(frozen=True)
class _Tripped:
    """An error that nobody foresaw, and where it came from."""

    what: str
    trace: str


class _Process:
    """A working process and this end of its pipe. Only one thread at a time may ask."""

    def __init__(self) -> None:
        context = processes()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), name="worker", daemon=True)
        self._process.start()
        theirs.close()
        self._tasks = 0

    @property
    def is_old(self) -> bool:
        return self._tasks >= _LIFE

    def ask(self, task: object) -> object:
        """`TimeoutError` if the answer takes too long, `EOFError` or `OSError` if that took the process down."""
        self._tasks += 1
        self._pipe.send(task)
        if not self._pipe.poll(PATIENCE_S):
            raise TimeoutError(f"no answer within {PATIENCE_S:.0f} s")
        return self._pipe.recv()

    def kill(self) -> None:
        """End it at once, whatever it does; whoever waits for its answer gets an `EOFError`."""
        self._process.kill()

    def close(self) -> None:
        """Let go of what is left of it."""
        self._process.join()
        self._process.close()
        self._pipe.close()


def _work(pipe: Connection) -> None:
    """The working process: answers every task with what came of it."""
    belong_to_parent()
    while True:
        try:
            what, args, kwargs = pipe.recv()
        except (EOFError, OSError):
            return  # whoever asked is gone
        answer: object
        try:
            answer = what(*args, **kwargs)
        except MemoryError:
            raise  # this process is of no more use
        except (SoleSearchError, OSError) as error:
            answer = _Refused(error)
        except Exception as error:  # one page that trips us must not stop this crawl and every resumed one
            answer = _Tripped(f"{type(error).__name__}: {error}", traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:
            return
