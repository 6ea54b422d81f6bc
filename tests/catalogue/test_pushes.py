"""JSON lines in and out: bad lines are told, good ones go in, and what is written is read back the same."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.errors import BadInput, FetchFailed
from catalogue.exports import export_lines
from catalogue.imports import import_path
from catalogue.merging import merge
from catalogue.pushes import import_lines
from catalogue.tables import Listing, Price, ProductCode, ProductPhoto, Shop, now
from tests.catalogue.shelf import found, save, shop, stored
from tests.conftest import encoded, picture

LINE = {"shop": "Runa", "url": "https://runa.example/1", "title": "Tavero Low", "brand": "Tavero",
        "style_code": "TV-1", "gtins": ["4006381333931"], "price": 129000, "currency": "KRW", "available": True,
        "sizes": {"250": True}, "photos": ["a.jpg"]}


def write(path: Path, *lines: object) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_good_lines_go_in_and_bad_ones_are_told(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1)))
    (tmp_path / "b.jpg").write_bytes(b"broken")
    path = write(
        tmp_path / "push.jsonl", LINE, "", "{broken", {**LINE, "colr": "red"}, {**LINE, "price": 0},
        {**LINE, "url": ""}, {**LINE, "title": ""}, {**LINE, "currency": "won"}, {**LINE, "price": "1e999999"},
        "[1]", {**LINE, "title": "null \0"}, {**LINE, "url": "https://runa.example/2", "photos": ["b.jpg", "c.jpg"]},
        {"title": "Lone shoe", "brand": "Tavero", "photos": [{"path": "a.jpg", "url": "https://x.example/a.jpg"}]})
    report = import_lines(stores.database, stores.photos, path)
    assert (report.products, report.photos, report.failed) == (3, 2, 9)
    said = "\n".join(report.problems)
    for part in ("line 3: this is no JSON", "line 4: colr", "line 5: price", "line 6: a listing of a shop needs its",
                 "line 7: title", "line 8: currency", "line 9: price", "line 10: the line", "line 11: the line holds",
                 "line 12: ", "b.jpg", "c.jpg: No such file"):
        assert part in said, part
    with Session(stores.database) as session:
        listing = session.scalars(select(Listing).order_by(Listing.id)).first()
        assert listing is not None and (listing.price, listing.currency, listing.sizes) == (
            Decimal("129000"), "KRW", {"250": True})
        made = session.scalars(select(Shop)).one()
        assert (made.name, made.url, made.paused) == ("Runa", "push:Runa", True)
        assert set(session.scalars(select(ProductPhoto.origin))) == {f"listing:{listing.id}",
                                                                     "import:push/tavero-loneshoe-"}


def test_no_two_lines_of_a_file_are_one_product(stores: Stores, tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(picture(number)))
    said = [{"title": "Runner 5", "brand": "Norrvik", "colour": "Red"},
            {"title": "Runner 5", "brand": "Norrvik", "colour": "Blue"},
            {"title": "Low", "brand": "Norrvik", "style_code": "1001"},
            {"title": "Low", "brand": "Tavero", "style_code": "1001"},
            {"title": "runner-5", "brand": "NORRVIK", "colour": "red"},
            {"title": "Low", "origin": "mine/low"}, {"title": "High", "origin": "mine/low"}, {"title": "T" * 300}]
    path = write(tmp_path / "push.jsonl", *({**line, "photos": [f"{number}.jpg"]} for number, line in enumerate(said)))
    for _ in range(2):
        report = import_lines(stores.database, stores.photos, path)
        assert (report.products, report.photos, report.failed) == (6, 6, 2)
    assert report.problems == [
        f"{path}, line {second}: it is the same product as line {first} (origin '{origin}'); put the photos of both on "
        "one line, or give each an origin of its own"
        for second, first, origin in ((5, 1, "push/norrvik-runner5-red"), (7, 6, "mine/low"))]
    with Session(stores.database) as session:
        rows = list(session.scalars(select(ProductPhoto)))
    assert len(rows) == 6 == len({row.product_id for row in rows}) == len({row.sha256 for row in rows})
    out, other = tmp_path / "out.jsonl", open_stores(Settings(data_dir=tmp_path / "other", database_url=""))
    export_lines(stores.database, stores.photos, out)
    assert import_lines(other.database, other.photos, out).problems == []
    with Session(other.database) as session:
        assert {row.origin for row in rows} == set(session.scalars(select(ProductPhoto.origin)))
    other.database.dispose()


@pytest.mark.parametrize("wrong", ["N/A", "4006381333932", "0000000000000", "", "40063813", "4006381-333931"])
def test_a_wrong_gtin_is_named(stores: Stores, tmp_path: Path, wrong: str) -> None:
    path = write(tmp_path / "push.jsonl", {**LINE, "photos": [], "gtins": ["4006381333931", wrong]})
    report = import_lines(stores.database, stores.photos, path)
    assert report.failed == 1 and f"line 1: {wrong!r} in gtins is no GTIN" in report.problems[0]


def test_gtins_of_any_length_are_read_back_and_what_is_none_is_left_out(stores: Stores, tmp_path: Path) -> None:
    right = ("96385074", "036000291452", "4006381333931", "10036000291459")
    save(stores.database, shop(stores.database), found(gtins=("N/A", *right)))
    path = tmp_path / "out.jsonl"
    export_lines(stores.database, stores.photos, path)
    assert {int(code) for code in json.loads(path.read_text())["gtins"]} == set(map(int, right))
    assert import_lines(stores.database, stores.photos, path).problems == []


def test_a_push_again_changes_nothing_and_a_changed_one_that_much(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1)))
    for price in (129000, 129000, "99000"):
        import_lines(stores.database, stores.photos, write(tmp_path / "push.jsonl.gz", {**LINE, "price": price}))
    with Session(stores.database) as session:
        assert list(session.scalars(select(Price.price).order_by(Price.id))) == [129000, 99000]
        assert session.scalar(select(func.count()).select_from(ProductPhoto)) == 1


def test_addresses_are_fetched_once_and_only_where_asked(stores: Stores, tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        if url.endswith("gone.jpg"):
            raise FetchFailed(f"{url} answered 404")
        return encoded(picture(len(url)))

    urls = ["https://cdn.example/1.jpg", "https://cdn.example/two.jpg", "https://cdn.example/gone.jpg"]
    path = write(tmp_path / "push.jsonl", {**LINE, "photos": urls}, {"title": "Lone", "photos": urls[:1]})
    refused = import_lines(stores.database, stores.photos, path)
    assert (refused.products, refused.photos) == (2, 0) and "add --fetch" in refused.problems[0]
    for expected in (["1.jpg", "two.jpg", "gone.jpg", "1.jpg"], ["gone.jpg"]):
        asked.clear()
        report = import_lines(stores.database, stores.photos, path, fetch)
        assert report.photos == 3 and len(report.problems) == 1
        assert [url.rpartition("/")[2] for url in asked] == expected
    (tmp_path / "table.csv").write_text("sku,brand,file\nTV-9,Tavero,https://cdn.example/1.jpg https://cdn.example/2\n"
                                        "TV-8,Tavero,\n")
    table = import_path(stores.database, stores.photos, tmp_path / "table.csv", "file", fetch=fetch)
    assert (table.products, table.photos, table.failed) == (1, 2, 1) and "line 3" in table.problems[0]


def test_an_export_reads_back_the_same(stores: Stores, stocked: Stores, tmp_path: Path) -> None:
    engine, runa, kolo = stocked.database, shop(stocked.database, "Runa"), shop(stocked.database, "Kolo")
    save(engine, runa, found("1", style_code="TV-0-0", gtins=("4006381333931", "4006381333948"), group="g7",
                             model_name="Low", sizes={"250": True, "260": False}, list_price=Decimal("150000"),
                             category="Women > Low"), stored(stocked.photos, 90), stored(stocked.photos, 91))
    save(engine, kolo, found("https://kolo.example/1", gtins=("4006381333948",), price=Decimal("99.5"),
                             currency="USD", available=None), stored(stocked.photos, 90))
    save(engine, kolo, found("https://kolo.example/2", title="Ein \"Schuh\" für 여자"))
    merge(engine, "TV-1-0", "TV-1-1")
    path = tmp_path / "out" / "catalogue.jsonl.gz"
    report = export_lines(engine, stocked.photos, path)
    assert (report.products, report.photos) == (15, 51)
    assert path.read_bytes()[:2] == b"\x1f\x8b"

    def content(one: Stores) -> tuple[list[object], list[object], list[str]]:
        with Session(one.database) as session:
            listings = session.execute(select(Shop.name, Listing).join(Shop).order_by(Listing.id)).all()
            photos = session.scalars(select(ProductPhoto).order_by(ProductPhoto.origin, ProductPhoto.position)).all()
            product_of = {row.product_id: row.origin for row in reversed(photos)}
            return ([(name, row.url, row.title, row.price, row.list_price, row.currency, row.available, row.sizes,
                      row.category, row.sources, product_of.get(row.product_id)) for name, row in listings],
                    [(row.origin, row.sha256, row.position, row.source_url, product_of[row.product_id])
                     for row in photos],
                    sorted(session.scalars(select(ProductCode.code).where(ProductCode.code.startswith("gtin:")))))

    other = open_stores(Settings(data_dir=tmp_path / "other", database_url=""))
    again = import_lines(other.database, other.photos, path)
    assert again.problems == []
    assert content(other) == content(stocked)
    other.database.dispose()


def test_what_a_crawl_without_shops_saw_is_nothing(stocked: Stores, tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    assert export_lines(stocked.database, stocked.photos, path, photos=False, since=now()).products == 0
    assert path.read_text() == ""


def test_an_export_of_addresses_and_a_damaged_file(stores: Stores, tmp_path: Path) -> None:
    save(stores.database, shop(stores.database), found(), stored(stores.photos, 7))
    path = tmp_path / "lines.jsonl"
    export_lines(stores.database, stores.photos, path, photos=False)
    assert json.loads(path.read_text())["photos"] == ["https://runa.example/7.jpg"]
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "data"] == ["lines.jsonl"]
    packed = write(tmp_path / "cut.jsonl.gz", *[{**LINE, "url": f"https://runa.example/{n}", "title": str(n) * 50,
                                                 "photos": []} for n in range(200)])
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(BadInput, match="cut short"):
        import_lines(stores.database, stores.photos, packed)
    with pytest.raises(BadInput, match="no lines"):
        import_lines(stores.database, stores.photos, write(tmp_path / "empty.jsonl", ""))
