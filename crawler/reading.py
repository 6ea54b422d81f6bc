"""Reading pages in processes of their own: a page that takes long or too much memory fails alone, and parsing, which
threads only hinder each other in, leaves the fetching alone."""

import hashlib
import json
import logging
import queue
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

from catalogue.errors import FetchFailed
from crawler.facts import Facts
from crawler.links import worth_following
from crawler.listing import FoundPage, canonical, parse, read_page
from crawler.pace import Stopped
from crawler.processes import belong_to_parent, processes
from crawler.shop_settings import ShopSettings, stored

PATIENCE_S = 20.0
_LIFE = 2000
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


def reader_mark(settings: ShopSettings) -> str:
    """Changes whenever a page might be read otherwise than before, so that an unchanged page is read again then."""
    told = json.dumps([READER, stored(settings)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class PageReader:
    """Reads pages for several threads, in so many processes; those begin when they are first needed."""

    def __init__(self, processes: int) -> None:
        # The last one back is the first one taken: a process that nobody needs never begins.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._begun: list[_Process] = []
        self._stopped = False
        self._lock = threading.Lock()

    def __enter__(self) -> "PageReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()
        for process in self._begun:
            process.close()

    def read(self, text: str, url: str, follow: bool, told: tuple[Facts, ...], settings: ShopSettings) -> PageRead:
        """As `read_html`; raises `FetchFailed` for a page that cannot be read in time, `Stopped` after `stop`."""
        process = self._idle.get()  # whoever waits for a process is not on the clock yet
        try:
            process = process or self._begin()
            return process.read(text, url, follow, told, settings)
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

    def stop(self) -> None:
        """Cut off what is being read: a page that takes long keeps nobody from going home."""
        with self._lock:
            self._stopped = True
            for process in self._begun:
                process.kill()

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
class _Tripped:
    """Says that a page was too much for the readers, and where."""

    what: str
    trace: str


class _Process:
    """A reading process and this end of its pipe. Only one thread at a time may have a page read."""

    def __init__(self) -> None:
        context = processes()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_read_what_comes, args=(theirs,), name="reader", daemon=True)
        self._process.start()
        theirs.close()
        self._pages = 0

    @property
    def is_old(self) -> bool:
        """Whether it has read so many pages that what they leaked should be freed."""
        return self._pages >= _LIFE

    def read(self, *page: object) -> PageRead:
        """Have a page read; `TimeoutError` if it takes too long, `EOFError` or `OSError` if that took the process down.
        """
        self._pages += 1
        self._pipe.send(page)
        if not self._pipe.poll(PATIENCE_S):
            raise TimeoutError(f"no answer within {PATIENCE_S:.0f} s")
        came: PageRead | _Tripped = self._pipe.recv()
        if isinstance(came, _Tripped):
            log.error("a page could not be read:\n%s", came.trace)
            raise FetchFailed(f"the page could not be read ({came.what}); please report it")
        return came

    def kill(self) -> None:
        """End it at once, whatever it does; whoever waits for its answer gets an `EOFError`."""
        self._process.kill()

    def close(self) -> None:
        """Let go of what is left of it."""
        self._process.join()
        self._process.close()
        self._pipe.close()


def _read_what_comes(pipe: Connection) -> None:
    """The reading process: answers every page with what it says, or with what went wrong."""
    belong_to_parent()
    while True:
        try:
            page = pipe.recv()
        except EOFError:
            return
        try:
            came: PageRead | _Tripped = read_html(*page)
        except MemoryError:
            raise  # this process is of no more use
        except Exception as error:  # one page that trips the readers must not stop this crawl and every resumed one
            came = _Tripped(f"{type(error).__name__}: {error}", traceback.format_exc())
        pipe.send(came)
