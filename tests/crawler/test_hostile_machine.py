"""What goes wrong on this side: a visiting process that is shot, a disk that is full."""

import io
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import FetchFailed
from catalogue.tables import CrawlRun, Listing, ProductPhoto, Shop
from crawler.crawl import crawl
from crawler.report import CrawlProgress, CrawlReport
from tests.crawler.hostile import HostileShop, give, opened
from tests.crawler.ordeal import Ordeal, at_peace

MANY = tuple(f"bad-{number}" for number in range(24))


def processes_of_the_crawl() -> tuple[int, list[int]]:
    """The process that makes the visits, and those that read pages for it."""
    if not shutil.which("ps"):
        pytest.skip("no ps here to look for processes with")
    visits = next(child.pid for child in multiprocessing.active_children() if child.name == "visits" and child.pid)
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    # Readers are forked from a process that the visiting one began for that.
    return visits, [pid for pid, parent in parents.items() if parents.get(parent) == visits]


def crawl_shooting(ordeal: Ordeal, whom: str) -> CrawlReport:
    """Crawl apart, with a bullet for the visiting process or a reader after the second address."""
    seen: list[CrawlProgress] = []
    shot: list[int] = []

    def watch(progress: CrawlProgress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            visits, readers = processes_of_the_crawl()
            shot.append(visits if whom == "visits" else readers[0])
            os.kill(shot[0], signal.SIGKILL)

    try:
        return crawl(ordeal.stores.database, ordeal.stores.photos, 1, ordeal.settings(), watch,
                     locks=ordeal.stores.settings.data_dir / "locks", apart=True)
    finally:
        assert len(shot) == 1


def test_a_visiting_process_that_is_shot_costs_no_listing(stores: Stores) -> None:
    with at_peace(stores, MANY) as ordeal:
        ordeal.bad.delay_s = 0.05
        with pytest.raises(FetchFailed, match="visiting process ended"):
            crawl_shooting(ordeal, "visits")
        ordeal.nothing_is_lost()
        report = ordeal.crawl_apart()
        assert report.complete and report.counters["same"] == len(MANY)
        with Session(stores.readers) as session:
            assert session.scalar(select(func.count()).select_from(CrawlRun).where(CrawlRun.shop_id == 1)) == 2
        ordeal.nothing_is_lost()


def test_a_reader_that_is_shot_costs_a_page_until_the_next_crawl(stores: Stores) -> None:
    with at_peace(stores, MANY) as ordeal:
        ordeal.bad.delay_s = 0.05
        report = crawl_shooting(ordeal, "reader")
        assert not report.stopped and report.counters.get("failed", 0) <= 2
        assert report.counters["same"] >= len(MANY) - 2
        ordeal.nothing_is_lost()
        assert ordeal.crawl_apart().counters["same"] == len(MANY)


def noise() -> bytes:
    """A photo of more than three megabytes: more than the room that the catalogue itself needs."""
    out = io.BytesIO()
    Image.frombytes("RGB", (2400, 1800), random.Random(1).randbytes(2400 * 1800 * 3)).save(out, "JPEG", quality=95)
    assert len(out.getvalue()) > 3_000_000
    return out.getvalue()


PROGRAM = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv[1:] = ["crawl"]
from app.cli import main
main()
"""


@pytest.mark.parametrize("room", [1000, 2_000_000])
def test_a_disk_without_room_is_told_of_and_the_crawl_goes_on_when_there_is(stores: Stores, room: int) -> None:
    shop = HostileShop(MANY, photos=2)
    shop.trouble["/i/bad-9-1.jpg"] = give(noise(), "image/jpeg")
    with opened(shop):
        with Session(stores.database) as session, session.begin():
            session.add(Shop(id=1, name="Shoes", url=shop.url(), settings={"adapter": "sitemap"}))
        environment = {**os.environ, "SOLESEARCH_DATA_DIR": str(stores.settings.data_dir),
                       "SOLESEARCH_ALLOW_HOSTS": shop.host, "SOLESEARCH_CRAWL_DELAY_S": "0",
                       "SOLESEARCH_DATABASE_URL": stores.settings.database_url}
        full = subprocess.run([sys.executable, "-c", PROGRAM, str(room)], env=environment, text=True,
                              capture_output=True)
        assert full.returncode == 1 and "Traceback" not in full.stderr
        assert "Error: " in full.stderr
        again = subprocess.run([sys.executable, "-m", "app.cli", "crawl"], env=environment, text=True,
                               capture_output=True)
        assert again.returncode == 0, again
        with Session(stores.readers) as session:
            assert session.scalar(select(func.count()).select_from(Listing)) == len(MANY)
            assert session.scalar(select(func.count()).select_from(ProductPhoto)) == 2 * len(MANY)
