"""Sitemaps that never end, explode, lie or go in circles: what can be read is, and what is not seen is not missed."""

import gzip

import pytest

from app.wiring import Stores
from tests.crawler import hostile
from tests.crawler.hostile import (
    MB,
    Behave,
    Handler,
    bomb,
    drip,
    endless,
    give,
    hang_up,
    raw,
    redirect,
    sitemap_index,
    urlset,
)
from tests.crawler.ordeal import HASTE_S, PATIENCE_S, SOME, Ordeal, at_peace

XML = "application/xml"
LAUGHS = ('<!DOCTYPE lolz [<!ENTITY l0 "shoes shoes shoes">' + "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)) + "]><urlset><url><loc>&l9;</loc></url></urlset>")


UNREADABLE: dict[str, tuple[Behave, str]] = {
    "endless": (endless(XML, b"<!-- more -->", b"<urlset>"), "larger than 700,000 bytes"),
    "bomb": (bomb(XML, b" "), "larger than 700,000 bytes"),
    "packed": (give(gzip.compress(b"<urlset>" + b" " * 60 * MB), "application/gzip"), "larger than"),
    "zeros": (give(gzip.compress(b"\0" * 60 * MB), "application/gzip"), "cannot be read"),
    "cut": (give(gzip.compress(b"<urlset>" + bytes(range(256)) * 99)[:60], "application/gzip"), "broken gzip"),
    "drips": (drip(), "time was up"), "drips_headers": (hostile.DRIPPING_HEADERS, "time was up"),
    "dies": (hang_up, "IncompleteRead"), "says_nothing": (raw(b""), "could not be fetched"),
    "html": (give("<!doctype html><title>Shoes</title><p>Oh dear"), "cannot be read"),
    "json": (give('{"error": true}', "application/json"), "cannot be read"),
    "empty": (give(b"", XML), "cannot be read"),
    "picture": (give(hostile.picture("a"), XML), "cannot be read"),
    "loops": (redirect("/sitemap.xml"), "more than 5 redirects"), "404": (give("", status=404), "answered 404"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_sitemap_that_cannot_be_read_makes_nothing_gone(ordeal: Ordeal, kind: str) -> None:
    behave, words = UNREADABLE[kind]
    ordeal.bad.trouble["/sitemap.xml"] = behave
    report = ordeal.crawl_alone(total_timeout_s=HASTE_S if words == "time was up" else PATIENCE_S)
    assert not report.complete and not report.stopped
    assert words in str(report.failures) and report.counters["unlisted"] == len(SOME)


def test_entities_are_neither_expanded_nor_loaded(ordeal: Ordeal) -> None:
    place = ordeal.bad.url("/p/bad-0")
    outside = (f'<!DOCTYPE urlset [<!ENTITY file SYSTEM "file:///etc/hostname"><!ENTITY web SYSTEM "{place}">'
               f'<!ENTITY % more SYSTEM "{ordeal.bad.url("/more.dtd")}"> %more;]><urlset>'
               f"<url><loc>{ordeal.bad.url('/')}&file;</loc></url><url><loc>{ordeal.bad.url('/')}&web;</loc></url>"
               f"<url><loc>{place}</loc></url></urlset>")
    for text in (LAUGHS, outside):
        ordeal.bad.trouble["/sitemap.xml"] = give(text, XML)
        ordeal.bad.asked.clear()
        ordeal.crawl_alone()
        assert ordeal.bad.asked["/more.dtd"] == 0
        assert set(ordeal.bad.asked) <= {"/robots.txt", "/sitemap.xml", "/", *(f"/p/{slug}" for slug in SOME),
                                         *(f"/i/{slug}-0.jpg" for slug in SOME)}
        ordeal.bad.trouble.clear()
        ordeal.crawl_alone()  # so that none was missed twice


def test_sitemaps_in_circles_are_read_once(ordeal: Ordeal) -> None:
    own, other, pages = (ordeal.bad.url(f"/{name}.xml") for name in ("sitemap", "other", "pages"))
    ordeal.bad.trouble["/sitemap.xml"] = give(sitemap_index(own, *[other, pages] * 1000), XML)
    ordeal.bad.trouble["/other.xml"] = give(sitemap_index(own, other, pages, own + "#again"), XML)
    ordeal.bad.trouble["/pages.xml"] = give(urlset(*[ordeal.bad.url(f"/p/{slug}") for slug in SOME] * 500), XML)
    report = ordeal.crawl_alone()
    assert report.complete
    assert report.counters == {"sitemaps": 3, "same": len(SOME), "photos_known": len(SOME)} or (
        report.counters == {"sitemaps": 3, "same": len(SOME), "photos_new": len(SOME)})
    assert max(count for path, count in ordeal.bad.asked.items() if path != "/robots.txt") == 1


def test_the_same_sitemap_under_a_hundred_names_gives_each_page_once(ordeal: Ordeal) -> None:
    names = [ordeal.bad.url(f"/s.xml?n={number}") for number in range(100)]
    ordeal.bad.trouble["/sitemap.xml"] = give(sitemap_index(*names), XML)
    ordeal.bad.trouble["/s.xml*"] = give(ordeal.bad.sitemap(*SOME), XML)
    report = ordeal.crawl_alone()
    assert report.complete and (report.counters["sitemaps"], report.counters["same"]) == (101, len(SOME))


def test_sitemaps_below_sitemaps_end_and_are_not_taken_for_the_whole_shop(ordeal: Ordeal) -> None:
    def deeper(handler: Handler) -> None:
        place = handler.path.removesuffix(".xml")
        give(sitemap_index(*(ordeal.bad.url(f"{place}-{number}.xml") for number in range(3))), XML)(handler)

    ordeal.bad.trouble["/sitemap*"] = deeper
    report = ordeal.crawl_alone()
    assert not report.complete and "deep" in str(report.failures)
    assert sum(count for path, count in ordeal.bad.asked.items() if "sitemap" in path) == 1 + 3 + 9 + 27 + 81


def test_one_bad_sitemap_of_many_keeps_nobody_from_the_others(ordeal: Ordeal) -> None:
    names = [ordeal.bad.url(f"/{name}.xml") for name in ("drips", "good", "laughs", "dies")]
    ordeal.bad.trouble.update({"/sitemap.xml": give(sitemap_index(*names), XML), "/drips.xml": drip(),
                               "/good.xml": give(ordeal.bad.sitemap(*SOME[:3]), XML),
                               "/laughs.xml": give(LAUGHS, XML), "/dies.xml": hang_up})
    report = ordeal.crawl_alone(total_timeout_s=HASTE_S)
    assert (report.counters["same"], report.counters["unlisted"], report.complete) == (3, 3, False)


@pytest.mark.parametrize("text", [urlset(), urlset("http://10.0.0.1/p/a", "file:///etc/passwd", "javascript:alert(1)",
                                                   "http://[::1", "https://other.example/p/b", "\0")])
def test_a_sitemap_that_names_none_of_the_shop_makes_nothing_gone(stores: Stores, text: bytes) -> None:
    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/sitemap.xml"] = give(text, XML)
        for _ in range(3):
            report = ordeal.crawl()
        assert report.warnings and report.counters["unlisted"] == len(SOME)
        ordeal.nothing_is_lost()
