"""Merging and splitting products by hand: later crawls and imports keep to it, and both can be taken back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import BadInput, NotFound
from catalogue.gallery_items import register, removed_ids
from catalogue.imports import import_path
from catalogue.merging import merge, split
from catalogue.queries import present_ids, product_cards, product_photos, stats
from tests.catalogue.shelf import found, photo, product, save, shop, shown

ONE = found("one", style_code="TV-1", gtins=("4006381333931",))
TWO = found("two", style_code="TV-2", gtins=("4006381333948",))


@pytest.fixture
def pair(stores: Stores) -> tuple[int, int]:
    """The ids of two products of one listing and two photos each; one photo is shown by both."""
    at = shop(stores.database)
    one = save(stores.database, at, ONE, photo("a"), photo("both")).product_id
    return one, save(stores.database, at, TWO, photo("b"), photo("both")).product_id


def again(stores: Stores, title: str) -> list[int]:
    """The products of both listings after a crawl that found them changed."""
    at = shop(stores.database)
    return [save(stores.database, at, found(one.url, style_code=one.style_code, gtins=one.gtins, title=title),
                 *photos).product_id
            for one, photos in ((ONE, (photo("a"), photo("both"))), (TWO, (photo("b"), photo("both"))))]


def test_merged_products_answer_as_one_and_crawls_keep_to_it(stores: Stores, pair: tuple[int, int]) -> None:
    one, two = pair
    with Session(stores.database) as session, session.begin():
        items = register(session, shown(stores.database))
    moved = merge(stores.database, str(one), "TV-2")
    assert (moved.from_id, moved.to_id, moved.listings, moved.photos) == (one, two, 1, 2)
    for _ in range(2):
        with Session(stores.database) as session:
            assert present_ids(session, [one, two, 99]) == {one: two, two: two}
            cards = product_cards(session, [one, two])
            assert cards[one] == cards[two] and cards[one].id == two
            assert len(cards[two].offers) == 2 and len(cards[two].photos) == 3
            assert stats(session)["products"] == 1 and len(product_photos(session)) == 3
            assert not removed_ids(session), "the merged product's vectors go on answering for the other"
        assert again(stores, "Changed") == [two, two]
    assert len(items) == 4
    # A third shop that knows only the merged product's codes finds what it became.
    other = save(stores.database, shop(stores.database, "Kolo"), found("https://kolo.example/", style_code="TV-1"))
    assert other.product_id == two


def test_a_decision_stands_against_codes_that_change(stores: Stores, pair: tuple[int, int]) -> None:
    one, two = pair
    third = save(stores.database, shop(stores.database), found("three", style_code="TV-3")).product_id
    merge(stores.database, str(one), str(two))
    moved = save(stores.database, shop(stores.database), found("one", style_code="TV-3"))
    assert moved.product_id == two != third


def test_a_merge_is_taken_back(stores: Stores, pair: tuple[int, int]) -> None:
    one, two = pair
    before = shown(stores.database)
    merge(stores.database, str(one), str(two))
    moved = split(stores.database, [str(one)])
    assert (moved.from_id, moved.to_id, moved.photos) == (two, one, 2)
    assert shown(stores.database) == before and product(stores.database, one).merged_into_id is None
    assert again(stores, "Changed") == [one, two]
    merge(stores.database, str(two), str(one))
    split(stores.database, [TWO.url])
    assert shown(stores.database) == before and again(stores, "Once more") == [one, two]


def test_a_merge_that_is_taken_back_takes_the_codes_it_lent(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    coded = save(engine, at, found("one", style_code="TV-1", gtins=("4006381333931",)), photo("a")).product_id
    plain = save(engine, at, found("two", title="Another"), photo("b")).product_id
    merge(engine, "TV-1", str(plain))
    assert (product(engine, plain).style_code, product(engine, plain).gtin) == ("TV-1", "4006381333931")
    split(engine, [str(coded)])
    assert (product(engine, plain).style_code, product(engine, plain).gtin) == ("", "")
    assert product(engine, coded).style_code == "TV-1"
    assert merge(engine, "TV-1", str(plain)).from_id == coded


def test_chains_of_merges_are_followed_and_taken_back_in_the_middle(stores: Stores, pair: tuple[int, int]) -> None:
    one, two = pair
    three = save(stores.database, shop(stores.database), found("three", style_code="TV-3"), photo("c")).product_id
    before = shown(stores.database)
    merge(stores.database, str(one), str(two))
    merge(stores.database, str(two), str(three))
    with Session(stores.database) as session:
        assert present_ids(session, [one, two, three]) == {one: three, two: three, three: three}
    with pytest.raises(BadInput, match="one product already"):
        merge(stores.database, "TV-1", "TV-3")
    split(stores.database, [str(two)])
    assert again(stores, "Changed") == [two, two]
    split(stores.database, [str(one)])
    assert shown(stores.database) == before


def test_a_listing_is_split_off_and_stays_off(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    wrong = found("two", style_code="TV-1", title="Another shoe")
    joined = save(engine, at, found("one", style_code="TV-1"), photo("a")).product_id
    assert save(engine, at, wrong, photo("b")).product_id == joined
    moved = split(engine, [wrong.url])
    assert moved.from_id == joined and product(engine, moved.to_id).name == "Another shoe"
    assert shown(engine) == {(joined, photo("a").facts.sha256), (moved.to_id, photo("b").facts.sha256)}
    reread = save(engine, at, wrong, photo("b"))
    assert (reread.product_id, reread.outcome) == (moved.to_id, "same")
    assert product(engine, moved.to_id).style_code == "TV-1"
    with pytest.raises(BadInput, match=f"of 2 products \\({joined}, {moved.to_id}\\)"):
        merge(engine, "TV-1", str(joined))
    merge(engine, str(moved.to_id), str(joined))
    assert save(engine, at, wrong, photo("b")).product_id == joined


def test_an_imported_product_is_merged_and_later_imports_keep_to_it(stocked: Stores, tmp_path: Path,
                                                                    make_folder: Callable[..., Path]) -> None:
    before = shown(stocked.database)
    moved = merge(stocked.database, "TV-0-0", "TV-0-1")
    assert moved.photos == 4
    import_path(stocked.database, stocked.photos, tmp_path / "folder")
    with Session(stocked.database) as session:
        assert stats(session)["products"] == 11
        assert len(product_cards(session, [moved.to_id])[moved.to_id].photos) == 8
    split(stocked.database, ["import:made/shoe-0-0"])
    assert shown(stocked.database) == before
    import_path(stocked.database, stocked.photos, tmp_path / "folder")
    assert shown(stocked.database) == before


def test_what_cannot_be_done_is_one_sentence(stores: Stores, pair: tuple[int, int]) -> None:
    for act, error, says in (
            (lambda: merge(stores.database, "999", "1"), NotFound, "no product '999'"),
            (lambda: merge(stores.database, "TV-1", str(pair[0])), BadInput, "one product already"),
            (lambda: split(stores.database, [ONE.url]), BadInput, "nothing to split"),
            (lambda: split(stores.database, [ONE.url, TWO.url]), BadInput, "different products"),
            (lambda: split(stores.database, ["https://runa.example/none"]), NotFound, "no listing"),
            (lambda: split(stores.database, ["import:made/none"]), NotFound, "nothing was imported"),
            (lambda: split(stores.database, [str(pair[0])]), BadInput, "never merged")):
        with pytest.raises(error, match=says):
            act()
