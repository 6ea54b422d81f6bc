"""Products in schema.org nodes, of JSON-LD or microdata: the one the page is about, in any shape shops give it."""

import html
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from catalogue.identity import plain
from crawler.facts import Facts, clean, gtin, style_code
from crawler.links import MAX_URL, absolute, page_link
from crawler.offers import Sale, many, sale_of, size_text, together
from crawler.pages.outline import Outline

Node = dict[str, Any]
_MOST_NODES, _MOST_VARIANTS, _MOST_COLOURS = 500, 2_000, 100
_PRODUCT_TYPES = {"product", "productgroup", "productmodel", "individualproduct"}
_NO_PRODUCTS = {"collectionpage", "searchresultspage", "checkoutpage", "article", "blogposting", "newsarticle", "blog",
                "offercatalog"}
# Below these stand other products than the page's own.
_OTHERS = {"isrelatedto", "issimilarto", "isaccessoryorsparepartfor", "isconsumablefor", "itemlistelement",
           "hasvariant", "isvariantof", "offers", "review", "itemreviewed", "itemoffered", "mentions", "about",
           "hasofferscatalog", "hasoffercatalog", "makesoffer", "itemlist"}
_GTINS = ("gtin13", "gtin", "gtin14", "gtin12", "gtin8")
# What a size of a shoe does not tell of the others.
_OF_ONE_SIZE = {"size", "offers", "sku", "mpn", *_GTINS}


def product_facts(data: Sequence[Any], page: Outline, source: str) -> list[Facts]:
    """The page's own product, once for each colourway it sells; empty if the nodes name none or cannot tell which."""
    nodes = [node for one in data for node in _products(one, 0)][:_MOST_NODES]
    if not nodes:
        return []
    by_id = {clean(node["@id"]): node for one in data for node in all_nodes(one) if "@id" in node and len(node) > 1}
    return [facts for node in _about(_in_groups(nodes), page) for facts in _facts_of(node, by_id, page, source)]


def _in_groups(nodes: list[Node]) -> list[Node]:
    """The nodes with variants that stand beside their group, and only refer to it, put into it."""
    groups = {name: node for node in nodes if "productgroup" in types_of(node) and not node.get("hasVariant")
              for name in (clean(node.get("@id")), clean(node.get("productGroupID"))) if name}
    variants: dict[int, list[Node]] = {}
    for node in nodes:
        told = [one.get("@id") for one in many(node.get("isVariantOf")) if isinstance(one, dict)]
        names = [clean(name) for name in (*told, node.get("inProductGroupWithID"))]
        group = next((groups[name] for name in names if name in groups), None)
        if group is not None and group is not node:
            variants.setdefault(id(group), []).append(node)
    # One alone is what the page is about.
    variants = {number: some for number, some in variants.items() if len(some) > 1}
    inner = {id(node) for some in variants.values() for node in some}
    return [{**node, "hasVariant": variants[id(node)]} if id(node) in variants else node
            for node in nodes if id(node) not in inner]


def is_list(data: Sequence[Any]) -> bool:
    """Whether the nodes call the page a list of products, an article or a cart."""
    return any(types_of(node) & _NO_PRODUCTS for one in data for node in all_nodes(one))


def all_nodes(data: Any, depth: int = 0) -> Iterator[Node]:
    """Every node, however deep."""
    if depth > 12:
        return
    if isinstance(data, dict):
        yield data
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from all_nodes(value, depth + 1)


def _products(data: Any, depth: int) -> Iterator[Node]:
    """Product nodes at the top, in lists, in @graph or below a page's mainEntity; none that is merely mentioned."""
    if depth > 8:
        return
    if isinstance(data, list):
        for item in data:
            yield from _products(item, depth + 1)
    elif isinstance(data, dict):
        if types_of(data) & _PRODUCT_TYPES:
            yield data
            return
        for key, value in data.items():
            if key.lower() not in _OTHERS:
                yield from _products(value, depth + 1)


def _about(nodes: list[Node], page: Outline) -> list[Node]:
    """Of the page's product nodes those that are about the product it shows, best first."""
    named = [node for node in nodes if text_in(node.get("name"))]
    if not named:
        # A page may name its product in the heading alone.
        return nodes if len(nodes) == 1 and page.title and nodes[0].get("offers") else []
    title = plain(page.title)

    def fit(node: Node) -> tuple[bool, bool, bool, bool]:
        own = clean(node.get("url") or node.get("@id"), MAX_URL)
        name = plain(text_in(node.get("name")))
        link = page_link(page.base, own) if own else ""
        return (link == page.url,
                bool(title) and (name == title or name in title or title in name),
                bool(link) and _path(link) == _path(page.url) and not ("?" in link and "?" in page.url),
                bool(node.get("offers") or node.get("hasVariant")))

    best = max(named, key=fit)
    name = plain(text_in(best.get("name")))
    same = [node for node in named if plain(text_in(node.get("name"))) == name
            and plain(text_in(node.get("color"))) in ("", plain(text_in(best.get("color"))))]
    if len({plain(text_in(node.get("name"))) for node in named}) > 1 and not any(fit(best)[:3]):
        return []  # a list of products, none of them this page's
    sizes = [node for node in same if size_text(node.get("size"))]
    if len({size_text(node.get("size")) for node in sizes}) > 1:
        shoe = {key: value for key, value in best.items() if key.lower() not in _OF_ONE_SIZE}
        return [{**shoe, "hasVariant": sizes}]
    return [best, *(node for node in same if node is not best)]


