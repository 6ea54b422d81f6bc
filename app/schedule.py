"""What is due and what is running: crawls side by side, one heavy job (index add, retrain) at a time."""

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import unfinished
from app.exits import BUSY, WARNED
from app.waiting import Waiting
from app.wiring import Stores
from catalogue.errors import BadInput
from catalogue.holding import SILENT
from catalogue.tables import CrawlRun, Job, Shop, now
from crawler.due import next_time
from crawler.shop_settings import shop_settings

ADD, RETRAIN = "index add", "retrain"
_RETRY = timedelta(minutes=10)
log = logging.getLogger(__name__)


class Running(Protocol):
    """A job under way, as `subprocess.Popen` is."""

    def poll(self) -> int | None:
        """The exit code, None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


def start_command(arguments: Sequence[str]) -> Running:
    """Start `solesearch …` as a process of its own: what it leaks or breaks is gone with it."""
    return subprocess.Popen([sys.executable, "-m", "app.cli", *arguments])


def due_shops(session: Session, at: datetime) -> list[Shop]:
    """Shops that are to be crawled now: by their schedule, or because a crawl of theirs was cut off.

    While a shop is crawled, by whomever, no other of its host is due. Whichever has waited longest comes first, so that
    one that is due again and again keeps no other from its turn.
    """
    latest = select(func.max(CrawlRun.id)).group_by(CrawlRun.shop_id)
    runs = {run.shop_id: run for run in session.scalars(select(CrawlRun).where(CrawlRun.id.in_(latest)))}
    shops = session.scalars(select(Shop).order_by(Shop.id)).all()
    asked = {host_of(shop) for shop in shops
             if (run := runs.get(shop.id)) is not None and run.holder and at - run.beat_at <= SILENT}
    due = [shop for shop in shops
           if not shop.paused and host_of(shop) not in asked and _is_due(shop, runs.get(shop.id), at)]
    return sorted(due, key=lambda shop: runs[shop.id].beat_at if shop.id in runs else shop.created_at)


def host_of(shop: Shop) -> str:
    """The host that a crawl of the shop asks, with its port: what has a pace."""
    return urlsplit(shop.url).netloc


def _is_due(shop: Shop, run: CrawlRun | None, at: datetime) -> bool:
    schedule = shop_settings(shop.settings).schedule
    if not schedule:
        return False
    if run is not None and run.state == "running":
        return at - run.beat_at > SILENT  # it was killed, and is gone on with at once
    last = None if run is None else run.started_at if run.finished_at is not None else run.beat_at
    return next_time(schedule, last, shop.created_at) <= at


@dataclass
class Schedule:
    """Starts what is due; `tick` is called again and again. Everything it must remember is in the catalogue.

    `codes` are the exit codes of the jobs that have ended. One that failed, or was somebody else's already, is not
    started again for ten minutes, nor is an index add or retrain that was killed.
    """

    stores: Stores
    start: Callable[[Sequence[str]], Running] = start_command
    clock: Callable[[], datetime] = now
    codes: set[int] = field(default_factory=set)
    _jobs: dict[str, Running] = field(default_factory=dict)
    _hosts: dict[str, str] = field(default_factory=dict)
    _resting: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = Waiting(self.stores, self.clock)

    def __enter__(self) -> "Schedule":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for job in self._jobs.values():
            if job.poll() is None:
                job.terminate()
        for name, job in self._jobs.items():
            code = job.wait()
            with suppress(DBAPIError):  # then the next start takes it for cut off
                self._note_end(name, code)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._jobs)

    @property
    def code(self) -> int:
        """The exit code of it all: 1 if a job failed, 3 if one had a warning to give."""
        if self.codes - {0, WARNED, BUSY}:
            return 1
        return WARNED if WARNED in self.codes else 0

    def tick(self) -> int:
        """See what has ended and start what is due and not running; returns how many jobs were started.

        A database that is away, or a process that cannot be started, fails only this look: what runs must not end by
        it, and the next look makes up for it.
        """
        try:
            return self._look()
        except (DBAPIError, OSError) as error:
            log.warning("this look at what is due failed, the next one makes up for it: %s",
                        error.orig if isinstance(error, DBAPIError) else error)
            self.codes.add(1)
            return 0

    def _look(self) -> int:
        self._reap()
        before = len(self._jobs)
        at = self.clock()
        with Session(self.stores.readers, expire_on_commit=False) as session:
            due = due_shops(session, at)
        for shop in due:
            # Those just started may not stand in the catalogue yet.
            hosts = [self._hosts[name] for name in self._jobs if name in self._hosts]
            if len(hosts) < self.stores.settings.crawls_at_once and host_of(shop) not in hosts:
                self._hosts[f"crawl {shop.name}"] = host_of(shop)
                self._start(f"crawl {shop.name}", ["crawl", "--", str(shop.id)], at)
        if not any(name in self._jobs for name in (ADD, RETRAIN)):
            if not self._rests(RETRAIN, at) and self._retrain_is_due(at):
                self._start(RETRAIN, ["retrain"], at)
            elif self._add_is_due(at):
                self._start(ADD, ["index", "add"], at)
        return len(self._jobs) - before

    def _start(self, name: str, arguments: Sequence[str], at: datetime) -> None:
        if name in self._jobs or self._rests(name, at):
            return
        log.info("%s begins", name)
        if name in (ADD, RETRAIN):
            with Session(self.stores.database) as session, session.begin():
                session.merge(Job(name=name, started_at=at, finished_at=None, outcome=""))
        self._jobs[name] = self.start(arguments)

    def _reap(self) -> None:
        for name, job in list(self._jobs.items()):
            code = job.poll()
            if code is None:
                continue
            self._note_end(name, code)  # first: where the database is away, the next look comes here again
            del self._jobs[name]
            self.codes.add(code)
            if code == BUSY:
                log.info("%s was skipped: another process is at it", name)
            else:
                log.log(logging.INFO if code == 0 else logging.WARNING, "%s ended with %d", name, code)
            # A crawl that was killed goes on at once; a heavy job was killed for want of memory more often than not.
            if code not in (0, WARNED) and (code > 0 or name in (ADD, RETRAIN)):
                self._resting[name] = self.clock() + _RETRY

    def _note_end(self, name: str, code: int) -> None:
        if name not in (ADD, RETRAIN):
            return
        with Session(self.stores.database) as session, session.begin():
            row = session.get(Job, name)
            if row is not None:
                row.finished_at = None if self._was_cut_off(name, code) else self.clock()
                row.outcome = "skipped" if code == BUSY else f"exit {code}"

    def _was_cut_off(self, name: str, code: int) -> bool:
        """Whether a job ended in the middle, and is to go on before its next time comes.

        A signal killed it; or a retraining failed (the disk was full, the database away) and left what it goes on
        with. One that was refused leaves nothing.
        """
        if code < 0:
            return True
        return name == RETRAIN and code not in (0, WARNED, BUSY) and unfinished.place(self.stores).is_file()

    def _rests(self, name: str, at: datetime) -> bool:
        return at < self._resting.get(name, at)

    def _retrain_is_due(self, at: datetime) -> bool:
        when = self.stores.settings.retrain
        if not when:
            return False
        with Session(self.stores.readers) as session:
            row = session.get(Job, RETRAIN)
        if row is None:  # the first time it is scheduled: it counts from now
            with Session(self.stores.database) as session, session.begin():
                session.add(Job(name=RETRAIN, started_at=at, finished_at=at, outcome="scheduled"))
            return False
        # One that never finished was cut off: the command goes on where it was.
        return row.finished_at is None or next_time(when, row.started_at, at) <= at

    def _add_is_due(self, at: datetime) -> bool:
        """Whether enough photos wait to be indexed; ten minutes apart, for some that wait may be beyond reading."""
        with Session(self.stores.readers) as session:
            row = session.get(Job, ADD)
        if row is not None and row.finished_at is not None and at - row.started_at < _RETRY:
            return False
        return self._waiting.count() >= self.stores.settings.add_after


def check_schedules(stores: Stores) -> None:
    """Raise `BadInput` for a schedule that cannot be used, before anything waits for it."""
    if stores.settings.retrain:
        next_time(stores.settings.retrain, None, now())
    with Session(stores.readers) as session:
        for shop in session.scalars(select(Shop)):
            try:
                if schedule := shop_settings(shop.settings).schedule:
                    next_time(schedule, None, now())
            except BadInput as error:
                raise BadInput(f"the shop {shop.name!r}: {error}") from error
