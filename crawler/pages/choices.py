"""What a visitor can choose and buy on a product page: sizes, whether each is there, and whether the shoe is."""

import re
from collections.abc import Iterator

from bs4 import Tag

from crawler.facts import clean
from crawler.pages.outline import Outline, short_text
from crawler.pages.traits import names_of
from crawler.pages.words import BUY, IN_STOCK, SIZE, SIZE_LABEL, SOLD_OUT

_ITEMS = {"option", "button", "li", "label", "a", "span", "div", "input", "td"}
_OFF = re.compile(r"(?:^|[-_ ])(?:is-?)?(?:disabled?|sold-?_?out|unavailable|out-?_?of-?_?stock|no-?_?stock"
                  r"|not-?available|inactive|oos"
                  r"|ausverkauft|vergriffen|epuise|deactivated|crossed|empty-stock)(?:[-_ ]|$)|soldout|품절", re.I)
_QUANTITY = re.compile(r"quantity|qty|수량|menge|quantit|数量", re.I)
_EXTRA = re.compile(r"\s*(?:[(\[（【/|:].*|[-–—]\s.*|\s(?:sold|out|품절|ausverkauft|épuisé|売).*)$", re.I)
_MOST_ITEMS = 400
_MOST_BOXES = 20


def sizes_of(page: Outline) -> dict[str, bool]:
    """Each size that can be chosen, and whether it can be bought."""
    best: dict[str, bool] = {}
    for box in _boxes(page):
        found = read_sizes(box, page)
        if len(found) > len(best):
            best = found
    return best


def read_sizes(box: Tag, page: Outline) -> dict[str, bool]:
    """The sizes in one box of choices; those that are crossed out, disabled or called sold out cannot be bought."""
    found: dict[str, bool] = {}
    for item in box.find_all(list(_ITEMS), limit=_MOST_ITEMS):
        text = _item_text(item)
        size = size_in(text)
        if not size or any(isinstance(inner, Tag) and inner.name in _ITEMS and size_in(_item_text(inner)) == size
                           for inner in item.find_all(True, limit=6)):
            continue
        there = not (SOLD_OUT.search(text) or _is_off(item, box, page))
        found[size] = found.get(size, False) or there
    return found


def size_in(text: str) -> str:
    """The size that a choice's text begins with; empty if it is none."""
    if not text or len(text) > 80:
        return ""
    head = text if SIZE.match(text) else _EXTRA.sub("", text).strip()
    return head if head and SIZE.match(head) and _plausible(head) else ""


def _plausible(size: str) -> bool:
    """Whether the number in a size is one of a shoe: of a national system, centimetres or millimetres."""
    match = re.search(r"\d+(?:[.,]\d+)?", size)
    if match is None:
        return True
    number = float(match[0].replace(",", "."))
    return 15 <= number <= 35 if "cm" in size.lower() else 0 < number <= 60 or 90 <= number <= 350


def available(page: Outline, sizes: dict[str, bool]) -> bool | None:
    """Whether the shoe can be bought, by its sizes, its buttons and what the page says; None if nothing tells."""
    if any(sizes.values()):
        return True
    buttons = [(text, _is_disabled(seen.tag)) for seen in page.controls
               if not seen.place.hidden and (text := _button_text(seen.tag))]
    if sizes or says_sold_out(page) or any(SOLD_OUT.search(text) for text, _ in buttons):
        return False
    buying = [disabled for text, disabled in buttons if BUY.search(text)]
    if buying:
        return not all(buying)
    said = any(IN_STOCK.search(run.text) for run in page.runs if len(run.parts[0]) < 60)
    return True if said else None


def can_choose(page: Outline) -> bool:
    """Whether there is a button that buys."""
    return any(BUY.search(_button_text(seen.tag)) for seen in page.controls)


