"""`solesearch crawl`, its reports, and the schedule: whole commands against shops on loopback."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner, Result
from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.cli import commands, main
from app.commands.crawling import crawl_all, text_of
from app.progress import counting
from app.schedule import Schedule, check_schedules
from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.errors import BadInput
from catalogue.files import lock
from catalogue.products_csv import ProductRow, read_products, write_products
from catalogue.tables import CrawlRun, Job, Listing, Shop, now
from crawler.report import CrawlReport
from crawler.settings import CrawlSettings
from demo.goods import read_goods
from demo.shop import listen, make_shop
from tests.conftest import encoded, picture


class Shopkeeper:
    """A demo shop on loopback whose folder can be changed between crawls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listener = listen("127.0.0.1", 0)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.app = make_shop([])

        async def serve(scope: dict, receive: Callable, send: Callable) -> None:  # type: ignore[type-arg]
            await self.app(scope, receive, send)

        self.server = uvicorn.Server(uvicorn.Config(serve, log_level="error", lifespan="off"))
        threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True).start()

    def open(self) -> None:
        self.app = make_shop(read_goods(self.folder))

    def rows(self) -> list[ProductRow]:
        return list(read_products(self.folder))

    def stock(self, rows: Sequence[ProductRow]) -> None:
        write_products(self.folder / "products.csv", rows)
        self.open()


@pytest.fixture
def shop(make_folder: Callable[..., Path], tmp_path: Path) -> Iterator[Shopkeeper]:
    folder = make_folder(tmp_path / "goods", models=5, views=3)
    for path in folder.rglob("*.jpg"):
        path.write_bytes(encoded(Image.open(path).resize((160, 120), Image.Resampling.NEAREST), quality=90))
    keeper = Shopkeeper(folder)
    keeper.open()
    yield keeper
    keeper.server.should_exit = keeper.server.force_exit = True


