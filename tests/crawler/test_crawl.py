"""Whole crawls of real websites on loopback into a catalogue: what is stored, resumed, refused and delisted."""

import csv
import io
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from catalogue.database import open_database
from catalogue.errors import BadInput, Busy, NotFound
from catalogue.files import lock
from catalogue.photos import PhotoStore
from catalogue.tables import CrawlRun, FetchState, Listing, Photo, Price, Product, ProductPhoto, Shop, Table, now
from crawler.crawl import crawl
from crawler.frontier import held
from crawler.settings import CrawlSettings
from crawler.shop_settings import ShopSettings
from crawler.shops import ShopPreview, add_shop, look_at
from demo.goods import read_goods
from demo.shop import make_shop

SHOES = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A products.csv with twelve shoes in six models; the ninth has no photos, the last no price."""
    place = tmp_path / "shoes"
    rows = [
        {
            "set": "shop",
            "slug": f"shoe-{n}",
            "brand": ("Norrvik", "하늘결")[n % 2],
            "name": f"{('Ardo', '구름 러너')[n % 2]} {n}",
            "price": f"{89 + n}000 KRW" if n < SHOES - 1 else "",
            "colour": ("black", "red")[n % 2],
            "sku": f"NK-10{n:02d}-100",
            "model_group": f"model-{n // 4}",
            "shoe_type": "runner",
        }
        for n in range(SHOES)
    ]
    place.mkdir()
    with (place / "products.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for n in range(SHOES):
        (place / "shop" / f"shoe-{n}").mkdir(parents=True)
        for number in range(0 if n == 8 else 3):
            (place / "shop" / f"shoe-{n}" / f"{number}.jpg").write_bytes(picture(n * 10 + number))
    return place


def picture(seed: int, side: int = 96) -> bytes:
    draw = random.Random(seed)
    image = Image.new("RGB", (side, side), tuple(draw.randrange(256) for _ in range(3)))
    image.paste(tuple(draw.randrange(256) for _ in range(3)), (10, 10, draw.randrange(20, 90), draw.randrange(20, 90)))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def settings_for(host: str, **changes: Any) -> CrawlSettings:
    return CrawlSettings(**{"delay_s": 0, "timeout_s": 5, "retries": 0, "allow_hosts": frozenset([host]), **changes})


def contents(engine: Engine) -> dict[str, list[Any]]:
    """Every row that crawling writes, by natural keys and without moments and row numbers."""
    with Session(engine) as session:
        return {
            "listings": sorted(
                map(
                    repr,
                    session.execute(
                        select(
                            Listing.url,
                            Listing.title,
                            Listing.price,
                            Listing.currency,
                            Listing.available,
                            Listing.sizes,
                            Listing.content_hash,
                            Listing.missed,
                            Product.key,
                        ).join(Product)
                    ).all(),
                )
            ),
            "products": sorted(
                map(
                    repr,
                    session.execute(
                        select(Product.key, Product.brand, Product.name, Product.colour, Product.style_code)
                    ).all(),
                )
            ),
            "photos": sorted(
                map(
                    repr,
                    session.execute(
                        select(
                            Listing.url,
                            ProductPhoto.position,
                            ProductPhoto.sha256,
                            ProductPhoto.source_url,
                            Product.key,
                        )
                        .join(Listing, Listing.id == ProductPhoto.listing_id)
                        .join(Product, Product.id == ProductPhoto.product_id)
                    ).all(),
                )
            ),
            "prices": sorted(
                map(
                    repr,
                    session.execute(
                        select(Listing.url, Price.price, Price.available).join(Listing, Listing.id == Price.listing_id)
                    ).all(),
                )
            ),
            "stored": sorted(session.scalars(select(Photo.sha256))),
            "frontier": sorted(
                map(
                    repr,
                    session.execute(select(FetchState.url, FetchState.kind, FetchState.state, FetchState.error)).all(),
                )
            ),
        }


def test_shops_of_one_name_are_numbered(engine: Engine) -> None:
    for part in ("en", "de", "fr", "ko"):
        add_shop(engine, ShopPreview(f"https://runa.example/{part}/", "Runa", ShopSettings(adapter="sitemap"), 1))
    with Session(engine) as session:
        assert session.scalars(select(Shop.name).order_by(Shop.id)).all() == [
            "Runa", "Runa (runa.example)", "Runa (runa.example) 2", "Runa (runa.example) 3"]


def test_the_demo_shop_becomes_a_catalogue(
    folder: Path, engine: Engine, tmp_path: Path, serve: Callable[[FastAPI], str]
) -> None:
    host = serve(make_shop(read_goods(folder)))
    settings, store = settings_for(host), PhotoStore(tmp_path / "photos")
    preview = look_at(f"http://{host}", settings)
    assert (preview.name, preview.kind, preview.addresses) == ("Solely Shoes", "sitemap", SHOES)
    assert preview.sample is not None and len(preview.sample_photos) == 3
    shop_id = add_shop(engine, preview)
    assert add_shop(engine, preview) == shop_id

    seen: list[int] = []
    report = crawl(engine, store, shop_id, settings, lambda progress: seen.append(progress.pending), locks=tmp_path)
    assert (report.state, report.complete, report.failures) == ("done", True, {})
    assert report.counters == {"sitemaps": 2, "new": SHOES, "photos_new": 3 * (SHOES - 1)}
    assert seen[-1] == 0 and len(seen) == SHOES + 2

    with Session(engine) as session:
        rows = {row.url.rpartition("/")[2]: row for row in session.scalars(select(Listing))}
        assert [int(rows[f"shoe-{n}"].price or 0) for n in range(SHOES)] == [*(1000 * (89 + n) for n in range(11)), 0]
        assert rows["shoe-11"].price is None and rows["shoe-11"].currency == ""
        assert rows["shoe-0"].currency == "KRW" and rows["shoe-1"].title == "구름 러너 1"
        assert rows["shoe-3"].available is False and rows["shoe-0"].available is True
        assert set(rows["shoe-0"].sizes) == {str(size) for size in range(220, 300, 10)}
        models = {n: rows[f"shoe-{n}"].product.model_id for n in range(SHOES)}
        assert models[0] == models[2] != models[4] and models[0] != models[1]  # a model belongs to one brand
        for n in range(SHOES):  # its own photos in order, and none of the shoes one may also like
            links = session.scalars(
                select(ProductPhoto)
                .where(ProductPhoto.listing_id == rows[f"shoe-{n}"].id)
                .order_by(ProductPhoto.position)
            ).all()
            files = [] if n == 8 else [(folder / "shop" / f"shoe-{n}" / f"{i}.jpg").read_bytes() for i in range(3)]
            assert [store.read(link.sha256) for link in links] == files

    before = contents(engine)
    again = crawl(engine, store, shop_id, settings, locks=tmp_path)
    assert again.counters == {"sitemaps": 2, "same": SHOES, "photos_known": 3 * (SHOES - 1)}
    assert contents(engine) == before


PROGRAM = """
import sys
from pathlib import Path
from catalogue.database import open_database
from catalogue.photos import PhotoStore
from crawler.crawl import crawl
from crawler.settings import CrawlSettings
place, host = Path(sys.argv[1]), sys.argv[2]
engine = open_database(f"sqlite:///{place}/catalogue.db")
settings = CrawlSettings(delay_s=0, allow_hosts=frozenset([host]))

