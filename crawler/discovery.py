"""Where a shop's sitemaps are, and what one of them holds."""

from catalogue.errors import FetchFailed
from crawler.adapters.entries import AdapterPage
from crawler.adapters.sitemaps import read_sitemap_answer
from crawler.fetch import Fetcher
from crawler.links import absolute

USUAL_PLACES = ("/sitemap.xml", "/sitemap_index.xml")


def named_sitemaps(fetcher: Fetcher, url: str) -> list[str]:
    """The sitemaps that the shop's robots.txt names."""
    return list(dict.fromkeys(link for name in fetcher.robots.rules(url).sitemaps if (link := absolute(url, name))))


def fetch_sitemap(fetcher: Fetcher, shop_url: str, url: str) -> AdapterPage:
    """Fetch and read one sitemap of a shop; `FetchFailed` if it cannot be had or is none."""
    most = fetcher.settings.max_sitemap_bytes
    answer = fetcher.get(url, most, accept="application/xml,text/xml,*/*;q=0.5")
    if answer.status != 200:
        raise FetchFailed(f"the sitemap {url} answered {answer.status}")
    return read_sitemap_answer(answer.body, url, shop_url, most)
