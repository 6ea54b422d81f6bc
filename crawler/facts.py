"""What one source says of a product, and how the words of several sources become one listing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from catalogue.identity import is_gtin
from catalogue.listings import FoundListing

_THOUSANDTHS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
_THOUSANDTHS_IN = re.compile(rf"\b({'|'.join(sorted(_THOUSANDTHS))})\b")
_WHOLE_MONEY = {"KRW", "JPY", "VND", "IDR", "CLP", "HUF", "TWD"}
_US_DOLLARS = re.compile(r"\bus ?\$|\busd\b", re.I)
_MARKS = [(code, re.compile(mark, re.I)) for code, mark in (
    ("KRW", "₩|￦|원|krw"), ("EUR", "€|eur"), ("GBP", "£|gbp"), ("CAD", r"\bca? ?\$|cad"),
    ("AUD", r"\bau? ?\$|aud"),
    ("HKD", r"hk\$|hkd"), ("SGD", r"\bs\$|sgd"), ("TWD", r"nt\$|twd"), ("BRL", r"\br\$|brl"), ("MXN", r"mx\$|mxn"),
    ("NZD", r"nz\$|nzd"), ("USD", r"\$"), ("CNY", "cny|rmb|元|cn¥"), ("JPY", "¥|￥|円|jpy"),
    ("CHF", r"chf|\bfr\.|sfr"), ("PLN", "zł|pln"), ("CZK", "kč|czk"), ("HUF", r"\bft\b|huf"),
    ("INR", "₹|inr"), ("VND", "₫|vnd"),
    ("THB", "฿|thb"), ("RUB", "₽|rub"), ("TRY", "₺|try"), ("UAH", "₴|uah"), ("DKK", "dkk"), ("NOK", "nok"),
    ("SEK", r"sek|\bkr\b"), ("ILS", "₪|ils"))]
_BY_LANGUAGE = {"USD": {"en-ca": "CAD", "fr-ca": "CAD", "en-au": "AUD", "en-nz": "NZD", "en-sg": "SGD", "es-mx": "MXN",
                        "zh-tw": "TWD", "zh-hk": "HKD"},
                "JPY": {"zh": "CNY"}, "SEK": {"no": "NOK", "nb": "NOK", "nn": "NOK", "da": "DKK", "is": "ISK"}}
_MAX_PRICE = Decimal(10) ** 12


@dataclass(frozen=True)
class Facts:
    """The facts of one product from one `source`; empty or None where it says nothing.

    `variant` tells the colourways of one page apart; it is empty where the page holds one product. `images` are
    addresses as the source names them.
    """

    source: str
    title: str = ""
    brand: str = ""
    model_name: str = ""
    group: str = ""
    colour: str = ""
    style_code: str = ""
    gtins: tuple[str, ...] = ()
    shoe_type: str = ""
    category: str = ""
    price: Decimal | None = None
    list_price: Decimal | None = None
    currency: str = ""
    available: bool | None = None
    sizes: dict[str, bool] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    variant: str = ""


def merged(url: str, facts: Sequence[Facts], currency: str = "") -> FoundListing:
    """One listing of facts about the same product; for each field the first source that knows it is believed.

    `currency` is that of prices whose source names none.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for name in ("title", "brand", "model_name", "group", "colour", "style_code", "gtins", "shoe_type", "category",
                 "price", "available", "sizes"):
        for one in facts:
            value = getattr(one, name)
            if value is not None and value not in ("", {}, ()):
                values[name], sources[name] = value, one.source
                break
    # A currency or a struck-out price is only worth something beside the price it belongs to.
    priced = next((one for one in facts if one.price is not None), Facts(""))
    if priced.price is not None and priced.list_price is not None and priced.list_price > priced.price:
        values["list_price"], sources["list_price"] = priced.list_price, priced.source
    if priced.price is not None:
        currency = priced.currency or next((one.currency for one in facts
                                            if one.price == priced.price and one.currency), currency)
    else:
        currency = ""
    return FoundListing(url=url, currency=currency, sources=sources, **values)  # type: ignore[arg-type]


def clean(text: object, longest: int = 500) -> str:
    """Text on one line without surplus space or what no database stores; empty for what is no text or number."""
    if isinstance(text, bool) or not isinstance(text, str | int | float | Decimal):
        return ""
    whole = str(text).replace("\0", "").encode(errors="ignore").decode()
    return " ".join(whole.split())[:longest].strip()


def money(value: object, currency: str = "") -> Decimal | None:
    """An amount as shops write it: 129000, "129,000", "1.299,95 €". None for 0, nonsense and what is missing.

    One separator with three digits behind it and three at most before parts thousands, unless the value is a number
    and so has no thousands, or its currency has thousandths.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, int | float | Decimal):
        return _sensible(str(value))
    match = re.search(r"\d[\d.,'’\s]*", str(value))
    if match is None or "-" in str(value)[max(0, match.start() - 1):match.start()]:
        return None
    digits = re.sub(r"['’\s]", "", match[0]).rstrip(".,")
    point = max(digits.rfind("."), digits.rfind(","))
    if point < 0:
        return _sensible(digits)
    whole, fraction = re.sub(r"[.,]", "", digits[:point]), digits[point + 1:]
    mixed = "." in digits and "," in digits
    repeated = digits.count(digits[point]) > 1
    thousandths = currency in _THOUSANDTHS or _THOUSANDTHS_IN.search(str(value)) is not None
    if repeated or (len(fraction) == 3 and not thousandths and whole != "0" and (
            currency in _WHOLE_MONEY if mixed else len(whole) <= 3)):
        return _sensible(whole + fraction)
    return _sensible(f"{whole}.{fraction}")


def currency_code(value: object) -> str:
    """A three-letter currency code, or nothing."""
    code = clean(value).upper()
    return code if re.fullmatch(r"[A-Z]{3}", code) else ""


def currency_in(text: str, language: str = "") -> str:
    """The currency that a price's text names by code, symbol or word; `language` (of the page) tells dollars and crowns
    apart."""
    if _US_DOLLARS.search(text):
        return "USD"
    for code, mark in _MARKS:
        if mark.search(text):
            return _BY_LANGUAGE.get(code, {}).get(language.lower()) or _BY_LANGUAGE.get(code, {}).get(
                language.lower()[:2]) or code
    return ""


def style_code(mpn: str, sku: str) -> str:
    """The maker's code: the part number, or an SKU that is spelled like one. A shop's own counter names nothing."""
    if mpn:
        return mpn[:100]
    likely = len(sku) >= 6 and re.search(r"\d", sku) and re.search(r"[A-Za-z]|\d-\d{3}$", sku)
    return sku[:100] if likely else ""


def gtin(value: object) -> str:
    """A GTIN whose length and check digit are right, or nothing."""
    digits = re.sub(r"\D", "", clean(value))
    return digits if is_gtin(digits) else ""


def _sensible(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 < amount < _MAX_PRICE:
        return None
    return amount.quantize(Decimal("0.01")).normalize() + 0 if amount >= Decimal("0.01") else None
