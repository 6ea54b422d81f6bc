"""Adapters: what shops tell machines (shop software's product lists, feeds, APIs, sitemaps) becomes listings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from catalogue.errors import BadInput
from crawler.adapters.entries import AdapterPage, Entry
from crawler.adapters.merchant import read_feed
from crawler.adapters.product_api import first_address as api_address
from crawler.adapters.product_api import read_api
from crawler.adapters.shopify import first_address as shopify_address
from crawler.adapters.shopify import read_shopify
from crawler.adapters.sitemaps import read_sitemap_answer
from crawler.adapters.woocommerce import first_address as woocommerce_address
from crawler.adapters.woocommerce import read_woocommerce
from crawler.facts import Facts
from crawler.shop_settings import ProductApi, ShopSettings


@dataclass(frozen=True)
class _Answer:
    """One answer and what its reading may need."""

    body: bytes
    url: str
    headers: Mapping[str, str]
    shop_url: str
    settings: ShopSettings
    told: Sequence[Facts]


_READERS: dict[str, Callable[[_Answer], AdapterPage]] = {
    "shopify": lambda one: read_shopify(one.body, one.url, one.shop_url, one.settings.currency),
    "woocommerce": lambda one: read_woocommerce(one.body, one.url, one.headers, one.told),
    "feed": lambda one: read_feed(one.body, one.url, one.headers, one.shop_url),
    "api": lambda one: read_api(one.body, one.url, one.shop_url, _api(one.settings), one.settings.currency),
    "sitemap": lambda one: read_sitemap_answer(one.body, one.url, one.shop_url),
}


def first_addresses(shop_url: str, settings: ShopSettings) -> list[str]:
    """Where reading a shop begins: what its settings name, else the usual place of its adapter.

    `BadInput` for a feed without an address: feeds have no usual place.
    """
    if settings.start:
        return list(settings.start)
    if settings.adapter == "feed":
        raise BadInput("a shop with adapter = \"feed\" needs start = [\"https://…\"], the address of its feed")
    if settings.adapter == "api":
        return [api_address(_api(settings))]
    usual = {"shopify": shopify_address, "woocommerce": woocommerce_address,
             "sitemap": lambda shop: urljoin(shop, "/sitemap.xml")}.get(settings.adapter)
    return [usual(shop_url) if usual else shop_url]


def read(body: bytes, url: str, headers: Mapping[str, str], shop_url: str, settings: ShopSettings,
         told: Sequence[Facts] = ()) -> AdapterPage:
    """Read an answer that came from `url` with `headers`; `told` is what came with the `Following`.

    Odd data never raises: what cannot be read is left out and named in `problem`. `FetchFailed` if nothing of the
    answer can be read, `BadInput` for a shop whose settings name no adapter.
    """
    reader = _READERS.get(settings.adapter)
    if reader is None:
        raise BadInput(f"a shop with adapter = \"{settings.adapter}\" has no answers to read; its pages are visited")
    named = {name.lower(): value for name, value in headers.items()}
    return reader(_Answer(body, url, named, shop_url, settings, told))


def needs_page(entry: Entry, settings: ShopSettings) -> bool:
    """Whether the listing's own page should be read too, because the adapter leaves out what matters."""
    facts = entry.facts
    if settings.pages != "auto":
        return settings.pages == "always" or not facts.title
    return not (facts.title and facts.images and facts.price is not None and facts.currency)


def _api(settings: ShopSettings) -> ProductApi:
    if settings.api is None:
        raise BadInput("a shop with adapter = \"api\" needs an [api] table with its url, items and fields")
    return settings.api
