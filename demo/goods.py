"""What the demo shop sells: the rows of a products.csv, with sizes and stock that are the same at every start."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catalogue.products_csv import ProductRow, photo_paths, read_products

WITHOUT_PHOTOS = ProductRow(
    set="extra",
    slug="unphotographed-runner",
    brand="Norrvik",
    name="Ghost Runner",
    price="119000 KRW",
    colour="white",
    sku="NK-0000-100",
    shoe_type="runner",
    kind="extra",
)
_CURRENCY_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "₩": "KRW", "¥": "JPY"}


@dataclass(frozen=True)
class Good:
    """One shoe in one colourway as the shop sells it. `price` is the bare number as text, empty if it is not told."""

    slug: str
    name: str
    brand: str
    colour: str
    sku: str
    model_group: str
    category: str
    price: str
    currency: str
    sizes: tuple[tuple[str, bool], ...]
    photos: tuple[Path, ...]

    @property
    def available(self) -> bool:
        """Whether any size is in stock."""
        return any(there for _, there in self.sizes)


def read_goods(folder: Path, sets: Sequence[str] = (), extras: bool = False) -> list[Good]:
    """The goods of `folder/products.csv`, in its order; `extras` adds one shoe that nobody has photographed.

    The fourth shoe is sold out in every size. Raises `BadInput` for a folder without a products.csv.
    """
    rows = [row for row in read_products(folder) if not sets or row.set in sets]
    if extras:
        rows.append(WITHOUT_PHOTOS)
    taken: set[str] = set()
    goods = []
    for number, row in enumerate(rows):
        slug = _address(row.slug)
        slug = slug if slug not in taken else f"{slug}-{_address(row.set)}"
        while slug in taken:
            slug += "-x"
        taken.add(slug)
        goods.append(_good(row, slug, tuple(photo_paths(folder, row)), sold_out=number == 3))
    return goods


def _good(row: ProductRow, slug: str, photos: tuple[Path, ...], sold_out: bool) -> Good:
    price, currency = price_of(row.price)
    draw = hashlib.sha256(f"{row.set}/{row.slug}".encode()).digest()
    sizes = tuple((str(220 + 10 * step), not sold_out and draw[step] > 70) for step in range(8))
    if not sold_out and not any(there for _, there in sizes):
        sizes = (("220", True), *sizes[1:])
    return Good(
        slug,
        row.name or row.slug,
        row.brand,
        row.colour,
        row.sku,
        row.model_group,
        row.shoe_type or "shoes",
        price,
        currency,
        sizes,
        photos,
    )


def price_of(text: str) -> tuple[str, str]:
    """Split `129000 KRW`, `$75.00 USD` or `10000000 VND` into amount and currency, both empty if there is none."""
    number = re.search(r"\d[\d,]*(\.\d+)?", text)
    if number is None or not float(number[0].replace(",", "")):
        return "", ""
    code = re.search(r"\b[A-Z]{3}\b", text)
    sign = next((sign for sign in _CURRENCY_SIGNS if sign in text), "₩")
    return number[0].replace(",", ""), code[0] if code else _CURRENCY_SIGNS[sign]


def _address(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name.lower()).strip("-") or "shoe"
