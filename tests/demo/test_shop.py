"""The demo shop's pages: the same at every start, and shaped as real shops' are."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from catalogue.errors import BadInput
from demo.goods import price_of, read_goods
from demo.shop import listen, main, make_shop

HEADER = "set,slug,brand,name,price,colour,sku,model_group,shoe_type,kind,n_images\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"s,shoe-{n},Tavero,Orsk {n},{100 + n}000 KRW,black,TV-{n},orsk,runner,rendered,1\n" for n in range(30)]
    rows += ['t,shoe-0,<b>Bold & Co</b>,하늘 "Boot",$75.00 USD,,,,boot,,0\n', "t,shoe-x,,Unpriced,,,,,,,0\n"]
    (tmp_path / "products.csv").write_text(HEADER + "".join(rows))
    for n in range(30):
        (tmp_path / "s" / f"shoe-{n}").mkdir(parents=True)
        (tmp_path / "s" / f"shoe-{n}" / "0.jpg").write_bytes(b"picture %d" % n)
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> TestClient:
    return TestClient(make_shop(read_goods(folder, extras=True)))


def data_of(page: str) -> dict:  # type: ignore[type-arg]
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_pages_are_the_same_at_every_start(folder: Path, shop: TestClient) -> None:
    again = TestClient(make_shop(read_goods(folder, extras=True)))
    for path in ("/", "/shop/runner?page=2", "/products/shoe-1", "/sitemap-products.xml", "/robots.txt"):
        first = shop.get(path)
        assert first.status_code == 200
        assert first.text == again.get(path).text


def test_a_product_page_tells_machines_everything(shop: TestClient) -> None:
    page = shop.get("/products/shoe-1").text
    data = data_of(page)
    assert (data["name"], data["mpn"], data["inProductGroupWithID"]) == ("Orsk 1", "TV-1", "orsk")
    assert re.fullmatch(r"http://testserver/pictures/shoe-1/0\.jpg\?v=[0-9a-f]+", data["image"][0])
    assert len(data["image"]) == 1
    assert {offer["price"] for offer in data["offers"]} == {"101000"} and len(data["offers"]) == 8
    assert "You may also like" in page and "/pictures/shoe-6/0.jpg" in page
    assert shop.get("/pictures/shoe-1/0.jpg").content == b"picture 1"


def test_odd_rows_become_pages_too(shop: TestClient) -> None:
    page = shop.get("/products/shoe-0-t").text  # its slug was taken by another set
    assert "<b>Bold" not in page and data_of(page)["brand"]["name"] == "<b>Bold & Co</b>"
    assert data_of(page)["offers"][0]["priceCurrency"] == "USD" and "no photo yet" in page
    assert "price" not in data_of(shop.get("/products/shoe-x").text)["offers"][0]
    assert "Price on request" in shop.get("/products/shoe-x").text
    assert {offer["availability"] for offer in data_of(shop.get("/products/shoe-3").text)["offers"]} == {
        "https://schema.org/OutOfStock"
    }
    assert "image" not in data_of(shop.get("/products/unphotographed-runner").text)


def test_every_product_is_in_sitemap_and_categories(shop: TestClient) -> None:
    listed = re.findall(r"<loc>http://testserver(/products/[^<]+)</loc>", shop.get("/sitemap-products.xml").text)
    assert len(listed) == len(set(listed)) == 33
    linked: set[str] = set()
    for path in re.findall(r"<loc>http://testserver(/shop/[^<]+)</loc>", shop.get("/sitemap-pages.xml").text):
        for number in range(1, 10):
            answer = shop.get(f"{path}?page={number}")
            if answer.status_code == 404:
                break
            linked |= set(re.findall(r'href="(/products/[^"]+)"', answer.text))
    assert linked == set(listed)


def test_unknown_addresses_are_not_found(shop: TestClient) -> None:
    for path in ("/products/none", "/pictures/shoe-1/../../products.csv", "/pictures/shoe-1/9.jpg", "/shop/none", "/x"):
        assert shop.get(path).status_code == 404
    assert "Orsk 7" in shop.get("/search?q=orsk+7").text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("129000 KRW", ("129000", "KRW")),
        ("$75.00 USD", ("75.00", "USD")),
        ("10000000 VND", ("10000000", "VND")),
        ("₩1,000", ("1000", "KRW")),
        ("", ("", "")),
        ("free", ("", "")),
        ("0 KRW", ("", "")),
    ],
)
def test_prices(written: str, read: tuple[str, str]) -> None:
    assert price_of(written) == read


def test_a_taken_port_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--folder", str(folder), "--port", port]) == 1
    assert "--port" in capsys.readouterr().err
    assert main(["--folder", str(folder / "none")]) == 1
    assert main(["--folder", str(folder), "--sets", "nope"]) == 1
    with pytest.raises(BadInput):
        listen("203.0.113.1", 80)


def test_the_command_opens_the_shop(folder: Path) -> None:
    shop = subprocess.Popen(
        [sys.executable, "-m", "demo.shop", "--folder", str(folder), "--sets", "s", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert shop.stdout is not None
        line = shop.stdout.readline()
        assert "30 shoes at http://127.0.0.1:" in line
        socket.create_connection(("127.0.0.1", int(line.rstrip("/\n").rpartition(":")[2])), timeout=5).close()
    finally:
        shop.kill()
        shop.communicate()
