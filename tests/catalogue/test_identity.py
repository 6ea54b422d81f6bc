"""One product of many shops: joined by GTIN or brand and style code in any order, never merged silently."""

import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.exports import export_lines
from catalogue.identity import codes_of
from catalogue.listings import FoundListing, save_listing
from catalogue.tables import Product, ProductCode
from catalogue.transactions import in_one_go
from tests.catalogue.shelf import found, photo, product, save, shop

STYLED = found("styled", style_code="TV-100", gtins=("4006381333931", "4006381333948"))
NUMBERED = found("https://kolo.example/1", brand="", title="Low, red", gtins=("4006381333948",))


def codes(stores: Stores, product_id: int) -> set[str]:
    with Session(stores.database) as session:
        return set(session.scalars(select(ProductCode.code).where(ProductCode.product_id == product_id)))


@pytest.mark.parametrize("order", [(STYLED, NUMBERED), (NUMBERED, STYLED)])
def test_gtin_and_style_code_meet_in_either_order(stores: Stores, order: tuple[FoundListing, ...]) -> None:
    engine = stores.database
    one, two = (save(engine, shop(engine, name), listing).product_id for name, listing in zip("AB", order, strict=True))
    assert one == two
    assert {"style:tavero:tv100", "gtin:4006381333931", "gtin:4006381333948"} < codes(stores, one)
    assert product(engine, one).style_code == "TV-100"
    only_styled = save(engine, shop(engine, "C"), found("https://third.example/", style_code="tv 100"))
    assert only_styled.product_id == one


def test_when_codes_lead_to_two_products_the_style_code_wins_and_nothing_merges(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    styled = save(engine, at, found("1", style_code="TV-1")).product_id
    numbered = save(engine, at, found("2", gtins=("4006381333931",))).product_id
    both = save(engine, at, found("3", style_code="TV-1", gtins=("4006381333931",))).product_id
    assert styled == both != numbered
    assert "gtin:4006381333931" in codes(stores, numbered)


def test_colourways_of_other_codes_and_listings_without_any_stay_apart(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    made = [found("1", style_code="TV-1"), found("2", style_code="TV-2"), found("3"), found("4"),
            found("5", brand="", style_code="TV-1")]
    assert len({save(engine, at, listing).product_id for listing in made}) == 5


def test_a_number_that_two_shops_give_their_models_joins_nothing(stores: Stores, tmp_path: Path) -> None:
    runa, kolo = shop(stores.database), shop(stores.database, "Kolo")
    boot, slide = found("1", title="Boot", group="45"), found("https://kolo.example/2", title="Slide", group="45")
    first, other = save(stores.database, runa, boot), save(stores.database, kolo, slide)
    second = save(stores.database, runa, found("3", title="Boot red", group="45"))
    models = [product(stores.database, one.product_id).model_id for one in (first, other, second)]
    assert models[0] == models[2] != models[1] and None not in models
    export_lines(stores.database, stores.photos, tmp_path / "out.jsonl")
    said = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["group"] for line in said] == ["45", "45", "45"]


def test_a_listing_keeps_its_product_when_its_page_loses_the_code(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    before = save(engine, at, found(style_code="TV-1")).product_id
    assert save(engine, at, found(title="No code today")).product_id == before


def test_a_listing_that_gains_a_known_code_moves_with_its_photos(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    known = save(engine, at, found("1", style_code="TV-1")).product_id
    alone = save(engine, at, found("2"), photo("p")).product_id
    moved = save(engine, at, found("2", style_code="TV-1"), photo("p"))
    assert moved.product_id == known != alone
    assert save(engine, at, found("2", title="Again without"), photo("p")).product_id == known


def test_first_facts_are_kept_and_gaps_filled(stores: Stores) -> None:
    engine = stores.database
    save(engine, shop(engine, "A"), found("1", style_code="TV-1", title="First", colour=""))
    saved = save(engine, shop(engine, "B"), found("2", style_code="TV-1", title="Second", colour="Red"))
    row = product(engine, saved.product_id)
    assert (row.name, row.colour) == ("First", "Red")


def test_codes_are_written_alike_and_fit_their_column() -> None:
    assert codes_of("Tavero®", "tv-1 00", ("036000291452",), "x") == codes_of(
        "TAVERO", "TV100", ("0036000291452", "00036000291452"), "x")
    long = codes_of("", "", (), "listing:1:https://runa.example/" + "x" * 900)
    assert long.style == "" and len(long.own) < 100 and long.own.startswith("listing:sha256:")


def test_writers_at_once_make_one_product(stores: Stores) -> None:
    shops = [shop(stores.database, name) for name in "ABCD"]
    start = threading.Barrier(len(shops))

    def write(at: int) -> None:
        start.wait()
        for number in range(15):
            in_one_go(stores.database, lambda session, number=number: save_listing(session, at, found(
                f"https://s{at}.example/{number}", style_code=f"TV-{number}"), [photo(f"{number}")]))

    threads = [threading.Thread(target=write, args=(at,)) for at in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(stores.database) as session:
        assert len(session.scalars(select(Product)).all()) == 15
        assert len(session.scalars(select(ProductCode)).all()) == 15 + 60
