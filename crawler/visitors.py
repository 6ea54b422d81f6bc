"""Who makes the visits of a crawl: threads of this process, or of a process apart, while this one writes."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from catalogue.database import open_database
from catalogue.errors import FetchFailed
from catalogue.photos import PhotoStore
from crawler.fetch import Fetcher
from crawler.frontier import Address, Hold
from crawler.processes import belong_to_parent, processes
from crawler.settings import CrawlSettings
from crawler.shop_settings import ShopSettings
from crawler.visit import Crawler, Visit, visit
from crawler.workers import Workers

WORKERS = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What visits need to know, in a form that another process can be given; `mark` is the settings' `reader_mark`."""

    database: str
    photos: Path
    settings: CrawlSettings
    hold: Hold
    shop_url: str
    shop: ShopSettings
    mark: str


class Visitors(Protocol):
    """Makes visits, several at once."""

    def submit(self, address: Address) -> "Future[Visit]":
        """Begin a visit; its future raises `Stopped` if the visit was cut off by `stop`."""

    def stop(self) -> None:
        """Cut visits off: nothing more is fetched, those under way end as `Stopped`."""


@contextmanager
def visiting_here(plan: Plan) -> Iterator["_Here"]:
    """Visits by threads of this process."""
    engine = open_database(plan.database)
    try:
        with (Fetcher(plan.settings) as fetcher, Workers(WORKERS) as workers,
              ThreadPoolExecutor(plan.settings.concurrency, "visits") as pool):
            here = _Here(pool, Crawler(engine, PhotoStore(plan.photos), fetcher, workers, plan.hold, plan.shop_url,
                                       plan.shop, plan.mark))
            try:
                yield here
            finally:
                here.stop()
    finally:
        engine.dispose()


@contextmanager
def visiting_apart(plan: Plan) -> Iterator["_Apart"]:
    """Visits by threads of another process: fetching and reading do not wait for SQL, nor SQL for them."""
    context = processes()
    ours, theirs = context.Pipe()
    child = context.Process(target=_work, args=(theirs, plan), name="visits")
    child.start()
    theirs.close()
    apart = _Apart(ours)
    try:
        yield apart
    finally:
        apart.close()
        child.join(timeout=plan.settings.total_timeout_s)
        if child.is_alive():
            child.kill()
            child.join()


class _Here:
    def __init__(self, pool: ThreadPoolExecutor, crawler: Crawler) -> None:
        self._pool, self._crawler = pool, crawler

    def submit(self, address: Address) -> "Future[Visit]":
        return self._pool.submit(visit, self._crawler, address)

    def stop(self) -> None:
        self._crawler.fetcher.stop.set()
        self._crawler.workers.stop()


class _Apart:
    """The near end of the pipe: addresses go out, visits come back in any order."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._waiting: dict[int, Future[Visit]] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="visits", daemon=True)
        self._reader.start()

    def submit(self, address: Address) -> "Future[Visit]":
        future: Future[Visit] = Future()
        with self._lock:
            self._waiting[address.id] = future
            try:
                self._pipe.send(address)
            except OSError as error:
                self._waiting.pop(address.id, None)
                future.set_exception(FetchFailed(f"the visiting process ended ({error}); run the crawl again"))
        return future

    def stop(self) -> None:
        with self._lock:
            try:
                self._pipe.send(None)
            except OSError as error:
                log.debug("the visiting process had ended: %s", error)

    def close(self) -> None:
        self.stop()
        self._reader.join()
        self._pipe.close()

    def _read(self) -> None:
        while True:
            try:
                number, came = self._pipe.recv()
            except (EOFError, OSError):
                break
            with self._lock:
                future = self._waiting.pop(number)
            if isinstance(came, Visit):
                future.set_result(came)
            else:
                future.set_exception(came)
        with self._lock:
            left, self._waiting = list(self._waiting.values()), {}
        for future in left:
            future.set_exception(FetchFailed("the visiting process ended before its time; run the crawl again"))


def _work(pipe: Connection, plan: Plan) -> None:
    """The process apart: visits what comes through the pipe until it is told to stop or nobody is left to tell it."""
    belong_to_parent()
    sending = threading.Lock()

    def send(number: int, future: "Future[Visit]") -> None:
        failure = future.exception()
        with sending:
            try:
                pipe.send((number, failure if failure is not None else future.result()))
            except OSError as error:
                log.debug("nobody waits for this visit any more: %s", error)

    with visiting_here(plan) as here:
        while (address := _next(pipe)) is not None:
            here.submit(address).add_done_callback(partial(send, address.id))
    # Leaving the block has stopped what was under way; its futures have been answered.


def _next(pipe: Connection) -> Address | None:
    try:
        came: Address | None = pipe.recv()
    except (EOFError, OSError):
        return None
    return came