def _facts_of(node: Node, by_id: dict[str, Node], page: Outline, source: str) -> list[Facts]:
    variants = [_known(one, by_id) for one in many(node.get("hasVariant"))]
    variants = [one for one in variants[:_MOST_VARIANTS] if isinstance(one, dict)]
    colours = dict.fromkeys(plain(text_in(one.get("color"))) for one in variants)
    colours.pop("", None)
    if len(colours) < 2:
        return [_one(node, variants, by_id, page, source)]
    # A page may be one colourway's own although its group tells of them all.
    here = {plain(text_in(one.get("color"))) for one in variants
            if one.get("url") and page_link(page.base, clean(one["url"], MAX_URL)) == page.url} - {""}
    own = here.pop() if len(here) == 1 else plain(text_in(node.get("color")))
    if own in colours:
        colours = {own: None}
    several = len(colours) > 1
    by_colour: dict[str, list[Node]] = {}
    for one in variants:
        by_colour.setdefault(plain(text_in(one.get("color"))), []).append(one)
    return [_one(node, by_colour[colour], by_id, page, source, colour if several else "", colourway=True)
            for colour in list(colours)[:_MOST_COLOURS]]


def _one(node: Node, variants: list[Node], by_id: dict[str, Node], page: Outline, source: str, variant: str = "",
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
    mpn, sku = (text_in(own_node.get(key)) or _agreed(variants, key) for key in ("mpn", "sku"))
    offers = [offer for one in (own_node, *variants) for offer in many(_known(one.get("offers"), by_id))
              if isinstance(offer, dict)]
    if len(skus := {text_in(offer.get("sku")) for offer in offers}) > 1 and sku in skus:
        sku = ""  # that of one size
    images = [image for one in (variants if colourway else [node, *variants])
              for image in _images(_known(one.get("image"), by_id))]
    return Facts(
        source=source, title=text_in(first.get("name") if colourway else "") or text_in(node.get("name")),
        brand=_brand(node) or _brand(first), model_name=text_in(parent.get("name")) or (
            text_in(node.get("name")) if colourway else ""),
        group=clean(group, 200), colour=text_in(first.get("color"))[:200] or text_in(node.get("color"))[:200],
        style_code=style_code(mpn, sku), gtins=_gtins([own_node, *variants, *offers]),
        price=sale.price, list_price=sale.list_price, currency=sale.currency, available=sale.available,
        sizes=sale.sizes,
        images=tuple(dict.fromkeys(link for image in images if (link := absolute(page.base, image)))), variant=variant)


def _agreed(nodes: list[Node], key: str) -> str:
    """The text that all nodes have under a key; empty if they differ."""
    texts = {text_in(node.get(key)) for node in nodes}
    return texts.pop() if len(texts) == 1 else ""


def _gtins(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for node in nodes for key in _GTINS
                               if (code := gtin(text_in(node.get(key))))))


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
        if name := text_in(item.get("name") if isinstance(item, dict) else item)[:200]:
            return name
    return ""


def _known(value: Any, by_id: dict[str, Node]) -> Any:
    """The node itself where only its @id is given."""
    if isinstance(value, list):
        return [_known(one, by_id) for one in value]
    if isinstance(value, dict) and set(value) <= {"@id", "@type"}:
        return by_id.get(clean(value.get("@id")), value)
    return value


def types_of(node: Node) -> set[str]:
    """The names of a node's types in lower case, without the vocabulary's address."""
    return {clean(one).rpartition("/")[2].rpartition(":")[2].lower() for one in many(node.get("@type"))}


def text_in(value: Any) -> str:
    """The first text of a value given alone, in a list, or as an object with a name."""
    for item in many(value):
        if isinstance(item, dict):
            item = item.get("@value") or item.get("name")
        if text := clean(html.unescape(item) if isinstance(item, str) else item):
            return text
    return ""


def _path(address: str) -> str:
    try:
        return urlsplit(address.partition("#")[0]).path
    except ValueError:
        return ""
