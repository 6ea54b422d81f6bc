"""One visit: an address is fetched and read, without a word to the catalogue; what came of it is written elsewhere."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from catalogue.errors import CatalogueUnavailable, FetchFailed, Forbidden, SoleSearchError
from catalogue.listings import FoundListing, FoundPhoto
from catalogue.tables import Listing, ProductPhoto
from crawler import adapters
from crawler.delisting import on_page
from crawler.fetch import Fetched
from crawler.frontier import Address, Hold, Target
from crawler.links import MAX_URL, same_site, tidy
from crawler.pace import Stopped
from crawler.pages.listing import FoundPage, told_page
from crawler.pages.reading import PageRead, read_html
from crawler.photos import Downloads, bring
from crawler.report import Tally
from crawler.shop_settings import ShopSettings
from crawler.targets import answer_targets, link_targets, too_deep

log = logging.getLogger(__name__)
GONE = (404, 410)
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s{0,200}<(!doctype html|html|head|title|meta|body)\b", re.I)


@dataclass(frozen=True)
class Crawler(Downloads):
    """What every visit of one crawl needs. `mark` is the `reader_mark` of the shop's settings."""

    hold: Hold
    shop_url: str
    shop: ShopSettings
    mark: str


@dataclass
class Visit:
    """What came of an address: its `state` (`done`, `gone`, `forbidden`, `failed`), listings with their photos,
    further addresses, counts. `unchanged` says that the page is the one read last time.
    """

    address: Address
    state: str = "done"
    status: int | None = None
    error: str = ""
    validator: str = ""
    unchanged: bool = False
    listings: list[tuple[FoundListing, list[FoundPhoto]]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    useless: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def visit(crawler: Crawler, address: Address) -> Visit:
    """Visit one address. What cannot be had is told in the visit; `Stopped` is raised, and what is no fault of the
    shop: a full disk, a catalogue that cannot be read.
    """
    try:
        return _VISITS.get(address.kind, _visit_page)(crawler, address)
    except Forbidden as error:
        return Visit(address, "forbidden", error=str(error), tally=Tally({"forbidden": 1}))
    except FetchFailed as error:
        return Visit(address, "failed", error=str(error), tally=Tally({"failed": 1}))
    except (Stopped, SoleSearchError, SQLAlchemyError):
        raise  # no fault of this address
    except OSError as error:  # what goes wrong on the wire is told as FetchFailed
        raise CatalogueUnavailable(f"what {address.url} shows could not be stored ({error}); look at the room left for "
                                   f"{crawler.store.folder}, then run the crawl again") from error
    except Exception as error:  # one answer that trips us must not stop this crawl and every resumed one
        log.exception("visiting %s", address.url)
        return Visit(address, "failed", tally=Tally({"failed": 1}),
                     error=f"its answer could not be read ({type(error).__name__}: {error}); please report it")


def _visit_feed(crawler: Crawler, address: Address) -> Visit:
    settings, by_sitemap = crawler.fetcher.settings, crawler.shop.adapter == "sitemap"
    most = settings.max_sitemap_bytes if by_sitemap else settings.max_feed_bytes
    answer = crawler.fetcher.get(address.url, most, "application/json,application/xml,*/*;q=0.5")
    if answer.status != 200:
        raise FetchFailed(f"the shop answered {answer.status}")
    found = adapters.read(answer.body, address.url, answer.headers, crawler.shop_url, crawler.shop, address.told)
    # What was cut off may hold products: such an answer keeps the crawl from counting as complete.
    problem = found.problem or too_deep(found, address.depth, crawler.shop)
    return Visit(address, "failed" if problem else "done", 200, problem,
                 targets=answer_targets(found, address.depth, crawler.shop),
                 tally=Tally({"sitemaps" if by_sitemap else "feeds": 1}))


def _visit_told(crawler: Crawler, address: Address) -> Visit:
    visited = Visit(address)
    _take(crawler, visited, [told_page(address.url, address.told, crawler.shop)])
    return visited


def _visit_check(crawler: Crawler, address: Address) -> Visit:
    answer = crawler.fetcher.get(address.url, crawler.fetcher.settings.max_page_bytes)
    if answer.status in GONE:
        return Visit(address, "gone", answer.status, tally=Tally({"gone": 1}))
    if answer.status != 200:
        raise FetchFailed(f"the shop answered {answer.status}")
    return Visit(address, status=200, tally=Tally({"unlisted": 1}))


def _visit_page(crawler: Crawler, address: Address) -> Visit:
    page, _, colour = address.url.partition("#")
    answer = crawler.fetcher.get(page, crawler.fetcher.settings.max_page_bytes, validator=_validator(crawler, address))
    if answer.status in GONE:
        return Visit(address, "gone", answer.status, tally=Tally({"gone": 1}))
    if answer.status == 304:
        return Visit(address, status=304, unchanged=True)
    if answer.status != 200:
        raise FetchFailed(f"the shop answered {answer.status}")
    own = tidy(answer.url)
    if len(own) > MAX_URL:
        raise FetchFailed(f"it leads to an address of more than {MAX_URL} characters")
    visited = Visit(address, status=200, validator=answer.validator)
    found = _read(crawler, address, answer, own + (f"#{colour}" if colour else ""))
    visited.targets = link_targets(found, own, crawler.shop)
    if found.named and found.named.partition("#")[0] != own:
        visited.tally.add("duplicate")
    elif not found.products:
        visited.tally.add("not_a_product")
    _take(crawler, visited, found.products)
    return visited


def _read(crawler: Crawler, address: Address, answer: Fetched, url: str) -> PageRead:
    if not _is_html(answer) or not same_site(answer.url, crawler.shop_url):
        return PageRead()
    return crawler.workers.run(address.url, read_html, answer.text, url, address.kind == "page", address.told,
                               crawler.shop, address.url)


def _is_html(answer: Fetched) -> bool:
    """Whether an answer says that it is a page, or looks like one whatever it says."""
    return "html" in answer.headers.get("content-type", "text/html").lower() or bool(_PAGE.match(answer.body))


def _take(crawler: Crawler, visited: Visit, products: Sequence[FoundPage]) -> None:
    """Fetch the photos of the products found and note what became of each."""
    reasons: list[str] = []
    for page in products:
        brought = bring(crawler, crawler.hold.shop_id, page.listing.url, page.photos)
        for one in brought:
            visited.tally.add(one.outcome)
            visited.useless += one.useless
        visited.listings.append((page.listing, [one.photo for one in brought if one.photo is not None]))
        reasons += [one.reason for one in brought if one.reason]
    if reasons:
        visited.error, visited.validator = "; ".join(reasons), ""  # what is missing is asked for again next time


def _validator(crawler: Crawler, address: Address) -> str:
    """The validator of a page whose listings may be taken as they are, should it be unchanged."""
    if address.kind != "product" or any(facts.source != "sitemap" for facts in address.told):
        return ""
    mark, _, validator = address.validator.partition(" ")
    if not validator or mark != crawler.mark:
        return ""
    with crawler.engine.execution_options(readonly=True).connect() as connection:
        rows = connection.execute(
            select(Listing.gone_at, ProductPhoto.checked_at)
            .outerjoin(ProductPhoto, ProductPhoto.listing_id == Listing.id)
            .where(Listing.shop_id == crawler.hold.shop_id, on_page(address.url))).all()
    after = crawler.fresh_after()
    fresh = bool(rows) and all(gone is None and checked is not None and checked > after for gone, checked in rows)
    return validator if fresh else ""


_VISITS = {"feed": _visit_feed, "told": _visit_told, "check": _visit_check}
