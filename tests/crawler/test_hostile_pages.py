"""Pages and photos that are not what they say: wrong types, broken bytes, too large or too deep."""

import json
import threading
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.tables import Listing
from tests.crawler import hostile
from tests.crawler.hostile import HTML, Behave, Handler, HostileShop, give
from tests.crawler.ordeal import at_peace


def bad(*names: str) -> tuple[str, ...]:
    return tuple(f"bad-{name}" for name in names)


def changing(pages: list[bytes], **headers: str) -> Behave:
    """Each request gets the next of these pages."""
    turn, turns = threading.Lock(), count()

    def behave(handler: Handler) -> None:
        with turn:
            number = next(turns)
        named = {name: f"{value}{number}" for name, value in headers.items()}
        give(pages[number % len(pages)], HTML, 200, **named)(handler)

    return behave


def test_pages_that_lie_about_their_type(stores: Stores) -> None:
    named = ("jpeg", "stream", "picture", "json", "notype", "charset", "utf16", "length", "chunks")
    with at_peace(stores, bad(*named)) as ordeal:
        page = ordeal.bad.page
        ordeal.misbehave(
            jpeg=give(page("bad-jpeg"), "image/jpeg"), stream=give(page("bad-stream"), "application/octet-stream"),
            picture=give(hostile.picture("x")), json=give('{"oh": "no"}'), notype=hostile.raw(
                b"HTTP/1.1 200 OK\r\n\r\n" + page("bad-notype"), most=0),
            charset=give(page("bad-charset"), "text/html; charset=klingon"),
            utf16=give(page("bad-utf16").decode().encode("utf-16"), HTML),
            length=hostile.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: -7\r\n\r\n"
                               + page("bad-length"), most=0),
            chunks=hostile.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
                               b"zz\r\nshoes\r\n", most=0))
        report = ordeal.crawl()
        ordeal.expect(picture="done", json="done", utf16="done", chunks="failed: ")
        # A page is known by how it begins, whatever type it is said to have.
        assert (report.counters["same"], report.counters["not_a_product"]) == (5, 3)
        ordeal.bad.trouble.clear()
        assert ordeal.crawl_alone().counters["same"] == len(named)
        ordeal.nothing_is_lost()


