"""The variations that a WooCommerce product page carries for its own script: colours with photos, sizes, prices."""

import json
from typing import Any
from urllib.parse import unquote

from catalogue.identity import plain
from crawler.facts import Facts, clean, money, style_code
from crawler.links import absolute
from crawler.pages.outline import Outline, text_of

_COLOURS = ("colour", "color", "farbe", "couleur", "색상", "컬러", "カラー", "kleur", "colore")
_SIZES = ("size", "größe", "groesse", "taille", "pointure", "사이즈", "サイズ", "maat", "talla", "taglia", "shoe")
_LONGEST = 3_000_000


def from_variations(page: Outline) -> list[Facts]:
    """One `Facts` for each colour of the page's variations, or one of all where they have no colours."""
    variations = _read(page)
    if not variations:
        return []
    names = _labels(page)
    colours: dict[str, list[dict[str, Any]]] = {}
    spelled: dict[str, str] = {}
    for one in variations:
        colour = _attribute(one, _COLOURS, names)
        spelled.setdefault(plain(colour), colour)
        colours.setdefault(plain(colour), []).append(one)
    if len(colours) > 1:
        colours.pop("", None)
    several = len(colours) > 1
    return [_facts(group, spelled[key], key if several else "", page, names) for key, group in colours.items()]


def _facts(group: list[dict[str, Any]], colour: str, variant: str, page: Outline, names: dict[str, str]) -> Facts:
    sizes: dict[str, bool] = {}
    for one in group:
        if size := _attribute(one, _SIZES, names):
            sizes[size] = sizes.get(size, False) or one.get("is_in_stock") is not False
    buyable = [one for one in group if one.get("is_in_stock") is not False] or group
    priced = [(price, money(one.get("display_regular_price"))) for one in buyable
              if (price := money(one.get("display_price"))) is not None]
    price, listed = min(priced, default=(None, None), key=lambda pair: pair[0])
    told = [one["is_in_stock"] for one in group if isinstance(one.get("is_in_stock"), bool)]
    skus = {clean(one.get("sku"), 100) for one in group}
    sku = skus.pop() if len(skus) == 1 else ""
    links = dict.fromkeys(link for one in group for link in _images(one, page))
    return Facts(source="woocommerce", group=_group(page) if variant else "", colour=colour, price=price,
                 list_price=listed, available=any(told) if told else None,
                 sizes=sizes, style_code=style_code("", sku), images=tuple(links), variant=variant)


def _group(page: Outline) -> str:
    return next((clean(tag.attrs.get("data-product_id"), 200) for tag in page.variations), "")


def _images(one: dict[str, Any], page: Outline) -> list[str]:
    image = one.get("image")
    if not isinstance(image, dict):
        return []
    for name in ("full_src", "url", "src"):
        if link := absolute(page.base, clean(image.get(name), 1000)):
            return [link]
    return []


def _read(page: Outline) -> list[dict[str, Any]]:
    for tag in page.variations:
        text = str(tag.attrs.get("data-product_variations") or "")
        if len(text) > _LONGEST:
            continue
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, list):
            return [one for one in data if isinstance(one, dict)]
    return []


def _attribute(one: dict[str, Any], wanted: tuple[str, ...], names: dict[str, str]) -> str:
    attributes = one.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        # WordPress percent-encodes names that are not Latin.
        if any(word in unquote(str(name)).lower() for word in wanted) and (text := clean(value, 200)):
            return names.get(text, clean(unquote(text), 200))
    return ""


def _labels(page: Outline) -> dict[str, str]:
    """What the page calls the values of its choices."""
    return {value: text for seen in page.controls if seen.tag.name == "select"
            for option in seen.tag.find_all("option", limit=200)
            if (value := clean(option.attrs.get("value"), 200)) and (text := clean(text_of(option), 200))}
