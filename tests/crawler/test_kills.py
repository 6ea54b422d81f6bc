"""A crawl that is killed twenty times comes to the catalogue of one that was not, row by row; nothing stays behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.tables import FetchState, Shop, Table
from tests.crawler.hostile import Behave, Handler, HostileShop, give, opened, picture

KILLS = 20
SLUGS = tuple(f"shoe-{number}" for number in range(44))
LAST = "/p/shoe-43"


def rows(engine: Engine) -> dict[str, list[tuple[str, ...]]]:
    """Every row of every table; a moment is only a moment, and a row's number its place, wherever it is named."""
    found: dict[str, list[tuple[str, ...]]] = {}
    places: dict[str, dict[int, int]] = {}
    with engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            had = [row._mapping for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            if "id" in table.columns:
                places[table.name] = {row["id"]: place for place, row in enumerate(had)}
            named = {column.name: key.column.table.name for column in table.columns for key in column.foreign_keys
                     if key.column.name == "id"} | ({"id": table.name} if "id" in table.columns else {})
            # The origin of a photo is its listing's number, which stands beside it.
            found[table.name] = sorted(tuple(
                "a moment" if isinstance(value, datetime) else repr(places[named[name]].get(value))
                if name in named else repr(value) for name, value in row.items() if name != "origin") for row in had)
    return found


def done(engine: Engine) -> int:
    """How many addresses a crawl has dealt with."""
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(FetchState).where(FetchState.state != "pending")) or 0


@pytest.fixture
def command(tmp_path: Path, new_database: Callable[[], str]) -> Callable[..., tuple[Stores, dict[str, str]]]:
    """A function that makes a catalogue with the shop, and the environment of a `solesearch crawl` into it."""

    def make(name: str, shop: HostileShop) -> tuple[Stores, dict[str, str]]:
        stores = open_stores(Settings(data_dir=tmp_path / name, database_url=new_database()))
        with Session(stores.database) as session, session.begin():
            session.add(Shop(id=1, name="Shoes", url=shop.url(), settings={"adapter": "sitemap"}))
        return stores, {**os.environ, "SOLESEARCH_DATA_DIR": str(tmp_path / name),
                        "SOLESEARCH_DATABASE_URL": stores.settings.database_url, "SOLESEARCH_CRAWL_DELAY_S": "0",
                        "SOLESEARCH_ALLOW_HOSTS": shop.host}

    return make


def solesearch(*words: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", *words]


def begin(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A crawl in a process group and session of its own."""
    return subprocess.Popen(solesearch("crawl"), env=environment, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def left_of(sessions: list[int]) -> list[str]:
    """The processes of these sessions that are still there."""
    if not shutil.which("ps"):
        pytest.skip("no ps here to look for processes with")
    listed = subprocess.run(["ps", "-eo", "pid=,sid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(None, 3) for line in listed.splitlines()]
    return [" ".join(line) for line in found if int(line[1]) in sessions and not line[2].startswith("Z")]


def kill_at_random(child: subprocess.Popen[bytes], shop: HostileShop, draw: random.Random, whole_group: bool) -> None:
    """Let a crawl get on by a few answers of the shop, or up to its last page, then kill it between two things."""
    until, last = shop.asked.total() + draw.randrange(4, 40), shop.asked[LAST]
    gives_up = time.monotonic() + 30
    while (shop.asked.total() < until and shop.asked[LAST] == last and child.poll() is None
           and time.monotonic() < gives_up):
        time.sleep(0.002)
    time.sleep(draw.random() * 0.05)
    assert child.poll() is None, "the crawl ended before it was killed"
    if whole_group:
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def give_once(opened: threading.Event, page: bytes) -> Behave:
    """An answer that waits for an event."""
    def behave(handler: Handler) -> None:
        opened.wait(120)
        give(page)(handler)

    return behave


def test_twenty_kills_change_nothing(command: Callable[..., tuple[Stores, dict[str, str]]]) -> None:
    shop = HostileShop(SLUGS, photos=3, delay_s=0.02, twins=frozenset(SLUGS[3:30:9]))
    with opened(shop):
        shop.trouble.update({
            "/p/shoe-7": give("gone", status=410), "/p/shoe-21": give("oh no", status=500),
            "/i/shoe-11-1.jpg": give("none", status=404), "/i/shoe-12-1.jpg": give("<p>no picture</p>"),
            "/i/shoe-30-2.jpg": give(picture("/i/shoe-30-0.jpg", side=192), "image/jpeg")})
        whole, environment = command("whole", shop)
        assert begin(environment).wait(60) == 0
        expected = rows(whole.database)
        assert len(expected["listings"]) == 42 and len(expected["crawl_runs"]) == 1

        killed, environment = command("killed", shop)
        draw = random.Random(20)
        # The last page waits for the last crawl, so that none ends before it is killed, however fast the machine.
        opened_last = threading.Event()
        shop.trouble[LAST] = give_once(opened_last, shop.page(LAST[3:]))
        sessions, stages = [], []
        for number in range(KILLS):
            child = begin(environment)
            sessions.append(child.pid)
            kill_at_random(child, shop, draw, whole_group=bool(number % 2))
            stages.append(done(killed.database))
        assert len(set(stages)) >= KILLS / 4, stages  # it was killed while it got on, not only while it began
        opened_last.set()
        last = begin(environment)
        sessions.append(last.pid)
        assert last.wait(60) == 0

        came = rows(killed.database)
        assert {name: set(came[name]) ^ set(expected[name]) for name in expected if came[name] != expected[name]} == {}
        until = time.monotonic() + 10
        while (left := left_of(sessions)) and time.monotonic() < until:
            time.sleep(0.1)
        assert left == []
        checked = subprocess.run(solesearch("catalogue", "verify"), env=environment, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        killed.database.dispose()
        whole.database.dispose()
