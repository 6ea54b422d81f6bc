"""Sitemaps: bytes in, addresses out. Reads what can be read of an index or a list, plain or gzipped, broken or not."""

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import etree

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
    data, problem = _unpacked(data, max_bytes)
    children: list[str] = []
    pages: list[SitemapPage] = []
    known = False
    try:
        # Entities stay unexpanded and nothing is loaded: a billion laughs are one node, an external file is never read.
        for _, node in etree.iterparse(io.BytesIO(data), events=("end",), recover=True, resolve_entities=False,
                                       no_network=True, load_dtd=False, huge_tree=False):
            name = _local(node)
            if name in ("sitemap", "url"):
                _take(node, children if name == "sitemap" else None, pages)
                node.clear()
                if len(children) + len(pages) > MAX_ENTRIES:
                    problem = problem or f"it holds more than {MAX_ENTRIES:,} entries; the rest was left out"
                    break
            known = known or name in ("sitemapindex", "urlset")
    except etree.XMLSyntaxError as error:
        problem = problem or f"it is broken XML ({error})"
    if not children and not pages and not known:
        problem = problem or "it is no sitemap"
    return Sitemap(tuple(dict.fromkeys(children)), tuple(pages[:MAX_ENTRIES]), problem)


def wanted_children(children: tuple[str, ...]) -> tuple[str, ...]:
    """The child sitemaps to read: those named after products if there are any, else all."""
    return tuple(url for url in children if _PRODUCTS.search(urlsplit(url).path.rpartition("/")[2])) or children


def _take(node: etree._Element, children: list[str] | None, pages: list[SitemapPage]) -> None:
    place, images = "", []
    for part in node.iter():
        text = (part.text or "").strip() if isinstance(part.tag, str) else ""
        if _local(part) != "loc" or not text:
            continue
        parent = part.getparent()
        if parent is not None and _local(parent) == "image":
            images.append(text)
        elif not place:
            place = text
    if place and children is not None:
        children.append(place)
    elif place:
        pages.append(SitemapPage(place, tuple(images)))


def _unpacked(data: bytes, max_bytes: int) -> tuple[bytes, str]:
    """Gunzip what begins like gzip, whatever the headers said; at most `max_bytes` are kept."""
    problem = ""
    if data[:2] == b"\x1f\x8b":
        whole = io.BytesIO()
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                while len(whole.getbuffer()) <= max_bytes and (chunk := file.read(65536)):
                    whole.write(chunk)
        except (OSError, EOFError, zlib.error) as error:
            problem = f"it is broken gzip ({error})"
        data = whole.getvalue()
    if len(data) > max_bytes:
        return data[:max_bytes], f"it is larger than {max_bytes:,} bytes; the rest was left out"
    return data, problem


def _local(node: etree._Element) -> str:
    return etree.QName(node).localname.lower() if isinstance(node.tag, str) else ""
