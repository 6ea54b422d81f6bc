"""A product page becomes listings: what its sources say, merged, with the addresses of its photos."""

from dataclasses import dataclass

from bs4 import BeautifulSoup

from catalogue.listings import FoundListing
from crawler.facts import merged
from crawler.gallery import Picture, gallery
from crawler.jsonld import from_jsonld
from crawler.links import base_of, page_link, same_site
from crawler.opengraph import from_opengraph, is_product


@dataclass(frozen=True)
class FoundPage:
    """One product of a page: its listing and its pictures, best first."""

    listing: FoundListing
    photos: tuple[Picture, ...]


def parse(text: str) -> BeautifulSoup:
    """Parse a page once; everything else reads the tree."""
    return BeautifulSoup(text, "lxml")


def read_page(soup: BeautifulSoup, url: str) -> list[FoundPage]:
    """The products a page sells: none, one, or one for each colourway; `url` is the page's own address.

    Sources stand in order of trust. A new one (microdata, a shop's own selectors) is one more function that returns
    `Facts`, and one more line here.
    """
    structured = from_jsonld(soup, url)
    opengraph = from_opengraph(soup, url)
    if not structured and not (is_product(soup) and opengraph[0].title):
        return []
    colourways = dict.fromkeys(facts.variant for facts in structured) or {"": None}
    if len(colourways) > 1:
        # Which colourway the page's other pictures and tags are about cannot be told.
        return [FoundPage(merged(f"{url}#colour={variant}", own), tuple(gallery(BeautifulSoup(), url, own[0].images)))
                for variant in colourways
                if (own := [facts for facts in structured if facts.variant == variant])]
    sources = [*structured, *opengraph]
    known = structured[0].images if structured and structured[0].images else opengraph[0].images
    photos = gallery(soup, url, [link for facts in structured for link in facts.images] or known)
    return [FoundPage(merged(url, sources), tuple(photos))]


def canonical(soup: BeautifulSoup, url: str) -> str:
    """The address the page says it should be known by, if that is a page of the same shop and not its front; else
    its own."""
    for tag in soup.find_all("link", href=True):
        if "canonical" in (tag.get("rel") or ()):
            named = page_link(base_of(soup, url), str(tag["href"]))
            if named and same_site(named, url) and named.partition("://")[2].partition("/")[2]:
                return named
    return url
