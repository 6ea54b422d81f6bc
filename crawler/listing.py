"""A product page becomes listings: what its sources say, merged, with the addresses of its photos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bs4 import BeautifulSoup

from catalogue.listings import FoundListing
from crawler.facts import Facts, merged
from crawler.gallery import Picture, gallery
from crawler.jsonld import from_jsonld
from crawler.links import base_of, page_link, same_site
from crawler.opengraph import from_opengraph, is_product
from crawler.shop_settings import ShopSettings

_NO_SETTINGS = ShopSettings()


@dataclass(frozen=True)
class FoundPage:
    """One product of a page: its listing and its pictures, best first."""

    listing: FoundListing
    photos: tuple[Picture, ...]


def parse(text: str) -> BeautifulSoup:
    """Parse a page once; everything else reads the tree."""
    return BeautifulSoup(text, "lxml")


def read_page(soup: BeautifulSoup, url: str, told: Sequence[Facts] = (),
              settings: ShopSettings = _NO_SETTINGS) -> list[FoundPage]:
    """The products a page sells: none, one, or one for each colourway; `url` is the page's own address.

    `told` is what is known of the page before it is read: an adapter's facts (then the page is about that one listing,
    whose `url` may name its colour) or a sitemap's pictures.
    """
    adapter = [facts for facts in told if facts.source != "sitemap"]
    structured = from_jsonld(soup, url)
    opengraph = from_opengraph(soup, url)
    if adapter:
        structured = [facts for facts in structured if facts.variant == url.partition("#colour=")[2]]
        return [_page(url, [*told, *structured, *opengraph], settings, soup)]
    if not structured and not (is_product(soup) and opengraph[0].title):
        return []
    colourways = dict.fromkeys(facts.variant for facts in structured) or {"": None}
    if len(colourways) > 1:
        # Which colourway the page's other pictures and tags are about cannot be told.
        return [_page(f"{url}#colour={variant}", own, settings, BeautifulSoup())
                for variant in colourways
                if (own := [facts for facts in structured if facts.variant == variant])]
    if not any(facts.images for facts in structured):
        structured = [replace(facts, images=opengraph[0].images) for facts in structured]
    return [_page(url, [*structured, *(replace(one, images=()) for one in opengraph), *told], settings, soup)]


def told_page(url: str, told: Sequence[Facts], settings: ShopSettings = _NO_SETTINGS) -> FoundPage:
    """The listing of what an adapter tells alone, where its page is not read."""
    return _page(url, told, settings, BeautifulSoup())


def _page(url: str, facts: Sequence[Facts], settings: ShopSettings, soup: BeautifulSoup) -> FoundPage:
    named = [*facts, Facts("settings", brand=settings.brand),
             Facts("address", title=next((one.model_name for one in facts if one.model_name), url))]
    pictures = gallery(soup, url, [image for one in facts for image in one.images])
    return FoundPage(merged(url, named), tuple(pictures))


def canonical(soup: BeautifulSoup, url: str) -> str:
    """The address the page says it should be known by, if that is a page of the same shop and not its front; else
    its own."""
    for tag in soup.find_all("link", href=True):
        if "canonical" in (tag.get("rel") or ()):
            named = page_link(base_of(soup, url), str(tag["href"]))
            if named and same_site(named, url) and named.partition("://")[2].partition("/")[2]:
                return named
    return url
