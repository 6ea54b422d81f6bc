"""The frontier in SQL: which run works on a shop, the addresses it has still to visit, and what came of the others."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from catalogue.errors import Busy, NotFound
from catalogue.files import lock
from catalogue.holding import SILENT, place_of, works_elsewhere
from catalogue.tables import CrawlRun, FetchState, Shop, now
from crawler.adapters.entries import from_json, to_json
from crawler.facts import Facts
from crawler.report import Tally

BEAT_S = 5.0
MAX_ADDRESSES = 100_000
_OLDEST = timedelta(days=7)
_FIRST = {"feed": 0, "told": 1, "product": 2, "page": 3, "check": 4}

# Statements of every visit, made once: building one costs more than running it.
_BEAT = (update(CrawlRun).where(CrawlRun.id == bindparam("run"), CrawlRun.holder == bindparam("held"))
         .values(beat_at=bindparam("moment")).returning(CrawlRun.id))
_COUNTERS = select(CrawlRun.counters).where(CrawlRun.id == bindparam("run"))
_COUNT = update(CrawlRun).where(CrawlRun.id == bindparam("run")).values(counters=bindparam("counts"))
_FINISH = update(FetchState).where(FetchState.id == bindparam("address")).values(
    state=bindparam("came"), status=bindparam("answer"), error=bindparam("why"), fetched_at=bindparam("moment"),
    told=None)
_FINISH_ANEW = _FINISH.values(etag=bindparam("mark"))


@dataclass(frozen=True)
class Target:
    """An address for the frontier and what is known of its product beforehand. `kind` says what to do there:

    `feed` an adapter's answer, sitemaps too; `told` a listing that an adapter told wholly: its photos are fetched;
    `product` a product page; `page` a page whose links are followed too; `check` the page of a listing that a whole
    crawl did not meet: is it gone? `photo` addresses are never visited: they were of no use.
    """

    url: str
    kind: str
    told: tuple[Facts, ...] = ()


@dataclass(frozen=True)
class Address(Target):
    """A target that stands on the frontier, `depth` links from where the crawl began.

    `validator` is what the last visit left to ask with whether the page still is the one it read.
    """

    id: int = 0
    depth: int = 0
    validator: str = ""


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
        hold = _take(engine, shop_id, place_of(locks))
        try:
            yield hold
        finally:
            with Session(engine) as session, session.begin():
                session.execute(update(CrawlRun).where(CrawlRun.id == hold.run_id, CrawlRun.holder == hold.holder)
                                .values(holder=""))


def still_held(session: Session, hold: Hold) -> None:
    """Beat, inside the caller's transaction; `Busy` if another process took the run over, so nothing is written twice.
    """
    beaten = session.connection().execute(_BEAT, {"run": hold.run_id, "held": hold.holder, "moment": now()}).first()
    if beaten is None:
        raise Busy(f"another process took over the crawl of shop {hold.shop_id} because this one was silent for "
                   f"{SILENT.total_seconds():.0f} s; let it finish")


def add(session: Session, hold: Hold, targets: Sequence[Target], depth: int = 0, max_depth: int = 0) -> int:
    """Put addresses on the run's frontier, those it knows already excepted; returns how many there was no room for.

    Pages whose `depth` is beyond `max_depth` count as such, too.
    """
    if not targets:
        return 0
    room = MAX_ADDRESSES - (session.scalar(
        select(func.count()).select_from(FetchState).where(FetchState.run_id == hold.run_id)) or 0)
    wanted = list({target.url: target for target in reversed(targets)}.values())[::-1]
    skipped = 0
    for start in range(0, len(wanted), 500):
        part = wanted[start:start + 500]
        known = {row.url: row for row in session.scalars(select(FetchState).where(
            FetchState.shop_id == hold.shop_id, FetchState.url.in_([target.url for target in part])))}
        for target in part:
            row = known.get(target.url)
            if row is not None and row.run_id == hold.run_id and row.kind != "photo":
                continue
            if room <= 0 or (target.kind == "page" and depth > max_depth):
                skipped += 1
                continue
            room -= 1
            if row is None:
                row = FetchState(shop_id=hold.shop_id, url=target.url)
                session.add(row)
            row.run_id, row.kind, row.depth = hold.run_id, target.kind, depth
            row.state, row.status, row.error = "pending", None, ""
            row.told = [to_json(facts) for facts in target.told] or None
        session.flush()
    return skipped


def pending(engine: Engine, hold: Hold, underway: Collection[int], limit: int = 50) -> list[Address]:
    """The next addresses to visit in the order of their kinds, without those `underway`."""
    with Session(engine.execution_options(readonly=True)) as session:
        rows = session.execute(
            select(FetchState.id, FetchState.url, FetchState.kind, FetchState.depth, FetchState.told,
                   FetchState.etag)
            .where(FetchState.run_id == hold.run_id, FetchState.state == "pending", FetchState.id.not_in(underway))
            .order_by(case(_FIRST, value=FetchState.kind, else_=len(_FIRST)), FetchState.id).limit(limit)).all()
    return [Address(row.url, row.kind, tuple(from_json(one) for one in row.told or ()), row.id, row.depth, row.etag)
            for row in rows]


def note_useless(session: Session, hold: Hold, urls: Collection[str]) -> None:
    """Remember photo addresses that gave nothing, so that they are not asked for at every crawl."""
    known = {row.url: row for row in session.scalars(select(FetchState).where(
        FetchState.shop_id == hold.shop_id, FetchState.url.in_(urls)))}
    for url in dict.fromkeys(urls):
        row = known.get(url)
        if row is None:
            row = FetchState(shop_id=hold.shop_id, url=url, kind="photo", run_id=hold.run_id)
            session.add(row)
        if row.kind == "photo":
            row.run_id, row.state, row.fetched_at = hold.run_id, "useless", now()


def finish(session: Session, hold: Hold, address: Address, state: str, tally: Tally, *, status: int | None = None,
           error: str = "", validator: str = "", keep_validator: bool = False) -> None:
    """Write what came of an address and add the visit's counts to the run's."""
    after = {"address": address.id, "came": state, "answer": status, "why": error[:2000], "moment": now()}
    if keep_validator:
        session.connection().execute(_FINISH, after)
    else:
        session.connection().execute(_FINISH_ANEW, {**after, "mark": validator})
    count(session, hold, tally)


def count(session: Session, hold: Hold, tally: Tally) -> None:
    """Add counts to the run's counters."""
    connection = session.connection()
    had = connection.scalar(_COUNTERS, {"run": hold.run_id}) or {}
    counters = {**had, **{name: had.get(name, 0) + number for name, number in tally.counts.items()}}
    connection.execute(_COUNT, {"run": hold.run_id, "counts": counters})


def _take(engine: Engine, shop_id: int, place: str) -> Hold:
    holder = f"{place}/{uuid.uuid4().hex}"
    with Session(engine) as session, session.begin():
        # The shop's row is the gate through which takers pass one by one.
        if session.get(Shop, shop_id, with_for_update=True) is None:
            raise NotFound(f"there is no shop {shop_id}; `solesearch shop list` names those there are")
        run = session.scalars(select(CrawlRun).where(CrawlRun.shop_id == shop_id, CrawlRun.finished_at.is_(None))
                              .order_by(CrawlRun.id.desc()).limit(1)).first()
        if run is not None:
            if works_elsewhere(run, place):
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
