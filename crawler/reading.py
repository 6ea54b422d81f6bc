"""Reading a page apart from the crawl: small pages in the calling thread, large ones in processes of their own."""

import hashlib
import json
import logging
import multiprocessing
import os
import threading
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

from catalogue.errors import FetchFailed
from crawler.facts import Facts
from crawler.links import worth_following
from crawler.listing import FoundPage, canonical, parse, read_page
from crawler.pace import Stopped
from crawler.shop_settings import ShopSettings, stored

# Below this many characters, sending a page to another process costs more than reading it here.
LARGE = 0
PATIENCE_S = 20.0
# Raise it when the extraction learns something that unchanged pages should be read again for.
READER = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageRead:
    """What a page says: its products, the pages it links to, and the address it wants to be known by."""

    products: tuple[FoundPage, ...] = ()
    links: tuple[str, ...] = ()
    named: str = ""


def read_html(text: str, url: str, follow: bool, told: tuple[Facts, ...], settings: ShopSettings) -> PageRead:
    """Read one page; with `follow` its links too, and its products only under the address it names as its own."""
    soup = parse(text)
    links = tuple(worth_following(soup, url)) if follow else ()
    named = canonical(soup, url) if follow else url
    if named != url:
        return PageRead(links=links, named=named)
    return PageRead(tuple(read_page(soup, url, told, settings)), links, named)


def end_with_parent() -> None:
    """Let this process end with the one that began it, however that ends: nobody else would tell it to."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def reader_mark(settings: ShopSettings) -> str:
    """Changes whenever a page might be read otherwise than before, so that an unchanged page is read again then."""
    told = json.dumps([READER, stored(settings)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class PageReader:
    """Reads pages for several threads; one that takes too long or too much memory fails alone."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        # Whoever waits for a process is not on the clock yet, and is not there when another's page takes it down.
        self._turns = threading.Semaphore(max(1, processes))
        self._stopped = False
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "PageReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._drop()

    def read(self, text: str, url: str, follow: bool, told: tuple[Facts, ...], settings: ShopSettings) -> PageRead:
        """As `read_html`; raises `FetchFailed` for a page that cannot be read in time, `Stopped` after `stop`."""
        if len(text) < LARGE or not self._processes:
            return read_html(text, url, follow, told, settings)
        with self._turns:
            try:
                return self._begun().submit(read_html, text, url, follow, told, settings).result(PATIENCE_S)
            except (TimeoutError, BrokenProcessPool, CancelledError) as error:
                if self._stopped:
                    raise Stopped from error
                log.warning("reading %s took its process down or too long: %r", url, error)
                self._drop()
                raise FetchFailed(f"{url} could not be read within {PATIENCE_S:.0f} s") from error

    def stop(self) -> None:
        """Cut off what is being read: a page that takes long keeps nobody from going home."""
        self._stopped = True
        self._drop()

    def _begun(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._stopped:
                raise Stopped
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self._processes, multiprocessing.get_context("spawn"),
                                                 end_with_parent, max_tasks_per_child=2000)
            return self._pool

    def _drop(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
