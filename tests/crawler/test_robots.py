"""What robots.txt means, by RFC 9309, as text and over the wire."""

import pytest

from catalogue.errors import FetchFailed, Forbidden
from crawler.fetch import Fetcher
from crawler.robots import MAX_BYTES, rules_from

URL = "https://shop.example"


def test_rules_are_read_with_a_byte_order_mark_and_the_longest_match_wins() -> None:
    rules = rules_from(200, "\ufeffUser-agent: *\nDisallow: /a\nAllow: /a/b$\nCrawl-delay: 3\nSitemap: /s.xml".encode())
    assert not rules.allows(URL + "/a/c")
    assert rules.allows(URL + "/a/b")
    assert rules.delay_s == 3
    assert rules.sitemaps == ("/s.xml",)


def test_the_group_that_names_us_comes_before_the_general_one() -> None:
    rules = rules_from(200, b"User-agent: *\nDisallow: /\n\nUser-agent: SoleSearch\nDisallow: /private")
    assert rules.allows(URL + "/shoes")
    assert not rules.allows(URL + "/private/x")


@pytest.mark.parametrize(
    ("status", "allowed"),
    [(404, True), (401, True), (403, True), (410, True), (429, False), (500, False), (503, False)],
)
def test_missing_rules_allow_and_failing_ones_forbid(status: int, allowed: bool) -> None:
    assert rules_from(status, b"User-agent: *\nDisallow:").allows(URL) is allowed


def test_half_a_megabyte_is_read_and_a_huge_crawl_delay_is_capped() -> None:
    lines = b"User-agent: *\nCrawl-delay: 86400\n" + b"#" * (MAX_BYTES - 100) + b"\nDisallow: /late\n"
    rules = rules_from(200, lines + b"x" * 1_000_000)
    assert not rules.allows(URL + "/late")
    assert rules.delay_s == 60


def test_the_wire_obeys_and_asks_once(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/robots.txt", "", status=301, Location="/moved-robots")
    website.page("/moved-robots", "User-agent: *\nDisallow: /no")
    website.page("/yes", "yes")
    website.page("/to-no", "", status=302, Location="/no/way")
    with Fetcher(website.settings()) as fetcher:
        assert fetcher.get(website.url("/yes"), 1000).status == 200
        for path in ("/no", "/no/way", "/to-no"):
            with pytest.raises(Forbidden, match=r"robots\.txt"):
                fetcher.get(website.url(path), 1000)
    assert website.asked == ["/robots.txt", "/moved-robots", "/yes", "/to-no"]


def test_an_unreachable_robots_txt_forbids(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "hello")
    website.page("/robots.txt", "", status=503)
    with Fetcher(website.settings()) as fetcher, pytest.raises(FetchFailed, match="503"):
        fetcher.get(website.url("/"), 1000)
    assert "/" not in website.asked


def test_endless_redirects_of_robots_txt_allow(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "hello")
    website.page("/robots.txt", "", status=302, Location="/robots.txt")
    with Fetcher(website.settings()) as fetcher:
        assert fetcher.get(website.url("/"), 1000).status == 200
    assert website.asked.count("/robots.txt") == 6
