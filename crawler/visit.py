"""One visit: an address is fetched and read, and all that came of it is written in one transaction."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from bs4 import BeautifulSoup
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalogue.errors import FetchFailed, Forbidden
from catalogue.listings import FoundPhoto, save_listing
from catalogue.photos import PhotoStore
from crawler.delisting import page_is_gone
from crawler.discovery import fetch_sitemap, own_pages
from crawler.fetch import Fetched, Fetcher
from crawler.frontier import Address, Hold, add, finish, still_held
from crawler.links import absolute, same_site, tidy, worth_following
from crawler.listing import FoundPage, canonical, parse, read_page
from crawler.photos import bring
from crawler.report import Tally
from crawler.sitemap import wanted_children

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crawler:
    """What every visit of one crawl needs."""

    engine: Engine
    store: PhotoStore
    fetcher: Fetcher
    pool: Executor
    hold: Hold
    shop_url: str


@dataclass
class _Found:
    """What reading a page gave: products, pages to visit, and the outcome to count if there is no product."""

    pages: list[FoundPage] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    outcome: str = "not_a_product"


def visit(crawler: Crawler, address: Address) -> bool:
    """Visit one address; False if it could not be had, which is written down and counted, not raised."""
    try:
        if address.kind == "sitemap":
            _visit_sitemap(crawler, address)
        else:
            return _visit_page(crawler, address)
    except Forbidden as error:
        _write(crawler, address, "forbidden", Tally({"forbidden": 1}), error=str(error))
    except FetchFailed as error:
        _write(crawler, address, "failed", Tally({"failed": 1}), error=str(error))
        return False
    return True


def _visit_sitemap(crawler: Crawler, address: Address) -> None:
    found = fetch_sitemap(crawler.fetcher, address.url)
    children = [link for child in wanted_children(found.children) if (link := absolute(address.url, child))]
    pages = own_pages(crawler.shop_url, (page.url for page in found.pages))
    tally = Tally({"sitemaps": 1})

    def save(session: Session) -> None:
        tally.add("skipped", add(session, crawler.hold, children, "sitemap"))
        tally.add("skipped", add(session, crawler.hold, pages, "product"))

    # What was cut off may hold products: such a sitemap keeps the crawl from counting as complete.
    _write(crawler, address, "failed" if found.problem else "done", tally, status=200, error=found.problem, save=save)


def _visit_page(crawler: Crawler, address: Address) -> bool:
    answer = crawler.fetcher.get(address.url, crawler.fetcher.settings.max_page_bytes)
    if answer.status in (404, 410):
        _write(crawler, address, "gone", Tally({"gone": 1}), status=answer.status,
               save=lambda session: page_is_gone(session, crawler.hold.shop_id, address.url))
        return True
    if answer.status != 200:
        raise FetchFailed(f"the shop answered {answer.status}")
    try:
        found = _read(crawler, address, answer)
    except Exception as error:  # one page that trips the readers must not stop this crawl and every resumed one
        log.exception("reading %s", address.url)
        _write(crawler, address, "failed", Tally({"failed": 1}), status=200,
               error=f"the page could not be read ({type(error).__name__}: {error}); please report it")
        return True
    _save_products(crawler, address, found)
    return True


def _read(crawler: Crawler, address: Address, answer: Fetched) -> _Found:
    kind = answer.headers.get("content-type", "text/html").lower()
    url = tidy(answer.url)
    if "html" not in kind or not same_site(url, crawler.shop_url):
        return _Found()
    soup: BeautifulSoup = parse(answer.text)
    if address.kind == "product":
        return _Found(read_page(soup, url))
    links = worth_following(soup, url)
    if (named := canonical(soup, url)) != url:
        # The same page is visited once, under the name it gives itself.
        return _Found(links=[named, *links], outcome="duplicate")
    return _Found(read_page(soup, url), links)


def _save_products(crawler: Crawler, address: Address, found: _Found) -> None:
    tally = Tally()
    brought: list[tuple[FoundPage, list[FoundPhoto]]] = []
    reasons: list[str] = []
    for page in found.pages:
        photos = bring(crawler.engine, crawler.store, crawler.fetcher, crawler.pool, crawler.hold.shop_id,
                       page.listing.url, [picture.urls[0] for picture in page.photos])
        for one in photos:
            tally.add(one.outcome)
        brought.append((page, [one.photo for one in photos if one.photo is not None]))
        reasons += [one.reason for one in photos if one.reason]
    if not found.pages:
        tally.add(found.outcome)
    outcomes: list[str] = []

    def save(session: Session) -> None:
        outcomes[:] = [save_listing(session, crawler.hold.shop_id, page.listing, photos).outcome
                       for page, photos in brought]
        for outcome in outcomes:
            tally.add(outcome)
        tally.add("skipped", add(session, crawler.hold, found.links, "page"))

    _write(crawler, address, "done", tally, status=200, error="; ".join(reasons), save=save)


def _write(crawler: Crawler, address: Address, state: str, tally: Tally, *, status: int | None = None,
           error: str = "", save: Callable[[Session], object] = lambda session: None) -> None:
    """One transaction: what was found, the address's state, the counters. All of it, or none."""
    before: Sequence[tuple[str, int]] = tuple(tally.counts.items())
    for attempt in (1, 2, 3):
        try:
            with Session(crawler.engine) as session, session.begin():
                still_held(session, crawler.hold)
                save(session)
                finish(session, crawler.hold, address, state, tally, status=status, error=error)
            return
        except IntegrityError:
            # Another shop's crawl made the same product at the same moment: it is there now.
            if attempt == 3:
                raise
            tally.counts = dict(before)
