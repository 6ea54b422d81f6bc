"""The frontier in SQL: which run works on a shop, the addresses it has still to visit, and what came of the others."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, case, func, select, update
from sqlalchemy.orm import Session

from catalogue.errors import Busy, NotFound
from catalogue.files import lock, write_file
from catalogue.tables import CrawlRun, FetchState, Shop, now
from crawler.report import Tally

BEAT_S = 5.0
STALE_S = 60.0
MAX_ADDRESSES = 100_000
_OLDEST = timedelta(days=7)
_FIRST = {"sitemap": 0, "product": 1, "page": 2}


@dataclass(frozen=True)
class Address:
    """One address to visit: a `sitemap`, a `product` page, or a `page` whose links are followed too."""

    id: int
    url: str
    kind: str


@dataclass(frozen=True)
class Hold:
    """A run and the name under which this process holds it."""

    run_id: int
    shop_id: int
    holder: str


@contextmanager
def held(engine: Engine, locks: Path, shop_id: int) -> Iterator[Hold]:
    """Hold a shop's unfinished or new run for the block; `Busy` if another process works on the shop.

    Two guards: a kernel lock in `locks`, which ends with its process, so that a killed crawl is resumed at once; and,
    for crawlers elsewhere that share only the database, the run's beat, which must be a minute old.
    """
    with lock(locks / f"crawl-{shop_id}.lock", f"a crawl of shop {shop_id}"):
        hold = _take(engine, shop_id, _place(locks))
        try:
            yield hold
        finally:
            with Session(engine) as session, session.begin():
                session.execute(update(CrawlRun).where(CrawlRun.id == hold.run_id, CrawlRun.holder == hold.holder)
                                .values(holder=""))


def still_held(session: Session, hold: Hold) -> None:
    """Beat, inside the caller's transaction; `Busy` if another process took the run over, so nothing is written twice.
    """
    beaten = session.execute(update(CrawlRun).where(CrawlRun.id == hold.run_id, CrawlRun.holder == hold.holder)
                             .values(beat_at=now()).returning(CrawlRun.id)).first()
    if beaten is None:
        raise Busy(f"another process took over the crawl of shop {hold.shop_id} because this one was silent for "
                   f"{STALE_S:.0f} s; let it finish")


def add(session: Session, hold: Hold, urls: Sequence[str], kind: str) -> int:
    """Put addresses on the run's frontier, those it knows already excepted; returns how many there was no room for."""
    room = MAX_ADDRESSES - (session.scalar(
        select(func.count()).select_from(FetchState).where(FetchState.run_id == hold.run_id)) or 0)
    wanted = list(dict.fromkeys(urls))
    skipped = 0
    for start in range(0, len(wanted), 500):
        part = wanted[start:start + 500]
        known = {row.url: row for row in session.scalars(
            select(FetchState).where(FetchState.shop_id == hold.shop_id, FetchState.url.in_(part)))}
        for url in part:
            row = known.get(url)
            if row is not None and row.run_id == hold.run_id:
                continue
            if room <= 0:
                skipped += 1
                continue
            room -= 1
            if row is None:
                session.add(FetchState(shop_id=hold.shop_id, run_id=hold.run_id, url=url, kind=kind))
            else:
                row.run_id, row.kind, row.state, row.status, row.error = hold.run_id, kind, "pending", None, ""
        session.flush()
    return skipped


def pending(engine: Engine, hold: Hold, limit: int = 50) -> list[Address]:
    """The next addresses to visit, all of one kind: sitemaps before products before other pages."""
    with Session(engine.execution_options(readonly=True)) as session:
        rows = session.execute(
            select(FetchState.id, FetchState.url, FetchState.kind)
            .where(FetchState.run_id == hold.run_id, FetchState.state == "pending")
            .order_by(case(_FIRST, value=FetchState.kind, else_=len(_FIRST)), FetchState.id).limit(limit)).all()
    return [Address(*row) for row in rows if row.kind == rows[0].kind]


def finish(session: Session, hold: Hold, address: Address, state: str, tally: Tally, *, status: int | None = None,
           error: str = "") -> None:
    """Write what came of an address and add the visit's counts to the run's."""
    session.execute(update(FetchState).where(FetchState.id == address.id)
                    .values(state=state, status=status, error=error[:2000], fetched_at=now()))
    count(session, hold, tally)


def count(session: Session, hold: Hold, tally: Tally) -> None:
    """Add counts to the run's counters."""
    run = session.get_one(CrawlRun, hold.run_id)
    run.counters = {**run.counters,
                    **{name: run.counters.get(name, 0) + number for name, number in tally.counts.items()}}


def _take(engine: Engine, shop_id: int, place: str) -> Hold:
    holder = f"{place}/{uuid.uuid4().hex}"
    with Session(engine) as session, session.begin():
        # The shop's row is the gate through which takers pass one by one.
        if session.get(Shop, shop_id, with_for_update=True) is None:
            raise NotFound(f"there is no shop {shop_id}; `solesearch shop list` names those there are")
        run = session.scalars(select(CrawlRun).where(CrawlRun.shop_id == shop_id, CrawlRun.finished_at.is_(None))
                              .order_by(CrawlRun.id.desc()).limit(1)).first()
        if run is not None:
            elsewhere = run.holder and not run.holder.startswith(f"{place}/")
            if elsewhere and now() - run.beat_at < timedelta(seconds=STALE_S):
                raise Busy(f"shop {shop_id} is being crawled from another machine (last sign of life "
                           f"{(now() - run.beat_at).total_seconds():.0f} s ago); wait for it to end, then try again")
            if now() - run.started_at > _OLDEST:
                run.state, run.finished_at, run.holder = "partial", now(), ""
                run = None
        if run is None:
            run = CrawlRun(shop_id=shop_id)
            session.add(run)
        run.state, run.holder, run.beat_at = "running", holder, now()
        session.flush()
        return Hold(run.id, shop_id, holder)


def _place(locks: Path) -> str:
    """The name of the lock folder: whoever shares the folder shares its kernel locks, and needs no beat."""
    path = locks / "place"
    if not path.is_file():
        name = uuid.uuid4().hex
        write_file(locks / f"place-{name}", name.encode())
        with suppress(FileExistsError):
            os.link(locks / f"place-{name}", path)  # unlike a rename, a link never replaces what another process made
        (locks / f"place-{name}").unlink()
    return path.read_text()
