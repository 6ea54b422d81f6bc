"""Sizes and colours as shops list them become colourways: one listing for each colour, its sizes joined."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from catalogue.identity import plain
from crawler.adapters.entries import Entry
from crawler.facts import Facts, money, style_code
from crawler.links import MAX_URL
from crawler.offers import Sale, together

_COLOUR = re.compile(r"colou?r|colorway|colori|색상|색깔|컬러|칼라|farbe|couleur|カラー|色|kleur|färg|farve|väri|kolor"
                     r"|barva|renk|цвет|颜色|顏色|^(pa[-_])?cor(es)?$", re.I)
_SIZE = re.compile(r"(?<![a-z])sizes?(?![a-z])|사이즈|크기|치수|größe|groesse|taille|pointure|サイズ|talla|taglia"
                   r"|tamanho|maat|storlek|størrelse|rozmiar|velikost|beden|размер|尺码|尺碼|鞋码|\b(eu|us|uk)\b", re.I)
_SYSTEM = r"(?:eu|us|uk|kr|jp|fr|it|cm|mm|[mw])"
_A_SIZE = re.compile(rf"(?:{_SYSTEM}[\s.]*)?\d[\d\s.,/½⅓⅔+-]*{_SYSTEM}?", re.I)


@dataclass(frozen=True)
class Variant:
    """One size of one colourway, as far as its source tells it."""

    colour: str = ""
    size: str = ""
    title: str = ""
    price: Decimal | None = None
    list_price: Decimal | None = None
    currency: str = ""
    available: bool | None = None
    mpn: str = ""
    sku: str = ""
    gtin: str = ""
    images: tuple[str, ...] = ()


def is_colour(name: str) -> bool:
    """Whether an option of this name chooses the colour."""
    return bool(_COLOUR.search(name.strip()))


def is_size(name: str) -> bool:
    """Whether an option of this name chooses the size."""
    return bool(_SIZE.search(name.strip()))


def are_sizes(values: Iterable[str]) -> bool:
    """Whether the values of an option that is named by nothing known are spelled like sizes."""
    found = [value for value in values if value]
    return bool(found) and all(_A_SIZE.fullmatch(value) for value in found)


def by_colour(variants: Sequence[Variant]) -> dict[str, list[Variant]]:
    """The variants of each colour, under the colour's plain name (empty where none is told), in order."""
    found: dict[str, list[Variant]] = {}
    for one in variants:
        found.setdefault(plain(one.colour), []).append(one)
    return found


def colourways(url: str, whole: Facts, variants: Sequence[Variant], always_named: bool = False) -> list[Entry]:
    """One entry for each colour of `whole`, what sells at `url`; its group counts only where there are several.

    `always_named` keeps the group and the colour's mark in the address although this answer holds one colour only.
    """
    found = by_colour(variants)
    several = always_named or len(found) > 1
    entries = [Entry(f"{url}#colour={colour}" if several and colour else url,
                     joined(whole, sizes, colour if several else "", several)) for colour, sizes in found.items()]
    return [entry for entry in entries if len(entry.url) <= MAX_URL]


def joined(whole: Facts, sizes: Sequence[Variant], variant: str, of_group: bool) -> Facts:
    """Facts of one colourway: those of `whole`, and what its sizes come to.

    The price is the lowest that can be bought. A code counts where all sizes agree, for one that differs by size is
    no shoe's.
    """
    best = together([Sale(one.price, one.list_price, one.currency, one.available,
                          {one.size: one.available is not False} if one.size else {}) for one in sizes])
    higher = best.list_price is not None and best.price is not None and best.list_price > best.price
    return Facts(
        source=whole.source, title=whole.title, brand=whole.brand, model_name=whole.title if of_group else "",
        group=whole.group if of_group else "", colour=(sizes[0].colour if sizes else "") or whole.colour,
        style_code=style_code(_agreed([one.mpn for one in sizes]), _agreed([one.sku for one in sizes]))
        or ("" if of_group else whole.style_code),
        gtins=tuple(dict.fromkeys(one.gtin for one in sizes if one.gtin)), shoe_type=whole.shoe_type,
        category=whole.category, price=best.price, list_price=best.list_price if higher else None,
        currency=best.currency if best.price is not None else "", available=best.available, sizes=best.sizes,
        images=tuple(dict.fromkeys(image for one in sizes for image in one.images)) or (
            () if of_group else whole.images), variant=variant)


def placed(images: Sequence[str], tags: dict[str, set[str]], colours: Sequence[str]) -> dict[str, list[str]]:
    """Which of a gallery's images show which colour, from the few that are tagged with theirs.

    Shops tag one image a colour and put its other views behind it: an untagged image belongs to the tagged one before
    it, those before any to the first colour. Where nothing is tagged, nothing can be told apart and all show all.
    """
    if not any(tags.get(image) for image in images):
        return {colour: list(images) for colour in colours}
    found: dict[str, list[str]] = {colour: [] for colour in colours}
    current = set(colours[:1])
    for image in images:
        current = tags.get(image) or current
        for colour in colours:
            if colour in current:
                found[colour].append(image)
    return found


def exact(value: object, minor_units: int = 0) -> Decimal | None:
    """An amount written by a machine, `129000.00` or, in minor units, `12900000`; None for 0 and nonsense."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    # Decimal reads more than amounts ("NaN", "1_0"), so only what is spelled like one is handed on.
    text = str(value).strip()
    return money(Decimal(text).scaleb(-minor_units)) if re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text) else None


def _agreed(texts: list[str]) -> str:
    found = set(texts)
    return found.pop() if len(found) == 1 else ""