@pytest.fixture
def run(stores: Stores, shop: Shopkeeper, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in {"DATA_DIR": str(stores.settings.data_dir), "ALLOW_HOSTS": shop.host, "CRAWL_DELAY_S": "0",
                        "DATABASE_URL": stores.settings.database_url}.items():
        monkeypatch.setenv(f"SOLESEARCH_{name}", value)

    def command(*arguments: str, code: int = 0) -> Result:
        found = CliRunner().invoke(commands, list(arguments))
        assert found.exit_code == code, (found.output, found.exception)
        return found

    return command


def reports(found: Result) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


def test_a_report_names_exactly_what_changed(run: Callable[..., Result], shop: Shopkeeper) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    first = reports(run("crawl", "--json"))[0]
    assert first["counters"]["new"] == 10 and set(first["changes"]) == {"new"}

    rows = shop.rows()
    by_slug = {row.slug: number for number, row in enumerate(rows)}
    cheaper = by_slug["shoe-0-0"]
    rows[cheaper] = ProductRow(**{**vars(rows[cheaper]), "price": "99000 KRW"})
    # The fourth shoe of the shop is sold out: whichever moves to its place is sold out now, and the one before is not.
    rows[3], rows[4] = rows[4], rows[3]
    rows = [row for row in rows if row.slug != "shoe-4-1"]
    replaced = shop.folder / "made" / "shoe-3-0" / "1.jpg"
    replaced.write_bytes(encoded(picture(99_001, (160, 120)), quality=90))
    os.utime(replaced, (2_000_000_000, 2_000_000_000))
    new = shop.folder / "made" / "shoe-9-0"
    shutil.copytree(shop.folder / "made" / "shoe-0-1", new)
    for number in range(3):
        (new / f"{number}.jpg").write_bytes(encoded(picture(99_100 + number, (160, 120)), quality=90))
    rows.append(ProductRow(set="made", slug="shoe-9-0", brand="Tavero", name="Shoe 9", price="150000 KRW",
                           colour="blue", sku="TV-9-0"))
    shop.stock(rows)

    again = reports(run("crawl", "--json"))[0]
    found = sorted((event["kind"], event["url"].rpartition("/")[2]) for event in again["events"])
    assert found == [("back_in_stock", "shoe-1-1"), ("gone", "shoe-4-1"), ("new", "shoe-9-0"), ("photos", "shoe-3-0"),
                     ("price", "shoe-0-0"), ("sold_out", "shoe-2-0")]
    details = {event["kind"]: event["detail"] for event in again["events"]}
    assert details["price"] == "129000 KRW → 99000 KRW" and details["photos"] == "1 replaced"
    assert "404" in details["gone"]
    assert not again["failures"] and not again["warnings"]

    text = run("crawl", "report").stdout
    assert "129000 KRW → 99000 KRW" in text and "1 replaced" in text and "gone: 1" in text
    former = run("crawl", "report", "1", "--most", "3").stdout
    assert "new: 10" in former and former.count("/shoe-") == 3 and "… and 7 more" in former
    assert "there is no crawl run 99;" in str(run("crawl", "report", "99", code=1).exception)
    third = reports(run("crawl", "--json"))[0]
    assert not third["changes"] and third["counters"]["same"] == 10


def test_far_fewer_listings_are_a_warning(run: Callable[..., Result], shop: Shopkeeper, stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    run("crawl")
    shop.stock(shop.rows()[:3])
    found = run("crawl", code=3)
    assert "warning: only 3 listings were found" in found.stdout
    assert "warning" in run("crawl", "report", code=3).stdout


def test_a_dry_run_leaves_no_trace(run: Callable[..., Result], shop: Shopkeeper, stores: Stores,
                                   tmp_path: Path) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    found = run("crawl", "--dry-run")
    lines = [json.loads(line) for line in found.stdout.splitlines()]  # nothing else stands there
    assert "10 new" in found.stderr
    assert len(lines) == 10 and {line["brand"] for line in lines} == {"Tavero"} and len(lines[0]["photos"]) == 3
    with Session(stores.readers) as session:
        assert session.scalars(select(Listing)).all() == [] and session.scalars(select(CrawlRun)).all() == []
    run("crawl", "--jsonl", str(tmp_path / "seen.jsonl"))
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 10


def test_shops_are_crawled_side_by_side_and_one_trouble_stays_one(
        run: Callable[..., Result], shop: Shopkeeper, stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Nowhere", url="http://127.0.0.1:9/", settings={}))
        session.add(Shop(name="Odd", url="http://odd.example/", settings={"adapter": "feed"}))
    found = run("crawl", code=1)
    assert "10 new" in found.stdout and "Nowhere: run" in found.stdout
    assert "feed" in found.stderr


def test_only_due_shops_are_crawled(run: Callable[..., Result], shop: Shopkeeper, stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    assert run("crawl", "--due").stdout == ""  # it has no schedule
    with Session(stores.database) as session, session.begin():
        row = session.scalars(select(Shop)).one()
        row.settings = {**row.settings, "schedule": "6h"}
    assert "10 new" in run("crawl", "--due").stdout
    assert run("crawl", "--due").stdout == ""
    with Session(stores.database) as session, session.begin():
        session.execute(update(CrawlRun).values(started_at=now() - timedelta(hours=7)))
    assert "10 same" in run("crawl", "--due").stdout


def test_a_shop_that_another_crawler_did_meanwhile_is_not_due_any_more(
        run: Callable[..., Result], shop: Shopkeeper, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESEARCH_CRAWLS_AT_ONCE", "1")
    run("shop", "add", f"http://{shop.host}/", "--yes")
    with Session(stores.database) as session, session.begin():
        first = session.scalars(select(Shop)).one()
        first.settings = {**first.settings, "schedule": "6h"}
        session.add(Shop(name="Later", url="http://127.0.0.1:9/", settings={"schedule": "6h"}))
    answers = shop.app

    async def meanwhile(*request: Any) -> None:
        with Session(stores.database) as session, session.begin():
            if session.scalar(select(CrawlRun.id).where(CrawlRun.shop_id == 2)) is None:
                session.add(CrawlRun(shop_id=2, state="done", finished_at=now()))
        await answers(*request)

    shop.app = meanwhile  # type: ignore[assignment]
    found = run("crawl", "--due")
    assert "10 new" in found.stdout and "Later" not in found.output


def test_a_shop_that_another_process_crawls_is_a_code_of_its_own(
        run: Callable[..., Result], shop: Shopkeeper, stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    with lock(stores.settings.data_dir / "locks" / "crawl-1.lock", "the test"):
        assert "already busy" in run("crawl", code=75).stderr
    with lock(stores.runs / "retrain.lock", "the test"), pytest.raises(SystemExit) as left:
        main(["retrain"])
    assert left.value.code == 75


def begin(*words: str) -> subprocess.Popen[str]:
    """A command in a process of its own that asks a shop for something every second."""
    return subprocess.Popen([sys.executable, "-m", "app.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env={**os.environ, "SOLESEARCH_CRAWL_DELAY_S": "1"})


def noticed(shop: Shopkeeper, path: str) -> threading.Event:
    """Set as soon as the shop is asked for what lies under such a path."""
    answers, asked = shop.app, threading.Event()

    async def listening(scope: dict[str, Any], *rest: Any) -> None:
        if path in scope["path"]:
            asked.set()
        await answers(scope, *rest)

    shop.app = listening  # type: ignore[assignment]
    return asked


def test_a_crawl_that_is_asked_to_end_says_so_and_the_next_goes_on(run: Callable[..., Result], shop: Shopkeeper,
                                                                   stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    asked = noticed(shop, "/shoe-")
    crawl = begin("crawl")
    assert asked.wait(60)
    crawl.terminate()
    out, err = crawl.communicate()
    assert crawl.returncode == 0 and "stopped early: it was asked to stop; the next crawl goes on" in out, err
    assert "run 1 done" in (said := run("crawl").stdout) and "10 new" in said


def test_a_schedule_that_is_asked_to_end_ends_its_crawls_and_there_is_one_at_a_time(
        run: Callable[..., Result], shop: Shopkeeper, stores: Stores) -> None:
    run("shop", "add", f"http://{shop.host}/", "--yes")
    with Session(stores.database) as session, session.begin():
        row = session.scalars(select(Shop)).one()
        row.settings = {**row.settings, "schedule": "6h"}
    asked = noticed(shop, "/shoe-")
    schedule = begin("schedule", "--tick", "0.2")
    assert asked.wait(60)
    other = begin("schedule", "--once")
    assert "already busy with the schedule" in other.communicate()[1] and other.returncode == 75
    schedule.terminate()
    out, err = schedule.communicate()
    assert schedule.returncode == 0 and "stopped early: it was asked to stop" in out, err
    with Session(stores.readers) as session:
        assert session.scalars(select(CrawlRun)).one().holder == ""


def test_where_all_shops_are_paused_a_crawl_says_so(run: Callable[..., Result], shop: Shopkeeper) -> None:
    assert run("crawl", "--due").stdout == ""
    run("shop", "add", f"http://{shop.host}/", "--yes")
    run("shop", "pause", "1")
    assert "all shops are paused" in str(run("crawl", code=1).exception)
    assert "all shops are paused" in run("crawl", "--due").stderr


def test_the_help_of_crawl_has_its_options_on_one_screen(run: Callable[..., Result]) -> None:
    said = run("crawl", "--help").stdout
    assert "--due" in said and "--dry-run" in said and "report " in said and len(said.splitlines()) <= 30


@pytest.mark.parametrize(("failure", "said"), [
    ("https://a.example/1: the shop answered 500", "https://a.example/1: the shop answered 500"),
    ("https://a.example/1: https://a.example/1 could not be fetched: Timeout: nothing came of https://a.example/1",
     "https://a.example/1 could not be fetched: Timeout: nothing came of it"),
    ("https://a.example/x: the answer of https://a.example/x is no JSON (Expecting value)",
     "the answer of https://a.example/x is no JSON (Expecting value)"),
    *[("https://a.example/: https://a.example/1.jpg answered 404",) * 2],
])
def test_a_failure_names_its_address_once(failure: str, said: str) -> None:
    report = CrawlReport(1, "Solely", "partial", {}, changes={"failed": 1}, failures={"": [failure]})
    assert text_of(report).endswith(f"  failed: 1\n    {said}")


class Screen(io.StringIO):
    """Where a terminal would be."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_for_terminals_and_for_something_to_do(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", screen := Screen())
    assert crawl_all(stores, [], CrawlSettings(), False) == ([], []) and screen.getvalue() == ""
    with counting("something") as move:
        move(1, 3)
        move(4, 4)
    assert " 0/3 " in screen.getvalue() and " 4/4 " in screen.getvalue()
    monkeypatch.setattr("sys.stderr", file := io.StringIO())
    with counting("something") as move:
        move(1, 3)
    assert file.getvalue() == ""


class Started:
    """Stands where the schedule starts processes; a job ends when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[tuple[str, ...], Started]] = []
        self.code: int | None = None

    def __call__(self, arguments: Sequence[str]) -> "Started":
        job = Started()
        self.jobs.append((tuple(arguments), job))
        return job

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = -15

    def wait(self, timeout: float | None = None) -> int:
        return self.code or 0


def test_the_schedule_starts_what_is_due_once(stores: Stores) -> None:
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Often", url="http://often.example/", settings={"schedule": "6h"}))
        session.add(Shop(name="Never", url="http://never.example/"))
        session.add(Shop(name="Paused", url="http://paused.example/", settings={"schedule": "6h"}, paused=True))
    at = [now() + timedelta(seconds=1)]
    start = Started()
    made = open_stores(Settings(**{**stores.settings.model_dump(), "retrain": "1d"}))
    with Schedule(made, start, lambda: at[0]) as schedule:
        assert schedule.tick() == 1 and schedule.tick() == 0  # under way: not started again
        assert start.jobs[0][0] == ("crawl", "--", "1")
        with Session(stores.database) as session, session.begin():
            session.add(CrawlRun(shop_id=1, state="done", started_at=at[0], finished_at=at[0]))
        start.jobs[0][1].code = 0
        assert schedule.tick() == 0
        at[0] += timedelta(hours=6, seconds=1)
        assert schedule.tick() == 1
        at[0] += timedelta(days=1)  # the crawl still runs: skipped, not piled up; the retraining is due
        assert schedule.tick() == 1
        assert start.jobs[-1][0][:1] == ("retrain",)
        start.jobs[-1][1].code = 1
        schedule.tick()
    with Session(stores.readers) as session:
        assert session.get_one(Job, "retrain").outcome == "exit 1"
    again = Started()
    with Schedule(made, again, lambda: at[0]) as restarted:  # a restart knows what was done
        restarted.tick()
        assert [arguments[0] for arguments, _ in again.jobs] == ["crawl"]


def test_a_retraining_that_a_restart_cut_off_goes_on_at_once(stores: Stores) -> None:
    at = now() - timedelta(minutes=2)
    with Session(stores.database) as session, session.begin():
        session.add(Job(name="retrain", started_at=at, finished_at=None))
    made = open_stores(Settings(**{**stores.settings.model_dump(), "retrain": "0 4 1 1 *"}))
    start = Started()
    with Schedule(made, start) as schedule:
        assert schedule.tick() == 1 and start.jobs[0][0][0] == "retrain" and schedule.tick() == 0
        start.jobs[0][1].code = 75
        assert schedule.tick() == 0 and schedule.code == 0
    with Session(stores.readers) as session:
        assert session.get_one(Job, "retrain").outcome == "skipped"


def test_a_schedule_run_once_ends_as_its_jobs_did(run: Callable[..., Result], stores: Stores,
                                                  caplog: pytest.LogCaptureFixture) -> None:
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Odd", url="http://odd.example/", settings={"adapter": "feed", "schedule": "6h"}))
    with lock(stores.settings.data_dir / "locks" / "crawl-1.lock", "the test"):
        run("schedule", "--once")
    assert "crawl Odd was skipped" in caplog.text
    run("schedule", "--once", code=1)
    assert "crawl Odd ended with 1" in caplog.text


def test_a_job_that_failed_rests(stores: Stores) -> None:
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Often", url="http://often.example/", settings={"schedule": "6h"}))
    at = [now() + timedelta(seconds=1)]
    start = Started()
    with Schedule(stores, start, lambda: at[0]) as schedule:
        for code, rests in ((3, False), (-9, False), (1, True)):
            schedule.tick()
            start.jobs[-1][1].code = code
            count = len(start.jobs)
            schedule.tick()
            assert (len(start.jobs) == count) is rests, code
        assert schedule.code == 1
        at[0] += timedelta(minutes=11)
        assert schedule.tick() == 1


def test_a_schedule_that_cannot_be_used_is_refused_at_the_start(stores: Stores) -> None:
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Odd", url="http://odd.example/", settings={"schedule": "sometimes"}))
    with pytest.raises(BadInput, match="sometimes"):
        check_schedules(stores)
