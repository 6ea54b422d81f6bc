"""What a crawl changed of a listing, each change in one line as the crawl's report shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Kind = Literal["new", "price", "sold_out", "back_in_stock", "photos", "changed", "returned"]


@dataclass(frozen=True)
class Change:
    """One thing that changed; `detail` is a line such as `129000 KRW → 99000 KRW`."""

    kind: Kind
    detail: str = ""


@dataclass(frozen=True)
class Shown:
    """What a listing shows at one moment, as far as two moments are compared."""

    title: str
    category: str
    price: Decimal | None
    list_price: Decimal | None
    currency: str
    available: bool | None
    sizes: dict[str, bool]
    gone: bool = False


@dataclass(frozen=True)
class Placed:
    """One photo of a listing: its bytes' name, and the address they came from."""

    sha256: str
    source_url: str


def amount(price: Decimal | None, currency: str) -> str:
    """`99000 KRW`, `99.50 USD`, or `unknown`."""
    if price is None:
        return "unknown"
    return f"{price:.{0 if price == price.to_integral_value() else 2}f} {currency}".rstrip()


def field_changes(before: Shown, after: Shown) -> list[Change]:
    """The changes between two moments, photos excepted; none if all that is compared stayed."""
    found: list[Change] = []
    if before.gone:
        found.append(Change("returned"))
    priced = (before.price, before.currency if before.price else "") != (after.price,
                                                                        after.currency if after.price else "")
    if priced:
        found.append(Change("price", f"{amount(before.price, before.currency)} → "
                                     f"{amount(after.price, after.currency)}"))
    turned = before.available != after.available
    stock = turned and (after.available is False or (before.available is False and after.available is True))
    if stock:
        found.append(Change("back_in_stock" if after.available else "sold_out"))
    other = {
        "title": before.title != after.title,
        "category": before.category != after.category,
        "list price": not priced and before.list_price != after.list_price,  # a sale is told by its price
        "availability": turned and not stock,
        "sizes": not stock and before.sizes != after.sizes,  # a shoe sold out is sold out in every size
    }
    if names := [name for name, changed in other.items() if changed]:
        found.append(Change("changed", ", ".join(names)))
    return found


def photo_changes(before: Sequence[Placed], after: Sequence[Placed]) -> list[Change]:
    """How the photos changed, as one change: added, removed, replaced (other bytes at the same address or place)."""
    if [photo.sha256 for photo in before] == [photo.sha256 for photo in after]:
        return []
    left = {photo.sha256: (place, photo.source_url) for place, photo in enumerate(before)}
    came = {photo.sha256: (place, photo.source_url) for place, photo in enumerate(after)}
    gone = {sha256: where for sha256, where in left.items() if sha256 not in came}
    came = {sha256: where for sha256, where in came.items() if sha256 not in left}
    replaced = 0
    for part in (1, 0):  # by address first: an address says more than a place
        for sha256, where in list(came.items()):
            match = next((old for old, was in gone.items() if was[part] == where[part] and where[part] != ""), None)
            if match is not None:
                del gone[match], came[sha256]
                replaced += 1
    counts = {"added": len(came), "removed": len(gone), "replaced": replaced}
    return [Change("photos", ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "in another order")]
