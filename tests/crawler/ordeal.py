"""A hostile shop and a healthy one, crawled whole in peace and then side by side while the hostile one misbehaves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.commands.crawling import crawl_all
from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.tables import CrawlRun, FetchState, Listing, ProductPhoto, Shop
from crawler.crawl import crawl
from crawler.report import CrawlReport
from crawler.settings import CrawlSettings
from tests.crawler.hostile import Behave, HostileShop, opened
from tests.postgres import Cluster

GOOD = tuple(f"good-{number}" for number in range(8))
# Where nothing is slow a test must not fail because its machine is; haste is for shops that answer a byte at a time.
PATIENCE_S, HASTE_S = 20.0, 2.0
SOME = tuple(f"bad-{number}" for number in range(6))


@dataclass
class Ordeal:
    """A hostile shop (number 1) and a healthy one (number 2) that were both crawled whole while there was peace."""

    stores: Stores
    bad: HostileShop
    good: HostileShop
    peace: str = ""

    def settings(self, **changes: Any) -> CrawlSettings:
        return CrawlSettings(**{
            "delay_s": 0, "timeout_s": PATIENCE_S, "total_timeout_s": PATIENCE_S, "retries": 0, "max_retry_wait_s": 0.1,
            "max_minutes": 2, "max_errors": 100, "photo_days": 0, "max_page_bytes": 500_000,
            "max_sitemap_bytes": 700_000, "max_photo_bytes": 600_000,
            "allow_hosts": frozenset([self.bad.host, self.good.host]), **changes})

    def crawl_alone(self, **changes: Any) -> CrawlReport:
        """Crawl the hostile shop."""
        return self._crawl(1, **changes)

    def crawl(self, **changes: Any) -> CrawlReport:
        """Crawl both shops side by side, in threads; the healthy one must be as it was."""
        report, other = self._both(**changes)
        self.unharmed(other)
        return report

    def make_peace(self) -> None:
        """The first crawl of both shops, from which nothing may be lost."""
        for first in self._both():
            assert first.complete and first.failures == {}
        self.peace = self.kept()

    def _both(self, **changes: Any) -> tuple[CrawlReport, CrawlReport]:
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(self._crawl, 2)
            return self._crawl(1, **changes), beside.result()

    def _crawl(self, number: int, **changes: Any) -> CrawlReport:
        return crawl(self.stores.database, self.stores.photos, number, self.settings(**changes),
                     locks=self.stores.settings.data_dir / "locks")

    def crawl_apart(self, **changes: Any) -> CrawlReport:
        """Crawl both as the command does: side by side, each visited by a process of its own."""
        found, problems = crawl_all(self.stores, [1, 2], self.settings(**changes), while_due=False)
        assert problems == []
        reports = {report.shop: report for report in found}
        self.unharmed(reports[self.good.host])
        return reports[self.bad.host]

    def unharmed(self, report: CrawlReport) -> None:
        assert (report.complete, report.failures, report.warnings) == (True, {}, ())
        assert report.counters["same"] == len(GOOD) and report.counters["sitemaps"] == 1
        assert sum(report.counters.get(name, 0) for name in ("photos_new", "photos_known")) == len(GOOD)

    def misbehave(self, **troubles: Behave) -> None:
        """Trouble with product pages, by the end of their slugs."""
        self.bad.trouble.update({f"/p/bad-{name}": behave for name, behave in troubles.items()})

    def nothing_is_lost(self) -> None:
        """Every listing of both shops is still sold, none was counted as missed, all photos are there."""
        assert self.kept() == self.peace

    def kept(self) -> str:
        with Session(self.stores.readers) as session:
            rows = session.execute(
                select(Listing.url, Listing.title, Listing.missed, Listing.gone_at, func.count(ProductPhoto.id))
                .outerjoin(ProductPhoto, ProductPhoto.listing_id == Listing.id)
                .where(Listing.url.regexp_match("/(bad|good)-")).group_by(Listing.id)).all()
        return "\n".join(sorted(map(repr, rows)))

    def configure(self, **settings: Any) -> None:
        with Session(self.stores.database) as session, session.begin():
            session.get_one(Shop, 1).settings = settings

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """What came of each address of the hostile shop, by the end of its path: its state, and what was wrong."""
        with Session(self.stores.readers) as session:
            run = select(func.max(CrawlRun.id)).where(CrawlRun.shop_id == 1).scalar_subquery()
            rows = session.execute(select(FetchState.url, FetchState.state, FetchState.error)
                                   .where(FetchState.run_id == run)).all()
        return {url.rpartition("/")[2].removeprefix("bad-"): (state, error) for url, state, error in rows}

    def expect(self, **wanted: str) -> None:
        """Each of these product pages came to a state and a sentence that holds these words, as in `failed: is up`."""
        found = self.outcomes()
        for name, want in wanted.items():
            state, _, words = want.partition(": ")
            assert found[name][0] == state and words in found[name][1], (name, found[name])


@contextmanager
def at_peace(stores: Stores, slugs: tuple[str, ...] = SOME, photos: int = 1,
             large: frozenset[str] = frozenset()) -> Iterator[Ordeal]:
    """Open both shops, and crawl them while both are well."""
    bad = HostileShop(slugs, photos=photos, large=large)
    with opened(bad), opened(HostileShop(GOOD)) as good:
        ordeal = Ordeal(stores, bad, good)
        with Session(stores.database) as session, session.begin():
            for number, shop in ((1, bad), (2, good)):
                session.add(Shop(id=number, name=shop.host, url=shop.url(), settings={"adapter": "sitemap"}))
                session.flush()
        ordeal.make_peace()
        yield ordeal


@contextmanager
def shared_peace(folder: Path, cluster: Cluster | None) -> Iterator[Ordeal]:
    """Both shops at peace in a catalogue that several tests share."""
    url = cluster.migrated() if cluster else ""
    stores = open_stores(Settings(data_dir=folder / "data", database_url=url))
    with at_peace(stores) as ordeal:
        yield ordeal
    stores.database.dispose()
    if cluster:
        cluster.drop(url)
