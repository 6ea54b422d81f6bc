"""Google Merchant feeds (RSS, Atom, tab-separated): the sizes of one colour in one answer become one listing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

from catalogue.identity import plain
from crawler.adapters.answers import not_listings, words
from crawler.adapters.colourways import Variant, joined
from crawler.adapters.entries import AdapterPage, Entry
from crawler.adapters.feed_items import FeedItems, Item
from crawler.facts import Facts, gtin, money
from crawler.links import absolute, page_link, same_site
from crawler.offers import availability

MAX_ITEMS = 500_000
_HOME = {"home", "homepage", "startseite", "start", "accueil", "홈", "ホーム", "inicio"}


@dataclass(frozen=True)
class _Sold:
    """One item of a feed: a size of a colourway, with the page that shows it."""

    page: str
    whole: Facts
    variant: Variant


def read_feed(body: bytes, url: str, headers: Mapping[str, str], shop_url: str) -> AdapterPage:
    """A whole feed. Items without title or address are told in the problem; those of other shops are left out."""
    source = FeedItems(body, url)
    when = _moment(headers)
    # What has a group is one listing a colour; what has none is one listing a page.
    groups: dict[tuple[str, str], list[_Sold]] = {}
    unread = number = 0
    for number, item in enumerate(source, 1):
        if number > MAX_ITEMS:
            source.problem = f"it holds more than {MAX_ITEMS:,} items; the rest was left out"
            break
        sold = _sold(item, shop_url, when)
        if sold is None:
            unread += 1
        elif same_site(sold.page, shop_url):
            key = (sold.whole.group, plain(sold.variant.colour)) if sold.whole.group else ("", sold.page)
            groups.setdefault(key, []).append(sold)
    problem = source.problem or not_listings(unread, number, "items")
    if number and not groups and not problem:
        problem = f"none of its {number} items leads to a page of {urlsplit(shop_url).netloc}"
    return AdapterPage(tuple(_entries(groups)), (), problem)


def _entries(groups: dict[tuple[str, str], list[_Sold]]) -> Iterator[Entry]:
    """One entry a group and colour; where several share a page their addresses say which colour."""
    pages = {key: _page_of([one.page for one in sold]) if key[0] else sold[0].page for key, sold in groups.items()}
    shared: dict[str, int] = {}
    for page in pages.values():
        shared[page] = shared.get(page, 0) + 1
    for key, sold in groups.items():
        variant = key[1] if key[0] and shared[pages[key]] > 1 else ""
        facts = replace(joined(_named(sold), [one.variant for one in sold], variant, of_group=False),
                        group=sold[0].whole.group)
        yield Entry(f"{pages[key]}#colour={variant}" if variant else pages[key], facts)


def _named(sold: list[_Sold]) -> Facts:
    """What the items of one colourway share; a size that ends the title is no part of the name."""
    first = sold[0]
    title = first.whole.title
    if len({one.whole.title for one in sold}) > 1 and first.variant.size:
        title = re.sub(rf"[\s\-–,/|(\[]+((size|eu|us|uk)\s*)?{re.escape(first.variant.size)}\s*[)\]]?$", "", title,
                       flags=re.I) or title
    return replace(first.whole, title=title)


def _page_of(pages: list[str]) -> str:
    """The address that the sizes of a colourway have in common: parameters in which they differ choose a size."""
    parts = [urlsplit(page) for page in pages]
    if len({part.path for part in parts}) > 1:
        return pages[0]
    queries = [part.query.split("&") for part in parts]
    kept = [one for one in queries[0] if one and all(one in other for other in queries)
            and not one.startswith("variant=")]  # Shopify's, which changes when the first size sells out
    return urlunsplit(parts[0]._replace(query="&".join(kept)))


def _sold(item: Item, shop_url: str, when: datetime | None) -> _Sold | None:
    def first(name: str, longest: int = 500) -> str:
        return words(next(iter(item.get(name, ())), ""), longest)

    page = next((link for one in item.get("link", ())
                 if (link := page_link(shop_url, one.replace("&amp;", "&")))), "")
    title = first("title")
    if not page or not title:
        return None
    price, currency = _amount(first("price"))
    sale, sale_currency = _amount(first("sale_price"))
    if sale is not None and _runs(first("sale_price_effective_date"), when) and (price is None or sale < price):
        price, list_price, currency = sale, price, sale_currency or currency
    else:
        list_price = None
    category = _category(item)
    images = [link for name in ("image_link", "additional_image_link") for text in item.get(name, ())
              for one in re.split(r",(?=\s*https?://)", text)
              if (link := absolute(shop_url, one.strip().replace("&amp;", "&")))]
    whole = Facts(source="feed", title=title, brand=first("brand", 200), group=first("item_group_id", 200),
                  category=" > ".join(category)[:500], shoe_type=category[-1][:50] if category else "")
    return _Sold(page, whole, Variant(
        colour=first("color", 200), size=first("size", 40), price=price, list_price=list_price, currency=currency,
        available=availability(first("availability")), mpn=first("mpn"), gtin=gtin(first("gtin")),
        images=tuple(dict.fromkeys(images))))


def _category(item: Item) -> list[str]:
    """The parts of the shop's own product type, without its front page; Google's numbers and names are none."""
    text = words(next(iter(item.get("product_type", ())), ""))
    parts = [part.strip() for part in text.split(">") if part.strip()]
    return parts[1:] if len(parts) > 1 and parts[0].lower() in _HOME else parts


def _amount(text: str) -> tuple[Decimal | None, str]:
    """`129000 KRW`, `KRW 129000` or an amount alone."""
    named = re.search(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])", text)
    currency = named[0] if named else ""
    return money(text, currency), currency


def _runs(window: str, when: datetime | None) -> bool:
    """Whether a sale's time (`2024-02-24T13:00-0800/2024-02-29T15:30-0800`) has come and not gone; yes if unknown."""
    try:
        begins, ends = (datetime.fromisoformat(part.strip()) for part in window.split("/"))
        return when is None or begins <= when <= ends
    except (ValueError, TypeError):
        return True


def _moment(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
