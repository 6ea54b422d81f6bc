"""What the catalogue says of gallery items, on SQLite and on PostgreSQL: removals, merges, segments of an index."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.errors import BadRelease
from catalogue.gallery_items import (
    any_removed,
    merged,
    note_changes,
    read_state,
    register,
    removed_ids,
    state_mark,
)
from catalogue.imports import import_path
from catalogue.merging import merge
from catalogue.pruning import prune
from catalogue.queries import product_photos
from catalogue.tables import GalleryItem, Product, ProductPhoto


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, make_folder: Callable[..., Path], tmp_path: Path) -> Stores:
    """12 products with 4 photos each and an item for every one."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("cluster").migrated()
    stores = open_stores(Settings(data_dir=tmp_path / "data", database_url=url))
    import_path(stores.database, stores.photos, make_folder(tmp_path / "folder"))
    with Session(stores.database) as session, session.begin():
        register(session, [(row.product_id, row.sha256) for row in product_photos(session)])
    return stores


def test_items_follow_the_photos_of_their_products(filled: Stores) -> None:
    with Session(filled.database) as session, session.begin():
        items = {(row.product_id, row.sha256): row.id for row in session.scalars(select(GalleryItem))}
        assert len(items) == 48 and not removed_ids(session) and not any_removed(session, items.values())
        (product, sha256), number = next(iter(items.items()))
        other = max(items)[0]
        before = state_mark(session)
        session.execute(delete(ProductPhoto).where(ProductPhoto.product_id == product, ProductPhoto.sha256 == sha256))
        note_changes(session, [product])
        assert removed_ids(session) == {number} and any_removed(session, [number])
        assert state_mark(session) != before
    merge(filled.database, str(product), str(other))
    with Session(filled.database) as session, session.begin():
        assert merged(session) == {product: other} and removed_ids(session) == {number}  # the rest show the other one
        state = read_state(session)
        assert state.became == {product: other} and len(state.products) == 12
        assert state.products[other].brand == "Tavero" and state.products[other].model
        session.execute(delete(ProductPhoto).where(ProductPhoto.product_id == other))
        note_changes(session, [other])
        assert removed_ids(session) == {at for (owner, _), at in items.items() if owner in (product, other)}
        note_changes(session)
        assert len(removed_ids(session)) == 8
        session.get_one(Product, product).merged_into_id = None


def test_a_brand_that_is_filled_in_changes_the_mark(filled: Stores) -> None:
    with Session(filled.database) as session, session.begin():
        session.get_one(Product, 1).brand = ""
        session.flush()
        before = state_mark(session)
        assert state_mark(session) == before
        session.get_one(Product, 1).brand = "Tavero"
        session.flush()
        assert state_mark(session) != before


def test_segments_are_recorded_with_their_release(filled: Stores) -> None:
    releases = filled.releases

    def publish(text: str, base: str, replaces: tuple[str, ...] = ()) -> str:
        with releases.draft("segment" if base else "index") as draft:
            (draft.folder / "file").write_text(text)
            draft.manifest["base"] = base
            draft.replaces = replaces
        return draft.name

    base, other = publish("base", ""), publish("other base", "")
    one, two = publish("1", base), publish("2", base)
    assert releases.segments(base) == [one, two] and publish("1", base) == one and releases.segments(other) == []
    folded = publish("12", base, (one, two))
    assert releases.segments(base) == [folded]
    with pytest.raises(BadRelease, match="was deleted while"):
        publish("3", "index-none")
    releases.promote("index", base)
    assert set(prune(releases, keep=0)) >= {one, two, other} and releases.segments(base) == [folded]
    releases.promote("index", publish("next", ""))
    releases.promote("index", publish("last", ""))
    assert {base, folded} <= set(prune(releases, keep=0)) and releases.segments(base) == []


def test_two_at_once_get_the_same_numbers(filled: Stores) -> None:
    with Session(filled.database) as session, session.begin():
        session.execute(delete(GalleryItem))
        wanted = [(row.product_id, row.sha256) for row in product_photos(session)]

    def numbers(_: int) -> dict[tuple[int, str], int]:
        with Session(filled.database) as session, session.begin():
            return register(session, wanted)

    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(numbers, range(4))
    assert len(set(first.values())) == 48 and all(other == first for other in others)
