"""`solesearch crawl`: shops side by side into the catalogue, and the reports of crawls."""

import json
import re
import signal
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.commands.shops import shop_id
from app.exits import BUSY, WARNED, known_failure
from app.progress import counting
from app.settings import Settings, read_settings
from app.wiring import Stores, crawl_settings, open_stores
from catalogue.errors import Busy, CatalogueUnavailable, NotFound, SoleSearchError
from catalogue.tables import PUSHED, CrawlRun, Shop, now

if TYPE_CHECKING:
    from crawler.report import CrawlProgress, CrawlReport
    from crawler.settings import CrawlSettings


class _Crawl(click.Group):
    """`crawl report` shows a report; `crawl` followed by anything else crawls."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `crawl …` as `crawl run …` unless a subcommand is named."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of `run`, for these are what `crawl` takes, and the subcommands."""
        click.Command.format_options(self.commands["run"], ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_Crawl, subcommand_metavar="[SHOPS]...")
def crawl() -> None:
    """Bring the catalogue up to date from SHOPS (names or numbers; without any, all that are not paused), several side
    by side. `crawl report` shows what the last crawls changed.

    Killed at any moment, the same command goes on where it was. Exits 1 if a shop could not be crawled, 3 if a crawl
    found far fewer listings or photos than the one before, 75 if another process crawls the shop already.
    """


@crawl.command(hidden=True)
@click.argument("shops", nargs=-1)
@click.option("--due", is_flag=True, help="Only those whose schedule says so (for cron, systemd, Kubernetes).")
@click.option("--dry-run", is_flag=True, help="Crawl into a throw-away catalogue and print what would be found.")
@click.option("--jsonl", type=click.Path(path_type=Path), help="Write the listings seen to this file, one a line.")
@click.option("--photos", "photo_days", type=click.FloatRange(min=0), default=None,
              help="Ask again for photos that were last asked for so many days ago (default 7; 0: all).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON report a shop.")
def run(shops: tuple[str, ...], due: bool, dry_run: bool, jsonl: Path | None, photo_days: float | None,
        as_json: bool) -> None:
    """Crawl SHOPS (names or numbers; without any, all that are not paused); `crawl --help` says more."""
    stores = open_stores(read_settings())
    numbers = [shop_id(stores, name) for name in shops] or _unpaused(stores, due)
    if due:
        now_due = _due(stores)
        numbers = [number for number in numbers if number in now_due]
    settings = crawl_settings(stores.settings)
    if photo_days is not None:
        settings = replace(settings, photo_days=photo_days)
    locks = stores.settings.data_dir / "locks"  # a dry run's too: the shop is asked all the same
    with tempfile.TemporaryDirectory(prefix="solesearch-dry-") as place:
        if dry_run:
            stores, numbers = _throw_away(stores, numbers, Path(place))
        began = now()
        reports, problems = crawl_all(stores, numbers, settings, due and not dry_run, locks)
        for report in reports:
            # What stands on standard output is the listings alone, for whoever reads them from there.
            click.echo(json.dumps(asdict(report)) if as_json else text_of(report), err=dry_run and jsonl is None)
        for problem in problems:
            click.echo(f"Error: {problem}", err=True)
        if jsonl is not None or dry_run:
            _write_listings(stores, numbers, began, jsonl)
    if any(not isinstance(problem, Busy) for problem in problems) or any(
            report.state == "failed" for report in reports):
        raise click.exceptions.Exit(1)
    if problems:
        raise click.exceptions.Exit(BUSY)
    if any(report.warnings for report in reports):
        raise click.exceptions.Exit(WARNED)


