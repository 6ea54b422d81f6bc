"""Looking at shops of every kind over loopback, storing what was found, and the commands that do it."""

import io
import json
import re
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.cli import main
from app.commands.crawling import crawl_all
from app.settings import read_settings
from app.wiring import open_stores
from catalogue.errors import BadInput, FetchFailed
from catalogue.tables import CrawlRun, Shop
from crawler.shop_settings import ShopSettings, read_shop_settings, shop_settings, stored
from crawler.shops import ShopPreview, add_shop, look_at
from tests.crawler.conftest import Website

FRONT = "<html><head><title>Shoes | Solely</title>{head}</head><body>{body}</body></html>"
PAGE = """<html><head><script type="application/ld+json">{{"@type": "Product", "name": "{name}", "image": ["/1.jpg",
"/2.jpg"], "offers": {{"price": "129.00", "priceCurrency": "{currency}"}}}}</script></head><body><h1>{name}</h1></body>
</html>"""


def front(website: Website, head: str = "", body: str = "") -> None:
    website.page("/", FRONT.format(head=head, body=body))


def answer(website: Website, path: str, data: Any, **headers: str) -> None:
    website.page(path, json.dumps(data), **{"Content_Type": "application/json", **headers})


def shopify(website: Website) -> None:
    variants = [{"id": 1, "option1": "Red", "price": "99.00", "available": True},
                {"id": 2, "option1": "Blue", "price": "99.00", "available": False}]
    pictures = [{"src": "https://cdn.example/r.jpg", "variant_ids": [1]}, {"src": "https://cdn.example/r2.jpg"},
                {"src": "https://cdn.example/b.jpg", "variant_ids": [2]}]
    answer(website, "/products.json?limit=250&page=1", {"products": [
        {"id": 7, "title": "Runner", "handle": "runner", "vendor": "Solely", "product_type": "Sneakers",
         "options": [{"name": "Color"}], "variants": variants, "images": pictures}]})


def feed(website: Website, path: str) -> None:
    website.page(path, '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:title>Nimbus</g:title>'
                 f'<g:link>{website.url("/p/1")}</g:link><g:price>129000 KRW</g:price>'
                 f'<g:image_link>{website.url("/1.jpg")}</g:image_link></item></channel></rss>')


def test_shopify_is_known_by_its_list_and_its_currency_by_its_pages(website: Website, engine: Engine) -> None:
    front(website, '<script>Shopify.currency = {"active":"EUR","rate":"1.0"};</script>')
    shopify(website)
    preview = look_at(website.url(), website.settings())
    assert (preview.kind, preview.addresses, preview.at_least, preview.name) == ("shopify", 1, True, "Solely")
    assert stored(preview.settings) == {"adapter": "shopify", "currency": "EUR"} and preview.problems == ()
    sample = preview.sample
    assert sample is not None and (sample.url, sample.colour, str(sample.price), sample.currency) == (
        website.url("/products/runner#colour=red"), "Red", "99", "EUR")
    assert preview.sample_photos == ("https://cdn.example/r.jpg", "https://cdn.example/r2.jpg")
    assert sample.sources["price"] == "shopify"
    assert len(website.asked) <= 3

    shop_id = add_shop(engine, preview)
    with Session(engine) as session, session.begin():
        session.get_one(Shop, shop_id).settings = {"schedule": "6h", "start": ["https://old.example/"]}
    assert add_shop(engine, preview) == shop_id  # how it is found is new, what a user set stays
    with Session(engine) as session:
        assert session.get_one(Shop, shop_id).settings == {"adapter": "shopify", "currency": "EUR", "schedule": "6h"}


def test_shopify_currency_from_a_product_page_or_as_a_problem(website: Website) -> None:
    front(website)
    shopify(website)
    assert "currency" in " ".join(look_at(website.url(), website.settings()).problems)
    website.page("/products/runner", '<meta property="og:price:currency" content="USD">')
    assert look_at(website.url(), website.settings()).settings.currency == "USD"


def test_woocommerce_of_colourways(website: Website) -> None:
    front(website, f'<link rel="https://api.w.org/" href="{website.url("/blog/wp-json/")}">')
    colours = [{"name": "Color", "terms": [{"name": "Red"}, {"name": "Blue"}]}]
    answer(website, "/blog/wp-json/wc/store/v1/products?per_page=100&page=1",
           [{"id": 6, "name": "Boot", "type": "variable", "permalink": website.url("/boot/"), "attributes": colours}],
           X_WP_Total="140", X_WP_TotalPages="2")
    answer(website, "/blog/wp-json/wc/store/v1/products?type=variation&parent=6&per_page=100", [
        {"id": 61, "parent": 6, "type": "variation", "name": "Boot",
         "permalink": website.url("/boot/?attribute_color=Red"),
         "variation": "Color: Red", "images": [{"src": website.url("/r.jpg")}],
         "prices": {"price": "129000", "currency_code": "KRW", "currency_minor_unit": 0}}], X_WP_TotalPages="1")
    preview = look_at(website.url(), website.settings())
    assert (preview.kind, preview.addresses, preview.at_least) == ("woocommerce", 140, False)
    assert preview.settings.start == (website.url("/blog/wp-json/wc/store/v1/products?per_page=100&page=1"),)
    assert preview.sample is not None and preview.sample.url == website.url("/boot/#colour=red")


