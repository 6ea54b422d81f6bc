"""Shopify: the pages of `products.json`, one listing for each colour of a product."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from catalogue.errors import FetchFailed
from catalogue.identity import plain
from crawler.adapters.answers import json_of, not_listings, number_in, with_query, words
from crawler.adapters.colourways import Variant, are_sizes, by_colour, colourways, exact, is_colour, is_size, placed
from crawler.adapters.entries import AdapterPage, Entry, Following
from crawler.facts import Facts, gtin
from crawler.links import absolute, page_link
from crawler.offers import many

PER_PAGE = 250
# Shopify answers 400 to a page that begins behind this many products.
MAX_PRODUCTS = 25_000
_DEFAULT_PER_PAGE = 30


def first_address(shop_url: str) -> str:
    """The first page of the shop's products."""
    return urljoin(shop_url, f"/products.json?limit={PER_PAGE}&page=1")


def read_shopify(body: bytes, url: str, shop_url: str, currency: str) -> AdapterPage:
    """One page of products; the next follows until one is empty."""
    data = json_of(body, url)
    products = data.get("products") if isinstance(data, dict) else None
    if not isinstance(products, list):
        raise FetchFailed(f"{url} lists no products; the shop may have closed its products.json, use its sitemap then")
    entries: list[Entry] = []
    unread = 0
    for product in products:
        found = _product(product, _products_at(url, shop_url), currency) if isinstance(product, dict) else []
        entries += found
        unread += not found
    problem = not_listings(unread, len(products), "products")
    per_page, page = number_in(url, "limit", _DEFAULT_PER_PAGE), number_in(url, "page", 1)
    if not products:
        return AdapterPage()
    if (page + 1) * per_page > MAX_PRODUCTS:
        return AdapterPage(tuple(entries), (), "Shopify lists its first 25,000 products only; use the shop's sitemap")
    return AdapterPage(tuple(entries), (Following(with_query(url, page=page + 1)),), problem)


def _products_at(url: str, shop_url: str) -> str:
    """The address under which product pages stand: of the shop's own host, in the same market folder as the list."""
    folder = re.sub(r"(/collections/[^/]+)?/products\.json$", "", urlsplit(url).path)
    return urljoin(shop_url, f"{folder}/products/")


def _product(product: dict[str, Any], base: str, currency: str) -> list[Entry]:
    handle, title = words(product.get("handle")), words(product.get("title"))
    url = page_link(base, handle) if handle else ""
    if not url or not title:
        return []
    colour_at, size_at = _options(product)
    sold = [one for one in many(product.get("variants")) if isinstance(one, dict)]
    variants = [Variant(
        colour=_option(one, colour_at, 200), size=_option(one, size_at, 40), price=exact(one.get("price")),
        list_price=exact(one.get("compare_at_price")), currency=currency,
        available=one["available"] if isinstance(one.get("available"), bool) else None,
        sku=words(one.get("sku")), gtin=gtin(one.get("barcode"))) for one in sold] or [Variant()]
    images = _placed(product, sold, variants, base)
    whole = Facts(source="shopify", title=title, brand=words(product.get("vendor"), 200),
                  group=words(product.get("id"), 200), shoe_type=words(product.get("product_type"), 50))
    return colourways(url, whole, [replace(one, images=tuple(images[plain(one.colour)])) for one in variants])


def _options(product: dict[str, Any]) -> tuple[int, int]:
    """The places (1 to 3) of the options that choose colour and size; 0 for none."""
    colour = size = 0
    rest: list[tuple[int, list[str]]] = []
    for place, option in enumerate(many(product.get("options")), 1):
        name = words(option.get("name") if isinstance(option, dict) else option)
        if not colour and is_colour(name):
            colour = place
        elif not size and is_size(name):
            size = place
        elif isinstance(option, dict):
            rest.append((place, [words(value) for value in many(option.get("values"))]))
    if not size:
        size = next((place for place, values in rest if are_sizes(values)), 0)
    return colour, size


def _option(variant: dict[str, Any], place: int, longest: int) -> str:
    return words(variant.get(f"option{place}"), longest) if place else ""


def _placed(product: dict[str, Any], sold: list[dict[str, Any]], variants: list[Variant],
            base: str) -> dict[str, list[str]]:
    """The product's images for each of its colours, told apart by the variants that images and variants name."""
    colour_of = {one.get("id"): plain(variant.colour) for one, variant in zip(sold, variants, strict=False)}
    tags: dict[str, set[str]] = {}
    images: dict[str, None] = {}
    for image in [*many(product.get("images")), *(one.get("featured_image") for one in sold)]:
        address = image.get("src") if isinstance(image, dict) else image
        link = absolute(base, address) if isinstance(address, str) else ""
        if not link:
            continue
        images[link] = None
        named = many(image.get("variant_ids")) if isinstance(image, dict) else []
        tags.setdefault(link, set()).update(colour_of[one] for one in named
                                            if isinstance(one, int | str) and one in colour_of)
    for one, variant in zip(sold, variants, strict=False):
        featured = one.get("featured_image")
        if isinstance(featured, dict) and isinstance(featured.get("src"), str):
            tags.setdefault(absolute(base, featured["src"]), set()).add(plain(variant.colour))
    return placed(list(images), tags, list(by_colour(variants)))
