"""Identities of gallery items, each (product, photo) pair a number for ever, and what the catalogue says of them now.

An item never moves to another product. Where a product was merged into another, its items show that other one: an
item is removed when no row of `product_photos` says that its photo shows the product which its own one is now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from catalogue.queries import portions
from catalogue.tables import GalleryItem, Model, Product, ProductPhoto, now

_ANY_ITEM = select(GalleryItem.id).where(GalleryItem.product_id.in_(bindparam("products", expanding=True))).limit(1)
_MERGED = select(Product.id, Product.merged_into_id).where(Product.merged_into_id.is_not(None))


@dataclass(frozen=True)
class ProductFacts:
    """What a search must know of a product: its key, its brand, and its model's key (empty where none is known)."""

    key: str
    brand: str
    model: str


@dataclass(frozen=True)
class GalleryState:
    """What the catalogue said at one moment: removed item ids, merged product ids → what they are now, all facts."""

    removed: frozenset[int]
    became: Mapping[int, int]
    products: Mapping[int, ProductFacts]


@dataclass(frozen=True)
class StateMark:
    """Changes whenever removals, merges, models or brands do: comparing two is cheaper than reading the state twice.

    A product's brand is only ever filled in, so the number of products that have one (`branded`) tells.
    """

    removed: int
    removed_last: datetime | None
    products: int
    merged: int
    merged_sum: int
    models_sum: int
    branded: int


def register(session: Session, pairs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the gallery-item id of each (product id, photo sha256), making those that are new."""
    wanted = list(dict.fromkeys(pairs))
    products = {product for product, _ in wanted}
    known = _known(session, products)
    fresh = [{"product_id": product, "sha256": sha256} for product, sha256 in wanted if (product, sha256) not in known]
    if fresh:
        # A build and an addition may name the same items at the same moment: the second takes the first's numbers.
        insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        session.execute(insert(GalleryItem).on_conflict_do_nothing(), fresh)
        known = _known(session, products)
    return {pair: known[pair] for pair in wanted}


def note_changes(session: Session, product_ids: Iterable[int] | None = None) -> None:
    """Mark the products' items whose photo no longer shows the product as removed, and unmark those that are back.

    Call it in the transaction that changed the products' photos, or merged them or took them apart (with both ids).
    Without ids all items are looked at.
    """
    session.flush()
    became = merged(session)
    if product_ids is None:
        _mark(session, GalleryItem.product_id.not_in(became) if became else GalleryItem.id > 0, GalleryItem.product_id)
        touched = set(became)
    else:
        wanted = set(product_ids)
        touched = {product for product, present in became.items() if product in wanted or present in wanted}
        if not _any_items(session, wanted | touched):
            return  # as for every product that no index holds yet
        for some in portions(wanted - touched):
            _mark(session, GalleryItem.product_id.in_(some), GalleryItem.product_id)
    for product in sorted(touched):
        _mark(session, GalleryItem.product_id == product, became[product])


def read_state(session: Session) -> GalleryState:
    """What the catalogue says now; the facts of every product, so for changes only (see `state_mark`)."""
    rows = session.execute(select(Product.id, Product.key, Product.brand, Model.key)
                           .outerjoin(Model, Model.id == Product.model_id))
    # A model is known where it is not just the product's own key.
    facts = {number: ProductFacts(key, brand, model if model and model != key else "")
             for number, key, brand, model in rows}
    return GalleryState(removed_ids(session), merged(session), facts)


def state_mark(session: Session) -> StateMark:
    """A cheap sign of the state, to poll."""
    removed = session.execute(select(func.count(), func.max(GalleryItem.removed_at))
                              .where(GalleryItem.removed_at.is_not(None))).one()
    products = session.execute(select(func.count(), func.count(Product.merged_into_id),
                                      func.coalesce(func.sum(Product.merged_into_id), 0),
                                      func.coalesce(func.sum(Product.model_id), 0),
                                      func.count(func.nullif(Product.brand, "")))).one()
    return StateMark(removed[0], removed[1], products[0], products[1], int(products[2] or 0), int(products[3] or 0),
                     products[4])


def removed_ids(session: Session) -> frozenset[int]:
    """The ids of all removed items."""
    return frozenset(session.scalars(select(GalleryItem.id).where(GalleryItem.removed_at.is_not(None))))


def merged(session: Session) -> dict[int, int]:
    """Every product that was merged into another → the product it is now, however long the chain."""
    steps = {number: into for number, into in session.connection().execute(_MERGED) if into is not None}
    return {number: _end(steps, number) for number in steps}


def any_removed(session: Session, items: Iterable[int]) -> bool:
    """Whether any of these items was removed: a few rows read by their primary key, for every request to ask."""
    removed = select(GalleryItem.id).where(GalleryItem.removed_at.is_not(None)).limit(1)
    return any(session.scalar(removed.where(GalleryItem.id.in_(some))) is not None for some in portions(items))


def _mark(session: Session, mine: ColumnElement[bool], product: object) -> None:
    backed = exists().where(ProductPhoto.product_id == product, ProductPhoto.sha256 == GalleryItem.sha256)
    for condition, value in ((GalleryItem.removed_at.is_(None) & ~backed, now()),
                             (GalleryItem.removed_at.is_not(None) & backed, None)):
        session.execute(update(GalleryItem).where(mine, condition).values(removed_at=value)
                        .execution_options(synchronize_session=False))


def _any_items(session: Session, products: Iterable[int]) -> bool:
    connection = session.connection()
    return any(connection.scalar(_ANY_ITEM, {"products": some}) is not None for some in portions(products))


def _end(steps: Mapping[int, int], number: int) -> int:
    seen = {number}
    while number in steps and steps[number] not in seen:
        number = steps[number]
        seen.add(number)
    return number


def _known(session: Session, products: set[int]) -> dict[tuple[int, str], int]:
    statement = select(GalleryItem.product_id, GalleryItem.sha256, GalleryItem.id).where(GalleryItem.box == "")
    return {(product, sha256): number for some in portions(products) for product, sha256, number
            in session.execute(statement.where(GalleryItem.product_id.in_(some)))}
