"""The microdata of a page as nodes in JSON-LD's shape, read from the one parsed tree.

Microdata readers for lxml would need the page parsed a second time (some 50 ms a page), and try every nested item
against every other; the page's own tree is walked once here.
"""

from typing import Any

from bs4 import NavigableString, Tag

from crawler.facts import clean
from crawler.pages.outline import Outline, text_of

_ADDRESS = {"a": "href", "area": "href", "link": "href", "img": "src", "audio": "src", "video": "src", "source": "src",
            "embed": "src", "iframe": "src", "object": "data", "track": "src"}
_LAZY = ("data-zoom-image", "data-large_image", "data-original", "data-src", "data-lazy-src", "src")
_NO_TEXT = {"del", "s", "strike", "script", "style"}
_DEEPEST = 12
_MOST = 5_000
Node = dict[str, Any]


def microdata_nodes(page: Outline) -> list[Node]:
    """The page's items that are no property of another, each with what it holds."""
    left = [_MOST]
    return [_node(item, page, 0, left) for item in page.items if "itemprop" not in item.attrs and left[0] > 0]


def _node(item: Tag, page: Outline, depth: int, left: list[int]) -> Node:
    node: Node = {"@type": str(item.attrs.get("itemtype") or "").split()}
    if "itemid" in item.attrs:
        node["@id"] = str(item.attrs["itemid"])
    referred = [page.ids[name] for name in str(item.attrs.get("itemref") or "").split() if name in page.ids]
    stack: list[Any] = [*reversed(referred), *reversed(item.contents)]
    while stack and left[0] > 0:
        tag = stack.pop()
        if not isinstance(tag, Tag) or tag is item:
            continue
        left[0] -= 1
        inner = "itemscope" in tag.attrs
        if "itemprop" in tag.attrs:
            value = (_node(tag, page, depth + 1, left) if depth < _DEEPEST else {}) if inner else _value(tag)
            for name in str(tag.attrs["itemprop"]).split():
                _put(node, name.rpartition("/")[2], value)
        if not inner:
            stack.extend(reversed(tag.contents))
    return node


def _put(node: Node, name: str, value: Any) -> None:
    if value in ("", {}):
        return
    if name in node:
        node[name] = [*(node[name] if isinstance(node[name], list) else [node[name]]), value]
    else:
        node[name] = value


def _value(tag: Tag) -> str:
    attributes = tag.attrs
    if "content" in attributes:
        return clean(str(attributes["content"]), 2000)
    if tag.name == "img":
        found = (str(attributes.get(name) or "") for name in _LAZY)
        return next((link for link in found if link and not link.startswith("data:")), "")
    if tag.name in _ADDRESS:
        return clean(str(attributes.get(_ADDRESS[tag.name]) or ""), 2000) or clean(text_of(tag))
    if tag.name in ("data", "meter") and "value" in attributes:
        return clean(str(attributes["value"]))
    if tag.name == "time" and "datetime" in attributes:
        return clean(str(attributes["datetime"]))
    return clean(_unstruck(tag), 2000)


def _unstruck(tag: Tag) -> str:
    """The text of a property without what is struck out in it."""
    return " ".join(str(part) for part in tag.descendants if isinstance(part, NavigableString)
                    and not any(parent.name in _NO_TEXT for parent in _within(part, tag)))


def _within(part: NavigableString, tag: Tag) -> list[Tag]:
    found: list[Tag] = []
    parent = part.parent
    while parent is not None and parent is not tag:
        found.append(parent)
        parent = parent.parent
    return found
