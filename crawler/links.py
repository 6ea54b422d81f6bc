"""Addresses on a page: made absolute, tidied for comparing, and which of them are worth following."""

import re
from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

from bs4 import BeautifulSoup

MAX_URL = 1000
_TRACKING = re.compile(r"^(utm_\w+|gclid|fbclid|msclkid|yclid|srsltid|mc_[ce]id|_ga|igshid|ref|_pos|_sid|_ss)$", re.I)
_TRAP_QUERY = re.compile(r"^(add[-_]to[-_]\w+|remove_item|sort\w*|order(by)?|dir|filter\w*|f"
                         r"|min[-_]?price|max[-_]?price|price|view|limit|per_page|q|s|search|variant|return\w*|redirect\w*|currency|lang|print)"
                         r"(\[.*\])?$", re.I)
_TRAP_PATH = re.compile(r"/(cart|basket|checkout|login|logout|account|my-?account|register|signup|wishlist|compare"
                        r"|search|members?|admin|wp-(admin|login|json)|feed|reviews?|board|order)(/|\.|$)", re.I)
_FILE = re.compile(r"\.(jpe?g|png|gif|webp|avif|svg|ico|css|js|pdf|zip|gz|xml|json|mp4|webm|woff2?|txt|rss)$", re.I)
_PRODUCT = re.compile(r"/(products?|item|items|goods|p|dp|shop-?detail|prd|catalog/product)(/|\.|_|-)", re.I)


def tidy(url: str) -> str:
    """One spelling for one page: lower-case host, no default port, fragment or tracking parameters."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    if parts.port and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host = f"{host}:{parts.port}"
    # The rest of the query stays as it is spelled: some servers mind.
    query = "&".join(part for part in parts.query.split("&") if part and not _TRACKING.match(part.partition("=")[0]))
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._[]")
    return urlunsplit((parts.scheme.lower(), host, path, quote(query, safe="/%:@!$&'()*+,;=~-._[]?"), ""))


def absolute(base: str, href: str) -> str:
    """`href` as found on a page at `base`, absolute and without fragment; empty for no web address or a huge one."""
    if not href.strip():
        return ""
    try:
        parts = urlsplit(urljoin(base, href.strip()))
        url = urlunsplit(parts._replace(fragment=""))
        url.encode()
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return ""
    return url if known and len(url) <= MAX_URL and "\0" not in url else ""


def page_link(base: str, href: str) -> str:
    """`absolute` for the address of a page, tidied so that one page has one address."""
    url = absolute(base, href)
    return tidy(url) if url and len(tidy(url)) <= MAX_URL else ""


def base_of(soup: BeautifulSoup, url: str) -> str:
    """What relative addresses of the page are relative to: its `<base>`, else its own address."""
    tag = soup.find("base", href=True)
    return based(url, str(tag["href"])) if tag is not None else url


def based(url: str, href: str) -> str:
    """What a `<base>` makes of a page's address; one that leads off the web counts for nothing."""
    return absolute(url, href) or url


def same_site(one: str, other: str) -> bool:
    """Whether two addresses belong to one shop: the same host and port, with or without `www.`."""
    hosts = [urlsplit(url).netloc.lower().removeprefix("www.") for url in (one, other)]
    return hosts[0] == hosts[1]


def looks_like_product(url: str) -> bool:
    """Whether an address is spelled as shops spell product pages; a hint for what to visit first, no more."""
    return bool(_PRODUCT.search(urlsplit(url).path))


def worth_following(soup: BeautifulSoup, url: str) -> list[str]:
    """The page's links that stay in the shop and lead to pages, in page order, products first.

    Carts, accounts, searches, files, sorted and filtered views and `nofollow` links are left out.
    """
    base = base_of(soup, url)
    found: dict[str, None] = {}
    for tag in soup.find_all("a", href=True):
        target = page_link(base, str(tag["href"]))
        if target and "nofollow" not in (tag.get("rel") or ()) and same_site(target, url) and not _is_trap(target):
            found[target] = None
    return sorted(found, key=lambda link: not looks_like_product(link))


def _is_trap(url: str) -> bool:
    parts = urlsplit(url)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    return bool(_TRAP_PATH.search(parts.path) or _FILE.search(parts.path)
                or len(names) > 3 or any(_TRAP_QUERY.match(name) for name in names))
