"""Prices, codes and addresses as shops write them."""

from decimal import Decimal

import pytest

from crawler.facts import Facts, clean, currency_in, gtin, merged, money, style_code
from crawler.links import absolute, page_link, same_site, tidy, worth_following
from crawler.offers import availability, sale_of
from crawler.pages.gallery import pictures
from crawler.pages.listing import parse
from crawler.pages.outline import outline
from crawler.pages.renditions import same_picture


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (129000, "129000"),
        (75.5, "75.5"),
        ("129000.00", "129000"),
        ("129,000", "129000"),
        ("₩115,000", "115000"),
        ("1.299,95 €", "1299.95"),
        ("1,299.95", "1299.95"),
        ("1.290.000", "1290000"),
        ("79,90", "79.9"),
        ("$75.00 USD", "75"),
        ("1 299 kr", "1299"),
        ("1'299.00", "1299"),
        ("0.999", "1"),
        ("1299.000", "1299"),
        ("12990.0001", "12990"),
        ("12.500 KWD", "12.5"),
        (["129.95", "129,95 €"], None),
        (0, None),
        ("0.00", None),
        ("", None),
        (None, None),
        ("free", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        ("-5", None),
        (-5, None),
        ("9" * 40, None),
    ],
)
def test_money(written: object, amount: str | None) -> None:
    assert money(written) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize(("written", "currency", "amount"), [
    ("129000.0000", "KRW", "129000"), ("12990.0001", "HUF", "12990"), ("129.000", "KRW", "129000"),
    ("1.299,000", "KRW", "1299000"), ("12.500", "KWD", "12.5"), ("12.500", "EUR", "12500")])
def test_money_of_a_currency(written: str, currency: str, amount: str) -> None:
    assert money(written, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("https://schema.org/InStock", True),
        ("http://schema.org/OutOfStock", False),
        ("InStock", True),
        ("in stock", True),
        ("SOLD_OUT", False),
        ({"@id": "https://schema.org/PreOrder"}, True),
        (["https://schema.org/Discontinued"], False),
        ("soon", None),
        (None, None),
        (3, None),
    ],
)
def test_availability(written: object, there: bool | None) -> None:
    assert availability(written) is there


def test_a_product_is_there_if_any_offer_is_and_costs_the_least_that_can_be_bought() -> None:
    sale = sale_of(
        [
            {"price": 50, "priceCurrency": "EUR", "availability": "OutOfStock"},
            {"price": 80, "priceCurrency": "EUR", "availability": "InStock"},
            "nonsense",
            None,
        ]
    )
    assert (sale.price, sale.available) == (Decimal(80), True)


def test_a_shops_own_counter_is_no_style_code() -> None:
    assert style_code("", "88123") == ""
    assert style_code("", "CW2288-111") == "CW2288-111"
    assert style_code("", "554725-662") == "554725-662"
    assert style_code("TV-1", "88123") == "TV-1"


@pytest.mark.parametrize(("written", "language", "code"), [
    ("US$ 60", "en-CA", "USD"), ("$60", "en-CA", "CAD"), ("$60", "", "USD"), ("C$ 5", "", "CAD"),
    ("89 kr", "da", "DKK"),
    ("129,000원", "ko", "KRW"), ("￥5", "zh-CN", "CNY"), ("¥5", "ja", "JPY"), ("5 €", "de", "EUR"), ("5", "de", "")])
def test_currencies_by_their_marks(written: str, language: str, code: str) -> None:
    assert currency_in(written, language) == code


def test_gtins_are_checked() -> None:
    assert gtin("4006381333931") == "4006381333931"
    assert gtin("4-006381 333931") == gtin(4006381333931) == "4006381333931"
    assert gtin("4006381333932") == gtin("0000000000000") == gtin("12") == ""


def test_text_is_made_fit_for_the_database() -> None:
    assert clean(" a\n b\0\ud83d ") == "a b"
    assert clean(["a"]) == clean(None) == clean(True) == ""


def test_a_currency_comes_from_where_the_price_does() -> None:
    found = merged(
        "https://s.example/1", [Facts("a", title="T", currency="USD"), Facts("b", price=Decimal(5), currency="KRW")]
    )
    assert (found.price, found.currency, found.sources["price"]) == (Decimal(5), "KRW", "b")


def test_addresses_are_tidied() -> None:
    assert tidy("HTTPS://Shop.Example:443/a b?utm_source=x&id=3&gclid=1#top") == "https://shop.example/a%20b?id=3"
    assert tidy("https://s.example/신발") == "https://s.example/%EC%8B%A0%EB%B0%9C"
    assert (
        absolute("https://s.example/a/", "../i.jpg?sig=a%2Bb&utm_x=1#f") == "https://s.example/i.jpg?sig=a%2Bb&utm_x=1"
    )
    for odd in ("", " ", "javascript:x()", "mailto:a@b", "http://[::1", "data:image/png;base64,AA", "x" * 2000):
        assert absolute("https://s.example/", odd) == page_link("https://s.example/", odd) == ""
    assert same_site("https://www.s.example/", "http://s.example/x")
    assert not same_site("https://s.example/", "https://s.example:8443/")


def test_links_worth_following() -> None:
    soup = parse("""<a href="/about">a</a><a href="/products/1?utm_source=x">p</a><a href="/c?page=2">2</a>
      <a href="/cart">c</a>
      <a href="/c?sort=price">s</a><a href="/c?add-to-cart=9">+</a><a href="/big.jpg">i</a><a href="https://else.example/">e</a>
      <a rel="nofollow" href="/no">n</a><a href="/products/1#reviews">again</a><a href="tel:1">t</a>""")
    assert worth_following(soup, "https://s.example/c") == [
        "https://s.example/products/1",
        "https://s.example/about",
        "https://s.example/c?page=2",
    ]


@pytest.mark.parametrize(
    "other", ["/i/a_200x.jpg", "/i/a-300x300.jpg", "/i/a.jpg?width=90", "/i/a.jpg?v=2&w=100", "/i/a_thumb.jpg"]
)
def test_sizes_of_one_picture_are_one_picture(other: str) -> None:
    assert same_picture("https://s.example/i/a.jpg") == same_picture("https://s.example" + other)
    assert same_picture("https://s.example/i/a.jpg") != same_picture("https://s.example/i/a2.jpg")


def test_a_gallery_without_structured_data_needs_a_product_region() -> None:
    lazy = '<img data-srcset="/2.jpg 1x, /2-big.jpg 2x" src="data:image/gif;base64,R">'
    body = f'<div class="{{}}"><img src="/1.jpg">{lazy}</div>'

    def gallery(text: str) -> list[str]:
        return [picture.urls[0] for picture in pictures((), outline(parse(text), "https://s.example/p"))]

    assert gallery("<h1>x</h1>" + body.format("product__media")) == [
        "https://s.example/1.jpg",
        "https://s.example/2-big.jpg",
    ]
    for others in (
        "related-products-slider",
        "recently-viewed carousel",
        "review-gallery",
        "instagram-gallery",
        "story",
    ):
        assert gallery("<h1>x</h1>" + body.format(others)) == []
    assert gallery("<footer>" + body.format("gallery") + "</footer>") == []
