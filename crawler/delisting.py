"""When a listing counts as no longer sold: its page says so, or complete crawls miss it again and again."""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalogue.tables import CrawlRun, FetchState, Listing, now
from crawler.frontier import Hold

log = logging.getLogger(__name__)
MISSED_CRAWLS = 2
# A complete crawl that misses more than half of a shop has met a change of its pages, not a clearance sale.
_BELIEVABLE = 0.5
_FEW = 10


def page_is_gone(session: Session, shop_id: int, url: str) -> int:
    """Mark the listings of a page that answered 404 or 410; returns how many were still sold."""
    rows = session.scalars(select(Listing).where(
        Listing.shop_id == shop_id, Listing.gone_at.is_(None),
        (Listing.url == url) | Listing.url.startswith(f"{url}#", autoescape=True))).all()
    for row in rows:
        row.gone_at = now()
    return len(rows)


def count_missed(session: Session, hold: Hold) -> int:
    """After a complete crawl, count what it did not see; returns how many listings that makes gone.

    Pages that could not be had (403, 429, 5xx, no answer) are not missed: the shop still names them.
    """
    run = session.get_one(CrawlRun, hold.run_id)
    listings = session.scalars(select(Listing).where(Listing.shop_id == hold.shop_id,
                                                     Listing.gone_at.is_(None))).all()
    unanswered = set(session.scalars(select(FetchState.url).where(
        FetchState.run_id == hold.run_id, FetchState.state.in_(("failed", "forbidden")))))
    missed = [row for row in listings
              if row.last_seen < run.started_at and row.url.partition("#")[0] not in unanswered]
    if len(missed) > max(_FEW, len(listings) * _BELIEVABLE):
        log.warning("%d of %d listings of shop %d were missed at once, so none is counted; look at its pages",
                    len(missed), len(listings), hold.shop_id)
        return 0
    for row in missed:
        row.missed += 1
        if row.missed >= MISSED_CRAWLS:
            row.gone_at = now()
    return sum(row.gone_at is not None for row in missed)
