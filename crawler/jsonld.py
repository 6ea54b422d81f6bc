"""Products in a page's JSON-LD: finds the product the page is about, in any of the shapes shops give it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from catalogue.identity import plain
from crawler.facts import Facts, clean, gtin, style_code
from crawler.links import absolute, base_of, page_link
from crawler.offers import Sale, many, sale_of, size_text, together

Node = dict[str, Any]
_PRODUCT_TYPES = {"product", "productgroup", "productmodel", "individualproduct"}
# Below these stand other products than the page's own.
_OTHERS = {"isrelatedto", "issimilarto", "isaccessoryorsparepartfor", "isconsumablefor", "itemlistelement",
           "hasvariant", "isvariantof", "offers", "review", "itemreviewed", "itemoffered"}
_WRAPPING = re.compile(r"^\s*(<!--|//\s*<!\[CDATA\[|<!\[CDATA\[)|(-->|//\s*\]\]>|\]\]>)\s*;?\s*$")


def from_jsonld(soup: BeautifulSoup, url: str) -> list[Facts]:
    """The page's own product, once for each colourway it sells; empty if JSON-LD names none or cannot tell which."""
    nodes = [node for data in _scripts(soup) for node in _products(data, 0)]
    by_id = {clean(node["@id"]): node for data in _scripts(soup) for node in _all_nodes(data, 0)
             if "@id" in node and len(node) > 1}
    base = base_of(soup, url)
    return [facts for node in _about(nodes, soup, url) for facts in _facts_of(node, by_id, base, url)]


def _scripts(soup: BeautifulSoup) -> Iterator[Any]:
    for script in soup.find_all("script", type=re.compile(r"^\s*application/ld\+json", re.I)):
        text = _WRAPPING.sub("", script.string or "")
        for attempt in (text, re.sub(r",\s*([}\]])", r"\1", text.strip().rstrip(";"))):
            try:
                yield json.loads(attempt, strict=False)
                break
            except (ValueError, RecursionError):
                continue


def _all_nodes(data: Any, depth: int) -> Iterator[Node]:
    if depth > 12:
        return
    if isinstance(data, dict):
        yield data
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _all_nodes(value, depth + 1)


def _products(data: Any, depth: int) -> Iterator[Node]:
    """Product nodes at the top, in lists, in @graph or below a page's mainEntity; none that is merely mentioned."""
    if depth > 8:
        return
    if isinstance(data, list):
        for item in data:
            yield from _products(item, depth + 1)
    elif isinstance(data, dict):
        if _types(data) & _PRODUCT_TYPES:
            yield data
            return
        for key, value in data.items():
            if key.lower() not in _OTHERS:
                yield from _products(value, depth + 1)


def _about(nodes: list[Node], soup: BeautifulSoup, url: str) -> list[Node]:
    """Of the page's product nodes those that are about the product it shows, best first."""
    named = [node for node in nodes if _text(node.get("name"))]
    if not named:
        return []
    heading = soup.find("h1")
    title = plain(heading.get_text(" ")) if heading is not None else ""

    def fit(node: Node) -> tuple[bool, bool, bool]:
        own = clean(node.get("url") or node.get("@id"))
        name = plain(_text(node.get("name")))
        return (bool(own) and urlsplit(own.partition("#")[0]).path == urlsplit(url).path,
                bool(title) and (name == title or name in title or title in name),
                bool(node.get("offers") or node.get("hasVariant")))

    best = max(named, key=fit)
    name = plain(_text(best.get("name")))
    same = [node for node in named if plain(_text(node.get("name"))) == name
            and plain(_text(node.get("color"))) in ("", plain(_text(best.get("color"))))]
    if len({plain(_text(node.get("name"))) for node in named}) > 1 and not any(fit(best)[:2]):
        return []  # a list of products, none of them this page's
    return [best, *(node for node in same if node is not best)]