def test_photos_that_lie_or_are_cut(stores: Stores) -> None:
    names = ("html", "png", "cut", "bomb", "svg", "empty", "tiny", "fine")
    with at_peace(stores, bad(*names)) as ordeal:
        photo = hostile.picture("new", side=400)
        for name, behave in {
                "html": give("<p>not found</p>", "image/jpeg"), "png": give(hostile.huge_png(), "image/png"),
                "cut": give(photo[:len(photo) // 2], "image/jpeg"), "bomb": hostile.bomb("image/jpeg"),
                "svg": give('<svg onload="alert(1)"/>', "image/svg+xml"), "empty": give(b"", "image/jpeg"),
                "tiny": give(hostile.picture("t", side=1), "image/jpeg"), "fine": give(photo, "text/html")}.items():
            ordeal.bad.trouble[f"/i/bad-{name}*"] = behave
        report = ordeal.crawl()
        assert report.complete and report.counters["same"] == len(names) - 1
        assert (report.counters["photos_bad"], report.counters["photos_failed"]) == (6, 1)
        assert {event.kind for event in report.events} == {"photos"}, report.events
        ordeal.nothing_is_lost()


def test_pages_of_broken_bytes_are_read_as_far_as_they_go(stores: Stores) -> None:
    names = ("utf8", "nulls", "half", "quotes", "surrogate", "deep", "deepjson", "attributes", "unclosed")
    with at_peace(stores, bad(*names), large=frozenset(bad("deep"))) as ordeal:
        page = ordeal.bad.page
        deep = b"<div>" * 100_000
        ordeal.misbehave(
            utf8=give(page("bad-utf8", more="\ufffd").replace("\ufffd".encode(), b"\xff\xfe\xc3\x28\xed\xa0\x80" * 99)),
            nulls=give(b"\0".join(page("bad-nulls")[at:at + 40] for at in range(0, 2000, 40))),
            half=give(page("bad-half")[:150]), quotes=give(page("bad-quotes").replace(b'"', b"\x93")),
            surrogate=give(page("bad-surrogate").replace(b"Shoe bad", b"Shoe \\ud800 bad")),
            deep=give(deep + page("bad-deep")),
            deepjson=give(b'<script type="application/ld+json">' + b"[" * 100_000 + b"</script>"
                          + page("bad-deepjson")),
            attributes=give(b"<p " + b" ".join(b"a%d=b" % number for number in range(40_000)) + b">"
                            + page("bad-attributes")),
            unclosed=give(page("bad-unclosed") + b"<!--" + b"<a href=" * 30_000))
        report = ordeal.crawl(max_page_bytes=8_000_000)
        assert not report.stopped and "failed" not in report.counters
        assert report.counters["same"] >= 6 and report.counters.get("new", 0) == 0
        ordeal.bad.trouble.clear()
        ordeal.crawl_alone()
        ordeal.nothing_is_lost()


def test_pages_of_ten_megabytes_are_left_or_read(stores: Stores) -> None:
    with at_peace(stores, bad("text", "tags", "links", "data")) as ordeal:
        def ten(slug: str, piece: str) -> Behave:
            return give(ordeal.bad.page(f"bad-{slug}", more=piece * (10_000_000 // len(piece))))

        ordeal.misbehave(text=ten("text", "shoes and more shoes "), tags=ten("tags", "<b>"),
                         links=ten("links", '<a href="/p/bad-text">shoe</a>'),
                         data=ten("data", f"<script>{json.dumps(['shoe'] * 99)}</script>"))
        report = ordeal.crawl(max_page_bytes=8_000_000)
        ordeal.expect(**dict.fromkeys(("text", "tags", "links", "data"), "failed: larger than 8,000,000 bytes"))
        assert report.counters["failed"] == 4
        ordeal.nothing_is_lost()
        ordeal.misbehave(tags=give(ordeal.bad.page("bad-tags")), links=give(ordeal.bad.page("bad-links")),
                         data=give(ordeal.bad.page("bad-data")))
        again = ordeal.crawl_alone(max_page_bytes=20_000_000)
        assert again.counters["same"] == 4
        ordeal.nothing_is_lost()


def test_a_page_that_says_something_else_at_every_request(stores: Stores) -> None:
    with at_peace(stores, bad("flaps", "etag", "unasked", "fine")) as ordeal:
        shop: HostileShop = ordeal.bad
        ordeal.misbehave(flaps=changing([shop.page("bad-flaps", price) for price in (6, 7)]),
                         etag=changing([shop.page("bad-etag")], ETag='"new'), unasked=give(b"", status=304))
        for _ in range(3):
            report = ordeal.crawl(photo_days=7)
            assert (report.complete, report.counters["changed"], report.changes["price"]) == (True, 1, 1)
            assert report.counters["same"] == 3
        ordeal.nothing_is_lost()


def test_a_304_that_nobody_asked_for_is_no_product(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.bad.slugs += ("new-0",)
        ordeal.bad.trouble["/p/new-0"] = give(b"", status=304)
        report = ordeal.crawl()
        assert report.counters["same"] == 6 and "new" not in report.counters
        ordeal.nothing_is_lost()


def test_pages_that_are_called_like_others(stores: Stores) -> None:
    with at_peace(stores, bad(*"abcd")) as ordeal:
        page = ordeal.bad.page
        ordeal.misbehave(
            a=give(b'<link rel="canonical" href="/p/bad-b">' + page("bad-a")),
            c=give(b'<link rel="canonical" href="http://10.0.0.1/p/c">' + page("bad-c")),
            d=give(b'<link rel="canonical" href="https://other.example/">' + page("bad-d")))
        report = ordeal.crawl()
        assert report.complete and report.counters["same"] + report.counters.get("duplicate", 0) == 4
        with Session(ordeal.stores.readers) as session:
            urls = session.scalars(select(Listing.url)).all()
        assert len(urls) == 4 + 8 and not any("10.0.0.1" in url or "other.example" in url for url in urls)
