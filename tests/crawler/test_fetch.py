"""The wire against a real server on loopback: limits, patience, retries, manners."""

import gzip
import time
from http.server import BaseHTTPRequestHandler

import pytest

from catalogue.errors import BadInput, FetchFailed, TooLarge
from crawler.fetch import Fetched, Fetcher
from crawler.settings import CrawlSettings


def test_it_says_who_it_is_and_keeps_no_cookies(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "one", Set_Cookie="session=1; Path=/")
    with Fetcher(website.settings(contact="https://solesearch.example/bot")) as fetcher:
        fetcher.get(website.url("/"), 1000)
        fetcher.get(website.url("/"), 1000)
    assert website.headers[-1]["user-agent"] == "SoleSearch/1.0 (+https://solesearch.example/bot)"
    assert website.headers[-1]["host"] == website.host
    assert "cookie" not in website.headers[-1]


def test_redirects_are_followed_five_times(website) -> None:  # type: ignore[no-untyped-def]
    for step in range(7):
        website.page(f"/{step}", "", status=301, Location=f"/{step + 1}")
    website.page("/7", "end")
    with Fetcher(website.settings()) as fetcher:
        assert fetcher.get(website.url("/2"), 1000).url == website.url("/7")
        with pytest.raises(FetchFailed, match="5 redirects"):
            fetcher.get(website.url("/1"), 1000)


def test_a_redirect_in_utf8_is_followed_and_one_to_nowhere_is_a_failure(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/korean", "", status=301, Location="/상품/5".encode().decode("latin-1"))
    website.page("/%EC%83%81%ED%92%88/5", "shoe")
    website.page("/odd", "", status=301, Location="http://[::1")
    with Fetcher(website.settings()) as fetcher:
        assert fetcher.get(website.url("/korean"), 1000).text == "shoe"
        with pytest.raises(FetchFailed, match="which is no address"):
            fetcher.get(website.url("/odd"), 1000)


def test_large_answers_and_gzip_bombs_are_cut_off(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/large", b"x" * 200_000)
    website.page("/bomb", gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    website.page("/fits", gzip.compress(b"hello" * 100), Content_Encoding="gzip")
    with Fetcher(website.settings()) as fetcher:
        for path in ("/large", "/bomb"):
            with pytest.raises(TooLarge, match="100,000 bytes"):
                fetcher.get(website.url(path), 100_000)
        assert fetcher.get(website.url("/fits"), 500).body == b"hello" * 100


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_server_that_drips_is_left(website, part: str) -> None:  # type: ignore[no-untyped-def]
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 1000\r\n\r\n" if part == "body" else b""))
        try:
            for _ in range(1000):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            handler.close_connection = True

    website.answers["/"] = drip
    started = time.monotonic()
    with Fetcher(website.settings(total_timeout_s=0.5, retries=0)) as fetcher, pytest.raises(FetchFailed):
        fetcher.get(website.url("/"), 100_000)
    assert time.monotonic() - started < 20


def test_a_cut_off_answer_is_a_failure(website) -> None:  # type: ignore[no-untyped-def]
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
        handler.close_connection = True

    website.answers["/"] = cut
    with Fetcher(website.settings()) as fetcher, pytest.raises(FetchFailed, match="IncompleteRead"):
        fetcher.get(website.url("/"), 100_000)


def test_busy_servers_are_asked_again_after_a_capped_wait(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "slow down", status=429, Retry_After="3600")
    started = time.monotonic()
    with Fetcher(website.settings(retries=2)) as fetcher:
        assert fetcher.get(website.url("/"), 1000).status == 429
    assert website.asked.count("/") == 3
    assert time.monotonic() - started < 20


def test_requests_to_one_host_keep_their_distance(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "hello")
    with Fetcher(website.settings(delay_s=0.1)) as fetcher:
        started = time.monotonic()
        for _ in range(4):
            fetcher.get(website.url("/"), 1000)
    assert time.monotonic() - started > 0.23


def test_text_is_decoded_by_header_then_page_then_utf8(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/header", "신발".encode("euc-kr"), Content_Type="text/html; charset=EUC-KR")
    website.page("/meta", '<meta charset="cp949">신발'.encode("cp949"), Content_Type="text/html")
    website.page("/neither", "신발", Content_Type="text/html")
    website.page("/nonsense", "신발", Content_Type="text/html; charset=nonsense")
    with Fetcher(website.settings()) as fetcher:
        for path in ("/header", "/meta", "/neither", "/nonsense"):
            assert fetcher.get(website.url(path), 1000).text.endswith("신발")


@pytest.mark.parametrize(("label", "text", "written"), [
    ("iso-8859-1", "129,95 € ™", "cp1252"), ("euc-kr", "샾 똠", "cp949"), ("shift_jis", "①髙", "cp932"),
    ("gb2312", "镕", "gbk"), ("idna", "shoe", "utf-8"), ("rot13", "shoe", "utf-8")])
def test_text_is_decoded_as_browsers_read_its_label(label: str, text: str, written: str) -> None:
    answer = Fetched("https://s.example/", 200, {"content-type": f"text/html; charset={label}"}, text.encode(written))
    assert answer.text == text


def test_nobody_at_home_is_a_failure_with_a_reason() -> None:
    settings = CrawlSettings(delay_s=0, retries=0, allow_hosts=frozenset(["127.0.0.1:1"]))
    with Fetcher(settings) as fetcher, pytest.raises(FetchFailed, match="refused"):
        fetcher.get("http://127.0.0.1:1/", 1000)


@pytest.mark.parametrize(
    "wrong", [{"delay_s": -1}, {"max_pages": 0}, {"contact": "a\r\nb"}, {"allow_hosts": frozenset(["localhost"])}]
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        CrawlSettings(**wrong)  # type: ignore[arg-type]
