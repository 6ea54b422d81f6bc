"""The schedule when something fails: what was cut off goes on, a database that is away ends nothing, shops of one host
are never crawled at once, and what waits to be added is what the live index lacks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app import unfinished
from app.cli import commands
from app.commands.crawling import _by_host
from app.exits import BUSY
from app.schedule import Schedule, due_shops
from app.settings import Settings
from app.waiting import Waiting
from app.wiring import Stores, open_stores
from catalogue.files import lock, write_file
from catalogue.gallery_items import register
from catalogue.holding import SILENT
from catalogue.imports import import_path
from catalogue.merging import merge
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.tables import CrawlRun, Job, Shop, now
from index.build import gallery_of
from tests.app.test_crawl_commands import Started


def with_settings(stores: Stores, **changes: object) -> Stores:
    return open_stores(Settings(**{**stores.settings.model_dump(), **changes}))


def photo_rows(stores: Stores) -> list[ProductPhotoRow]:
    with Session(stores.readers) as session:
        return product_photos(session)


def named(stores: Stores, rows: list[ProductPhotoRow]) -> dict[tuple[int, str], int]:
    """Give these photos their gallery items, as every build and addition does before it publishes anything."""
    with Session(stores.database) as session, session.begin():
        return register(session, [(row.product_id, row.sha256) for row in rows])


def published(stores: Stores, kind: str, rows: list[ProductPhotoRow], **manifest: object) -> str:
    """Publish an index or segment of these photos, with vectors by chance: the schedule looks at none."""
    photos = {row.sha256 for row in rows}
    vectors = dict(zip(sorted(photos), np.random.default_rng(0).normal(size=(len(photos), 4)), strict=True))
    with stores.releases.draft(kind) as draft:
        gallery_of(rows, named(stores, rows), vectors, {}).write(draft.folder)
        draft.manifest.update(manifest)
    return draft.name


@pytest.fixture
def indexed(stocked: Stores) -> Stores:
    """A catalogue of 48 photos, all of them in the live index."""
    stocked.releases.promote("index", published(stocked, "index", photo_rows(stocked)))
    return stocked


def unhurried(stores: Stores) -> Waiting:
    """One whose clock stands still: no look takes any time, so that none has to be waited for."""
    at = now()
    return Waiting(stores, lambda: at)


def test_what_only_a_refused_index_holds_still_waits(indexed: Stores, make_folder: Callable[..., Path],
                                                     tmp_path: Path) -> None:
    waiting, start = unhurried(indexed), Started()
    assert waiting.count() == 0
    import_path(indexed.database, indexed.photos, make_folder(tmp_path / "new", models=2, first=20))
    refused = published(indexed, "index", photo_rows(indexed))
    assert waiting.count() == 16
    at = [now()]
    schedule = Schedule(with_settings(indexed, add_after=16), start, lambda: at[0])
    assert schedule.tick() == 1 and start.jobs[0][0] == ("index", "add")
    start.jobs[0][1].code = -9  # it is killed after it has named the items
    assert schedule.tick() == 0
    at[0] += timedelta(minutes=11)
    assert schedule.tick() == 1
    published(indexed, "segment", photo_rows(indexed)[-16:], base=indexed.releases.live("index").name)
    assert waiting.count() == 0
    indexed.releases.promote("index", refused)
    assert waiting.count() == 0
    indexed.releases.roll_back("index")
    assert waiting.count() == 0


def test_photos_of_merged_products_wait_for_nothing(indexed: Stores) -> None:
    one, other = sorted({row.product_id for row in photo_rows(indexed)})[:2]
    schedule = Schedule(with_settings(indexed, add_after=1), Started())
    assert schedule.tick() == 0
    merge(indexed.database, str(one), str(other))
    assert Schedule(schedule.stores, Started()).tick() == 0


def test_an_index_without_its_folder_is_said_and_nothing_waits_for_it(indexed: Stores,
                                                                      caplog: pytest.LogCaptureFixture) -> None:
    name = indexed.releases.live("index").name
    (indexed.releases.folder / name).rename(indexed.releases.folder / "lost")
    assert Waiting(indexed).count() == 0 and name in caplog.text


def test_what_waits_is_counted_anew_only_after_a_change_and_at_a_pace(
        indexed: Stores, make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at, looks = [now()], [0]

    def seconds_later() -> datetime:
        at[0] += timedelta(seconds=1)
        return at[0]

    def lacking(*_: object) -> int:
        looks[0] += 1
        return looks[0]

    monkeypatch.setattr("index.add.lacking_photos", lacking)
    waiting = Waiting(indexed, seconds_later)
    assert [waiting.count() for _ in range(50)] == [1] * 50
    import_path(indexed.database, indexed.photos, make_folder(tmp_path / "one", models=1, first=20))
    at[0] += timedelta(minutes=1)
    assert waiting.count() == 2  # this look took a second, so the next comes after twenty
    import_path(indexed.database, indexed.photos, make_folder(tmp_path / "two", models=1, first=21))
    assert waiting.count() == 2
    at[0] += timedelta(seconds=20)
    assert waiting.count() == 3
    published(indexed, "segment", photo_rows(indexed), base=indexed.releases.live("index").name)
    assert waiting.count() == 4  # what was added ends the waiting at once


def overdue(stores: Stores) -> Stores:
    """The stores with a retraining that should have begun."""
    with Session(stores.database) as session, session.begin():
        session.add(Job(name="retrain", started_at=now() - timedelta(days=400), finished_at=now()))
    return with_settings(stores, retrain="0 4 1 1 *")


def retraining(stores: Stores) -> Job:
    with Session(stores.readers) as session:
        return session.get_one(Job, "retrain")


@pytest.mark.parametrize(("code", "left_behind", "minutes", "starts"), [
    (-9, True, 0, 0), (-9, True, 11, 1),   # killed, for want of memory say
    (1, True, 0, 0), (1, True, 11, 1),   # the disk was full or the database away
    (1, False, 11, 0),   # refused
    (0, False, 11, 0), (75, True, 11, 0)])
def test_a_retraining_that_was_cut_off_does_not_wait_for_its_next_time(
        stores: Stores, code: int, left_behind: bool, minutes: int, starts: int) -> None:
    at, start = [now()], Started()
    with Schedule(overdue(stores), start, lambda: at[0]) as schedule:
        assert schedule.tick() == 1
        if left_behind:
            write_file(unfinished.place(stores), b"a snapshot")
        start.jobs[0][1].code = code
        schedule.tick()
        at[0] += timedelta(minutes=minutes)
        schedule.tick()
        assert len(start.jobs) == 1 + starts
    if code == -9:
        assert retraining(stores).finished_at is None


def test_what_is_stopped_with_the_schedule_goes_on_with_the_next(stores: Stores) -> None:
    made, start = overdue(stores), Started()
    with Schedule(made, start) as schedule:
        assert schedule.tick() == 1
    assert start.jobs[0][1].code == -15 and retraining(stores).finished_at is None


def test_what_ended_unseen_with_the_schedule_is_not_done_again(stores: Stores) -> None:
    made, start = overdue(stores), Started()
    with Schedule(made, start) as schedule:
        assert schedule.tick() == 1
        start.jobs[0][1].code = 0
    assert retraining(stores).finished_at is not None and retraining(stores).outcome == "exit 0"
    with Schedule(made, start) as schedule:
        assert schedule.tick() == 0


def test_a_database_that_is_away_ends_nothing(stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, start = with_settings(stores, retrain="0 4 1 1 *"), Started()
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Often", url="http://often.example/", settings={"schedule": "6h"}))
        session.add(Job(name="retrain", started_at=now() - timedelta(days=400), finished_at=now()))
    away = replace(made, database=create_engine(f"sqlite:///{tmp_path}/none/catalogue.db"))
    with Schedule(made, start, lambda: now() + timedelta(seconds=1)) as schedule:
        assert schedule.tick() == 2
        schedule.stores = away
        assert schedule.tick() == 0 and "unable to open database" in caplog.text
        assert [job.code for _, job in start.jobs] == [None, None]
        start.jobs[1][1].code = 0
        assert schedule.tick() == 0 and schedule.busy and schedule.code == 1
        schedule.stores = made
        schedule.tick()
        assert retraining(stores).outcome == "exit 0" and len(start.jobs) == 2


def test_a_process_that_cannot_be_started_ends_nothing(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    def full(_: object) -> Started:
        raise BlockingIOError("no process can be started")

    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Often", url="http://often.example/", settings={"schedule": "6h"}))
    with Schedule(stores, full, lambda: now() + timedelta(seconds=1)) as schedule:
        assert schedule.tick() == 0 and "no process can be started" in caplog.text
        schedule.start = Started()
        assert schedule.tick() == 1


def test_a_look_that_starts_nothing_waits_for_no_writer(stores: Stores) -> None:
    made = with_settings(stores, retrain="0 4 1 1 *", add_after=1)
    schedule = Schedule(made, Started())
    schedule.tick()  # it notes from when the retraining counts
    with stores.database.begin():
        assert schedule.tick() == 0 and schedule.code == 0
    assert retraining(stores).outcome == "scheduled"


@pytest.fixture
def neighbours(stores: Stores) -> Stores:
    """Three shops that are to be crawled every six hours: 1 and 3 of one host, 2 of another."""
    with Session(stores.database) as session, session.begin():
        for name, url in (("Women", "https://one.example/women"), ("Else", "https://other.example/"),
                          ("Men", "https://one.example/men")):
            session.add(Shop(name=name, url=url, settings={"schedule": "6h"}))
    return stores


def due(stores: Stores, at: datetime) -> list[int]:
    with Session(stores.readers) as session:
        return [shop.id for shop in due_shops(session, at)]


def crawled(stores: Stores, number: int, at: datetime) -> None:
    with Session(stores.database) as session, session.begin():
        session.add(CrawlRun(shop_id=number, state="done", started_at=at, beat_at=at, finished_at=at))


def test_the_schedule_crawls_shops_of_one_host_in_turn(neighbours: Stores) -> None:
    at, start = now() + timedelta(seconds=1), Started()
    with Schedule(neighbours, start, lambda: at) as schedule:
        assert schedule.tick() == 2 and schedule.tick() == 0
        assert [arguments[-1] for arguments, _ in start.jobs] == ["1", "2"]
        crawled(neighbours, 1, at)
        start.jobs[0][1].code = 0
        assert schedule.tick() == 1 and start.jobs[-1][0] == ("crawl", "--", "3")


def test_a_shop_waits_while_another_of_its_host_is_crawled_from_elsewhere(neighbours: Stores) -> None:
    at = now() + timedelta(seconds=1)
    with Session(neighbours.database) as session, session.begin():
        session.add(CrawlRun(shop_id=1, state="running", holder="elsewhere/1", beat_at=at))
    assert due(neighbours, at) == [2]
    assert sorted(due(neighbours, at + SILENT + timedelta(seconds=1))) == [1, 2, 3]


def test_who_has_waited_longest_is_crawled_first(neighbours: Stores) -> None:
    at = now() + timedelta(seconds=1)
    for number, minutes in ((1, 2), (2, 1), (3, 0)):
        crawled(neighbours, number, at + timedelta(minutes=minutes))
    assert due(neighbours, at + timedelta(hours=7)) == [3, 2, 1]


def test_one_crawl_takes_shops_of_one_host_one_after_the_other(neighbours: Stores) -> None:
    assert _by_host(neighbours, [1, 2, 3]) == [[1, 3], [2]]


def test_a_dry_run_leaves_a_shop_that_is_crawled_alone(neighbours: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(neighbours.settings.data_dir))
    with lock(neighbours.settings.data_dir / "locks" / "crawl-1.lock", "the test"):
        assert CliRunner().invoke(commands, ["crawl", "--dry-run", "Women"]).exit_code == BUSY
