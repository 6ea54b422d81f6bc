"""A shop before its first crawl: a look at what it offers, and its row in the catalogue."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, FetchFailed, Forbidden
from catalogue.listings import FoundListing
from catalogue.tables import Shop
from crawler.discovery import USUAL_PLACES, fetch_sitemap, named_sitemaps, own_pages
from crawler.fetch import Fetcher
from crawler.links import absolute, looks_like_product, page_link, tidy, worth_following
from crawler.listing import parse, read_page
from crawler.opengraph import site_name
from crawler.settings import CrawlSettings
from crawler.sitemap import wanted_children

_MAX_SITEMAPS = 20
_MAX_SAMPLES = 6


@dataclass(frozen=True)
class ShopPreview:
    """What a look at a shop found. `kind` says how its pages are found: by `sitemap`, or by following `pages`.

    `addresses` counts pages that may be products (for `pages`: those in sight from the front page); `sample` is the
    first product that could be read, with the addresses of its photos, and None if none could.
    """

    url: str
    name: str
    kind: str
    addresses: int
    sitemaps: tuple[str, ...] = ()
    sample: FoundListing | None = None
    sample_photos: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def look_at(url: str, settings: CrawlSettings) -> ShopPreview:
    """Fetch a shop's front page, sitemaps and a few product pages; stores nothing.

    Raises `BadInput` for no web address, `FetchFailed` if the front page cannot be had.
    """
    url = url if "://" in url else f"https://{url}"
    start = page_link(url, url)
    if not start:
        raise BadInput(f"{url!r} is no web address; give the shop's front page, like https://shop.example/")
    with Fetcher(settings) as fetcher:
        front = fetcher.get(start, settings.max_page_bytes)
        if front.status != 200:
            raise FetchFailed(f"{start} answered {front.status}; check the address in a browser")
        start = tidy(front.url)
        soup = parse(front.text)
        problems: list[str] = []
        sitemaps, addresses = _by_sitemap(fetcher, start, problems)
        kind = "sitemap" if addresses else "pages"
        if not addresses:
            addresses = worth_following(soup, start)
        sample, photos = _sample(fetcher, addresses, problems)
        return ShopPreview(start, site_name(soup) or urlsplit(start).netloc, kind, len(addresses),
                           tuple(sitemaps) if kind == "sitemap" else (), sample, photos, tuple(problems))


def add_shop(engine: Engine, preview: ShopPreview, name: str = "") -> int:
    """Store the shop of a preview and return its id; one known by its address is brought up to date instead."""
    wanted = (name or preview.name)[:150].strip() or urlsplit(preview.url).netloc
    found = {"adapter": preview.kind, "start": list(preview.sitemaps)}
    with Session(engine) as session, session.begin():
        shop = session.scalar(select(Shop).where(Shop.url == preview.url))
        if shop is not None:
            shop.settings = {**shop.settings, **found}
            return shop.id
        if session.scalar(select(Shop.id).where(Shop.name == wanted)) is not None:
            if name:
                raise BadInput(f"there is a shop named {name!r} already; choose another name")
            wanted = f"{wanted} ({urlsplit(preview.url).netloc})"
        shop = Shop(name=wanted, url=preview.url, settings=found)
        session.add(shop)
        session.flush()
        return shop.id


def _by_sitemap(fetcher: Fetcher, start: str, problems: list[str]) -> tuple[list[str], list[str]]:
    """The sitemaps to begin with, and the shop's own pages in them and in their children."""
    roots = named_sitemaps(fetcher, start)
    if roots:
        return roots, own_pages(start, _pages_below(fetcher, roots, problems))
    for place in USUAL_PLACES:
        root = absolute(start, place)
        # Most shops have no sitemap at some of the usual places: that is no problem worth telling.
        if pages := own_pages(start, _pages_below(fetcher, [root], [])):
            return [root], pages
    return [], []


def _pages_below(fetcher: Fetcher, roots: list[str], problems: list[str]) -> list[str]:
    queue, pages = list(roots), []
    for number in range(_MAX_SITEMAPS):
        if number >= len(queue):
            break
        try:
            found = fetch_sitemap(fetcher, queue[number])
        except FetchFailed as error:
            problems.append(str(error))
            continue
        pages += [page.url for page in found.pages]
        children = [absolute(queue[number], child) for child in wanted_children(found.children)]
        queue += [link for link in children if link and link not in queue]
    return pages


def _sample(fetcher: Fetcher, addresses: list[str], problems: list[str]) -> tuple[FoundListing | None, tuple[str, ...]]:
    likely = [url for url in addresses if looks_like_product(url)] or addresses
    for url in likely[:_MAX_SAMPLES]:
        try:
            answer = fetcher.get(url, fetcher.settings.max_page_bytes)
        except Forbidden as error:
            problems.append(str(error))
            continue
        except FetchFailed as error:
            problems.append(str(error))
            break
        found = read_page(parse(answer.text), tidy(answer.url)) if answer.status == 200 else []
        if found:
            return found[0].listing, tuple(picture.urls[0] for picture in found[0].photos)
    return None, ()
