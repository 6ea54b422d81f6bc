"""The path of categories that leads to a product: of JSON-LD, of microdata, or as the page shows it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bs4 import Tag

from catalogue.identity import plain
from crawler.facts import clean
from crawler.links import page_link
from crawler.offers import many
from crawler.pages.outline import Outline, text_of
from crawler.pages.product_nodes import all_nodes, text_in, types_of
from crawler.pages.traits import names_of
from crawler.pages.words import HOME

_MARKS = " >/›»|→·•<‹»❯⟩\\-–:"
_SURE = re.compile(r"crumb|ariane|パンくず|위치", re.I)
Crumb = tuple[str, str, bool]


def category_of(data: Sequence[Any], page: Outline, titles: Sequence[str]) -> str:
    """The category in the nodes' BreadcrumbLists: the longest path, joined by ` > `; empty if there is none."""
    paths = [_category(_crumbs(node), page, titles) for one in data for node in all_nodes(one)
             if "breadcrumblist" in types_of(node)]
    return max(paths, key=len, default="")


def shown_category(page: Outline, titles: Sequence[str]) -> str:
    """The category in the page's visible breadcrumb."""
    for tag in page.crumbs:
        crumbs = _visible(tag)
        # `path` and `location` call other things so too: those lead from the shop's front.
        sure = _SURE.search(names_of(tag)) or (
            crumbs and (plain(crumbs[0][0]) in HOME or _is_front(crumbs[0][1], page)))
        if sure and (category := _category(crumbs, page, titles)):
            return category
    return ""


def _category(crumbs: list[Crumb], page: Outline, titles: Sequence[str]) -> str:
    if crumbs and (plain(crumbs[0][0]) in HOME or _is_front(crumbs[0][1], page)):
        crumbs = crumbs[1:]
    if crumbs and _is_product(crumbs[-1], page, titles):
        crumbs = crumbs[:-1]
    return " > ".join(name for name, _, _ in crumbs)[:500]


def _is_front(address: str, page: Outline) -> bool:
    link = page_link(page.base, address) if address else ""
    return bool(link) and link.partition("://")[2].partition("/")[2] == ""


def _is_product(crumb: Crumb, page: Outline, titles: Sequence[str]) -> bool:
    name, address, last = crumb
    if address and page_link(page.base, address) == page.url:
        return True
    own = plain(name)
    keys = [plain(title) for title in titles if title]
    if own in keys:
        return True
    # A longer or shorter spelling of the product, unless it leads to a page of its own.
    return last and any(key and ((own in key and len(own) * 2 > len(key)) or key in own) for key in keys)


def _crumbs(node: dict[str, Any]) -> list[Crumb]:
    found: list[tuple[float, Crumb]] = []
    for index, one in enumerate(many(node.get("itemListElement"))):
        if not isinstance(one, dict):
            continue
        item = one.get("item")
        name = text_in(one.get("name")) or (text_in(item) if isinstance(item, dict) else "")
        address = (clean(item.get("@id") or item.get("url"), 1000) if isinstance(item, dict) else clean(item, 1000))
        try:
            position = float(text_in(one.get("position")) or index)
        except ValueError:
            position = float(index)
        if name:
            found.append((position, (name[:200], address, not address)))
    return [crumb for _, crumb in sorted(found, key=lambda pair: pair[0])]


def _visible(tag: Tag) -> list[Crumb]:
    found: list[Crumb] = []
    for name, link in _parts(tag):
        name = clean(name).strip(_MARKS)
        if name and len(name) <= 100 and (not found or found[-1][0] != name):
            address = str(link.attrs.get("href") or "") if link is not None else ""
            found.append((name, address, link is None))
    return found


def _parts(tag: Tag) -> Iterator[tuple[str, Tag | None]]:
    """Each item of a visible breadcrumb: the entries of its list, else its links and the texts between them."""
    if entries := tag.find_all("li"):
        for entry in entries:
            link = entry.find("a")
            yield text_of(link if link is not None and clean(text_of(link)) else entry), link
        return
    stack: list[Any] = list(reversed(tag.contents))
    while stack:
        part = stack.pop()
        if not isinstance(part, Tag):
            for name in _split(str(part)):
                yield name, None
        elif part.name == "a":
            yield text_of(part), part
        elif part.name not in ("script", "style", "svg"):
            stack.extend(reversed(part.contents))


def _split(text: str) -> list[str]:
    for mark in (">", "›", "»", " / ", "→", "❯", "|"):
        text = text.replace(mark, "\n")
    return text.split("\n")
