"""WooCommerce: the pages of its Store API, and the variations of what is sold in several colours."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin, urlsplit

from catalogue.errors import FetchFailed
from catalogue.identity import plain
from crawler.adapters.answers import json_of, not_listings, number_in, with_query, words
from crawler.adapters.colourways import Variant, by_colour, colourways, exact, is_colour, is_size, placed
from crawler.adapters.entries import AdapterPage, Entry, Following
from crawler.facts import Facts, currency_code, gtin, style_code
from crawler.links import absolute, page_link
from crawler.offers import many

PLACE = "wp-json/wc/store/v1/products"
PER_PAGE = 100
_DEFAULT_PER_PAGE = 10
_BRAND = re.compile(r"^(pa[-_])?(brand|marke|marque|marca|merk|브랜드|ブランド|品牌)s?$", re.I)


def first_address(shop_url: str) -> str:
    """The first page of the shop's products."""
    return urljoin(shop_url, f"/{PLACE}?per_page={PER_PAGE}&page=1")


def read_woocommerce(body: bytes, url: str, headers: Mapping[str, str], told: Sequence[Facts]) -> AdapterPage:
    """One page of products, or of one product's variations with that product in `told`.

    How many pages there are is read from `X-WP-TotalPages`; the `Link` header says the same, often malformed.
    """
    items = json_of(body, url)
    if not isinstance(items, list):
        said = words(items.get("message")) if isinstance(items, dict) else ""
        raise FetchFailed(f"{url} lists no products{f' ({said})' if said else ''}; the shop may have closed its Store "
                          "API, use its sitemap then")
    known = [item for item in items if isinstance(item, dict) and words(item.get("name")) and _page(item, url)]
    unread = len(items) - len(known)
    following: list[Following] = []
    entries: list[Entry] = []
    if told or any(_is_variation(item) for item in known):
        entries = _variations(known, url, told)
    else:
        for item in known:
            if item.get("type") == "variable" and (_several(item, is_colour) or _several(item, is_size)):
                following.append(_variations_of(item, url))
            else:
                entries += _product(item, url)
    if next_page := _next_page(url, headers, len(items)):
        following.append(Following(next_page, tuple(told)))
    return AdapterPage(tuple(entries), tuple(following),
                       not_listings(unread, len(items), "products"))


def _next_page(url: str, headers: Mapping[str, str], here: int) -> str:
    page, total = number_in(url, "page", 1), headers.get("x-wp-totalpages", "")
    more = page < int(total) if total.isascii() and total.isdigit() else (
        0 < number_in(url, "per_page", _DEFAULT_PER_PAGE) <= here)
    return with_query(url, page=page + 1) if more and here else ""


def _variations_of(item: dict[str, Any], url: str) -> Following:
    """Where a product's colours and sizes are told; it goes along as a group if it has several colours."""
    number = words(item.get("id"), 200)
    group = number if _several(item, is_colour) else ""
    code = style_code("", words(item.get("sku")))
    return Following(
        with_query(url.partition("?")[0], type="variation", parent=number, per_page=PER_PAGE),
        (replace(_whole(item), group=group, style_code="" if group else code, images=_images(item, url)),))


def _whole(item: dict[str, Any]) -> Facts:
    """What a product says of itself whatever its colour; codes, price and photos are its variants'."""
    colours = _terms(item, is_colour)
    return Facts(source="woocommerce", title=words(item.get("name")), brand=_brand(item), category=_category(item),
                 colour=colours[0][:200] if len(colours) == 1 else "")


def _product(item: dict[str, Any], url: str) -> list[Entry]:
    """A product that is sold in one colour and at most one size."""
    price, list_price, currency = _prices(item)
    available = _flag(item.get("is_in_stock"))
    one = Variant(price=price, list_price=list_price, currency=currency, available=available,
                  sku=words(item.get("sku")), gtin=_gtin(item), images=_images(item, url))
    return colourways(_page(item, url), _whole(item), [replace(one, size="".join(_terms(item, is_size)[:1])[:40])])


def _variations(items: list[dict[str, Any]], url: str, told: Sequence[Facts]) -> list[Entry]:
    """Variations, joined by the product they belong to and by colour."""
    parents = {facts.group: facts for facts in told}
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(words(item.get("parent")), []).append(item)
    entries: list[Entry] = []
    for number, group in groups.items():
        parent = parents.get(number) or (told[0] if len(told) == 1 else None)
        whole = parent or replace(_whole(group[0]), group=number[:200])
        variants = [_variant(item, url) for item in group]
        several = bool(parent and parent.group) or len(by_colour(variants)) > 1
        images = _shared_gallery(whole.images, variants) if several else {}
        shared = () if several else whole.images
        variants = [replace(one, images=(*shared, *images.get(plain(one.colour), one.images))) for one in variants]
        entries += colourways(_page(group[0], url), whole, variants, always_named=several)
    return entries


