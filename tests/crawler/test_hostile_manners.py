"""Shops that say no, later or nonsense: storms of 429, odd Retry-After, robots.txt of every unkind sort."""


import pytest

from app.wiring import Stores
from crawler.fetch import Fetcher
from crawler.robots import MAX_BYTES
from crawler.settings import CrawlSettings
from tests.crawler import hostile
from tests.crawler.hostile import Behave, HostileShop, bomb, drip, endless, give, hang_up, opened, raw, redirect
from tests.crawler.ordeal import HASTE_S, PATIENCE_S, SOME, Ordeal, at_peace

LATER = ("3600", "315576000", "9" * 400, "9" * 5000, "-5", "1e9", "nan", "soon", "", "Fri, 31 Dec 9999 23:59:59 GMT",
         "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 21 Oct 2015 99:99:99 +999999999",
         "Wed, 99 Foo 0 0:0:0")


@pytest.mark.parametrize("status", [429, 503])
def test_whatever_a_busy_shop_asks_for_the_wait_is_bounded(status: int) -> None:
    with opened(HostileShop(())) as shop:
        settings = CrawlSettings(delay_s=0, retries=1, max_retry_wait_s=0.1, allow_hosts=frozenset([shop.host]))
        for number, later in enumerate(LATER):
            shop.trouble[f"/{number}"] = give("busy", status=status, Retry_After=later)
            with Fetcher(settings) as fetcher:
                assert fetcher.get(shop.url(f"/{number}"), 1000).status == status
            assert shop.asked[f"/{number}"] == 2


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "315576000"}])
def test_a_storm_of_429_ends_with_the_budget(stores: Stores, headers: dict[str, str]) -> None:
    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/p/*"] = give("slow down", status=429, **headers)
        report = ordeal.crawl(retries=2, max_minutes=0.02)
        assert report.stopped.startswith("the budget of") and not report.complete
        assert sum(ordeal.bad.asked[f"/p/{slug}"] for slug in SOME) < 4 * len(SOME)
        ordeal.nothing_is_lost()
        ordeal.bad.trouble.clear()
        again = ordeal.crawl()
        assert again.run_id == report.run_id and again.counters["same"] > 0
        ordeal.nothing_is_lost()


@pytest.mark.parametrize("status", [401, 403, 500, 999])
def test_a_shop_that_refuses_everything_loses_nothing(ordeal: Ordeal, status: int) -> None:
    ordeal.bad.trouble["/*"] = give("no", status=status)
    ordeal.bad.trouble["/robots.txt"] = give("", "text/plain")
    for _ in range(2):
        report = ordeal.crawl_alone()
        assert (report.state, report.counters["failed"]) == ("failed", 1 + len(SOME))
        assert f"answered {status}" in str(report.failures)


FORBIDS: dict[str, Behave] = {
    "503": give("closed", status=503), "429": give("busy", status=429, Retry_After="86400"), "500": endless(status=500),
    "drips": drip(), "drips_headers": hostile.DRIPPING_HEADERS, "dies": hang_up,
    "says_nothing": raw(b""), "speaks_otherwise": raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "lies": raw(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nUser-agent: *\nAllow:"),
    "leaves": redirect("http://10.0.0.1/robots.txt"),
}


@pytest.mark.parametrize("kind", FORBIDS)
def test_where_robots_txt_cannot_be_had_nothing_is_asked(ordeal: Ordeal, kind: str) -> None:
    ordeal.bad.trouble["/robots.txt"] = FORBIDS[kind]
    report = ordeal.crawl_alone(total_timeout_s=HASTE_S if kind.startswith("drips") else PATIENCE_S)
    assert report.state == "failed" and set(ordeal.bad.asked) == {"/robots.txt"}
    assert "robots.txt" in str(report.failures)


ALLOWS: dict[str, Behave] = {
    "404": endless(status=404), "loops": redirect("/robots.txt"), "large": endless("text/plain", b"# a comment\n"),
    "bomb": bomb("text/plain", b"\n", 50), "html": give("<!doctype html><title>Shoes</title>" * 100),
    "binary": give(bytes(range(256)) * 100, "text/plain"), "wide": give("User-agent: *\nAllow: /".encode("utf-16")),
    "delays": give("User-agent: *\nCrawl-delay: nan\nCrawl-delay: -1\nCrawl-delay: 0.0.1\nAllow: /", "text/plain"),
    "rules": give("User-agent: *\n" + "Disallow: /x*y*z$\n" * 20_000, "text/plain"),
    "stars": give("User-agent: *\nDisallow: /" + "*a" * 200 + "*b$\n", "text/plain"),
    "sitemaps": give("Sitemap: http://[::1\nSitemap: file:///etc/passwd\nSitemap: /sitemap.xml\nSitemap: \n"),
}


@pytest.mark.parametrize("kind", ALLOWS)
def test_odd_robots_txt_is_read_as_far_as_it_goes(ordeal: Ordeal, kind: str) -> None:
    ordeal.bad.trouble["/robots.txt"] = ALLOWS[kind]
    report = ordeal.crawl_alone()
    assert report.complete and report.counters["same"] == len(SOME)


def test_the_beginning_of_an_endless_robots_txt_counts(stores: Stores) -> None:
    start = b"User-agent: *\nDisallow: /p/bad-0\n"
    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/robots.txt"] = endless("text/plain", b"# more\n", start)
        ordeal.bad.asked.clear()
        assert ordeal.crawl().counters["forbidden"] == 1
        assert ordeal.bad.asked["/p/bad-0"] == 0 and MAX_BYTES >= 500 * 1024
        ordeal.nothing_is_lost()


def test_a_crawl_delay_of_years_ends_with_the_budget(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/robots.txt"] = give("User-agent: *\nCrawl-delay: 1000000000\n", "text/plain")
        report = ordeal.crawl(max_minutes=0.02)
        assert report.stopped.startswith("the budget of")
        ordeal.nothing_is_lost()
