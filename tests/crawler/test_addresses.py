"""The address guard: private addresses in every disguise are refused, and redirects change nothing about it."""

import pytest

from catalogue.errors import Forbidden
from crawler.addresses import AddressGuard, is_public
from crawler.fetch import Fetcher

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "198.18.0.1",
    "192.0.0.8",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:53aa::1",
    "fe80::1%lo",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
    ],
)
def test_spellings_of_loopback_are_refused(website, host: str) -> None:  # type: ignore[no-untyped-def]
    settings = website.settings(allow_hosts=frozenset(), retries=0)
    with Fetcher(settings) as fetcher, pytest.raises(Forbidden, match="not public"):
        fetcher.get(f"http://{host}:{website.port}/", 1000)
    assert website.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://shop.example/",
        "file:///etc/passwd",
        "http://user:pw@shop.example/",
        "http:///x",
        "http://shop.example:99999/",
        "gopher://x/",
        "http://[::1/",
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        AddressGuard().check_url(url)


def test_allowed_hosts_are_let_through_by_host_and_port(website) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "hello")
    with Fetcher(website.settings()) as fetcher:
        assert fetcher.get(website.url("/"), 1000).body == b"hello"
    with Fetcher(website.settings(allow_hosts=frozenset(["127.0.0.1:1"]))) as fetcher, pytest.raises(Forbidden):
        fetcher.get(website.url("/"), 1000)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:9/", "http://2130706433:9/", "http://[::1]:9/", "//localhost:9/x", "file:///etc/passwd"],
)
def test_redirects_to_private_addresses_are_refused(website, target: str) -> None:  # type: ignore[no-untyped-def]
    website.page("/", "", status=302, Location=target)
    with Fetcher(website.settings()) as fetcher, pytest.raises(Forbidden):
        fetcher.get(website.url("/"), 1000)


def test_every_address_of_a_host_is_checked_and_that_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # The resolver is the boundary here: no real host with one public and one private address can be relied on.
    import socket

    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1.* add rebinding.example:80 to SOLESEARCH_ALLOW_HOSTS"):
        AddressGuard().addresses("rebinding.example", 80)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    assert AddressGuard().addresses("rebinding.example", 80) == [(socket.AF_INET, ("93.184.216.34", 80))]
