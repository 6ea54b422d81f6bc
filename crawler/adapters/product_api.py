"""Any JSON or GraphQL product API, read by the paths that the shop's settings name."""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

from catalogue.errors import FetchFailed
from crawler.adapters.answers import json_of, not_listings, words
from crawler.adapters.colourways import Variant, colourways, exact
from crawler.adapters.entries import AdapterPage, Entry, Following
from crawler.facts import Facts, currency_code, gtin, money
from crawler.links import absolute, page_link
from crawler.offers import availability, many
from crawler.shop_settings import ProductApi

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


def first_address(api: ProductApi) -> str:
    """The first page of the API."""
    return _address(api, page=api.first, offset=0, cursor="")


def read_api(body: bytes, url: str, shop_url: str, api: ProductApi, currency: str) -> AdapterPage:
    """One page of items; `currency` is for answers that name none."""
    data = json_of(body, url)
    found = list(_at(data, api.items))
    if not found and data:
        raise FetchFailed(f"{url} has nothing at {api.items!r}; check the setting api.items of the shop")
    items = [item for one in found for item in many(one)]
    entries: list[Entry] = []
    unread = 0
    for item in items:
        read = _item(item, shop_url, api, currency)
        entries += read
        unread += not read
    problem = not_listings(unread, len(items), "items")
    next_url, lost = _next(data, url, api, len(items))
    return AdapterPage(tuple(entries), (Following(next_url),) if next_url else (), problem or lost)


def _next(data: Any, url: str, api: ProductApi, here: int) -> tuple[str, str]:
    """The next page's address, empty after the last; and what keeps it from being known."""
    if "{cursor}" in api.url:
        cursor = next((text for value in _at(data, api.cursor) if (text := words(value, 2000))), "") if here else ""
        return (_address(api, page=api.first, offset=0, cursor=cursor) if cursor else ""), ""
    name, step = ("page", 1) if "{page}" in api.url else ("offset", api.per_page)
    if f"{{{name}}}" not in api.url or not here:
        return "", ""
    # Addresses are spelled anew on their way, so both are compared unquoted.
    parts = [re.escape(unquote(part)) for part in api.url.split(f"{{{name}}}")]
    match = re.search(parts[0] + r"(\d{1,12})" + r"\1".join(parts[1:]), unquote(url))
    if match is None:
        return "", f"{url} does not look like the setting api.url, so its next page is not known"
    place = int(match[1]) + step
    return _address(api, page=place, offset=place, cursor=""), ""


def _address(api: ProductApi, page: int, offset: int, cursor: str) -> str:
    # GraphQL queries are full of braces, so the marks are replaced one by one.
    return api.url.replace("{page}", str(page)).replace("{offset}", str(offset)).replace(
        "{cursor}", quote(cursor, safe=""))


def _item(item: Any, shop_url: str, api: ProductApi, currency: str) -> list[Entry]:
    url = _page(item, shop_url, api)
    title = _text(item, api.fields, "title")
    if not url or not title:
        return []
    own = _variant(item, api.fields, shop_url, api, currency)
    variants = [_filled(_variant(one, api.variant_fields, shop_url, api, currency), own)
                for found in _at(item, api.variants) for one in many(found)] if api.variants else []
    group, model = (_text(item, api.fields, name, 200) for name in ("group", "model_name"))
    whole = Facts(source="api", title=title, brand=_text(item, api.fields, "brand", 200),
                  group=words(_one(item, "id"), 200), shoe_type=_text(item, api.fields, "shoe_type", 50),
                  category=_category(item, api), style_code=own.mpn, colour=own.colour, images=own.images)
    # An item's own id is a group only of its colours; a model that is named may have other items' colours too.
    return [Entry(one.url, replace(one.facts, group=group or one.facts.group, model_name=model or one.facts.model_name))
            for one in colourways(url, whole, variants or _sizes(item, api, own))]


