"""Adapters: what shops tell machines (shop software's product lists, feeds, APIs, sitemaps) becomes listings."""

from collections.abc import Mapping, Sequence

from crawler.adapters.entries import AdapterPage, Entry
from crawler.facts import Facts
from crawler.shop_settings import ShopSettings


def first_addresses(shop_url: str, settings: ShopSettings) -> list[str]:
    """Where reading a shop begins: what its settings name, else the usual place of its adapter."""
    return list(settings.start) or [shop_url]


def read(body: bytes, url: str, headers: Mapping[str, str], shop_url: str, settings: ShopSettings,
         told: Sequence[Facts] = ()) -> AdapterPage:
    """Read an answer that came from `url`; `headers` have lower-case names, `told` is what came with the `Following`.

    Odd data never raises: what cannot be read is left out and named in `problem`. `FetchFailed` if nothing of the
    answer can be read.
    """
    return AdapterPage()


def needs_page(entry: Entry, settings: ShopSettings) -> bool:
    """Whether the listing's own page should be read too, because the adapter leaves out what matters."""
    facts = entry.facts
    if settings.pages != "auto":
        return settings.pages == "always" or not facts.title
    return not (facts.title and facts.images and facts.price is not None and facts.currency)