def test_a_linked_feed_counts_if_it_holds_products(website: Website) -> None:
    front(website, '<link rel="alternate" type="application/rss+xml" href="/blog.rss">'
                   '<link rel="alternate" type="application/rss+xml" href="/goods.rss">')
    news = f"<item><title>News</title><link>{website.url('/n')}</link></item>"
    website.page("/blog.rss", f"<rss><channel>{news}</channel></rss>")
    feed(website, "/goods.rss")
    preview = look_at(website.url(), website.settings())
    assert (preview.kind, preview.settings.start, preview.addresses) == ("feed", (website.url("/goods.rss"),), 1)
    assert preview.sample is not None and preview.sample.currency == "KRW"


def test_sitemap_then_links_and_few_requests(website: Website) -> None:
    front(website, body='<a href="/products/1">one</a>')
    website.page("/products/1", PAGE.format(name="Nimbus", currency="USD"))
    preview = look_at(website.url(), website.settings())
    assert (preview.kind, preview.addresses, preview.at_least) == ("pages", 1, True)
    assert preview.sample is not None and preview.sample.title == "Nimbus" and len(preview.sample_photos) == 2
    assert len(website.asked) <= 10

    website.page("/sitemap.xml", f"<urlset><url><loc>{website.url('/products/1')}</loc></url></urlset>")
    preview = look_at(website.url(), website.settings())
    assert (preview.kind, preview.settings.start) == ("sitemap", (website.url("/sitemap.xml"),))


def test_forbidden_and_broken_probes_are_no_problem(website: Website) -> None:
    front(website, body='<a href="/products/1">one</a>')
    website.page("/robots.txt", "User-agent: *\nDisallow: /products.json\nDisallow: /wp-json/")
    website.page("/google-shopping.xml", "<html>", status=500)
    preview = look_at(website.url(), website.settings(retries=0))
    assert preview.kind == "pages" and preview.problems == ()
    assert not [path for path in website.asked if path.startswith(("/products.json", "/wp-json"))]


def test_given_settings_are_believed(website: Website, engine: Engine) -> None:
    front(website)
    shopify(website)
    feed(website, "/mine.xml")
    given = shop_settings({"adapter": "feed", "start": [website.url("/mine.xml")], "schedule": "1d"})
    preview = look_at(website.url(), website.settings(), given)
    assert preview.kind == "feed" and preview.settings == given
    # Settings that name no way leave it to be found, and stay.
    preview = look_at(website.url(), website.settings(), shop_settings({"brand": "Solely", "currency": "EUR"}))
    assert (preview.kind, preview.settings.brand, preview.settings.currency) == ("shopify", "Solely", "EUR")
    with pytest.raises(FetchFailed, match="404"):
        look_at(website.url(), website.settings(), shop_settings({"adapter": "woocommerce"}))
    website.page("/", "closed", status=503)
    assert look_at(website.url(), website.settings(retries=0), given).sample is not None
    with pytest.raises(FetchFailed, match="503"):
        look_at(website.url(), website.settings(retries=0))