def _facts_of(node: Node, by_id: dict[str, Node], base: str, url: str) -> list[Facts]:
    variants = [_known(one, by_id) for one in many(node.get("hasVariant"))]
    variants = [one for one in variants if isinstance(one, dict)]
    colours = dict.fromkeys(plain(_text(one.get("color"))) for one in variants)
    colours.pop("", None)
    if len(colours) < 2:
        return [_one(node, variants, by_id, base, "")]
    # A page may be one colourway's own although its group tells of them all.
    here = {plain(_text(one.get("color"))) for one in variants
            if one.get("url") and page_link(base, clean(one["url"])) == url} - {""}
    own = here.pop() if len(here) == 1 else plain(_text(node.get("color")))
    if own in colours:
        colours = {own: None}
    several = len(colours) > 1
    return [_one(node, [one for one in variants if plain(_text(one.get("color"))) == colour], by_id, base,
                 colour if several else "", colourway=True) for colour in colours]


def _one(node: Node, variants: list[Node], by_id: dict[str, Node], base: str, variant: str,
         colourway: bool = False) -> Facts:
    """Facts of one colourway: `node` is a product, or a group of which `variants` are this colourway's sizes."""
    first = variants[0] if variants else {}
    sales = [sale_of(_known(one.get("offers"), by_id), size_text(one.get("size"))) for one in variants]
    own = sale_of(_known(node.get("offers"), by_id), size_text(node.get("size")))
    sale = together(sales) if any(one != Sale() for one in sales) else own
    parent = _known(next(iter(many(node.get("isVariantOf"))), {}), by_id)
    parent = parent if isinstance(parent, dict) else {}
    # What only the sizes of one shoe share is no model.
    group = node.get("inProductGroupWithID") or parent.get("productGroupID") or (
        node.get("productGroupID") if colourway or _varies_by_colour(node) else "")
    # A group's code is no colourway's, and a code of one size is no shoe's: variants count where they agree.
    own_node = {} if colourway else node
    mpn, sku = (_text(own_node.get(key)) or _agreed(variants, key) for key in ("mpn", "sku"))
    images = [image for one in (variants if colourway else [node, *variants]) for image in _images(one.get("image"))]
    return Facts(
        source="json-ld", title=_text(first.get("name") if colourway else "") or _text(node.get("name")),
        brand=_brand(node) or _brand(first), model_name=_text(parent.get("name")) or (
            _text(node.get("name")) if colourway else ""),
        group=clean(group, 200), colour=_text(first.get("color"))[:200] or _text(node.get("color"))[:200],
        style_code=style_code(mpn, sku), gtins=_gtins([own_node, *variants]),
        price=sale.price, currency=sale.currency, available=sale.available, sizes=sale.sizes,
        images=tuple(dict.fromkeys(link for image in images if (link := absolute(base, image)))), variant=variant)


def _agreed(nodes: list[Node], key: str) -> str:
    """The text that all nodes have under a key; empty if they differ."""
    texts = {_text(node.get(key)) for node in nodes}
    return texts.pop() if len(texts) == 1 else ""


def _gtins(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for node in nodes for key in ("gtin13", "gtin", "gtin14", "gtin12", "gtin8")
                               if (code := gtin(_text(node.get(key))))))


def _varies_by_colour(node: Node) -> bool:
    return any("color" in clean(one).lower() for one in many(node.get("variesBy")))


def _images(value: Any) -> Iterator[str]:
    for item in many(value):
        if isinstance(item, dict):
            item = item.get("contentUrl") or item.get("url") or item.get("@id")
        for one in many(item):
            if isinstance(one, str) and one.strip() and not one.startswith("data:"):
                yield html.unescape(one.strip())


def _brand(node: Node) -> str:
    for item in many(node.get("brand")) + many(node.get("manufacturer")):
        if name := _text(item.get("name") if isinstance(item, dict) else item)[:200]:
            return name
    return ""


def _known(value: Any, by_id: dict[str, Node]) -> Any:
    """The node itself where only its @id is given."""
    if isinstance(value, list):
        return [_known(one, by_id) for one in value]
    if isinstance(value, dict) and set(value) <= {"@id", "@type"}:
        return by_id.get(clean(value.get("@id")), value)
    return value


def _types(node: Node) -> set[str]:
    return {clean(one).rpartition("/")[2].rpartition(":")[2].lower() for one in many(node.get("@type"))}


def _text(value: Any) -> str:
    for item in many(value):
        if isinstance(item, dict):
            item = item.get("@value") or item.get("name")
        if text := clean(html.unescape(item) if isinstance(item, str) else item):
            return text
    return ""
