"""What a crawl tells: its progress while it runs, and its report, which stays in the catalogue."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalogue.errors import NotFound
from catalogue.tables import CrawlEvent, CrawlRun, Shop

EXAMPLES = 5
# Fewer listings or photos than this share of the last whole crawl's are worth a warning.
FEWER = 0.7
_FEW = 5


@dataclass(frozen=True)
class CrawlProgress:
    """Where a crawl stands: addresses visited, those known that are still to visit, the last address."""

    visited: int
    pending: int
    url: str


@dataclass(frozen=True)
class Event:
    """One thing that changed or failed."""

    kind: str
    url: str
    title: str
    detail: str


@dataclass(frozen=True)
class CrawlReport:
    """How a run ended. Counters are the whole run's, however often it was interrupted and resumed.

    `counters` counts listings by outcome (`new`, `changed`, `same`, `delisted`), addresses (`gone`, `not_a_product`,
    `duplicate`, `unlisted`, `forbidden`, `failed`, `skipped`), `feeds`, `sitemaps`, and photos (`photos_new`
    downloaded, `photos_known` kept, `photos_copies` of another in another size, `photos_skipped` of no use before,
    `photos_failed`, `photos_bad` no pictures). `state` is `done` (all of the shop was seen), `partial` (a budget ran
    out, or parts could not be had) or `failed` (nothing could be had); `stopped` says why it stopped early, in which
    case the next crawl goes on from there. `changes` counts events by kind, `events` are the first of each kind,
    `failures` examples by reason.
    """

    run_id: int
    shop: str
    state: str
    counters: dict[str, int]
    warnings: tuple[str, ...] = ()
    stopped: str = ""
    changes: dict[str, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    failures: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all of the shop was seen."""
        return self.state == "done"


@dataclass
class Tally:
    """Counters of one visit, added to the run's in the same transaction as what they count."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, number: int = 1) -> None:
        """Count something."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


def read_report(session: Session, run_id: int, most: int = EXAMPLES) -> CrawlReport:
    """The report of a run, with up to `most` events of each kind; `NotFound` if there is no such run."""
    run = session.get(CrawlRun, run_id)
    if run is None:
        raise NotFound(f"there is no crawl run {run_id}; `solesearch crawl report` shows the latest of each shop")
    changes = {kind: number for kind, number in session.execute(
        select(CrawlEvent.kind, func.count()).where(CrawlEvent.run_id == run_id).group_by(CrawlEvent.kind)
        .order_by(CrawlEvent.kind))}
    failures: dict[str, list[str]] = defaultdict(list)
    for url, detail in session.execute(select(CrawlEvent.url, CrawlEvent.detail).where(
            CrawlEvent.run_id == run_id, CrawlEvent.kind == "failed").order_by(CrawlEvent.id)):
        examples = failures[_reason(detail)]
        if len(examples) < most:
            examples.append(f"{url}: {detail}")
    warnings = session.scalars(select(CrawlEvent.detail).where(
        CrawlEvent.run_id == run_id, CrawlEvent.kind == "warning").order_by(CrawlEvent.id)).all()
    events = [Event(row.kind, row.url, row.title, row.detail)
              for kind in changes if kind not in ("failed", "warning")
              for row in session.scalars(select(CrawlEvent).where(
                  CrawlEvent.run_id == run_id, CrawlEvent.kind == kind).order_by(CrawlEvent.id).limit(most))]
    ended = run.finished_at or run.beat_at
    return CrawlReport(
        run.id, session.get_one(Shop, run.shop_id).name, run.state,
        {name: number for name, number in run.counters.items() if number}, tuple(warnings), run.stopped, changes,
        tuple(events), dict(failures), (ended - run.started_at).total_seconds())


def shrunk(session: Session, run: CrawlRun) -> list[str]:
    """Warnings if a run found far fewer listings or photos than the last finished one of its shop."""
    former = session.scalars(select(CrawlRun).where(
        CrawlRun.shop_id == run.shop_id, CrawlRun.id < run.id, CrawlRun.state == "done")
        .order_by(CrawlRun.id.desc()).limit(1)).first()
    if former is None:
        return []
    warnings = []
    for what, names in (("listings", ("new", "changed", "same")), ("photos", ("photos_new", "photos_known"))):
        had, has = (sum(one.counters.get(name, 0) for name in names) for one in (former, run))
        if has < had * FEWER and had - has >= _FEW:
            warnings.append(f"only {has} {what} were found, the crawl before (run {former.id}) found {had}; look at "
                            "the shop's pages, its robots.txt and its settings")
    return warnings


def _reason(detail: str) -> str:
    """What failures of one kind have in common: the sentence without addresses and numbers that differ."""
    first = re.split(r"; ", detail)[0]
    return re.sub(r"https?://\S+", "…", first)[:120]
