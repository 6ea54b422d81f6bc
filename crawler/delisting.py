"""When a listing counts as no longer sold: its page says so, or complete crawls miss it again and again."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from catalogue.tables import CrawlRun, FetchState, Listing, now
from crawler.frontier import Hold, Target

MISSED_CRAWLS = 2
# A complete crawl that misses more than half of a shop has met a change of its pages, not a clearance sale.
_BELIEVABLE = 0.5
_FEW = 10


def on_page(url: str) -> ColumnElement[bool]:
    """The listings of one page: its own, and those of the colourways it sells."""
    page = url.partition("#")[0]
    return or_(Listing.url == page, Listing.url.startswith(f"{page}#", autoescape=True))


def page_is_gone(session: Session, shop_id: int, url: str) -> Sequence[Listing]:
    """Mark the listings of a page that answered 404 or 410; returns those that were still sold."""
    rows = session.scalars(select(Listing).where(
        Listing.shop_id == shop_id, Listing.gone_at.is_(None), on_page(url))).all()
    for row in rows:
        row.gone_at = now()
    return rows


def unseen(session: Session, hold: Hold) -> list[Target]:
    """The pages of listings that a crawl has not met: are they gone, or does the shop only name them no longer?"""
    run = session.get_one(CrawlRun, hold.run_id)
    urls = session.scalars(select(Listing.url).where(
        Listing.shop_id == hold.shop_id, Listing.gone_at.is_(None), Listing.last_seen < run.started_at)
        .order_by(Listing.id))
    pages = dict.fromkeys(url.partition("#")[0] for url in urls)
    return [Target(page, "check") for page in pages if page.startswith(("http://", "https://"))]


def count_missed(session: Session, hold: Hold) -> tuple[list[Listing], str]:
    """After a complete crawl, count what it did not see; returns the listings which that makes gone, and a warning if
    so much is missing at once that nothing was counted. A crawl that saw no listing at all says nothing of them.

    Pages that could not be had (403, 429, 5xx, no answer) are not missed: the shop still names them.
    """
    run = session.get_one(CrawlRun, hold.run_id)
    listings = session.scalars(select(Listing).where(Listing.shop_id == hold.shop_id,
                                                     Listing.gone_at.is_(None))).all()
    unanswered = {url.partition("#")[0] for url in session.scalars(select(FetchState.url).where(
        FetchState.run_id == hold.run_id, FetchState.state.in_(("failed", "forbidden"))))}
    missed = [row for row in listings
              if row.last_seen < run.started_at and row.url.partition("#")[0] not in unanswered]
    none_seen = all(row.last_seen < run.started_at for row in listings)
    if missed and (none_seen or len(missed) > max(_FEW, len(listings) * _BELIEVABLE)):
        return [], (f"{len(missed)} of {len(listings)} listings were missed at once, so none is counted as gone; look "
                    "at the shop's pages and settings")
    for row in missed:
        row.missed += 1
        if row.missed >= MISSED_CRAWLS:
            row.gone_at = now()
    return [row for row in missed if row.gone_at is not None], ""