def says_sold_out(page: Outline) -> bool:
    """Whether a short text of the product's own says that it is sold out."""
    boxes = {id(seen.tag) for seen in page.size_boxes}
    for run in page.runs:
        if run.place.region or len(run.parts) > 6 or len(run.parts[0]) > 60:
            continue
        block = run.place.block
        if block is not None and block.name in ("option", "li", "label", "td") and size_in(run.text):
            continue
        text = run.text
        if len(text) <= 40 and SOLD_OUT.search(text) and not size_in(text) and not _within(boxes, block):
            return True
    return False


def _within(boxes: set[int], tag: Tag | None) -> bool:
    while tag is not None:
        if id(tag) in boxes or tag.name == "select":
            return True
        tag = tag.parent
    return False


def _boxes(page: Outline) -> Iterator[Tag]:
    """Where sizes may be chosen, the surest first."""
    labelled = {str(seen.tag.attrs["for"]) for seen in page.controls if seen.tag.name == "label"
                and "for" in seen.tag.attrs and SIZE_LABEL.match(short_text(seen.tag))}
    selects = [seen.tag for seen in page.controls if seen.tag.name == "select"]
    yield from (tag for tag in selects if str(tag.attrs.get("id")) in labelled)
    yield from (seen.tag for seen in page.size_boxes[:_MOST_BOXES])
    tried = 0
    for run in page.runs:
        block = run.place.block
        if block is not None and len(run.parts) < 4 and SIZE_LABEL.match(run.text) and (
                tried := tried + 1) <= _MOST_BOXES:
            near = (block, block.parent) if block.name != "option" else (block.find_parent("select"),)
            yield from [box for box in near if box is not None and box.name not in ("body", "html", "main")
                        and read_sizes(box, page)][:1]
    for tag in selects[:_MOST_BOXES]:
        if not _QUANTITY.search(f"{names_of(tag)} {tag.attrs.get('name')}") and sum(
                len(size_in(short_text(option))) > 1 for option in tag.find_all("option", limit=40)) > 1:
            yield tag


def _item_text(item: Tag) -> str:
    if item.name == "input":
        if str(item.attrs.get("type")).lower() not in ("radio", "checkbox", "button"):
            return ""
        if "id" in item.attrs or item.find_parent("label") is not None:
            return ""  # its label is read instead
        return clean(item.attrs.get("value"), 80)
    text = short_text(item)
    return text or clean(item.attrs.get("data-size") or item.attrs.get("data-value"), 80)


def _is_off(item: Tag, box: Tag, page: Outline) -> bool:
    tag: Tag | None = item
    while tag is not None and tag is not box:
        if _is_disabled(tag) or _OFF.search(names_of(tag)):
            return True
        tag = tag.parent
    inner = item.find(["input", "button", "a", "span", "s", "del"])
    if inner is not None and (_is_disabled(inner) or _OFF.search(names_of(inner)) or inner.name in ("s", "del")):
        return True
    control = page.ids.get(str(item.attrs.get("for"))) if item.name == "label" else None
    return control is not None and (_is_disabled(control) or bool(_OFF.search(names_of(control))))


def _is_disabled(tag: Tag) -> bool:
    attributes = tag.attrs
    if "disabled" in attributes or str(attributes.get("aria-disabled")).lower() == "true":
        return True
    if any(str(attributes.get(name)).lower() in ("false", "0", "no", "soldout", "sold-out", "out") for name in (
            "data-available", "data-stock", "data-qty", "data-quantity", "data-in-stock", "data-instock",
            "data-inventory")):
        return True
    return any(SOLD_OUT.search(str(attributes[name])) for name in ("title", "aria-label") if name in attributes)


def _button_text(tag: Tag) -> str:
    if tag.name == "input":
        presses = str(tag.attrs.get("type")).lower() in ("submit", "button", "image")
        return clean(tag.attrs.get("value") or tag.attrs.get("alt"), 80) if presses else ""
    return short_text(tag, 60) if tag.name == "button" or (tag.name == "a" and len(tag.contents) < 8) else ""
