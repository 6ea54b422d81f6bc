"""Saving listings: what changed is said exactly, photos keep their validators, price history grows only by changes."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.changes import Change
from catalogue.tables import Listing, Price, ProductPhoto, now
from tests.catalogue.shelf import found, photo, save, shop

ONE, TWO, THREE = photo("one"), photo("two"), photo("three")


def test_a_new_listing_then_the_same_again(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    first = save(engine, at, found(), ONE, TWO, ONE)
    assert (first.outcome, first.changes) == ("new", (Change("new", "129000 KRW, 2 photos"),))
    again = save(engine, at, found(), ONE, TWO)
    assert (again.outcome, again.changes) == ("same", ()) and again.listing_id == first.listing_id


@pytest.mark.parametrize(("before", "after", "changes"), [
    ({}, {"price": Decimal("99000")}, [Change("price", "129000 KRW → 99000 KRW")]),
    ({}, {"price": Decimal("99.5"), "currency": "USD"}, [Change("price", "129000 KRW → 99.50 USD")]),
    ({"price": None, "currency": ""}, {}, [Change("price", "unknown → 129000 KRW")]),
    ({}, {"price": None}, [Change("price", "129000 KRW → unknown")]),
    ({}, {"price": Decimal("99000"), "list_price": Decimal("129000")}, [Change("price", "129000 KRW → 99000 KRW")]),
    ({}, {"list_price": Decimal("150000")}, [Change("changed", "list price")]),
    ({"sizes": {"250": True}}, {"sizes": {"250": False}, "available": False}, [Change("sold_out")]),
    ({"available": False}, {}, [Change("back_in_stock")]),
    ({"available": None}, {}, [Change("changed", "availability")]),
    ({"sizes": {"250": True}}, {"title": "Tavero Low 2", "sizes": {"250": False}}, [Change("changed", "title, sizes")]),
    ({}, {"category": "Women > Boots"}, [Change("changed", "category")]),
    ({}, {"colour": "Red"}, [Change("changed", "other details")]),
    ({"price": Decimal("10.001")}, {"price": Decimal("10.002")}, [Change("changed", "other details")]),
])
def test_each_change_is_named(stores: Stores, before: dict[str, object], after: dict[str, object],
                              changes: list[Change]) -> None:
    engine, at = stores.database, shop(stores.database)
    save(engine, at, found(**before), ONE)
    saved = save(engine, at, found(**after), ONE)
    assert (saved.outcome, list(saved.changes)) == ("changed", changes)
    with Session(engine) as session:
        prices = session.scalars(select(Price).order_by(Price.id)).all()
        kept = (prices[-1].price, prices[-1].currency, prices[-1].available)
        row = session.scalars(select(Listing)).one()
        assert kept == (row.price, row.currency, row.available)
        moved = {change.kind for change in changes} & {"price", "sold_out", "back_in_stock"}
        assert len(prices) == (2 if moved or changes == [Change("changed", "availability")] else 1)


@pytest.mark.parametrize(("photos", "says"), [
    ([ONE, TWO, THREE], "1 added"), ([ONE], "1 removed"), ([TWO, ONE], "in another order"),
    ([photo("other", ONE.source_url), TWO], "1 replaced"), ([ONE, photo("fourth")], "1 replaced"),
    ([photo("fourth"), photo("fifth"), TWO, THREE], "2 added"), ([], "2 removed"),
])
def test_photos_added_removed_and_replaced(stores: Stores, photos: list[object], says: str) -> None:
    engine, at = stores.database, shop(stores.database)
    save(engine, at, found(), ONE, TWO)
    saved = save(engine, at, found(), *photos)  # type: ignore[arg-type]
    if says == "2 added":  # one of the new ones stands where a former one stood
        says = "2 added, 1 replaced"
    assert [change for change in saved.changes if change.kind == "photos"] == [Change("photos", says)]
    with Session(engine) as session:
        rows = session.scalars(select(ProductPhoto).order_by(ProductPhoto.position)).all()
        assert [row.sha256 for row in rows] == [one.facts.sha256 for one in photos]  # type: ignore[attr-defined]


def test_a_listing_that_was_gone_returns(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    save(engine, at, found(), ONE)
    with Session(engine) as session, session.begin():
        session.scalars(select(Listing)).one().gone_at = now()
    assert save(engine, at, found(), ONE).changes == (Change("returned"),)
    assert save(engine, at, found(), ONE).outcome == "same"


def test_a_photos_validator_moves_without_a_change_and_is_never_forgotten(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    save(engine, at, found(), ONE)
    later = now()
    assert save(engine, at, found(), replace(ONE, validator='"v1"', checked_at=later)).outcome == "same"
    save(engine, at, found(title="Tavero High"), ONE)
    with Session(engine) as session:
        row = session.scalars(select(ProductPhoto)).one()
        assert (row.validator, row.checked_at) == ('"v1"', later)
