"""A shop before its first crawl: a look at what it offers, and its row in the catalogue."""

import re
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, FetchFailed
from catalogue.listings import FoundListing
from catalogue.tables import Shop
from crawler import adapters
from crawler.fetch import Fetched, Fetcher
from crawler.links import looks_like_product, page_link, tidy
from crawler.pages.listing import FoundPage, parse, read_page, told_page
from crawler.pages.opengraph import site_name
from crawler.probing import SOFTWARE, Shopfront, Ways, find_way
from crawler.settings import CrawlSettings
from crawler.shop_settings import Adapter, ShopSettings, shop_settings, stored

_MAX_SAMPLES = 6
_FOUND = ("adapter", "start", "currency")


@dataclass(frozen=True)
class ShopPreview:
    """What a look at a shop found, and the `settings` it would be crawled with.

    `addresses` counts products, or pages that may be some (for `pages`: those in sight from the front page);
    `at_least` says that there are more. `sample` is the first product that could be read, with the addresses of its
    photos, and None if none could.
    """

    url: str
    name: str
    settings: ShopSettings
    addresses: int
    at_least: bool = False
    sample: FoundListing | None = None
    sample_photos: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def kind(self) -> Adapter:
        """How its products are found, as its settings name it."""
        return self.settings.adapter

    @property
    def software(self) -> str:
        """How its products are found, in words."""
        return SOFTWARE[self.settings.adapter]


def look_at(url: str, settings: CrawlSettings, given: ShopSettings | None = None) -> ShopPreview:
    """Fetch a shop's front page, the places where shops list their products and a few of these; stores nothing.

    `given` settings are believed: an adapter that they name is the only one tried. Raises `BadInput` for no web
    address, `FetchFailed` if the front page, or what the given settings name, cannot be had.
    """
    url = url if "://" in url else f"https://{url}"
    start = page_link(url, url)
    if not start:
        raise BadInput(f"{url!r} is no web address; give the shop's front page, like https://shop.example/")
    with Fetcher(settings.within(given.limits) if given else settings) as fetcher:
        shop = _front(fetcher, start, given)
        way = find_way(shop, given)
        sample = _told_sample(shop, way) if way.page.entries else _page_sample(shop, way)
        return ShopPreview(
            shop.url, site_name(shop.soup) or urlsplit(shop.url).netloc, way.settings, way.addresses, way.at_least,
            sample.listing if sample else None,
            tuple(picture.urls[0] for picture in sample.photos) if sample else (), tuple(dict.fromkeys(shop.problems)))


def add_shop(engine: Engine, preview: ShopPreview, name: str = "", settings: ShopSettings | None = None) -> int:
    """Store the shop of a preview and return its id; one known by its address is brought up to date instead.

    `settings` are those a user gave: then the preview's, which hold them, replace what was stored; else only how the
    products are found is, and what a user once set stays.
    """
    wanted = (name or preview.name)[:150].strip() or urlsplit(preview.url).netloc
    with Session(engine) as session, session.begin():
        shop = session.scalar(select(Shop).where(Shop.url == preview.url))
        if shop is not None:
            found = {part: getattr(preview.settings, part) for part in _FOUND if getattr(preview.settings, part)}
            shop.settings = stored(preview.settings if settings is not None else
                                   shop_settings(shop.settings).model_copy(update={"start": (), **found}))
            return shop.id
        if session.scalar(select(Shop.id).where(Shop.name == wanted)) is not None:
            if name:
                raise BadInput(f"there is a shop named {name!r} already; choose another name")
            wanted = _free_name(session, f"{wanted} ({urlsplit(preview.url).netloc})")
        shop = Shop(name=wanted, url=preview.url, settings=stored(preview.settings))
        session.add(shop)
        session.flush()
        return shop.id


def _free_name(session: Session, wanted: str) -> str:
    """The name, numbered where there is a shop called so."""
    names = (wanted if number == 1 else f"{wanted} {number}" for number in count(1))
    return next(name for name in names if session.scalar(select(Shop.id).where(Shop.name == name)) is None)


def _front(fetcher: Fetcher, start: str, given: ShopSettings | None) -> Shopfront:
    """The shop with its front page; a shop whose way is given can do without one."""
    try:
        front = fetcher.get(start, fetcher.settings.max_page_bytes)
        if front.status != 200:
            raise FetchFailed(f"{start} answered {front.status}; check the address in a browser")
    except FetchFailed as error:
        if given is None or given.adapter == "pages":
            raise
        return Shopfront(fetcher, start, None, parse(""), [str(error)])
    return Shopfront(fetcher, tidy(front.url), front, parse(front.text))


def _told_sample(shop: Shopfront, way: Ways) -> FoundPage | None:
    """One of an adapter's listings, read as a crawl would read it."""
    entries = [entry for entry in way.page.entries if entry.facts.images] or list(way.page.entries)
    for entry in entries[:_MAX_SAMPLES]:
        if not adapters.needs_page(entry, way.settings):
            return told_page(entry.url, (entry.facts,), way.settings)
        answer = _page(shop, entry.url.partition("#")[0])
        if answer is not None and (found := read_page(parse(answer.text), entry.url, (entry.facts,), way.settings)):
            return found[0]
    return None


def _page_sample(shop: Shopfront, way: Ways) -> FoundPage | None:
    """The first of the likely product pages that can be read as one."""
    wanted = way.settings.follow.product
    likely = [url for url in way.pages if (re.search(wanted, url) if wanted else looks_like_product(url))] or way.pages
    for url in likely[:_MAX_SAMPLES]:
        answer = _page(shop, url)
        if answer is not None and (found := read_page(parse(answer.text), tidy(answer.url), (), way.settings)):
            return found[0]
    return None


def _page(shop: Shopfront, url: str) -> Fetched | None:
    """A page of the shop, None if it cannot be had, which is told among the problems."""
    try:
        answer = shop.fetcher.get(url, shop.fetcher.settings.max_page_bytes)
    except FetchFailed as error:
        shop.problems.append(str(error))
        return None
    return answer if answer.status == 200 else None
