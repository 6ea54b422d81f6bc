"""Finding out how a shop tells of its products: a few polite requests to the places where shop software does."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from bs4 import BeautifulSoup

from catalogue.errors import FetchFailed
from crawler import adapters
from crawler.adapters.entries import AdapterPage, Entry
from crawler.discovery import USUAL_PLACES, fetch_sitemap, named_sitemaps
from crawler.facts import Facts, currency_code
from crawler.fetch import Fetched, Fetcher
from crawler.links import absolute, base_of, looks_like_product, same_site, worth_following
from crawler.shop_settings import Adapter, ShopSettings

MAX_SITEMAPS = 20
MAX_FEEDS = 2
SOFTWARE: dict[Adapter, str] = {
    "shopify": "Shopify, by its products.json", "woocommerce": "WooCommerce, by its Store API",
    "feed": "a Google Merchant feed", "api": "the product API of its settings", "sitemap": "its sitemaps",
    "pages": "following the links of its pages"}
ACCEPT = "application/json,application/xml,text/xml,text/plain;q=0.8,*/*;q=0.5"
_USUAL_FEEDS = ("/google-shopping.xml", "/products.xml")
_CURRENCY = (re.compile(r"Shopify\.currency\s*=\s*\{[^}]*?\"active\"\s*:\s*\"([A-Z]{3})\""),
             re.compile(r"(?:og|product):price:currency\"[^>]*content=\"([A-Z]{3})\""),
             re.compile(r"\"priceCurrency\"\s*:\s*\"([A-Z]{3})\""))
_NOTHING = AdapterPage()


@dataclass(frozen=True)
class Ways:
    """One way to a shop's products that was tried and works.

    `addresses` counts products, or pages that may be some; `at_least` says that there are more. `page` is the first
    answer of an adapter that has some, `pages` the addresses that the other two ways lead to.
    """

    settings: ShopSettings
    addresses: int
    at_least: bool = False
    page: AdapterPage = _NOTHING
    pages: tuple[str, ...] = ()


@dataclass
class Shopfront:
    """A shop that is looked at: its address, its front page (None where that cannot be had), the problems met."""

    fetcher: Fetcher
    url: str
    front: Fetched | None
    soup: BeautifulSoup
    problems: list[str] = field(default_factory=list)


def find_way(shop: Shopfront, given: ShopSettings | None) -> Ways:
    """The way that the settings name, and else the first that works of those there are, adapters before pages."""
    known = given or ShopSettings()
    if given is not None and "adapter" in given.model_fields_set:
        return _given_way(shop, given)
    for settings in _guesses(shop, known):
        try:
            way = try_adapter(shop, settings)
        except FetchFailed:
            continue  # most shops have nothing at most of these places: that is no problem worth telling
        if way.page.entries or way.page.following:
            return way
    return _by_sitemap(shop, known) or _by_links(shop, known)


def try_adapter(shop: Shopfront, settings: ShopSettings) -> Ways:
    """Read the first answer of an adapter; `FetchFailed` if it cannot be had or read."""
    page, addresses, at_least = AdapterPage(), 0, False
    for address in adapters.first_addresses(shop.url, settings):
        answer, read = _read(shop, address, settings)
        total = answer.headers.get("x-wp-total", "")
        exact = settings.adapter == "woocommerce" and total.isascii() and total.isdigit()
        addresses += int(total) if exact else len({entry.url.partition("#")[0] for entry in read.entries})
        at_least = at_least or (not exact and bool(read.following))
        page = page if page.entries or page.following else read
        if read.problem:
            shop.problems.append(f"{address}: {read.problem}")
    page = _expanded(shop, settings, page)
    if settings.adapter == "shopify" and not settings.currency and page.entries:
        settings = settings.model_copy(update={"currency": _currency(shop, page)})
        page = replace(page, entries=tuple(_with_currency(entry, settings.currency) for entry in page.entries))
    return Ways(settings, addresses, at_least, page)


def _read(shop: Shopfront, address: str, settings: ShopSettings,
          told: Sequence[Facts] = ()) -> tuple[Fetched, AdapterPage]:
    answer = shop.fetcher.get(address, shop.fetcher.settings.max_sitemap_bytes, ACCEPT)
    if answer.status != 200:
        raise FetchFailed(f"{address} answered {answer.status}")
    return answer, adapters.read(answer.body, address, answer.headers, shop.url, settings, told)


def _expanded(shop: Shopfront, settings: ShopSettings, page: AdapterPage) -> AdapterPage:
    """A page that only leads on (a WooCommerce shop of colourways) with the entries of the first that follows."""
    if page.entries or not page.following:
        return page
    first = page.following[0]
    try:
        return AdapterPage(_read(shop, first.url, settings, first.told)[1].entries, page.following, page.problem)
    except FetchFailed as error:
        shop.problems.append(str(error))
        return page


def _given_way(shop: Shopfront, given: ShopSettings) -> Ways:
    if given.adapter == "pages":
        return _by_links(shop, given)
    if given.adapter == "sitemap":
        found = _by_sitemap(shop, given)
        if found is None:
            raise FetchFailed(f"the settings name adapter = \"sitemap\", but no sitemap of {shop.url} has pages of it; "
                              "name the sitemap in start")
        return found
    return try_adapter(shop, given)


def _guesses(shop: Shopfront, known: ShopSettings) -> Iterator[ShopSettings]:
    """Settings worth trying, in order of trust; each costs the shop one request."""
    yield _guess(known, "shopify")
    rest = shop.soup.find("link", rel="https://api.w.org/", href=True)
    api = absolute(shop.url, str(rest["href"])) if rest is not None else ""
    if api and same_site(api, shop.url) and "?" not in api:
        yield _guess(known, "woocommerce", urljoin(api, "wc/store/v1/products?per_page=100&page=1"))
    else:
        yield _guess(known, "woocommerce")
    for feed in _feeds(shop):
        yield _guess(known, "feed", feed)


def _guess(known: ShopSettings, adapter: Adapter, *start: str) -> ShopSettings:
    return known.model_copy(update={"adapter": adapter, "start": start})


def _feeds(shop: Shopfront) -> Iterator[str]:
    """Addresses of feeds that hold Google's fields, of those the front page names and of the usual places."""
    base = base_of(shop.soup, shop.url)
    named = [absolute(base, str(tag["href"])) for tag in shop.soup.find_all("link", href=True)
             if "alternate" in (tag.get("rel") or ()) and re.search(r"rss|atom", str(tag.get("type")))]
    for link in [*list(dict.fromkeys(filter(None, named)))[:MAX_FEEDS],
                 *(urljoin(shop.url, place) for place in _USUAL_FEEDS)]:
        try:
            answer = shop.fetcher.get(link, shop.fetcher.settings.max_sitemap_bytes, ACCEPT)
        except FetchFailed:
            continue
        # A blog's feed has titles and links too.
        if answer.status == 200 and b"base.google.com/ns/1.0" in answer.body[:4096]:
            yield link


