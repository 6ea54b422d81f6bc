"""Sitemaps as answers: the shop's pages with the pictures they are said to show, and the sitemaps below."""

from catalogue.errors import FetchFailed
from crawler.adapters.entries import AdapterPage, Entry, Following
from crawler.facts import Facts
from crawler.links import absolute, looks_like_product, page_link, same_site
from crawler.sitemap import MAX_BYTES, read_sitemap, wanted_children


def read_sitemap_answer(body: bytes, url: str, shop_url: str, max_bytes: int = MAX_BYTES) -> AdapterPage:
    """One sitemap: likely products first, each page and each child once."""
    found = read_sitemap(body, max_bytes)
    if found.problem and not found.children and not found.pages:
        raise FetchFailed(f"the sitemap {url} cannot be read: {found.problem}")
    pages: dict[str, tuple[str, ...]] = {}
    for page in found.pages:
        link = page_link(shop_url, page.url)
        if link and same_site(link, shop_url):
            images = [image for one in page.images if (image := absolute(shop_url, one))]
            pages[link] = tuple(dict.fromkeys([*pages.get(link, ()), *images]))
    children = dict.fromkeys(link for child in wanted_children(found.children) if (link := absolute(url, child)))
    children.pop(url, None)
    return AdapterPage(
        tuple(Entry(link, Facts(source="sitemap", images=pages[link]))
              for link in sorted(pages, key=lambda link: not looks_like_product(link))),
        tuple(Following(link) for link in children), found.problem)
