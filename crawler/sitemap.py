"""Sitemaps: bytes in, addresses out. Reads what can be read of an index or a list, plain or gzipped, broken or not."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import etree

from crawler.xml_answers import XmlAnswer, local_name

MAX_BYTES = 52_428_800
MAX_ENTRIES = 50_000
_PRODUCTS = re.compile(r"product|goods|prd|(?<![a-z])items?(?![a-z])", re.I)


@dataclass(frozen=True)
class SitemapPage:
    """One page of a sitemap with the pictures it is said to show."""

    url: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sitemap:
    """What a sitemap file holds; `problem` says what kept it from being read whole, and is empty otherwise."""

    children: tuple[str, ...] = ()
    pages: tuple[SitemapPage, ...] = ()
    problem: str = ""


def read_sitemap(data: bytes, max_bytes: int = MAX_BYTES) -> Sitemap:
    """Read a sitemap index or urlset. Never raises: what is broken ends the reading and is told in `problem`."""
    answer = XmlAnswer(data, max_bytes)
    children: list[str] = []
    pages: list[SitemapPage] = []
    problem = ""
    for node in answer.elements({"sitemap", "url"}):
        _take(node, children if local_name(node) == "sitemap" else None, pages)
        if len(children) + len(pages) > MAX_ENTRIES:
            problem = f"it holds more than {MAX_ENTRIES:,} entries; the rest was left out"
            break
    if not children and not pages and answer.root not in ("sitemapindex", "urlset"):
        problem = answer.problem or "it is no sitemap"
    return Sitemap(tuple(dict.fromkeys(children)), tuple(pages[:MAX_ENTRIES]), problem or answer.problem)


def wanted_children(children: tuple[str, ...]) -> tuple[str, ...]:
    """The child sitemaps to read: those named after products if there are any, else all."""
    return tuple(url for url in children if _PRODUCTS.search(urlsplit(url).path.rpartition("/")[2])) or children


def _take(node: etree._Element, children: list[str] | None, pages: list[SitemapPage]) -> None:
    place, images = "", []
    for part in node.iter():
        text = (part.text or "").strip() if isinstance(part.tag, str) else ""
        if local_name(part) != "loc" or not text:
            continue
        text = text.replace("&amp;", "&")  # some shops escape twice
        parent = part.getparent()
        if parent is not None and local_name(parent) == "image":
            images.append(text)
        elif not place:
            place = text
    if place and children is not None:
        children.append(place)
    elif place:
        pages.append(SitemapPage(place, tuple(images)))
