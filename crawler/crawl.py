"""The crawl of one shop: visits every address of its frontier, one transaction each; may be killed at any moment."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, Busy, NotFound
from catalogue.photos import PhotoStore
from catalogue.tables import CrawlRun, FetchState, Shop, now
from crawler.delisting import count_missed
from crawler.discovery import named_sitemaps
from crawler.fetch import Fetcher
from crawler.frontier import BEAT_S, Hold, add, count, held, pending, still_held
from crawler.report import CrawlProgress, CrawlReport, Tally
from crawler.settings import CrawlSettings
from crawler.shop_settings import shop_settings
from crawler.visit import Crawler, visit

MAX_FAILURES_IN_A_ROW = 20
log = logging.getLogger(__name__)


def crawl(engine: Engine, store: PhotoStore, shop_id: int, settings: CrawlSettings,
          watch: Callable[[CrawlProgress], None] | None = None, *, locks: Path) -> CrawlReport:
    """Crawl a shop into the catalogue, or go on with its unfinished crawl; `watch` hears of every address visited.

    `locks` is a folder for lock files, shared by all crawlers of this machine. Raises `NotFound` for an unknown shop,
    `BadInput` for a paused one, `Busy` if another process crawls it. What goes wrong with single pages and photos is
    counted and told in the report, never raised.
    """
    shop = _shop(engine, shop_id)
    started = time.monotonic()
    with (held(engine, locks, shop_id) as hold, _beating(engine, hold), Fetcher(settings) as fetcher,
          ThreadPoolExecutor(settings.photo_threads, "photos") as pool):
        _begin(engine, hold, fetcher, shop)
        visited, stopped = _visit_all(Crawler(engine, store, fetcher, pool, hold, shop.url), settings, watch)
        return _end(engine, hold, visited, stopped, time.monotonic() - started)


def _shop(engine: Engine, shop_id: int) -> Shop:
    with Session(engine.execution_options(readonly=True), expire_on_commit=False) as session:
        shop = session.get(Shop, shop_id)
    if shop is None:
        raise NotFound(f"there is no shop {shop_id}; `solesearch shop list` names those there are")
    if shop.paused:
        raise BadInput(f"the shop {shop.name!r} is paused; resume it before crawling")
    return shop


def _begin(engine: Engine, hold: Hold, fetcher: Fetcher, shop: Shop) -> None:
    """Put the first addresses on an empty frontier."""
    with Session(engine.execution_options(readonly=True)) as session:
        if session.scalar(select(FetchState.id).where(FetchState.run_id == hold.run_id).limit(1)) is not None:
            return
    found = shop_settings(shop.settings)
    sitemaps = list(found.start)
    by_sitemap = found.adapter == "sitemap" and bool(sitemaps)
    if by_sitemap:
        sitemaps = named_sitemaps(fetcher, shop.url) or sitemaps
    with Session(engine) as session, session.begin():
        still_held(session, hold)
        add(session, hold, sitemaps if by_sitemap else [shop.url], "sitemap" if by_sitemap else "page")


def _visit_all(crawler: Crawler, settings: CrawlSettings,
               watch: Callable[[CrawlProgress], None] | None) -> tuple[int, str]:
    """Visit until the frontier is empty or a budget is spent; returns pages visited and why it stopped early."""
    until = time.monotonic() + settings.max_minutes * 60
    visited = failures = 0
    while batch := pending(crawler.engine, crawler.hold):
        # Counted once a batch: a frontier of a hundred thousand addresses is not to be counted at each of them.
        states = _states(crawler.engine, crawler.hold)
        left = states.pop("pending", 0)
        for number, address in enumerate(batch, 1):
            if visited >= settings.max_pages:
                return visited, f"the budget of {settings.max_pages} pages is spent"
            if time.monotonic() > until:
                return visited, f"the budget of {settings.max_minutes:g} minutes is spent"
            if failures >= MAX_FAILURES_IN_A_ROW:
                return visited, f"{failures} addresses in a row could not be had"
            failures = 0 if visit(crawler, address) else failures + 1
            visited += address.kind != "sitemap"
            if watch is not None:
                watch(CrawlProgress(sum(states.values()) + number, left - number, address.url))
    return visited, ""


def _states(engine: Engine, hold: Hold) -> dict[str, int]:
    with Session(engine.execution_options(readonly=True)) as session:
        return {state: number for state, number in session.execute(
            select(FetchState.state, func.count()).where(FetchState.run_id == hold.run_id).group_by(FetchState.state))}


def _end(engine: Engine, hold: Hold, visited: int, stopped: str, seconds: float) -> CrawlReport:
    """Close the run if nothing is left to visit, and report."""
    with Session(engine) as session, session.begin():
        still_held(session, hold)
        run = session.get_one(CrawlRun, hold.run_id)
        rows = select(func.count()).select_from(FetchState).where(FetchState.run_id == run.id)
        # What fails among these may hide products; a product page that fails is known and only waits.
        hiding = session.scalar(rows.where(FetchState.kind.in_(("sitemap", "page")), FetchState.state == "failed"))
        had = session.scalar(rows.where(FetchState.state.in_(("done", "gone"))))
        complete = not stopped and bool(had) and not hiding and not run.counters.get("skipped")
        run.state = "done" if complete else "partial" if had or stopped else "failed"
        if not stopped:
            run.finished_at = now()
        if complete:
            count(session, hold, Tally({"delisted": count_missed(session, hold)}))
        errors = session.execute(select(FetchState.url, FetchState.error).where(
            FetchState.run_id == run.id, FetchState.error != "").order_by(FetchState.id).limit(10)).all()
        counters = {name: number for name, number in run.counters.items() if number}
        return CrawlReport(run.id, run.state, complete, counters,
                           tuple(f"{url}: {error}" for url, error in errors), stopped, visited, seconds)


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