def step(progress):
    print(progress.visited, flush=True)
    sys.stdin.readline()  # goes on when it is told to

crawl(engine, PhotoStore(place / "photos"), 1, settings, step, locks=place)
"""


def test_a_killed_crawl_goes_on_and_ends_the_same(
    folder: Path, engine: Engine, tmp_path: Path, serve: Callable[[FastAPI], str]
) -> None:
    host = serve(make_shop(read_goods(folder)))
    settings = settings_for(host)
    preview = look_at(f"http://{host}", settings)
    whole = crawl(engine, PhotoStore(tmp_path / "whole"), add_shop(engine, preview), settings, locks=tmp_path / "locks")

    place = tmp_path / "killed"
    other = open_database(f"sqlite:///{place}/catalogue.db")
    Table.metadata.create_all(other)
    add_shop(other, preview)
    draw = random.Random(7)
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(place), host], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, bufsize=1)
        assert child.stdout is not None and child.stdin is not None
        for _ in range(draw.randrange(1, 4)):
            child.stdout.readline()
            child.stdin.write("on\n")
        time.sleep(draw.random() * 0.03)
        child.kill()
        child.wait()
    resumed = crawl(other, PhotoStore(place / "photos"), 1, settings, locks=place)
    assert (resumed.run_id, resumed.counters, resumed.complete) == (1, whole.counters, True)
    assert contents(other) == contents(engine)
    with Session(other) as session:
        assert session.scalar(select(func.count()).select_from(CrawlRun)) == 1


def small_shop(website: Any, *slugs: str, extra: str = "") -> None:
    """A shop with a sitemap of products; each has one photo."""
    website.page("/", "<title>Small shop</title>")
    website.page(
        "/sitemap.xml",
        "<urlset>"
        + "".join(f"<url><loc>{website.url('/p/' + slug)}</loc></url>" for slug in slugs)
        + extra
        + "</urlset>",
    )
    for slug in slugs:
        website.page(f"/p/{slug}", product_page(slug))
        website.answers[f"/i/{slug}.jpg"] = (200, {"Content-Type": "image/jpeg"}, picture(sum(map(ord, slug))))


def product_page(slug: str, price: int = 5) -> str:
    data = (
        f'{{"@type":"Product","name":"Shoe {slug}","image":"/i/{slug}.jpg",'
        f'"offers":{{"price":{price},"priceCurrency":"USD"}}}}'
    )
    return f'<script type="application/ld+json">{data}</script><h1>Shoe {slug}</h1>'


@pytest.fixture
def run_shop(website: Any, engine: Engine, tmp_path: Path) -> Callable[..., Any]:
    """Add the website as a shop at the first call, and crawl it."""

    def run(**changes: Any) -> Any:
        settings = website.settings(retries=0, **changes)
        with Session(engine) as session:
            shop_id = session.scalar(select(Shop.id))
        if shop_id is None:
            shop_id = add_shop(engine, look_at(website.url(), settings))
        return crawl(engine, PhotoStore(tmp_path / "photos"), shop_id, settings, locks=tmp_path / "locks")

    return run


def listing(engine: Engine, slug: str) -> Listing:
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(select(Listing).where(Listing.url.endswith(f"/p/{slug}"))).one()


def test_changes_are_seen_and_prices_kept(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a", "b")
    run_shop()
    website.page("/p/a", product_page("a", price=4))
    assert run_shop().counters == {"sitemaps": 1, "changed": 1, "same": 1, "photos_known": 2}
    with Session(engine) as session:
        assert [
            int(price or 0)
            for price in session.scalars(
                select(Price.price).where(Price.listing_id == listing(engine, "a").id).order_by(Price.id)
            )
        ] == [5, 4]


def test_bad_photos_are_told_and_the_listing_stays(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a", "b", "c", "d")
    website.answers["/i/a.jpg"] = (200, {}, b"<html>no picture</html>")
    del website.answers["/i/b.jpg"]
    website.answers["/i/c.jpg"] = (200, {}, picture(1, side=16))
    website.page("/i/d.jpg", "", status=302, Location="http://10.0.0.1/d.jpg")
    report = run_shop()
    assert report.counters == {"sitemaps": 1, "new": 4, "photos_bad": 2, "photos_failed": 2}
    assert report.complete
    assert all(
        part in str(report.failures)
        for part in ("no picture that can be read", "answered 404", "16 × 16", "10.0.0.1")
    )


def test_delisting(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a", "b", "c", "d")
    run_shop()
    website.page("/p/b", "gone", status=410)
    website.page("/p/c", "forbidden", status=403)
    assert run_shop().counters == {"sitemaps": 1, "same": 2, "gone": 1, "failed": 1, "photos_known": 2}
    assert listing(engine, "b").gone_at is not None  # at once
    assert listing(engine, "c").gone_at is None

    pages = dict(website.answers)
    small_shop(website, "a")  # the sitemap forgets c and d
    website.page("/sitemap.xml", "busy", status=503)
    assert not run_shop().complete  # a crawl that saw no sitemap misses nothing
    assert [listing(engine, slug).missed for slug in "acd"] == [0, 0, 0]
    small_shop(website, "a", "c")
    website.page("/p/c", "forbidden", status=403)
    run_shop()
    assert [listing(engine, slug).missed for slug in "acd"] == [0, 0, 1]
    assert run_shop().counters["delisted"] == 1
    assert [listing(engine, slug).gone_at is not None for slug in "acd"] == [False, False, True]

    website.answers.update(pages)
    website.page("/p/c", product_page("c"))
    assert run_shop().counters["changed"] == 1  # d is back
    assert listing(engine, "d").gone_at is None and listing(engine, "d").missed == 0


def test_a_spent_budget_is_gone_on_with(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, *"abcde")
    first = run_shop(max_pages=2)
    assert (first.state, first.complete, first.counters["new"]) == ("partial", False, 2) and "2 pages" in first.stopped
    assert run_shop(max_pages=2).run_id == first.run_id
    last = run_shop(max_pages=2)
    assert (last.run_id, last.state, last.counters["new"]) == (first.run_id, "done", 5)
    assert website.asked.count("/p/a") == 2  # once by the look at the shop, once by the crawl
    assert run_shop().run_id != first.run_id


def test_a_shop_that_fails_all_the_time_is_left_alone(
    website: Any, engine: Engine, run_shop: Callable[..., Any]
) -> None:
    small_shop(website, *(f"s{n}" for n in range(40)))
    for n in range(1, 40):
        website.page(f"/p/s{n}", "no", status=500)
    report = run_shop()
    assert "20 addresses in a row" in report.stopped
    assert (report.state, report.counters["failed"]) == ("partial", 20)
    assert report.warnings == (f"the crawl was given up: {report.stopped}",)
    for n in range(1, 40):
        website.page(f"/p/s{n}", product_page(f"s{n}"))
    again = run_shop()  # the warning is gone with its cause
    assert (again.run_id, again.stopped, again.warnings) == (report.run_id, "", ())


def test_a_shop_that_is_down_failed(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, *(f"s{n}" for n in range(40)))
    assert run_shop(max_pages=1).state == "partial"
    with Session(engine) as session, session.begin():
        session.execute(update(FetchState).where(FetchState.state == "done").values(state="failed"))
    for n in range(40):
        website.page(f"/p/s{n}", "no", status=500)
    report = run_shop()
    assert report.state == "failed" and report.warnings


def test_without_a_sitemap_links_are_followed(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a", "b", "c")
    del website.answers["/sitemap.xml"]
    website.page("/robots.txt", "User-agent: *\nDisallow: /secret")
    website.page(
        "/", '<title>Small shop</title><a href="/c?page=1">all</a><a href="/secret">s</a><a href="/cart">c</a>'
    )
    website.page("/c?page=1", '<a href="/p/a?utm_source=c">a</a><a href="/p/b">b</a><a href="/c?page=2">2</a>')
    website.page("/c?page=2", '<a href="/c/p/c">c</a><a href="/c?page=1">1</a><a href="/c?sort=up">s</a>')
    website.page("/c/p/c", f'<link rel="canonical" href="/p/c">{product_page("c")}')
    report = run_shop()
    assert (report.state, report.complete) == ("done", True)
    assert report.counters == {"new": 3, "not_a_product": 3, "duplicate": 1, "forbidden": 1, "photos_new": 3}
    assert {"/secret", "/cart", "/c?sort=up"}.isdisjoint(website.asked)


def test_a_page_whose_own_name_leads_back_to_it_is_read(website: Any, engine: Engine,
                                                       run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a")
    del website.answers["/sitemap.xml"]
    website.page("/", '<title>Small shop</title><a href="/p/a/">a</a>')
    website.page("/p/a", "", status=301, Location="/p/a/")
    website.page("/p/a/", f'<link rel="canonical" href="/p/a">{product_page("a")}')
    report = run_shop()
    assert report.counters["new"] == 1 and report.counters["duplicate"] == 1
    with Session(engine) as session:
        assert session.scalars(select(Listing.url)).all() == [website.url("/p/a/")]


def test_a_poisoned_page_does_not_stop_the_crawl(website: Any, engine: Engine, run_shop: Callable[..., Any]) -> None:
    small_shop(website, "a", "b")
    website.page(
        "/p/b",
        '<script type="application/ld+json">'
        + '{"a":' * 50_000
        + "</script>"
        + "<div>" * 5000
        + product_page("b\\ud83d\\u0000"),
    )
    report = run_shop()
    assert report.counters["new"] == 2


def test_nobody_crawls_a_shop_twice_at_once(
    website: Any, engine: Engine, run_shop: Callable[..., Any], tmp_path: Path
) -> None:
    small_shop(website, "a")
    run_shop()
    with lock(tmp_path / "locks" / "crawl-1.lock", "the test"), pytest.raises(Busy, match="crawl of shop 1"):
        run_shop()
    with held(engine, tmp_path / "elsewhere", 1) as hold:  # another machine: it shares the database only
        with pytest.raises(Busy, match="another machine"):
            run_shop()
        with Session(engine) as session, session.begin():
            session.execute(
                update(CrawlRun).where(CrawlRun.id == hold.run_id).values(beat_at=now() - timedelta(seconds=61))
            )
        assert run_shop().run_id == hold.run_id  # silent for too long: taken over


def test_a_taken_over_crawl_stops_writing(website: Any, engine: Engine, tmp_path: Path) -> None:
    small_shop(website, *"abc")
    settings = website.settings()
    shop_id = add_shop(engine, look_at(website.url(), settings))

    def steal(_: object) -> None:
        with Session(engine) as session, session.begin():
            session.execute(update(CrawlRun).values(holder="somebody/else"))

    with pytest.raises(Busy, match="took over"):
        crawl(engine, PhotoStore(tmp_path / "photos"), shop_id, settings, steal, locks=tmp_path / "locks")
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Listing)) == 0
        assert session.scalars(select(CrawlRun.holder)).one() == "somebody/else"


def test_unknown_and_paused_shops_are_refused(
    website: Any, engine: Engine, run_shop: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="shop 9"):
        crawl(engine, PhotoStore(tmp_path), 9, website.settings(), locks=tmp_path)
    small_shop(website, "a")
    run_shop()
    with Session(engine) as session, session.begin():
        session.execute(update(Shop).values(paused=True))
    with pytest.raises(BadInput, match="paused"):
        run_shop()


def test_real_photos_travel_the_road_byte_for_byte(
    serve: Callable[..., str], engine: Engine, tmp_path: Path, real_photos: Path
) -> None:
    goods = read_goods(real_photos / "shoes", ["angles-d"])
    host = serve(make_shop(goods))
    settings = CrawlSettings(delay_s=0, allow_hosts=frozenset({host}))
    shop_id = add_shop(engine, look_at(f"http://{host}/", settings))
    report = crawl(engine, PhotoStore(tmp_path / "photos"), shop_id, settings, locks=tmp_path / "locks")
    assert report.state == "done" and report.counters["new"] == len(goods)
    store = PhotoStore(tmp_path / "photos")
    with Session(engine) as session:
        for good in goods:
            listing = session.scalars(select(Listing).where(Listing.url.endswith(f"/{good.slug}"))).one()
            stored = session.scalars(select(ProductPhoto.sha256).where(ProductPhoto.listing_id == listing.id)
                                     .order_by(ProductPhoto.position)).all()
            assert [store.read(name) for name in stored] == [photo.read_bytes() for photo in good.photos]
