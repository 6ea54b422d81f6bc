"""Shops, listings and photos put straight into a catalogue, as a crawl would bring them."""

import hashlib
import os
import time
from decimal import Decimal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.listings import FoundListing, FoundPhoto, Saved, save_listing
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.tables import Product, ProductPhoto, Shop
from tests.conftest import encoded, picture


def shop(engine: Engine, name: str = "Runa") -> int:
    """The id of a shop of that name, made if need be."""
    with Session(engine) as session, session.begin():
        row = session.scalar(select(Shop).where(Shop.name == name))
        if row is None:
            row = Shop(name=name, url=f"https://{name.lower()}.example/")
            session.add(row)
            session.flush()
        return row.id


def found(url: str = "a", **said: object) -> FoundListing:
    """A listing; `url` is completed, what is not said is a price of 129000 KRW in stock."""
    url = url if "//" in url else f"https://runa.example/{url}"
    return FoundListing(**{"url": url, "title": "Tavero Low", "brand": "Tavero", "price": Decimal("129000"),
                           "currency": "KRW", "available": True, **said})  # type: ignore[arg-type]


def photo(name: str, url: str = "", **more: object) -> FoundPhoto:
    """A photo without bytes."""
    facts = PhotoFacts(hashlib.sha256(name.encode()).hexdigest(), "JPEG", 800, 600, 1000, "0" * 16)
    return FoundPhoto(facts, url or f"https://runa.example/{name}.jpg", **more)  # type: ignore[arg-type]


def stored(store: PhotoStore, seed: int) -> FoundPhoto:
    """A photo with bytes in the store."""
    return FoundPhoto(store.put(encoded(picture(seed))), f"https://runa.example/{seed}.jpg")


def age(store: PhotoStore, *names: str, days: float = 2) -> None:
    """Make the stored photos look as if they had been stored that long ago."""
    then = time.time() - days * 86400
    for name in names:
        os.utime(store.path(name), (then, then))


def save(engine: Engine, shop_id: int, listing: FoundListing, *photos: FoundPhoto) -> Saved:
    """Save in a transaction of its own."""
    with Session(engine) as session, session.begin():
        return save_listing(session, shop_id, listing, photos)


def product(engine: Engine, product_id: int) -> Product:
    """The product's row."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Product, product_id)


def shown(engine: Engine) -> set[tuple[int, str]]:
    """Every (product, photo) pair."""
    with Session(engine) as session:
        return {(row.product_id, row.sha256) for row in session.scalars(select(ProductPhoto))}
