"""Products in a page's OpenGraph tags: the fallback that most shops have."""

from bs4 import BeautifulSoup

from crawler.facts import Facts, clean, currency_code, money
from crawler.links import absolute, base_of
from crawler.offers import availability

_PRICE = ("product:sale_price:amount", "product:price:amount", "og:price:amount")
_CURRENCY = ("product:sale_price:currency", "product:price:currency", "og:price:currency")


def from_opengraph(soup: BeautifulSoup, url: str) -> list[Facts]:
    """The product of the tags, found in `property=` or `name=`; `is_product` says whether they speak of one at all."""
    tags = _tags(soup)
    base = base_of(soup, url)
    currency = currency_code(_first(tags, _CURRENCY))
    price = money(_first(tags, _PRICE), currency)
    return [Facts(
        source="opengraph", title=_first(tags, ("og:title",)), brand=_first(tags, ("product:brand", "og:brand"))[:200],
        colour=_first(tags, ("product:color",))[:200], price=price, currency=currency if price is not None else "",
        available=availability(_first(tags, ("product:availability", "og:availability"))),
        images=tuple(dict.fromkeys(link for name in ("og:image:secure_url", "og:image", "og:image:url")
                                   for image in tags.get(name, ()) if (link := absolute(base, image)))))]


def is_product(soup: BeautifulSoup) -> bool:
    """Whether the tags claim that the page is a product's."""
    tags = _tags(soup)
    return _first(tags, ("og:type",)).lower() in ("product", "og:product", "product.item") or bool(_first(tags, _PRICE))


def site_name(soup: BeautifulSoup) -> str:
    """What the shop calls itself: og:site_name, else the last part of the title."""
    if name := _first(_tags(soup), ("og:site_name", "application-name")):
        return name[:200]
    title = clean(soup.title.get_text()) if soup.title is not None else ""
    for mark in (" | ", " – ", " — ", " - "):
        title = title.rpartition(mark)[2]
    return title[:200]


def _tags(soup: BeautifulSoup) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {}
    for tag in soup.find_all("meta", content=True):
        name = clean(tag.get("property") or tag.get("name")).lower()
        if content := clean(str(tag["content"]), 2000):
            tags.setdefault(name, []).append(content)
    return tags


def _first(tags: dict[str, list[str]], names: tuple[str, ...]) -> str:
    return next((tags[name][0][:500] for name in names if tags.get(name)), "")
