"""What one page says: its products, where it leads, and what it wants to be known by."""

import hashlib
import json
from dataclasses import dataclass

from crawler.facts import Facts
from crawler.links import worth_following
from crawler.pages.listing import FoundPage, canonical, parse, read_page
from crawler.shop_settings import ShopSettings, stored

# Raise it when the extraction learns something that unchanged pages should be read again for.
READER = 3


@dataclass(frozen=True)
class PageRead:
    """What a page says: its products, the pages it links to, and the address it wants to be known by."""

    products: tuple[FoundPage, ...] = ()
    links: tuple[str, ...] = ()
    named: str = ""


def read_html(text: str, url: str, follow: bool, told: tuple[Facts, ...], settings: ShopSettings,
              asked: str = "") -> PageRead:
    """Read one page; with `follow` its links too, and its products only under the address it names as its own.

    A page that was `asked` for under the name it gives itself is read even if a redirect led elsewhere: it would
    lead there for ever.
    """
    soup = parse(text)
    links = tuple(worth_following(soup, url)) if follow else ()
    named = canonical(soup, url) if follow else url
    if named not in (url, asked):
        return PageRead(links=links, named=named)
    return PageRead(tuple(read_page(soup, url, told, settings)), links, url)


def reader_mark(settings: ShopSettings) -> str:
    """Changes whenever a page might be read otherwise than before, so that an unchanged page is read again then."""
    told = json.dumps([READER, stored(settings)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]
