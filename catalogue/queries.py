"""Named read-only queries of the catalogue; each returns plain values or frozen dataclasses, never live rows."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from catalogue.identity import Codes, chosen
from catalogue.products_csv import ProductRow
from catalogue.tables import Listing, Model, Photo, Price, Product, ProductCode, ProductPhoto, Shop


@dataclass(frozen=True)
class Offer:
    """Where a product is sold. Price and availability are None where the shop does not say."""

    shop: str
    url: str
    price: Decimal | None
    currency: str
    available: bool | None
    sizes: dict[str, bool]


@dataclass(frozen=True)
class ProductCard:
    """What an answer shows of a product; `photos` are sha256 names, the first is the picture to show."""

    id: int
    brand: str
    name: str
    colour: str
    style_code: str
    shoe_type: str
    model_id: int | None
    model_name: str
    offers: tuple[Offer, ...]
    photos: tuple[str, ...]


@dataclass(frozen=True)
class ProductPhotoRow:
    """One photo of one product with what training and indexing need to know of both; `place` is where it stands among
    those that its shop shows, 0 the first, by the shop that shows it earliest."""

    product_id: int
    sha256: str
    dhash: str
    product_key: str
    model_key: str
    brand: str
    shoe_type: str
    place: int


def stats(session: Session) -> dict[str, int]:
    """Counts of shops, listings still sold, products and photos in use."""
    shown = select(func.count()).select_from(Product).where(Product.merged_into_id.is_(None), in_use())
    return {
        "shops": session.scalar(select(func.count()).select_from(Shop)) or 0,
        "listings": session.scalar(select(func.count()).select_from(Listing).where(Listing.gone_at.is_(None))) or 0,
        "products": session.scalar(shown) or 0,
        "photos": session.scalar(select(func.count(func.distinct(ProductPhoto.sha256)))) or 0,
        "models": session.scalar(select(func.count()).select_from(Model)) or 0,
        "prices": session.scalar(select(func.count()).select_from(Price)) or 0,
    }


def in_use() -> ColumnElement[bool]:
    """That a product has a listing or a photo: one that has lost all keeps its row, for the indexes that name it."""
    return or_(exists().where(ProductPhoto.product_id == Product.id), exists().where(Listing.product_id == Product.id))


def present_ids(session: Session, ids: Iterable[int]) -> dict[int, int]:
    """Each product id → the id it has now, after merges; products that are gone are left out."""
    now_at = {product_id: product_id for product_id in ids}
    waiting = set(now_at)
    here: set[int] = set()
    became: dict[int, int] = {}  # no circles: only a product that is none of the other's is ever merged into it
    while waiting:
        step: dict[int, int] = {}
        for some in portions(waiting):
            for number, into in session.execute(select(Product.id, Product.merged_into_id).where(
                    Product.id.in_(some), or_(Product.merged_into_id.is_not(None), in_use()))):
                if into is None:
                    here.add(number)
                else:
                    step[number] = into
        became.update(step)
        waiting = set(step.values()) - became.keys() - here
    for asked in now_at:
        while (into := became.get(now_at[asked])) is not None:
            now_at[asked] = into
    return {asked: present for asked, present in now_at.items() if present in here}


def product_cards(session: Session, ids: Iterable[int]) -> dict[int, ProductCard]:
    """The cards of these products by the id asked for, in a few statements however many are asked for.

    A product that was merged away answers with the card (and id) of what it became; unknown and gone ones are left out.
    """
    present = present_ids(session, ids)
    cards: dict[int, ProductCard] = {}
    for some in portions(set(present.values())):
        cards.update(_cards(session, some))
    return {asked: cards[number] for asked, number in present.items() if number in cards}


def portions(names: Iterable[Any], at_once: int = 1000) -> Iterator[list[Any]]:
    """The names sorted and in lists short enough for one statement on either database."""
    ordered = sorted(names)
    for start in range(0, len(ordered), at_once):
        yield ordered[start:start + at_once]


def _cards(session: Session, wanted: list[int]) -> dict[int, ProductCard]:
    offers: dict[int, list[Offer]] = defaultdict(list)
    for product_id, shop, listing in session.execute(
            select(Listing.product_id, Shop.name, Listing).join(Shop)
            .where(Listing.product_id.in_(wanted), Listing.gone_at.is_(None)).order_by(Listing.id)):
        offers[product_id].append(Offer(shop, listing.url, listing.price, listing.currency, listing.available,
                                        dict(listing.sizes)))
    photos: dict[int, dict[str, None]] = defaultdict(dict)
    for product_id, sha256 in session.execute(
            select(ProductPhoto.product_id, ProductPhoto.sha256).where(ProductPhoto.product_id.in_(wanted))
            .order_by(ProductPhoto.position, ProductPhoto.id)):
        photos[product_id][sha256] = None
    return {product.id: ProductCard(product.id, product.brand, product.name, product.colour, product.style_code,
                                    product.shoe_type, product.model_id, model_name or "",
                                    tuple(offers[product.id]), tuple(photos[product.id]))
            for product, model_name in session.execute(
                select(Product, Model.name).outerjoin(Model).where(Product.id.in_(wanted)))}


def product_photos(session: Session) -> list[ProductPhotoRow]:
    """Every distinct (product, photo) pair of the catalogue, in a stable order."""
    columns = (Product.id, Photo.sha256, Photo.dhash, Product.key, Model.key, Product.brand, Product.shoe_type)
    rows = session.execute(
        select(*columns, func.min(ProductPhoto.position))
        .join(ProductPhoto, ProductPhoto.product_id == Product.id)
        .join(Photo, Photo.sha256 == ProductPhoto.sha256)
        .outerjoin(Model, Model.id == Product.model_id)
        .group_by(*columns).order_by(Product.id, Photo.sha256))
    return [ProductPhotoRow(pid, sha, dhash, key, model or key, brand, shoe_type, place)
            for pid, sha, dhash, key, model, brand, shoe_type, place in rows]


def products_by_codes(session: Session, wanted: Sequence[Codes]) -> dict[Codes, int]:
    """The product that each of these would be found to be today; those that are none are left out."""
    known: dict[str, tuple[int, bool]] = {}
    for some in portions({code for codes in wanted for code in codes.all()}):
        for row in session.scalars(select(ProductCode).where(ProductCode.code.in_(some))):
            known[row.code] = (row.product_id, row.decided)
    found = {codes: product for codes in wanted if (product := chosen(codes, known)) is not None}
    present = present_ids(session, found.values())
    return {codes: present[product] for codes, product in found.items() if product in present}


def catalogue_rows(session: Session) -> Iterator[tuple[ProductRow, list[Photo]]]:
    """Each product with its photos, as a `products.csv` has them; a product always has the same slug."""
    for product, model_key in session.execute(
            select(Product, Model.key).outerjoin(Model).where(Product.merged_into_id.is_(None), in_use())
            .order_by(Product.id)).all():
        photos = list(session.scalars(
            select(Photo).join(ProductPhoto, ProductPhoto.sha256 == Photo.sha256)
            .where(ProductPhoto.product_id == product.id).group_by(Photo.sha256)
            .order_by(func.min(ProductPhoto.position), Photo.sha256)))
        offer = session.scalars(select(Listing).where(Listing.product_id == product.id, Listing.price.is_not(None))
                                .order_by(Listing.gone_at.is_not(None), Listing.id).limit(1)).first()
        price = f"{offer.price} {offer.currency}".strip() if offer else ""
        yield ProductRow(set="catalogue", slug=_slug(product), brand=product.brand, name=product.name,
                         price=price, colour=product.colour, sku=product.style_code, model_group=model_key or "",
                         shoe_type=product.shoe_type, kind="", n_images=str(len(photos))), photos


def _slug(product: Product) -> str:
    """A product's folder in an export. Every catalogue has a product 1, and whoever imports the exports of two must not
    take them for one: when and as what a product was made never changes, and no other catalogue's agrees in both."""
    made = f"{product.key} {product.created_at.astimezone(UTC).isoformat()}"
    return f"product-{product.id}-{hashlib.sha256(made.encode()).hexdigest()[:8]}"
