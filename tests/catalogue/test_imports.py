"""Importing folders and CSVs, exporting them again, and counting."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import BadInput
from catalogue.imports import export_folder, import_path
from catalogue.integrity import faults
from catalogue.queries import product_cards, product_photos, stats
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
    from app.settings import Settings
    from app.wiring import open_stores
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
