"""A shop's own CSS selectors: the fields that its settings say how to find."""

from collections.abc import Mapping
from typing import Any

from bs4 import BeautifulSoup, Tag

from crawler.facts import Facts, clean, currency_code, currency_in, gtin, money
from crawler.links import absolute
from crawler.offers import availability
from crawler.pages.choices import read_sizes, size_in
from crawler.pages.gallery import largest
from crawler.pages.outline import Outline, text_of
from crawler.pages.words import BUY, IN_STOCK, SOLD_OUT

_TEXTS = {"title": 500, "brand": 200, "model_name": 300, "group": 200, "colour": 200, "style_code": 100,
          "shoe_type": 100}


def from_selectors(soup: BeautifulSoup, page: Outline, select: Mapping[str, str]) -> Facts:
    """What the selectors find; a field whose selector finds nothing stays empty."""
    found: dict[str, list[tuple[Tag, str]]] = {name: _matches(soup, text) for name, text in select.items()}
    first = {name: matches[0][1] for name, matches in found.items() if matches}
    values: dict[str, Any] = {name: clean(first[name], longest) for name, longest in _TEXTS.items() if name in first}
    written = f"{first.get('currency', '')} {first.get('price', '')}"
    currency = currency_code(first.get("currency")) or currency_in(written, page.language)
    for name in ("price", "list_price"):
        amounts = [amount for _, text in found.get(name, ()) if (amount := money(text, currency)) is not None]
        values[name] = amounts[0] if amounts else None
    codes = dict.fromkeys(code for _, text in found.get("gtin", ()) if (code := gtin(text)))
    sizes: dict[str, bool] = {}
    for tag, text in found.get("sizes", ()):
        sizes.update(read_sizes(tag, page) or _one_size(tag, text))
    path = dict.fromkeys(clean(text, 100) for _, text in found.get("category", ()) if clean(text))
    named = (text if "@" in select["images"] else largest(tag, page) for tag, text in found.get("images", ()))
    return Facts(
        source="selectors", **values, gtins=tuple(codes),
        currency=currency if values["price"] is not None else "", category=" > ".join(path)[:500],
        available=_there(first["available"]) if "available" in first else None, sizes=sizes,
        images=tuple(dict.fromkeys(link for name in named if (link := absolute(page.base, name)))))


def _matches(soup: BeautifulSoup, written: str) -> list[tuple[Tag, str]]:
    """The elements a selector finds, each with its text or the attribute asked for."""
    selector, mark, attribute = written.rpartition("@")
    if not mark:
        selector = written
    found: list[tuple[Tag, str]] = []
    for tag in soup.select(selector, limit=300):
        value = tag.attrs.get(attribute.strip()) if mark else tag.attrs.get("content") or text_of(tag)
        text = clean(" ".join(value) if isinstance(value, list) else value, 2000)
        if text or not mark:
            found.append((tag, text))
    return found


def _one_size(tag: Tag, text: str) -> dict[str, bool]:
    size = size_in(text) or clean(text, 40)
    off = "disabled" in tag.attrs or bool(SOLD_OUT.search(text))
    return {size: not off} if size else {}


def _there(text: str) -> bool | None:
    told = availability(text)
    if told is not None:
        return told
    if SOLD_OUT.search(text):
        return False
    if IN_STOCK.search(text) or BUY.search(text):
        return True
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