def _variant(item: dict[str, Any], url: str) -> Variant:
    price, list_price, currency = _prices(item)
    colours, sizes = _terms(item, is_colour), _terms(item, is_size)
    return Variant(colour="".join(colours[:1])[:200], size="".join(sizes[:1])[:40], price=price, list_price=list_price,
                   currency=currency, available=_flag(item.get("is_in_stock")), sku=words(item.get("sku")),
                   gtin=_gtin(item), images=_images(item, url))


def _shared_gallery(gallery: tuple[str, ...], variants: list[Variant]) -> dict[str, list[str]]:
    """The parent's gallery told apart by colour, if the picture of each colour stands in it; else nothing."""
    tags: dict[str, set[str]] = {}
    for one in variants:
        for image in one.images:
            tags.setdefault(image, set()).add(plain(one.colour))
    colours = list(by_colour(variants))
    apart = {colour for image, tagged in tags.items() if image in gallery and len(tagged) == 1 for colour in tagged}
    return placed(gallery, tags, colours) if len(colours) > 1 and apart == set(colours) else {}


def _several(item: dict[str, Any], wanted: Callable[[str], bool]) -> bool:
    return len({plain(term) for term in _terms(item, wanted)} - {""}) > 1


def _is_variation(item: dict[str, Any]) -> bool:
    return item.get("type") == "variation" or (bool(item.get("parent")) and bool(item.get("variation")))


def _terms(item: dict[str, Any], wanted: Callable[[str], bool]) -> list[str]:
    """The values of an item's attributes whose name is `wanted`: of its list, else of the line variations have."""
    found = [value for name, values in _attributes(item) if wanted(name) for value in values]
    return list(dict.fromkeys(value for value in found if value))


def _attributes(item: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for attribute in many(item.get("attributes")):
        if not isinstance(attribute, dict):
            continue
        name = words(attribute.get("name")) or words(attribute.get("taxonomy"))
        terms = [words(term.get("name")) for term in many(attribute.get("terms")) if isinstance(term, dict)]
        yield name, terms or [words(attribute.get("value"))]
    # "Color: Red, Size: 250": a comma parts attributes only where a name and a colon follow.
    for match in re.finditer(r"([^:,]+):\s*(.*?)\s*(?=,[^:,]+:|$)", words(item.get("variation"))):
        yield match[1].strip(), [match[2]]


def _brand(item: dict[str, Any]) -> str:
    named = [words(one.get("name") if isinstance(one, dict) else one, 200) for one in many(item.get("brands"))]
    named += [value for name, values in _attributes(item) if _BRAND.search(name) for value in values]
    return next((name[:200] for name in named if name), "")


def _category(item: dict[str, Any]) -> str:
    """The deepest category with those above it; their addresses tell what stands below what."""
    found = [(urlsplit(words(one.get("link"))).path.strip("/").split("/"), words(one.get("name")))
             for one in many(item.get("categories")) if isinstance(one, dict)]
    if not found:
        return ""
    deepest = max(found, key=lambda pair: len(pair[0]))[0]
    above = [(len(path), name) for path, name in found if path == deepest[:len(path)] and name]
    return " > ".join(name for _, name in sorted(above, key=lambda pair: pair[0]))[:500]


def _prices(item: dict[str, Any]) -> tuple[Decimal | None, Decimal | None, str]:
    prices = item.get("prices")
    if not isinstance(prices, dict):
        return None, None, ""
    units = prices.get("currency_minor_unit")
    units = units if isinstance(units, int) and 0 <= units <= 4 else 2
    return (exact(prices.get("price"), units), exact(prices.get("regular_price"), units),
            currency_code(prices.get("currency_code")))


def _images(item: dict[str, Any], url: str) -> tuple[str, ...]:
    found = (one.get("src") for one in many(item.get("images")) if isinstance(one, dict))
    return tuple(dict.fromkeys(link for src in found if isinstance(src, str) and (link := absolute(url, src))))


def _page(item: dict[str, Any], url: str) -> str:
    """The address of the item's page, without the variation that it preselects."""
    link = item.get("permalink")
    page = page_link(url, link) if isinstance(link, str) else ""
    query = urlsplit(page).query
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("attribute_"))
    return page.replace(f"?{query}", f"?{kept}" if kept else "") if query else page


def _gtin(item: dict[str, Any]) -> str:
    return gtin(item.get("global_unique_id")) or gtin(item.get("gtin"))


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
