"""Facts that a page gives beside a label: brand, style code, colour, GTIN, in lists, tables or plain lines."""

import re
from dataclasses import dataclass

from crawler.facts import clean, gtin, style_code
from crawler.pages.outline import Outline, Run
from crawler.pages.words import LABELS

_COLON = re.compile(r"\s*[:\uff1a]\s*")
_BRAND_NAMES = re.compile(r"(^|[-_ ])(brand|vendor|manufacturer|marke|hersteller|marque|maker)([-_](name|link|title"
                          r"|logo))?(?=[-_ ]|$)|브랜드", re.I)
_CODE = re.compile(r"^(?=.*\d)[A-Za-z0-9][A-Za-z0-9 ./_-]{2,39}$")
_ASKS = re.compile(r"select|choose|선택|wählen|choisi", re.I)
_NEAR = 80


@dataclass(frozen=True)
class Labelled:
    """What the labels of a page say."""

    brand: str = ""
    style_code: str = ""
    colour: str = ""
    gtins: tuple[str, ...] = ()


def labelled(page: Outline) -> Labelled:
    """Read the labelled facts of the product's own part of the page; of several the first counts."""
    found: dict[str, str] = {}
    runs = [run for run in page.runs if not run.place.crumbs]
    for index, run in enumerate(runs):
        if len(run.parts[0]) > 120:
            continue
        for field, value in _facts(run, runs[index + 1] if index + 1 < len(runs) else None):
            if (value := _fit(field, value)) and field not in found:
                found[field] = value
    code = found.get("style_code", "") or style_code("", found.get("sku", ""))
    return Labelled(found.get("brand", "") or _beside_heading(page, runs), code, found.get("colour", ""),
                    (found["gtin"],) if "gtin" in found else ())


def _facts(run: Run, following: Run | None) -> list[tuple[str, str]]:
    text = run.text
    if len(text) > 160:
        return []
    label, value = text, ""
    if match := _COLON.search(text):
        label, value = text[:match.start()], text[match.end():]
    elif len(run.parts) > 1:
        label = clean(run.parts[0])
        value = clean(" ".join(run.parts[1:]))
    if not value and following is not None and _belongs(run, following):
        value = following.text.lstrip(": \uff1a")
    label = label.strip(" *·-")
    return [(field, value) for field, words in LABELS.items() if value and len(label) < 40 and words.match(label)]


def _belongs(run: Run, following: Run) -> bool:
    one, other = run.place.block, following.place.block
    if one is None or other is None:
        return False
    return (one.parent is other.parent or one.parent is other or other.parent is one
            or (one.parent is not None and other.parent is not None and one.parent.parent is other.parent))


def _fit(field: str, value: str) -> str:
    """The value if it is of the field's kind."""
    value = value.strip()
    if field == "gtin":
        return gtin(value)
    if field in ("style_code", "sku"):
        value = value.split(" (")[0].strip()
        return value if _CODE.match(value) and (field == "sku" or not value.isdigit() or len(value) >= 5) else ""
    if field == "colour":
        value = re.split(r"\s*[|;]\s*", value)[0]
        return value if 1 < len(value) <= 60 and not value.isdigit() and not _ASKS.search(value) else ""
    return value if len(value) <= 60 else ""


def _beside_heading(page: Outline, runs: list[Run]) -> str:
    """A short text near the heading that its element calls the brand."""
    for run in runs:
        if abs(run.order - page.heading_order) <= _NEAR and _BRAND_NAMES.search(run.place.names.rpartition("\n")[2]):
            text = run.text
            if 1 < len(text) <= 40 and text.casefold() != page.title.casefold() and not _COLON.search(text):
                return text
    return ""
