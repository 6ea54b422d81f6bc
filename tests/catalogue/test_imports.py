"""Importing folders and CSVs, exporting them again, and counting."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.errors import BadInput
from catalogue.imports import export_folder, import_path
from catalogue.integrity import faults
from catalogue.queries import catalogue_rows, product_cards, product_photos, stats
from catalogue.tables import Listing, ProductPhoto, now
from tests.catalogue.shelf import found, save, shop, stored
from tests.conftest import encoded, picture


def counts(stores: Stores) -> dict[str, int]:
    with Session(stores.readers) as session:
        return stats(session)


def test_import_twice_is_import_once(stocked: Stores, tmp_path: Path) -> None:
    before = counts(stocked)
    import_path(stocked.database, stocked.photos, tmp_path / "folder")
    assert counts(stocked) == before
    assert (before["products"], before["photos"], before["models"]) == (12, 48, 6)


def test_colourways_share_a_model_and_keep_apart(stocked: Stores) -> None:
    with Session(stocked.readers) as session:
        cards = product_cards(session, range(1, 13))
    assert len({card.model_id for card in cards.values()}) == 6
    assert all(len(card.photos) == 4 and card.brand == "Tavero" for card in cards.values())


def test_export_reads_back_the_same(stocked: Stores, tmp_path: Path) -> None:
    export_folder(stocked.database, stocked.photos, tmp_path / "out")
    other = open_stores(Settings(data_dir=tmp_path / "other", database_url=""))
    import_path(other.database, other.photos, tmp_path / "out")

    def pairs(stores: Stores) -> set[tuple[str, str]]:
        with Session(stores.readers) as session:
            return {(row.product_key, row.sha256) for row in product_photos(session)}

    assert pairs(other) == pairs(stocked)
    with pytest.raises(BadInput, match="exists already"):
        export_folder(stocked.database, stocked.photos, tmp_path / "out")


def test_a_csv_with_a_photo_column(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1)))
    (tmp_path / "b.jpg").write_bytes(b"broken")
    (tmp_path / "mine.csv").write_text("name,brand,file\nRed shoe,Haneul,a.jpg\nRed shoe,Haneul,b.jpg\n"
                                       "Red shoe,Haneul,gone.jpg\n")
    report = import_path(stores.database, stores.photos, tmp_path / "mine.csv", photo_column="file")
    assert (report.products, report.photos, len(report.problems)) == (1, 1, 2)


def test_the_rows_of_a_csv_are_one_product_by_brand_and_sku_or_brand_name_and_colour(stores: Stores, tmp_path: Path
                                                                                        ) -> None:
    rows = ["slug,brand,sku,name,colour,photo", "s,,,,,1.jpg", "s,,,,,2.jpg", ",Norrvik,1001,,,3.jpg",
            ",Tavero,1001,,,4.jpg", ",Norrvik,,Runner 5,Red,5.jpg", ",Norrvik,,Runner 5,Blue,6.jpg",
            f",Norrvik,,{'long' * 60},,7.jpg", "a/b,,,,,8.jpg", "a-b,,,,,9.jpg", ",a,b,,,10.jpg", ",,,,,11.jpg"]
    for number in range(1, len(rows)):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(picture(number)))
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows) + "\n")
    for _ in range(2):
        report = import_path(stores.database, stores.photos, path)
        assert (report.products, report.photos, report.failed) == (8, 9, 2)
    for line, problem in zip((10, 11), report.problems, strict=True):
        assert f"line {line}: another product, that of line 9, has the slug 'a-b' already; give" in problem
    with Session(stores.readers) as session:
        shown = [len(card.photos) for card in product_cards(session, range(1, 9)).values()]
        assert sorted(shown) == [1] * 7 + [2]
        origins = set(session.scalars(select(ProductPhoto.origin)))
    assert {f"import:mine/{slug}" for slug in ("s", "Norrvik-1001", "Norrvik-Runner 5-Red", "a-b")} < origins
    assert max(map(len, origins)) <= 200


def test_exports_of_two_catalogues_do_not_replace_each_other(stores: Stores, tmp_path: Path) -> None:
    exports = []
    for number in range(2):
        other = open_stores(Settings(data_dir=tmp_path / f"data{number}", database_url=""))
        save(other.database, shop(other.database), found(title="Low"), stored(other.photos, number))
        for _ in range(2):
            exports.append(tmp_path / f"out{len(exports)}")
            export_folder(other.database, other.photos, exports[-1])
            save(other.database, shop(other.database), found(title="Low", colour="Red"), stored(other.photos, number))
        other.database.dispose()
    for folder in exports:
        import_path(stores.database, stores.photos, folder)
    with Session(stores.readers) as session:
        assert len(set(session.scalars(select(ProductPhoto.origin)))) == len(product_photos(session)) == 2


def test_a_price_is_of_a_listing_that_is_not_gone_if_there_is_one(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    for url, style_code, price in (("1", "TV-1", 10), ("2", "TV-1", 20), ("3", "TV-2", 30)):
        save(engine, at, found(url, style_code=style_code, price=Decimal(price)))
    with Session(engine) as session, session.begin():
        session.execute(update(Listing).where(Listing.price != Decimal(20)).values(gone_at=now()))
        assert [row.price for row, _ in catalogue_rows(session)] == ["20.00 KRW", "30.00 KRW"]


@pytest.mark.parametrize(("text", "says"), [
    ("slug,brand\nx,y\n", "no column 'set'"), ("set,slug\n..,x\n", "line 2"), ("set,slug\na/b,x\n", "line 2"),
    ("set,slug\n", "names no products")])
def test_a_bad_table_is_one_sentence(stores: Stores, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "products.csv").write_text(text)
    with pytest.raises(BadInput, match=says):
        import_path(stores.database, stores.photos, tmp_path)


def test_verify_finds_missing_altered_and_orphan_photos(stocked: Stores) -> None:
    assert not list(faults(stocked.database, stocked.photos, stocked.releases))
    with Session(stocked.readers) as session:
        one, two = [row.sha256 for row in product_photos(session)][:2]
    stocked.photos.path(one).unlink()
    stocked.photos.path(two).write_bytes(b"something else")
    stocked.photos.put(encoded(picture(999)))
    assert sorted(fault.kind for fault in faults(stocked.database, stocked.photos, stocked.releases)) == [
        "altered", "missing", "orphan"]