@crawl.command()
@click.argument("run", type=int, required=False)
@click.option("--most", default=20, show_default=True, help="Examples of each kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(run: int | None, most: int, as_json: bool) -> None:
    """What a crawl changed, what failed and why: of RUN, or of the latest crawl of each shop."""
    from crawler.report import read_report
    stores = open_stores(read_settings())
    with Session(stores.readers) as session:
        latest = select(func.max(CrawlRun.id)).group_by(CrawlRun.shop_id)
        runs = [run] if run is not None else list(session.scalars(latest.order_by(func.max(CrawlRun.id))))
        if not runs:
            raise NotFound("nothing was crawled yet; run `solesearch crawl`")
        found = [read_report(session, number, most) for number in runs]
    for one in found:
        click.echo(json.dumps(asdict(one)) if as_json else text_of(one))
    if any(one.warnings for one in found):
        raise click.exceptions.Exit(WARNED)


def text_of(report: "CrawlReport") -> str:
    """A report for people."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.counters.items())
    lines = [f"{report.shop}: run {report.run_id} {report.state} in {report.seconds:.1f} s: {counts or 'nothing'}"]
    lines += [f"  warning: {warning}" for warning in report.warnings]
    if report.stopped:
        lines.append(f"  stopped early: {report.stopped}; the next crawl goes on from there")
    for kind, number in report.changes.items():
        if kind in ("failed", "warning"):
            continue
        lines.append(f"  {kind.replace('_', ' ')}: {number}")
        shown = [event for event in report.events if event.kind == kind]
        lines += [f"    {event.title or event.url}: {event.detail}  {event.url}" for event in shown]
        if number > len(shown):
            lines.append(f"    … and {number - len(shown)} more")
    if report.failures:
        lines.append(f"  failed: {report.changes.get('failed', 0)}")
        lines += [f"    {_named_once(example)}" for examples in report.failures.values() for example in examples]
    return "\n".join(lines)


def _named_once(failure: str) -> str:
    """A failure, `address: sentence`, without the address in front of a sentence that names it, nor twice in it."""
    url, _, sentence = failure.partition(": ")
    before, *others = re.split(re.escape(url) + r"(?=[\s:;,)]|$)", sentence)
    return f"{before}{url}{'it'.join(others)}" if others else failure


def _unpaused(stores: Stores, due: bool) -> list[int]:
    """All shops that may be crawled; where there are none, `NotFound` says why, or only a line if `due` ones are meant.
    """
    with Session(stores.readers) as session:
        shops = session.scalars(select(Shop).where(~Shop.url.startswith(PUSHED)).order_by(Shop.id)).all()
    found = [shop.id for shop in shops if not shop.paused]
    if found:
        return found
    why = ("all shops are paused; take one up again with `solesearch shop resume NAME`" if shops else
           "there is no shop to crawl; add one with `solesearch shop add URL`")
    if not due:
        raise NotFound(why)
    click.echo(why, err=True)
    return []


def _due(stores: Stores) -> set[int]:
    from app.schedule import due_shops
    with Session(stores.readers) as session:
        return {shop.id for shop in due_shops(session, now())}


def crawl_all(stores: Stores, numbers: Sequence[int], settings: "CrawlSettings",
              while_due: bool, locks: Path | None = None) -> tuple[list["CrawlReport"], list[SoleSearchError]]:
    """Crawl shops side by side; returns the reports and what kept others from being crawled, in the shops' order.

    With `while_due`, shops that another process has crawled meanwhile, or crawls now, are left to it. `locks` is the
    lock folder, that of the stores unless another is named.
    """
    from crawler.crawl import crawl as crawl_shop
    stop = threading.Event()
    shown: dict[int, CrawlProgress] = {}
    reports: list[CrawlReport] = []
    problems: list[SoleSearchError] = []

    def crawl_in_turn(group: Sequence[int], move: Callable[[int, int], None]) -> None:
        def watch(number: int, progress: "CrawlProgress") -> None:
            shown[number] = progress
            standing = list(shown.values())
            visited = sum(one.visited for one in standing)
            move(visited, visited + sum(one.pending for one in standing))

        for number in group:
            if while_due and number not in _due(stores):
                continue
            try:
                report = crawl_shop(stores.database, stores.photos, number, settings, partial(watch, number),
                                    locks=locks or stores.settings.data_dir / "locks", stop=stop, apart=True)
            except SoleSearchError as error:  # one shop's trouble is not another's
                if not (while_due and isinstance(error, Busy)):
                    problems.append(error)
                continue
            except SQLAlchemyError as error:
                problems.append(CatalogueUnavailable(f"shop {number}: {known_failure(error) or error}"))
                continue
            reports.append(report)
            if number in shown and not report.stopped:
                watch(number, replace(shown[number], pending=0))  # what was thought to be left was an estimate

    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with counting("crawl", unit="page") as move, ThreadPoolExecutor(stores.settings.crawls_at_once) as pool:
            flying = [pool.submit(crawl_in_turn, group, move) for group in _by_host(stores, numbers)]
            try:
                for future in flying:
                    future.result()
            finally:
                stop.set()  # Ctrl-C ends the crawls under way as well
    finally:
        signal.signal(signal.SIGTERM, before)
    return sorted(reports, key=lambda one: one.run_id), problems


def _by_host(stores: Stores, numbers: Sequence[int]) -> list[list[int]]:
    """Shops of one host are crawled one after the other, so that it is asked no faster than one shop's pace."""
    from app.schedule import host_of
    groups: dict[str, list[int]] = defaultdict(list)
    with Session(stores.readers) as session:
        for number in numbers:
            groups[host_of(session.get_one(Shop, number))].append(number)
    return list(groups.values())


def _write_listings(stores: Stores, numbers: Sequence[int], since: datetime, path: Path | None) -> None:
    """The listings that these crawls saw, to a file or to standard output."""
    from catalogue.exports import export_lines
    if path is not None:
        export_lines(stores.database, stores.photos, path, photos=False, shops=numbers, since=since)
        return
    with tempfile.TemporaryDirectory() as place:
        export_lines(stores.database, stores.photos, Path(place) / "listings.jsonl", photos=False, shops=numbers,
                     since=since)
        click.echo((Path(place) / "listings.jsonl").read_text(encoding="utf-8"), nl=False)


def _throw_away(stores: Stores, numbers: Sequence[int], place: Path) -> tuple[Stores, list[int]]:
    """Stores of their own for a dry run, with the same shops."""
    dry = open_stores(Settings(**{**stores.settings.model_dump(), "data_dir": place, "database_url": ""}))
    with Session(stores.readers) as session, Session(dry.database) as copy, copy.begin():
        for shop in session.scalars(select(Shop).where(Shop.id.in_(numbers)).order_by(Shop.id)):
            copy.add(Shop(id=shop.id, name=shop.name, url=shop.url, settings=shop.settings))
    return dry, list(numbers)
