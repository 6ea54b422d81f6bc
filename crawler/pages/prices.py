"""The price that a visitor sees on a product page, and the one that is struck out beside it."""

import re
from dataclasses import dataclass
from decimal import Decimal

from crawler.facts import currency_in, money
from crawler.pages.outline import Outline, Run
from crawler.pages.words import FORMER, NOT_A_PRICE, PRICE_LABEL

_NUMBER = r"\d{1,3}(?:[.,'’ \u00a0\u202f\u2009]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_MARK = (r"₩|￦|원|€|£|US ?\$|CA ?\$|AU ?\$|NZ ?\$|HK ?\$|NT ?\$|R\$|C\$|A\$|S\$|\$|¥|￥|円|元|zł|Kč|Ft\b|₹|₫|฿|₽|₺"
         r"|₴|₪|kr\b"
         r"|\b(?:KRW|EUR|GBP|USD|CAD|AUD|JPY|CNY|CHF|SEK|NOK|DKK|PLN|CZK|HUF|INR|HKD|SGD|TWD|BRL|MXN|NZD)\b")
_AMOUNT = re.compile(rf"(?P<before>{_MARK})\s?(?P<one>{_NUMBER})(?:[,.][-–])?"
                     rf"|(?<![\d.,])(?P<two>{_NUMBER})(?:[,.][-–])?\s?(?P<after>{_MARK})",
                     re.I)
_BARE = re.compile(rf"^(?:\D{{0,20}}\s)?({_NUMBER})$")
_NAMED = re.compile(r"price|preis|prix|(^|[-_ ])prc|amount|cost|가격|판매가|value|precio", re.I)
_NEAR = 60


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount on the page. `former` ones are struck out or called so; `named` ones stand where it says price."""

    value: Decimal
    currency: str
    order: int
    former: bool
    named: bool
    where: str
    run: int


def visible_price(page: Outline) -> tuple[Decimal | None, Decimal | None, str]:
    """The price now, the struck-out price above it, and their currency; None and empty where the page shows none."""
    amounts = _amounts(page)
    current = [amount for amount in amounts if not amount.former]
    cards = {where for where in {amount.where for amount in current} if where
             and len({amount.run for amount in current if amount.where == where}) > 3}
    current = [amount for amount in current if amount.where not in cards]
    after = [amount for amount in current if amount.order > page.heading_order]
    before = [amount for amount in current if amount.order < page.heading_order][::-1]
    chosen = next((found for group in (after, before) for named in (True, False)
                   for found in group if found.named >= named and (named or found.currency)), None)
    if chosen is None:
        return None, None, ""
    together = [amount.value for amount in current if amount.run == chosen.run and amount.currency]
    price, listed = chosen.value, None
    struck = [amount for amount in amounts if amount.former and amount.value > price
              and abs(amount.order - chosen.order) <= _NEAR]
    if struck:
        listed = min(struck, key=lambda amount: abs(amount.order - chosen.order)).value
    elif len(together) == 2:
        price, listed = min(together), max(together)
    return price, listed if listed is not None and listed > price else None, chosen.currency


def _amounts(page: Outline) -> list[Amount]:
    found: list[Amount] = []
    for index, run in enumerate(page.runs):
        place = run.place
        if place.crumbs or not any(letter.isdigit() for part in run.parts for letter in part):
            continue
        text = run.text
        if len(text) > 300:
            continue
        label = _label(page, index)
        where = f"{place.names} {place.block.name if place.block is not None else ''}"
        named = bool(_NAMED.search("\n".join(place.names.split("\n")[-3:]))) or bool(
            PRICE_LABEL.search(text) or PRICE_LABEL.search(label))
        hits = list(_AMOUNT.finditer(text))
        start = 0
        for hit in hits:
            before = text[start:hit.start()]
            behind = text[hit.end():hit.end() + 30] if hit is hits[-1] else ""
            start = hit.end()
            around = f"{before} {behind} {label}"
            if text[max(0, hit.start() - 1):hit.start()] in ("+", "-", "−") or NOT_A_PRICE.search(around):
                continue
            mark = hit["before"] or hit["after"]
            currency = currency_in(mark, page.language)
            if (value := money(hit["one"] or hit["two"], currency)) is not None:
                former = place.struck or bool(FORMER.search(f"{before} {label}"))
                found.append(Amount(value, currency, run.order, former, named, where, index))
        if not hits and named and (bare := _BARE.match(text)) and not NOT_A_PRICE.search(f"{text} {label}"):
            value = money(bare[1])
            if value is not None and (value >= 10 or "." in bare[1]):
                found.append(Amount(value, "", run.order, place.struck or bool(FORMER.search(f"{text} {label}")),
                                    True, where, index))
    return found


def _label(page: Outline, index: int) -> str:
    """The short text without digits that stands just before a run and in the same box."""
    if index == 0:
        return ""
    run, before = page.runs[index], page.runs[index - 1]
    if not _beside(run, before) or len(before.text) > 40 or any(letter.isdigit() for letter in before.text):
        return ""
    return before.text


def _beside(run: Run, before: Run) -> bool:
    one, other = run.place.block, before.place.block
    return one is other or (one is not None and other is not None and (
        one.parent is other.parent or one.parent is other or other.parent is one)
        and (other.name in ("dt", "th", "label", "span", "td", "strong", "p", "div", "h3", "h4")))
