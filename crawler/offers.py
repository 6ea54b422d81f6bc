"""The `offers` of a JSON-LD product: what it costs now, whether it can be bought, and in which sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crawler.facts import clean, currency_code, money

_CAN_BUY = {"instock", "limitedavailability", "onlineonly", "instoreonly", "preorder", "presale", "backorder",
            "madetoorder", "available"}
_CANNOT_BUY = {"outofstock", "soldout", "discontinued", "reserved", "unavailable", "oos"}
_FORMER_PRICES = ("listprice", "msrp", "srp", "strikethroughprice", "regularprice")


@dataclass(frozen=True)
class Sale:
    """What a product's offers come to; None and empty where they do not say."""

    price: Decimal | None = None
    list_price: Decimal | None = None
    currency: str = ""
    available: bool | None = None
    sizes: dict[str, bool] = field(default_factory=dict)


def sale_of(offers: Any, size: str = "") -> Sale:
    """Read `offers` as an object, a list or an AggregateOffer; `size` is that of the variant they belong to."""
    sales = [_single(offer, size) for offer in _flat(offers, 0)]
    return together(sales)


def together(sales: Sequence[Sale]) -> Sale:
    """Several offers of one product as one: the lowest price that can be bought, available if any is."""
    told = [sale.available for sale in sales if sale.available is not None]
    priced = [sale for sale in sales if sale.price is not None]
    buyable = [sale for sale in priced if sale.available is not False] or priced
    best = min(buyable, key=lambda sale: sale.price or Decimal(0), default=Sale())
    sizes: dict[str, bool] = {}
    for sale in sales:
        for size, there in sale.sizes.items():
            sizes[size] = sizes.get(size, False) or there
    return Sale(best.price, best.list_price, best.currency, any(told) if told else None, sizes)


def availability(value: Any) -> bool | None:
    """Read `https://schema.org/InStock`, `http://…`, `InStock`, `in stock` or a list of them; None if unknown."""
    for item in many(value):
        word = clean(item.get("@id") or item.get("name") if isinstance(item, dict) else item)
        word = "".join(letter for letter in word.rstrip("/").rpartition("/")[2].lower() if letter.isalpha())
        if word in _CAN_BUY or word in _CANNOT_BUY:
            return word in _CAN_BUY
    return None


def size_text(value: Any) -> str:
    """A size given as text, number, SizeSpecification or QuantitativeValue."""
    for item in many(value):
        if isinstance(item, dict):
            item = item.get("name") or item.get("value")
        if text := clean(item, 40):
            return text
    return ""


def many(value: Any) -> list[Any]:
    """A value that may be missing, alone or in a list, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _flat(offers: Any, depth: int) -> Iterator[dict[str, Any]]:
    for offer in many(offers):
        if not isinstance(offer, dict):
            continue
        inner = [one for one in many(offer.get("offers")) if isinstance(one, dict)]
        if inner and depth < 3:
            # An AggregateOffer repeats what its parts say, save where they say nothing.
            shared = {name: offer[name] for name in ("priceCurrency", "availability") if name in offer}
            for one in _flat(inner, depth + 1):
                yield {**shared, **one}
        else:
            yield offer


def _single(offer: dict[str, Any], size: str) -> Sale:
    item = offer.get("itemOffered")
    size = size_text(offer.get("size")) or (size_text(item.get("size")) if isinstance(item, dict) else "") or size
    specifications = [one for one in many(offer.get("priceSpecification")) if isinstance(one, dict)]
    former = [one for one in specifications if clean(one.get("priceType")).lower().endswith(_FORMER_PRICES)]
    specification = next((one for one in specifications if one not in former), {})
    # A property that stands twice, for machines and for people or for two layouts, is a list.
    currency = next((code for told in (offer, specification) for one in many(told.get("priceCurrency"))
                     if (code := currency_code(one))), "")
    price = next((amount for told in (offer.get("price"), offer.get("lowPrice"), specification.get("price"),
                                      specification.get("minPrice"))
                  for value in many(told) if (amount := money(value, currency)) is not None), None)
    available = availability(offer.get("availability"))
    listed = [amount for one in former for value in many(one.get("price"))
              if (amount := money(value, currency)) is not None]
    return Sale(price, max(listed, default=None), currency if price is not None else "", available,
                {size: available is not False} if size else {})
