"""A crawled product page becomes rows: listing, product, photos and price history, in the caller's transaction."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from catalogue.changes import Change, Placed, Shown, amount, field_changes, photo_changes
from catalogue.gallery_items import note_changes
from catalogue.identity import Described, find_or_add_model, find_or_add_product, listing_code, shop_group
from catalogue.photos import PhotoFacts
from catalogue.tables import Listing, Photo, Price, Product, ProductPhoto, now

Outcome = Literal["new", "changed", "same"]
# Statements of every listing, made once: building one costs more than running it.
_KNOWN_PHOTOS = select(Photo.sha256).where(Photo.sha256.in_(bindparam("names", expanding=True)))
_PHOTO, _PRODUCT_PHOTO, _PRICE = insert(Photo), insert(ProductPhoto), insert(Price)


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
    """A stored photo of a listing and the address it came from.

    `validator` is the ETag or Last-Modified that came with its bytes, `checked_at` when they were last asked for;
    left out, what is known of the photo stays.
    """

    facts: PhotoFacts
    source_url: str
    validator: str = ""
    checked_at: datetime | None = None


@dataclass(frozen=True)
class Saved:
    """What saving a listing came to: the rows it is in, and one entry for each thing that changed."""

    outcome: Outcome
    listing_id: int
    product_id: int
    changes: tuple[Change, ...] = ()


def content_hash(found: FoundListing, photos: Sequence[FoundPhoto]) -> str:
    """sha256 over the extracted fields and photo hashes: our own word on whether a listing changed."""
    fields: dict[str, Any] = asdict(found)
    fields.pop("sources")
    fields["photos"] = [photo.facts.sha256 for photo in photos]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def save_listing(session: Session, shop_id: int, found: FoundListing, photos: Sequence[FoundPhoto]) -> Saved:
    """Insert or update one listing with its product, photo links and price history; say what that changed."""
    once: dict[str, FoundPhoto] = {}
    for photo in photos:
        once.setdefault(photo.facts.sha256, photo)
    photos = list(once.values())
    listing = session.scalar(select(Listing).where(Listing.shop_id == shop_id, Listing.url == found.url))
    digest = content_hash(found, photos)
    if listing is not None and listing.content_hash == digest and listing.gone_at is None:
        listing.last_seen, listing.missed = now(), 0
        _place_photos(session, listing, photos)
        return Saved("same", listing.id, listing.product_id)
    product = _product_of(session, shop_id, found, listing.product_id if listing is not None else None)
    before = None if listing is None else _shown(listing)
    reread = listing is not None and not listing.content_hash  # a split asked for its facts again
    if listing is None:
        listing = Listing(shop_id=shop_id, url=found.url, product_id=product.id)
        session.add(listing)
    _write(listing, found, product.id, digest)
    session.flush()
    after = _shown(listing)
    if before is None or (before.price, before.currency, before.available) != (
            after.price, after.currency, after.available):
        session.connection().execute(_PRICE, {"listing_id": listing.id, "price": after.price,
                                              "currency": after.currency, "available": after.available})
    moved = _place_photos(session, listing, photos, new=before is None)
    if before is None:
        says = f"{amount(after.price, after.currency)}, {len(photos)} photos"
        return Saved("new", listing.id, product.id, (Change("new", says),))
    changes = (*field_changes(before, after), *moved)
    if not changes and reread:
        return Saved("same", listing.id, product.id)
    return Saved("changed", listing.id, product.id, changes or (Change("changed", "other details"),))


def _shown(listing: Listing) -> Shown:
    return Shown(listing.title, listing.category, listing.price, listing.list_price, listing.currency,
                 listing.available, dict(listing.sizes), listing.gone_at is not None)


def _hundredths(price: Decimal | None) -> Decimal | None:
    """The price as its column keeps it, so that reading it back is no change."""
    return price.quantize(Decimal("0.01")) if price is not None else None


def _write(listing: Listing, found: FoundListing, product_id: int, digest: str) -> None:
    listing.product_id = product_id
    listing.title, listing.price, listing.currency = found.title, _hundredths(found.price), found.currency
    listing.list_price, listing.category = _hundredths(found.list_price), found.category
    listing.available, listing.sizes, listing.sources = found.available, dict(found.sizes), dict(found.sources)
    listing.content_hash, listing.gone_at, listing.missed = digest, None, 0
    listing.last_seen = listing.last_changed = now()


def add_photos(session: Session, found: Sequence[PhotoFacts]) -> None:
    """Make sure the photos have their rows."""
    wanted = {facts.sha256: facts for facts in found}
    connection = session.connection()
    known = set(connection.scalars(_KNOWN_PHOTOS, {"names": list(wanted)})) if wanted else set()
    fresh = [asdict(facts) for name, facts in wanted.items() if name not in known]
    if fresh:
        connection.execute(_PHOTO, fresh)


def _product_of(session: Session, shop_id: int, found: FoundListing, present: int | None) -> Product:
    model = find_or_add_model(session, found.brand, shop_group(shop_id, found.group), found.model_name or found.title)
    said = Described(found.brand, found.title, found.colour, found.style_code, found.gtins, found.shoe_type, model)
    return find_or_add_product(session, listing_code(shop_id, found.url), said, present)


def _place_photos(session: Session, listing: Listing, photos: Sequence[FoundPhoto], new: bool = False) -> list[Change]:
    """Make the listing's photo rows what was found, touching only those that differ; says how the photos changed.

    A `new` listing has none yet.
    """
    rows = [] if new else list(session.scalars(select(ProductPhoto).where(ProductPhoto.listing_id == listing.id)
                                               .order_by(ProductPhoto.position)))
    before = [Placed(row.sha256, row.source_url) for row in rows]
    had = {row.sha256: row for row in rows}
    touched = {row.product_id for row in rows if row.product_id != listing.product_id}
    add_photos(session, [photo.facts for photo in photos if photo.facts.sha256 not in had])
    fresh = []
    for position, photo in enumerate(photos):
        row = had.pop(photo.facts.sha256, None)
        if row is None:
            fresh.append({"product_id": listing.product_id, "sha256": photo.facts.sha256, "reason": "listing",
                          "origin": f"listing:{listing.id}", "listing_id": listing.id, "position": position,
                          "source_url": photo.source_url, "validator": photo.validator[:300],
                          "checked_at": photo.checked_at})
            touched.add(listing.product_id)
            continue
        row.product_id, row.position, row.source_url = listing.product_id, position, photo.source_url
        row.validator = photo.validator[:300] or row.validator or ""
        row.checked_at = photo.checked_at or row.checked_at
    for row in had.values():
        session.delete(row)
        touched.add(row.product_id)
    session.flush()
    if fresh:
        session.connection().execute(_PRODUCT_PHOTO, fresh)
    if touched:
        note_changes(session, touched | {listing.product_id})
    return photo_changes(before, [Placed(photo.facts.sha256, photo.source_url) for photo in photos])
