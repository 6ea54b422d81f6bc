"""The product of a page that says nothing to machines: what a visitor sees, read as shops usually show it."""

from catalogue.identity import plain
from crawler.facts import Facts
from crawler.pages.breadcrumb import shown_category
from crawler.pages.choices import available, can_choose, says_sold_out, sizes_of
from crawler.pages.gallery import own_pictures
from crawler.pages.labelled import labelled
from crawler.pages.opengraph import kind
from crawler.pages.outline import Outline
from crawler.pages.prices import visible_price
from crawler.pages.words import CART

_NO_PRODUCT = {"article", "blog", "profile", "video.other", "video", "book", "music.song"}


def from_heuristics(page: Outline, titles: tuple[str, ...] = ()) -> Facts:
    """What can be seen of the product; `titles` are its names in other sources. For pages known to be a product's."""
    price, listed, currency = visible_price(page)
    sizes = sizes_of(page)
    said = labelled(page)
    return Facts(
        source="heuristics", title=page.title, brand=said.brand, colour=said.colour, style_code=said.style_code,
        gtins=said.gtins, category=shown_category(page, (page.title, *titles)), price=price, list_price=listed,
        currency=currency, available=available(page, sizes), sizes=sizes)


def looks_like_product(page: Outline, seen: Facts) -> bool:
    """Whether what can be seen makes a page a product's: one heading, a price, something to buy with, a picture."""
    return (page.headings == 1 and bool(page.title) and plain(page.title) not in CART
            and kind(page) not in _NO_PRODUCT and seen.price is not None
            and (bool(seen.sizes) or can_choose(page) or says_sold_out(page))
            and bool(own_pictures(page, set())))
