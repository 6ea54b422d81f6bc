"""What was read becomes addresses to visit next: those that an adapter's answer tells, those of a page's links."""

import re

from crawler.adapters import needs_page
from crawler.adapters.entries import AdapterPage
from crawler.facts import Facts
from crawler.frontier import Target
from crawler.pages.reading import PageRead
from crawler.shop_settings import ShopSettings

MAX_SITEMAP_DEPTH = 4


def answer_targets(found: AdapterPage, depth: int, shop: ShopSettings) -> list[Target]:
    """Further answers, then the listings: those told wholly, and those whose pages are to be read."""
    targets = [] if too_deep(found, depth, shop) else [Target(more.url, "feed", more.told) for more in found.following]
    for entry in found.entries:
        page = entry.url.partition("#")[0]  # a colourway's mark is ours, no pattern knows of it
        if _may_follow(entry.url, shop) and (not shop.follow.product or re.search(shop.follow.product, page)):
            wholly = shop.adapter != "sitemap" and not needs_page(entry, shop)
            told = (entry.facts,) if entry.facts != Facts(entry.facts.source) else ()
            targets.append(Target(entry.url, "told" if wholly else "product", told))
    return targets


def too_deep(found: AdapterPage, depth: int, shop: ShopSettings) -> str:
    """The sentence on sitemaps that lie so deep that they are not followed; empty if there are none."""
    if shop.adapter != "sitemap" or depth < MAX_SITEMAP_DEPTH or not found.following:
        return ""
    return f"it names sitemaps more than {MAX_SITEMAP_DEPTH} deep, which were left out"


def link_targets(found: PageRead, url: str, shop: ShopSettings) -> list[Target]:
    """The links of a page that may be followed, its own other name first."""
    named = found.named.partition("#")[0]
    links = [named, *found.links] if named and named != url else list(found.links)
    return [Target(link, "page") for link in dict.fromkeys(links) if _may_follow(link, shop)]


def _may_follow(link: str, shop: ShopSettings) -> bool:
    return not (shop.follow.refuse and re.search(shop.follow.refuse, link))