def test_settings_as_data(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('adapter = "sitemap"\nschedule = "30 3 * * *"\n[select]\ntitle = "h1.name"\n'
                    'images = "img.big@data-src"\n[limits]\npages = 10\n')
    found = read_shop_settings(file)
    assert shop_settings(stored(found)) == found and found.select["images"] == "img.big@data-src"
    assert stored(ShopSettings()) == {}
    for data, says in [({"adapter": "magic"}, "adapter"), ({"selekt": {}}, "selekt"), ({"adapter": "api"}, "api"),
                       ({"select": {"title": "h1["}}, "CSS"), ({"select": {"tittle": "h1"}}, "tittle"),
                       ({"follow": {"product": "("}}, "regular"), ({"currency": "euro"}, "currency"),
                       ({"schedule": "sometimes"}, "schedule"), ({"start": ["/feed.xml"]}, "start"),
                       ({"adapter": "api", "api": {"url": "https://a.example", "fields": {"title": "t"}}}, "page_url"),
                       ({"adapter": "api", "api": {"url": "https://a.example/{cursor}", "page_url": "{id}",
                                                   "fields": {"title": "t"}}}, "cursor")]:
        with pytest.raises(BadInput, match=says):
            shop_settings(data)


def test_a_setting_that_cannot_be_used_is_named_with_its_file_in_plain_words(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    for text, says in [('selekt = 1', "there is no shop setting 'selekt'; there are: adapter, start, "),
                       ('[limits]\npagez = 3', "there is no shop setting 'limits.pagez'; [limits] takes: pages, items"),
                       ('schedule = "often"', "the shop setting 'schedule' cannot be used: 'often' is no schedule"),
                       ('currency = "euro"', "write its three letters"), ('[api]', "'api.url' cannot be used: it must"),
                       ('[limits]\npages = 0', "it must be greater than 0"), ('start = "/"', "it must be a list"),
                       ('[limits]\npages = "x"', "it must be a whole number"), ('limits = 3', "it must be a table"),
                       ('[select]\ntittle = "h1"', "map 'tittle'; the fields are: title")]:
        file.write_text(text)
        with pytest.raises(BadInput) as refused:
            read_shop_settings(file)
        said = str(refused.value)
        assert said.startswith(f"{file}: ") and says in said, said
        assert not any(jargon in said for jargon in ("Value error", "Input", "permitted", "instance")), said


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(list(words))
    return int(leave.value.code or 0)


class Screen(io.StringIO):
    """Where a terminal would be."""

    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_whole_crawl_ends_full(website: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front(website)
    found = "".join(f"<url><loc>{website.url(f'/p/{number}')}</loc></url>" for number in range(55))
    website.page("/sitemap.xml", f"<urlset>{found}</urlset>")
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(tmp_path / "data"))
    stores = open_stores(read_settings())
    add_shop(stores.database, ShopPreview(website.url(), "Solely", ShopSettings(adapter="sitemap"), 55))
    monkeypatch.setattr("sys.stderr", screen := Screen())
    (report,), problems = crawl_all(stores, [1], website.settings(), False)
    assert report.counters["gone"] == 55 and not problems
    assert re.findall(r" (\d+)/(\d+) ", screen.getvalue())[-1] == ("56", "56")


@pytest.fixture
def seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock on the wall is Seoul's."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Seoul")
        time.tzset()
        yield
    time.tzset()


def test_shops_are_told_by_the_clock_on_the_wall_and_pushed_ones_as_such(
        tmp_path: Path, seoul: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(tmp_path / "data"))
    stores = open_stores(read_settings())
    settings = {"adapter": "pages", "schedule": "6h", "limits": {"pages": 3}}
    with Session(stores.database) as session, session.begin():
        session.add(Shop(name="Solely", url="https://solely.example/", settings=settings, paused=True))
        session.add(Shop(name="Corner", url="push:Corner", paused=True))
        session.flush()
        session.add(CrawlRun(shop_id=1, state="done", started_at=datetime(2031, 5, 6, 20, 30, tzinfo=UTC)))
    assert run("shop", "list") == 0
    solely, corner = capsys.readouterr().out.splitlines()
    assert solely.endswith("6h            last crawl 2031-05-07 05:30 KST done  paused")
    assert corner.endswith("0 listings  pushed by `catalogue import`")
    assert run("shop", "show", "Solely") == 0
    said = capsys.readouterr().out.splitlines()
    assert "  run 1 2031-05-07 05:30 KST done: nothing" in said and "  [limits]" in said
    assert "" in said and "  " not in said
    assert run("shop", "show", "Corner") == 0
    assert capsys.readouterr().out == "Corner (shop 2)\n  0 listings; pushed by `catalogue import`\n"


def test_a_shops_life_by_commands(website: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SOLESEARCH_ALLOW_HOSTS", website.host)
    monkeypatch.setenv("SOLESEARCH_CRAWL_DELAY_S", "0")
    front(website, '<meta property="og:price:currency" content="EUR">')
    shopify(website)
    assert run("shop", "add", website.url(), "--yes", "--name", "Solely") == 0
    said = capsys.readouterr().out
    for part in ("Shopify", "at least 1 product", "Runner  (shopify)", "99 EUR  (shopify)", "/r2.jpg", "as shop 1"):
        assert part in said
    assert run("shop", "add", website.url(), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sample"]["price"] == "99" and told["id"] is None and len(told["photos"]) == 2

    assert run("shop", "settings", "Solely") == 0
    assert tomllib.loads(capsys.readouterr().out) == {"adapter": "shopify", "currency": "EUR"}
    file = tmp_path / "shop.toml"
    file.write_text('adapter = "shopify"\ncurrency = "EUR"\nschedule = "6h"\n')
    assert run("shop", "settings", "1", str(file)) == 0 and run("shop", "pause", "Solely") == 0
    capsys.readouterr()
    assert run("shop", "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schedule"], told["paused"], told["adapter"], told["last_run"]) == ("6h", True, "shopify", None)
    assert run("shop", "resume", "Solely") == 0 and run("shop", "show", "Solely") == 0
    said = capsys.readouterr().out
    assert 'schedule = "6h"' in said and "never crawled" in said
    assert run("shop", "show", "Nobody") == 1
    assert "there are: Solely" in capsys.readouterr().err
    file.write_text("adapter = 3")
    assert run("shop", "settings", "1", str(file)) == 1 and "adapter" in capsys.readouterr().err

    assert run("shop", "remove", "Solely", "--yes") == 0
    assert "0 listings" in capsys.readouterr().out
    assert run("shop", "list") == 0 and "Solely" not in capsys.readouterr().out
