"""Products in a page's OpenGraph tags: the fallback that most shops have."""

import re

from bs4 import BeautifulSoup

from catalogue.identity import plain
from crawler.facts import Facts, clean, currency_code, gtin, money, style_code
from crawler.links import absolute
from crawler.offers import availability
from crawler.pages.outline import Outline

_PRICE = ("product:sale_price:amount", "product:price:amount", "og:price:amount", "product:price", "og:price")
_FORMER = ("product:original_price:amount", "og:price:standard_amount", "og:original_price:amount")
_CURRENCY = ("product:sale_price:currency", "product:price:currency", "og:price:currency")
_PRODUCTS = {"product", "og:product", "product.item", "product:item", "products"}
_IMAGES = ("og:image:secure_url", "og:image", "og:image:url")


def from_opengraph(page: Outline, shop_name: str = "") -> Facts:
    """The product of the tags, found in `property=` or `name=`; `is_product` says whether they speak of one at all."""
    tags = page.metas
    currency = currency_code(_first(tags, _CURRENCY))
    price = money(_first(tags, _PRICE), currency)
    former = _FORMER if "product:sale_price:amount" not in tags else (*_FORMER, "product:price:amount")
    title = without_shop(_first(tags, ("og:title",)), shop_name or _first(tags, ("og:site_name", "application-name")))
    head = re.split(r"\s+[|–—:·-]+\s+", title)[0]
    if page.title and plain(head) == plain(page.title):
        title = head
    mpn, sku = (_first(tags, (f"product:{name}", f"og:{name}"))
                for name in ("mfr_part_no", "retailer_item_id"))
    codes = [gtin(_first(tags, (f"product:{name}",))) for name in ("gtin", "ean", "upc")]
    return Facts(
        source="opengraph", title=title, brand=_first(tags, ("product:brand", "og:brand"))[:200],
        colour=_first(tags, ("product:color", "product:colour"))[:200], style_code=style_code(mpn, sku),
        gtins=tuple(dict.fromkeys(code for code in codes if code)),
        price=price, list_price=money(_first(tags, former), currency), currency=currency if price is not None else "",
        available=availability(_first(tags, ("product:availability", "og:availability"))),
        images=tuple(dict.fromkeys(link for name in _IMAGES for image in tags.get(name, ())
                                   if (link := absolute(page.base, image)))))


def is_product(page: Outline) -> bool:
    """Whether the tags claim that the page is a product's."""
    return kind(page) in _PRODUCTS or bool(_first(page.metas, _PRICE))


def kind(page: Outline) -> str:
    """What the tags say the page is (`product`, `article`, …), in lower case."""
    return _first(page.metas, ("og:type",)).lower()


def without_shop(title: str, shop_name: str) -> str:
    """A page's title without the shop's name behind or before it."""
    for mark in (" | ", " – ", " — ", " - ", " : ", " :: ", " · ", " ‹ ", " « ", " – "):
        head, found, tail = title.rpartition(mark)
        if found and shop_name and tail.casefold().strip() == shop_name.casefold().strip():
            return head.strip()
        head, found, tail = title.partition(mark)
        if found and shop_name and head.casefold().strip() == shop_name.casefold().strip():
            return tail.strip()
    return title


def site_name(soup: BeautifulSoup) -> str:
    """What the shop calls itself: og:site_name, else the last part of the title."""
    for wanted in ("og:site_name", "application-name"):
        for tag in soup.find_all("meta", content=True):
            if clean(tag.get("property") or tag.get("name")).lower() == wanted and (name := clean(tag["content"], 200)):
                return name
    title = clean(soup.title.get_text()) if soup.title is not None else ""
    for mark in (" | ", " – ", " — ", " - "):
        title = title.rpartition(mark)[2]
    return title[:200]


def _first(tags: dict[str, list[str]], names: tuple[str, ...]) -> str:
    return next((tags[name][0][:500] for name in names if tags.get(name)), "")