def _currency(shop: Shopfront, page: AdapterPage) -> str:
    """Shopify's list names no currency; its pages do."""
    if found := _currency_of(shop.front):
        return found
    try:
        first = page.entries[0].url.partition("#")[0]
        found = _currency_of(shop.fetcher.get(first, shop.fetcher.settings.max_page_bytes))
    except FetchFailed as error:
        shop.problems.append(str(error))
    if not found:
        shop.problems.append("the currency of its prices is not known; name it in the shop's settings, as in "
                             "currency = \"USD\"")
    return found


def _with_currency(entry: Entry, currency: str) -> Entry:
    return replace(entry, facts=replace(entry.facts, currency=currency)) if entry.facts.price is not None else entry


def _currency_of(page: Fetched | None) -> str:
    text = page.text if page is not None and page.status == 200 else ""
    found = (match[1] for pattern in _CURRENCY if (match := pattern.search(text)))
    return currency_code(next(found, ""))


def _by_sitemap(shop: Shopfront, known: ShopSettings) -> Ways | None:
    """The sitemaps to begin with, and the shop's own pages in them and in their children."""
    named = list(known.start) or named_sitemaps(shop.fetcher, shop.url)
    for roots, problems in [(named, shop.problems)] if named else [
            ([urljoin(shop.url, place)], []) for place in USUAL_PLACES]:
        pages, more = _pages_below(shop, roots, problems)
        if pages:
            return Ways(_guess(known, "sitemap", *roots), len(pages), more, pages=tuple(pages))
    return None


def _pages_below(shop: Shopfront, roots: list[str], problems: list[str]) -> tuple[list[str], bool]:
    """The shop's pages in sitemaps and their children, likely products first; and whether some were left unread."""
    queue = list(dict.fromkeys(roots))
    pages: dict[str, None] = {}
    for number in range(MAX_SITEMAPS):
        if number >= len(queue):
            break
        try:
            found = fetch_sitemap(shop.fetcher, shop.url, queue[number])
        except FetchFailed as error:
            problems.append(str(error))
            continue
        pages.update(dict.fromkeys(entry.url for entry in found.entries))
        queue += [child.url for child in found.following if child.url not in queue]
    return sorted(pages, key=lambda link: not looks_like_product(link)), len(queue) > MAX_SITEMAPS


def _by_links(shop: Shopfront, known: ShopSettings) -> Ways:
    links = worth_following(shop.soup, shop.url)
    return Ways(_guess(known, "pages", *known.start), len(links), bool(links), pages=tuple(links))
