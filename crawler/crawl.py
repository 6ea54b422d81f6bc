"""The crawl of one shop: visits every address of its frontier, one transaction each; may be killed at any moment."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, Busy, NotFound
from catalogue.photos import PhotoStore
from catalogue.sweeping import store_is_full
from catalogue.tables import CrawlEvent, CrawlRun, FetchState, Shop, now
from crawler import adapters
from crawler.delisting import count_missed, unseen
from crawler.discovery import named_sitemaps
from crawler.fetch import Fetcher
from crawler.frontier import BEAT_S, Address, Hold, Target, add, count, held, pending, still_held
from crawler.pace import Stopped
from crawler.pages.reading import reader_mark
from crawler.recording import record
from crawler.report import CrawlProgress, CrawlReport, Tally, read_report, shrunk
from crawler.settings import CrawlSettings
from crawler.shop_settings import ShopSettings, shop_settings
from crawler.visit import Visit
from crawler.visitors import Plan, Visitors, visiting_apart, visiting_here

_LOOK_S = 0.5
log = logging.getLogger(__name__)
Watch = Callable[[CrawlProgress], None]


def crawl(engine: Engine, store: PhotoStore, shop_id: int, settings: CrawlSettings, watch: Watch | None = None, *,
          locks: Path, stop: threading.Event | None = None, apart: bool = False) -> CrawlReport:
    """Crawl a shop into the catalogue, or go on with its unfinished crawl; `watch` hears of every address visited.

    `locks` is a folder for lock files, shared by all crawlers of this machine. Setting `stop` ends the crawl soon, to
    be gone on with later. `apart` fetches and reads in a process of its own, beside the writing. Raises `NotFound` for
    an unknown shop, `BadInput` for a paused one or a full photo store, `Busy` if another process crawls it. What goes
    wrong with single pages and photos is counted and told in the report, never raised.
    """
    shop = _shop(engine, shop_id)
    if store_is_full(store, settings.max_store_bytes):
        raise BadInput(f"the photos in {store.folder} take more than {settings.max_store_bytes / 1e9:g} GB; "
                       "run `solesearch catalogue sweep`, or raise SOLESEARCH_MAX_STORE_GB")
    found = shop_settings(shop.settings)
    settings = settings.within(found.limits)
    with held(engine, locks, shop_id) as hold, _beating(engine, hold):
        _begin(engine, hold, settings, shop.url, found)
        plan = Plan(engine.url.render_as_string(hide_password=False), store.folder, settings, hold, shop.url, found,
                    reader_mark(found))
        with (visiting_apart if apart else visiting_here)(plan) as visitors:
            run = _Run(engine, plan, visitors, watch, stop or threading.Event())
            stopped = run.visit_all() or run.visit_unseen()
            if stopped:
                visitors.stop()
        return _end(engine, hold, stopped, given_up=run.given_up)


def _shop(engine: Engine, shop_id: int) -> Shop:
    with Session(engine.execution_options(readonly=True), expire_on_commit=False) as session:
        shop = session.get(Shop, shop_id)
    if shop is None:
        raise NotFound(f"there is no shop {shop_id}; `solesearch shop list` names those there are")
    if shop.paused:
        raise BadInput(f"the shop {shop.name!r} is paused; resume it before crawling")
    return shop


def _begin(engine: Engine, hold: Hold, settings: CrawlSettings, shop_url: str, shop: ShopSettings) -> None:
    """Put the first addresses on an empty frontier."""
    with Session(engine.execution_options(readonly=True)) as session:
        if session.scalar(select(FetchState.id).where(FetchState.run_id == hold.run_id).limit(1)) is not None:
            return
    first = adapters.first_addresses(shop_url, shop)
    if shop.adapter == "sitemap" and not shop.start:
        with Fetcher(settings) as fetcher:
            first = named_sitemaps(fetcher, shop_url) or first
    kind = "page" if shop.adapter == "pages" else "feed"
    with Session(engine) as session, session.begin():
        still_held(session, hold)
        add(session, hold, [Target(url, kind) for url in first])


@dataclass
class _Run:
    """The visiting of one crawl: several addresses at once, written one by one in the frontier's order, so that a
    crawl that was killed and resumed comes to the same catalogue as one that was not.
    """

    engine: Engine
    plan: Plan
    visitors: Visitors
    watch: Watch | None
    asked_to_stop: threading.Event
    began: float = field(default_factory=time.monotonic)
    waiting: deque[Address] = field(default_factory=deque)
    flying: deque[tuple[Address, Future[Visit]]] = field(default_factory=deque)
    pages: int = 0
    items: int = 0
    failures: int = 0
    before: int = 0
    done: int = 0
    left: int = 0

    @property
    def given_up(self) -> bool:
        """Whether so many addresses in a row failed that the shop must be down, or refuse us."""
        return self.failures >= self.plan.settings.max_errors

    def visit_unseen(self) -> str:
        """Visit the pages of listings that the crawl did not meet."""
        with Session(self.engine) as session, session.begin():
            still_held(session, self.plan.hold)
            add(session, self.plan.hold, unseen(session, self.plan.hold))
        return self.visit_all()

    def visit_all(self) -> str:
        """Visit until the frontier is empty or a budget is spent; returns why it stopped early."""
        self.before = self._count(FetchState.state != "pending")
        self.done = 0
        while not (stopped := self._budget()):
            self._fill()
            if not self.flying:
                return ""
            address, future = self.flying[0]
            try:
                visited = future.result(_LOOK_S)
            except (TimeoutError, Stopped):
                continue  # time to look at the budget
            self.flying.popleft()
            record(self.engine, self.plan.hold, visited, self.plan.mark, self.plan.settings.max_depth)
            self._note(address, visited)
        return stopped

    def _fill(self) -> None:
        """Keep a few visits under way beyond those being waited for."""
        settings = self.plan.settings
        if not self.waiting:
            underway = [address.id for address, _ in self.flying]
            self.waiting.extend(pending(self.engine, self.plan.hold, underway))
        while self.waiting and len(self.flying) < 2 * settings.concurrency and (
                self.pages + len(self.flying) < settings.max_pages):
            address = self.waiting.popleft()
            self.flying.append((address, self.visitors.submit(address)))

    def _budget(self) -> str:
        settings = self.plan.settings
        if self.asked_to_stop.is_set():
            return "it was asked to stop"
        if time.monotonic() >= self._until():
            return f"the budget of {settings.max_minutes:g} minutes is spent"
        if self.given_up:
            return f"{self.failures} addresses in a row could not be had"
        if self.items >= settings.max_items:
            return f"the budget of {settings.max_items} listings is spent"
        if self.pages >= settings.max_pages and (self.waiting or self._count(FetchState.state == "pending")):
            return f"the budget of {settings.max_pages} pages is spent"
        return ""

    def _note(self, address: Address, visited: Visit) -> None:
        self.pages += address.kind not in ("feed", "told")
        self.items += len(visited.listings)
        self.failures = self.failures + 1 if visited.state == "failed" else 0
        self.done += 1
        if self.watch is not None:
            left = self._count(FetchState.state == "pending") if self.done % 50 == 1 else None
            self.left = max(0, left if left is not None else self.left - 1)
            self.watch(CrawlProgress(self.before + self.done, self.left, address.url))

    def _until(self) -> float:
        return self.began + self.plan.settings.max_minutes * 60

    def _count(self, which: object) -> int:
        with Session(self.engine.execution_options(readonly=True)) as session:
            return session.scalar(select(func.count()).select_from(FetchState).where(
                FetchState.run_id == self.plan.hold.run_id, FetchState.kind != "photo", which)) or 0  # type: ignore[arg-type]


def _end(engine: Engine, hold: Hold, stopped: str, given_up: bool) -> CrawlReport:
    """Close the run if nothing is left to visit, and report; `given_up` warns until the run is gone on with."""
    with Session(engine) as session, session.begin():
        still_held(session, hold)
        run = session.get_one(CrawlRun, hold.run_id)
        rows = select(func.count()).select_from(FetchState).where(FetchState.run_id == run.id)
        # What fails among these may hide products; a product page that fails is known and only waits.
        hiding = session.scalar(rows.where(FetchState.kind.in_(("feed", "page")),
                                           FetchState.state == "failed"))
        had = session.scalar(rows.where(FetchState.state.in_(("done", "gone")), FetchState.kind != "check"))
        complete = not stopped and bool(had) and not hiding and not run.counters.get("skipped")
        run.state = "done" if complete else "failed" if not had and (given_up or not stopped) else "partial"
        run.stopped = stopped
        session.execute(delete(CrawlEvent).where(CrawlEvent.run_id == run.id, CrawlEvent.kind == "warning"))
        warnings = [f"the crawl was given up: {stopped}"] if given_up else []
        if complete:
            delisted, warning = count_missed(session, hold)
            count(session, hold, Tally({"delisted": len(delisted)}))
            session.expire(run, ["counters"])
            for row in delisted:
                session.add(CrawlEvent(run_id=run.id, kind="gone", url=row.url, title=row.title,
                                       detail=f"missing from {row.missed} whole crawls"))
            warnings += [warning] if warning else []
        if not stopped:
            run.finished_at = now()
            warnings += shrunk(session, run)
        session.add_all(CrawlEvent(run_id=run.id, kind="warning", url="", detail=warning) for warning in warnings)
        session.flush()
        return read_report(session, run.id)


@contextmanager
def _beating(engine: Engine, hold: Hold) -> Iterator[None]:
    """Beat from a thread, so that a page that takes minutes does not look like a crash."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            try:
                with Session(engine) as session, session.begin():
                    still_held(session, hold)
            except Busy:
                return  # the crawl itself meets the same error at its next transaction
            except SQLAlchemyError as error:
                log.warning("the crawl's beat could not be written: %s", error)

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
