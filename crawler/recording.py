"""What a visit found goes into the catalogue: one transaction an address, with its counts and the report's events."""

from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from catalogue.listings import save_listing
from catalogue.tables import CrawlEvent, Listing, now
from catalogue.transactions import in_one_go
from crawler.delisting import on_page, page_is_gone
from crawler.frontier import Hold, add, finish, note_useless, still_held
from crawler.report import Tally
from crawler.visit import Visit

_EVENT = insert(CrawlEvent)


def record(engine: Engine, hold: Hold, visited: Visit, mark: str, max_depth: int) -> None:
    """One transaction: what was found, the address's state, the counters. All of it, or none.

    `mark` is the `reader_mark` that the page was read under; links more than `max_depth` from the start are left out.
    """
    def write(session: Session) -> None:
        still_held(session, hold)
        _write(session, hold, visited, mark, max_depth)

    in_one_go(engine, write)


def _write(session: Session, hold: Hold, visited: Visit, mark: str, max_depth: int) -> None:
    address = visited.address
    tally = Tally(dict(visited.tally.counts))
    if visited.state == "gone":
        for row in page_is_gone(session, hold.shop_id, address.url):
            _event(session, hold.run_id, "gone", row.url, row.title, f"its page answered {visited.status}")
    elif visited.unchanged:
        tally.add("same", _seen_again(session, hold.shop_id, address.url))
    for found, photos in visited.listings:
        saved = save_listing(session, hold.shop_id, found, photos)
        tally.add(saved.outcome)
        for change in saved.changes:
            _event(session, hold.run_id, change.kind, found.url, found.title, change.detail)
    if visited.error:
        _event(session, hold.run_id, "failed", address.url, "", visited.error)
    if visited.useless:
        note_useless(session, hold, visited.useless)
    tally.add("skipped", add(session, hold, visited.targets, address.depth + 1, max_depth))
    finish(session, hold, address, visited.state, tally, status=visited.status, error=visited.error,
           validator=f"{mark} {visited.validator}" if visited.validator else "", keep_validator=visited.unchanged)


def _seen_again(session: Session, shop_id: int, url: str) -> int:
    """Note that a page's listings are as they were; returns how many."""
    rows = session.execute(update(Listing).where(Listing.shop_id == shop_id, on_page(url), Listing.gone_at.is_(None))
                           .values(last_seen=now(), missed=0).returning(Listing.id)).all()
    return len(rows)


def _event(session: Session, run_id: int, kind: str, url: str, title: str, detail: str) -> None:
    session.connection().execute(_EVENT, {"run_id": run_id, "kind": kind, "url": url[:1000], "title": title,
                                          "detail": detail[:2000]})
