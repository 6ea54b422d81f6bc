"""Where a shop's product pages are found: the sitemaps it names, else the links of its pages."""

from collections.abc import Iterable

from catalogue.errors import FetchFailed
from crawler.fetch import Fetcher
from crawler.links import absolute, looks_like_product, page_link, same_site
from crawler.sitemap import Sitemap, read_sitemap

USUAL_PLACES = ("/sitemap.xml", "/sitemap_index.xml")


def named_sitemaps(fetcher: Fetcher, url: str) -> list[str]:
    """The sitemaps that the shop's robots.txt names."""
    return list(dict.fromkeys(link for name in fetcher.robots.rules(url).sitemaps if (link := absolute(url, name))))


def fetch_sitemap(fetcher: Fetcher, url: str) -> Sitemap:
    """Fetch and read one sitemap; `FetchFailed` if it cannot be had or is none."""
    answer = fetcher.get(url, fetcher.settings.max_sitemap_bytes, accept="application/xml,text/xml,*/*;q=0.5")
    if answer.status != 200:
        raise FetchFailed(f"the sitemap {url} answered {answer.status}")
    found = read_sitemap(answer.body, fetcher.settings.max_sitemap_bytes)
    if found.problem and not found.children and not found.pages:
        raise FetchFailed(f"the sitemap {url} cannot be read: {found.problem}")
    return found


def own_pages(shop_url: str, urls: Iterable[str]) -> list[str]:
    """Those of a sitemap's pages that belong to the shop, likely products first, each once."""
    found = dict.fromkeys(link for url in urls if (link := page_link(shop_url, url)) and same_site(link, shop_url))
    return sorted(found, key=lambda link: not looks_like_product(link))