def _filled(variant: Variant, own: Variant) -> Variant:
    """A variant with what only its product tells: price, availability and colour, but no code."""
    return replace(
        variant, colour=variant.colour or own.colour, currency=variant.currency or own.currency,
        price=own.price if variant.price is None else variant.price,
        list_price=own.list_price if variant.price is None else variant.list_price,
        available=own.available if variant.available is None else variant.available)


def _variant(item: Any, paths: dict[str, str], shop_url: str, api: ProductApi, currency: str) -> Variant:
    named = currency_code(_text(item, paths, "currency")) or currency
    images = (words(value, 1000) for value in _values(item, paths, "images"))
    return Variant(
        colour=_text(item, paths, "colour", 200), size=_text(item, paths, "sizes", 40),
        price=_price(item, paths, "price", api, named), list_price=_price(item, paths, "list_price", api, named),
        currency=named, available=_flag(_one(item, paths.get("available", ""))),
        mpn=_text(item, paths, "style_code"), gtin=gtin(_text(item, paths, "gtin")),
        images=tuple(dict.fromkeys(link for image in images if (link := absolute(shop_url, image)))))


def _sizes(item: Any, api: ProductApi, own: Variant) -> list[Variant]:
    """An item without variants: its sizes where it lists them, each with its own stock if that is listed beside."""
    sizes = [text for value in _values(item, api.fields, "sizes") if (text := words(value, 40))]
    stock = [_flag(value) for value in _values(item, api.fields, "available")]
    if len(stock) != len(sizes):
        stock = [own.available] * len(sizes)
    return [replace(own, size=size, available=there) for size, there in zip(sizes, stock, strict=True)] or [own]


def _page(item: Any, shop_url: str, api: ProductApi) -> str:
    """The listing's page: the item's own address, or the setting `page_url` with its braces filled in."""
    own = _text(item, api.fields, "url", 1000)
    if not api.page_url:
        return page_link(shop_url, own) if own else ""
    missing = False

    def filled(mark: re.Match[str]) -> str:
        nonlocal missing
        text = _text(item, api.fields, mark[1], 1000) or words(_one(item, mark[1]), 1000)
        missing = missing or not text
        return quote(text, safe="/-._~%")

    url = re.sub(r"\{([^{}]+)\}", filled, api.page_url)
    return "" if missing else page_link(shop_url, url)


def _category(item: Any, api: ProductApi) -> str:
    return " > ".join(text for value in _values(item, api.fields, "category") if (text := words(value)))[:500]


def _price(item: Any, paths: dict[str, str], name: str, api: ProductApi, currency: str) -> Decimal | None:
    value = _one(item, paths.get(name, ""))
    return exact(value, api.minor_units) if api.minor_units else money(value, currency)


def _flag(value: Any) -> bool | None:
    """Stock as shops write it: true, a number of pairs, `IN_STOCK`, an address of schema.org."""
    if isinstance(value, bool) or value is None:
        return value
    text = words(value).lower()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) > 0
    return _FLAGS.get(text, availability(text))


def _text(item: Any, paths: dict[str, str], name: str, longest: int = 500) -> str:
    return words(_one(item, paths.get(name, "")), longest)


def _values(item: Any, paths: dict[str, str], name: str) -> list[Any]:
    path = paths.get(name, "")
    return [one for value in _at(item, path) for one in many(value)] if path else []


def _one(item: Any, path: str) -> Any:
    """The first value at a path that is text, number or truth; None if there is none."""
    found = [one for value in _at(item, path) for one in many(value)] if path else []
    return next((value for value in found if isinstance(value, str | int | float)), None)


def _at(data: Any, path: str) -> Iterator[Any]:
    """The values at a dotted path; `*` is every element, a number one of them. Nothing where the path leads nowhere."""
    if not path:
        yield data
        return
    name, _, rest = path.partition(".")
    if name == "*":
        for one in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
            yield from _at(one, rest)
    elif isinstance(data, dict) and name in data:
        yield from _at(data[name], rest)
    elif isinstance(data, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(data):
        yield from _at(data[int(name[:9])], rest)
