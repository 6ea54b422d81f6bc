"""A crawled product page becomes rows: listing, product, photos and price history, in the caller's transaction."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalogue.identity import find_or_add_model, find_or_add_product, product_key
from catalogue.photos import PhotoFacts
from catalogue.tables import Listing, Photo, Price, Product, ProductPhoto, now

Outcome = Literal["new", "changed", "same"]


@dataclass(frozen=True)
class FoundListing:
    """What one product page says. Unknown text is empty, unknown price or availability is None (never 0 or False).

    `group` is the shop's identifier of the model, `gtins` those of the colourway's sizes, `list_price` a struck-out
    price above `price`, `category` the breadcrumb (`Women > Boots`). `sizes` maps a size to whether it can be bought,
    `sources` a field to where it was found (`json-ld`, `opengraph`, …).
    """

    url: str
    title: str
    brand: str = ""
    model_name: str = ""
    group: str = ""
    colour: str = ""
    style_code: str = ""
    gtins: tuple[str, ...] = ()
    shoe_type: str = ""
    category: str = ""
    price: Decimal | None = None
    list_price: Decimal | None = None
    currency: str = ""
    available: bool | None = None
    sizes: dict[str, bool] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.url or not self.title:
            raise ValueError("a listing needs an address and a title")
        if self.price is not None and self.price <= 0:
            raise ValueError(f"price {self.price} of {self.url}: unknown is None, never 0")


@dataclass(frozen=True)
class FoundPhoto:
    """A stored photo of a listing and the address it came from."""

    facts: PhotoFacts
    source_url: str


def content_hash(found: FoundListing, photos: Sequence[FoundPhoto]) -> str:
    """sha256 over the extracted fields and photo hashes: our own word on whether a listing changed."""
    fields: dict[str, Any] = asdict(found)
    fields.pop("sources")
    fields["photos"] = [photo.facts.sha256 for photo in photos]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def save_listing(session: Session, shop_id: int, found: FoundListing, photos: Sequence[FoundPhoto]) -> Outcome:
    """Insert or update one listing with its product, photo links and price history; say what it was."""
    listing = session.scalar(select(Listing).where(Listing.shop_id == shop_id, Listing.url == found.url))
    digest = content_hash(found, photos)
    if listing is not None and listing.content_hash == digest and listing.gone_at is None:
        listing.last_seen, listing.missed = now(), 0
        return "same"
    product = _product_of(session, shop_id, found)
    outcome: Outcome = "changed"
    if listing is None:
        outcome = "new"
        listing = Listing(shop_id=shop_id, url=found.url, product_id=product.id)
        session.add(listing)
    price_changed = outcome == "new" or (listing.price, listing.currency, listing.available) != (
        found.price, found.currency, found.available)
    listing.product_id = product.id
    listing.title, listing.price, listing.currency = found.title, found.price, found.currency
    listing.list_price, listing.category = found.list_price, found.category
    listing.available, listing.sizes, listing.sources = found.available, dict(found.sizes), dict(found.sources)
    listing.content_hash, listing.gone_at, listing.missed = digest, None, 0
    listing.last_seen = listing.last_changed = now()
    session.flush()
    if price_changed:
        session.add(Price(listing_id=listing.id, price=found.price, currency=found.currency,
                          available=found.available))
    _replace_photos(session, listing, photos)
    return outcome


def add_photo(session: Session, found: PhotoFacts) -> None:
    """Make sure the photo has its row."""
    if session.get(Photo, found.sha256) is None:
        session.add(Photo(**asdict(found)))
        session.flush()


def _product_of(session: Session, shop_id: int, found: FoundListing) -> Product:
    key = product_key(found.brand, found.style_code, "".join(found.gtins[:1]), f"listing:{shop_id}:{found.url}")
    model = find_or_add_model(session, found.brand, found.group, found.model_name or found.title)
    return find_or_add_product(session, key, brand=found.brand, name=found.title, colour=found.colour,
                               style_code=found.style_code, gtin="".join(found.gtins[:1]), shoe_type=found.shoe_type, model=model)


def _replace_photos(session: Session, listing: Listing, photos: Sequence[FoundPhoto]) -> None:
    session.execute(delete(ProductPhoto).where(ProductPhoto.listing_id == listing.id))
    placed: set[str] = set()
    for photo in photos:
        if photo.facts.sha256 in placed:
            continue
        add_photo(session, photo.facts)
        session.add(ProductPhoto(product_id=listing.product_id, sha256=photo.facts.sha256, reason="listing",
                                 origin=f"listing:{listing.id}", listing_id=listing.id, position=len(placed),
                                 source_url=photo.source_url))
        placed.add(photo.facts.sha256)
    session.flush()
