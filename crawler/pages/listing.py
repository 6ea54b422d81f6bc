"""A product page becomes listings: what its sources say, merged, with the addresses of its photos."""

from collections.abc import Sequence
from dataclasses import dataclass

from bs4 import BeautifulSoup

from catalogue.identity import plain
from catalogue.listings import FoundListing
from crawler.facts import Facts, merged
from crawler.links import MAX_URL, base_of, page_link, same_site
from crawler.pages.breadcrumb import category_of
from crawler.pages.gallery import Picture, pictures
from crawler.pages.heuristics import from_heuristics, looks_like_product
from crawler.pages.jsonld import jsonld_nodes
from crawler.pages.microdata import microdata_nodes
from crawler.pages.opengraph import from_opengraph, is_product
from crawler.pages.outline import Outline, outline
from crawler.pages.product_nodes import is_list, product_facts
from crawler.pages.selectors import from_selectors
from crawler.pages.woo_page import from_variations
from crawler.shop_settings import ShopSettings

_NO_SETTINGS = ShopSettings()
# What is true of every colourway that a page sells.
_SHARED = ("title", "brand", "category", "shoe_type")
_ADAPTERS = {"shopify", "woocommerce", "feed", "api"}


@dataclass(frozen=True)
class FoundPage:
    """One product of a page: its listing and its pictures, best first."""

    listing: FoundListing
    photos: tuple[Picture, ...]


@dataclass(frozen=True)
class _Read:
    """What a page's own sources say, in order of trust; `selected` by the shop's own selectors."""

    page: Outline
    selected: Facts
    facts: tuple[Facts, ...]

    @property
    def currency(self) -> str:
        """The currency of the page's prices."""
        return next((facts.currency for facts in (self.selected, *self.facts) if facts.currency), "")


def parse(text: str) -> BeautifulSoup:
    """Parse a page once; everything else reads the tree."""
    try:
        return BeautifulSoup(text, "lxml")
    except UnicodeEncodeError:  # half a character, as no decoder should leave it
        return BeautifulSoup(text.encode(errors="ignore").decode(), "lxml")


def read_page(soup: BeautifulSoup, url: str, told: Sequence[Facts] = (),
              settings: ShopSettings = _NO_SETTINGS) -> list[FoundPage]:
    """The products a page sells: none, one, or one for each colourway; `url` is the page's own address.

    `told` is what is known of the page before it is read: an adapter's facts (then the page is about that one listing,
    whose `url` may name its colour) or a sitemap's pictures. Sources stand in order of trust: adapter, JSON-LD,
    microdata, OpenGraph, what a visitor sees; a shop's own selectors come before all but the adapter.
    """
    adapter = [facts for facts in told if facts.source != "sitemap"]
    pictured = [facts for facts in told if facts.source == "sitemap"]
    address, _, variant = url.partition("#colour=")
    read = _read(soup, address, settings, bool(adapter))
    if read is None:
        return []
    colourways = _colourways(read.facts)
    if adapter:
        own = variant or next((plain(facts.colour) for facts in adapter if facts.colour), "")
        if variant or colourways:
            return [_found(url, [*adapter, *_of_colourway(read, own)], settings, currency=read.currency)]
        return [_found(url, [*adapter, read.selected, *read.facts, *pictured], settings, read.page)]
    if colourways:
        # Which colourway the page's other pictures and tags are about cannot be told.
        return [_found(f"{url}#colour={key}", _of_colourway(read, key), settings, currency=read.currency)
                for key in colourways if len(f"{url}#colour={key}") <= MAX_URL]
    return [_found(url, [read.selected, *read.facts, *pictured], settings, read.page)]


def told_page(url: str, told: Sequence[Facts], settings: ShopSettings = _NO_SETTINGS) -> FoundPage:
    """The listing of what an adapter tells alone, where its page is not read."""
    return _found(url, told, settings)


def _read(soup: BeautifulSoup, url: str, settings: ShopSettings, known: bool) -> _Read | None:
    """Read all sources of a page; None if nothing makes it a product's and it is not `known` to be one."""
    page = outline(soup, url)
    data, items = jsonld_nodes(page), microdata_nodes(page)
    structured = [*product_facts(data, page, "json-ld"), *product_facts(items, page, "microdata")]
    tags = from_opengraph(page)
    selected = from_selectors(soup, page, settings.select) if settings.select else Facts("selectors")
    titles = tuple(facts.title for facts in (*structured, selected, tags) if facts.title)
    seen = from_heuristics(page, titles)
    claimed = (known or bool(structured) or (is_product(page) and bool(tags.title or page.title))
               or bool(selected.title and (selected.price is not None or selected.images)))
    if not claimed and not (looks_like_product(page, seen) and not is_list(data)):
        return None
    if not is_product(page) and not structured:
        tags = Facts(tags.source, images=tags.images)
    paths = [Facts(source, category=category_of(nodes, page, (page.title, *titles)))
             for source, nodes in (("json-ld", data), ("microdata", items))]
    found = [*structured, *paths, tags]
    variations = from_variations(page)
    named = next((one for one in (*structured, tags, seen) if one.title), seen)
    models = [Facts(named.source, model_name=named.title, variant=one.variant) for one in variations if one.variant]
    return _Read(page, selected, tuple([*found, *models, *variations, seen]))


def _colourways(facts: Sequence[Facts]) -> list[str]:
    """The colourways that the first source to tell several apart knows; empty if none does."""
    known: dict[str, dict[str, None]] = {}
    for one in facts:
        if one.variant and one.colour:
            known.setdefault(one.source, {})[one.variant] = None
    return next((list(keys) for keys in known.values() if len(keys) > 1), [])


def _of_colourway(read: _Read, variant: str) -> list[Facts]:
    """What is said of one colourway, and of the others' facts those that are true of all."""
    return [_for_all(read.selected, ("price", "list_price", "currency")),
            *(one if variant and one.variant == variant else _for_all(one)
              for one in read.facts if one.variant in ("", variant))]


def _for_all(facts: Facts, also: Sequence[str] = ()) -> Facts:
    """Of facts about a page of several colourways those that are true of each."""
    return Facts(facts.source, **{name: getattr(facts, name) for name in (*_SHARED, *also)})


def _found(url: str, facts: Sequence[Facts], settings: ShopSettings, page: Outline | None = None, *,
           currency: str = "") -> FoundPage:
    known = [one for one in facts if one.source not in ("selectors", "sitemap")]
    title = next((one.model_name for one in known if one.model_name), url)
    listing = merged(url, [*facts, Facts("settings", brand=settings.brand), Facts("address", title=title)],
                     currency or settings.currency)
    selected = next((one for one in facts if one.source == "selectors" and one.images), None)
    if selected is not None:
        # Who names the place of the pictures means those and no others.
        own = [one for one in facts if one is selected or one.source in _ADAPTERS]
        return FoundPage(listing, tuple(pictures(link for one in own for link in one.images)))
    return FoundPage(listing, tuple(pictures((link for one in facts for link in one.images), page)))


def canonical(soup: BeautifulSoup, url: str) -> str:
    """The address the page says it should be known by, if that is a page of the same shop and not its front; else
    its own."""
    for tag in soup.find_all("link", href=True):
        if "canonical" in (tag.get("rel") or ()):
            named = page_link(base_of(soup, url), str(tag["href"]))
            if named and same_site(named, url) and named.partition("://")[2].partition("/")[2]:
                return named
    return url
