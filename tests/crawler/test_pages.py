"""Saved pages and what must be read from them; a new case is one more pair of files in `pages/`."""

import html
import json
import pickle
import random
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from crawler.facts import Facts
from crawler.pages.listing import FoundPage, canonical, parse, read_page, told_page
from crawler.shop_settings import ShopSettings, shop_settings

PAGES = sorted((Path(__file__).parent / "pages").glob("*.html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_page_is_read_as_expected(page: Path) -> None:
    expected = json.loads(page.with_suffix(".json").read_text())
    settings = shop_settings(expected.get("settings", {}))
    soup = parse(page.read_bytes().decode(errors="replace"))
    # As the crawl does: a page is read under the name it gives itself.
    found = read_page(soup, canonical(soup, expected["url"]), (), settings)
    assert [_told(one) for one in found] == expected["found"]


def test_canonical_is_believed_within_the_shop_only() -> None:
    def named(href: str) -> str:
        return canonical(parse(f'<link rel="canonical" href="{href}">'), "https://shop.example/c/x/p/1?ref=a")

    assert named("/p/1#top") == "https://shop.example/p/1"
    assert named("https://www.shop.example/p/1") == "https://www.shop.example/p/1"
    assert named("https://elsewhere.example/p/1") == "https://shop.example/c/x/p/1?ref=a"
    assert named("/") == "https://shop.example/c/x/p/1?ref=a"


SHOE = """<html lang="en-US"><h1>Toldo Low</h1>
    <div class="product-gallery"><img src="/i/1.jpg"><img src="/i/2.jpg"></div>
    <p class="price">$80.00</p><button>Add to cart</button>"""
URL = "https://s.example/p"


def test_an_adapters_word_comes_first_and_its_listing_is_one() -> None:
    told = [Facts("shopify", title="Toldo", price=Decimal(75), images=("https://c.example/a_200x.jpg",))]
    (found,) = read_page(parse(SHOE), URL, told, ShopSettings(currency="USD", brand="Toldi"))
    assert (found.listing.title, found.listing.price, found.listing.currency) == ("Toldo", 75, "USD")
    assert (found.listing.brand, found.listing.sources["brand"]) == ("Toldi", "settings")
    assert [photo.urls for photo in found.photos] == [
        ("https://c.example/a.jpg", "https://c.example/a_200x.jpg"), ("https://s.example/i/1.jpg",),
        ("https://s.example/i/2.jpg",)]
    (alone,) = read_page(parse(""), URL, told)
    assert alone == told_page(URL, told)
    # Whose pictures a page of several colours shows is not known.
    (coloured,) = read_page(parse(SHOE), f"{URL}#colour=red", told)
    assert (coloured.listing.url, len(coloured.photos)) == (f"{URL}#colour=red", 1)


def test_an_adapters_colourway_is_joined_by_the_pages_own() -> None:
    page = (Path(__file__).parent / "pages" / "group-of-colours.html").read_text()
    told = [Facts("shopify", title="Mirell", colour="Blue")]
    (found,) = read_page(parse(page), "https://shop.example/p/mirell#colour=blue", told)
    assert (found.listing.style_code, found.photos[0].urls[0]) == ("VM-10-B", "https://shop.example/i/blue.jpg")


def test_a_sitemaps_pictures_are_added_and_make_no_product() -> None:
    told = [Facts("sitemap", images=("https://s.example/i/2.jpg", "https://s.example/i/3.jpg"))]
    (found,) = read_page(parse(SHOE), URL, told)
    assert {photo.urls[0].rpartition("/")[2] for photo in found.photos} == {"1.jpg", "2.jpg", "3.jpg"}
    assert read_page(parse("<h1>About us</h1>"), URL, told) == []


def test_selectors_win_over_the_page() -> None:
    page = SHOE + '<b class="n" data-x="Own name">n</b><i class="c">US$ 60</i><img class="p" src="/own.jpg">'
    settings = shop_settings({"select": {"title": ".n@data-x", "price": ".c", "images": "img.p"}})
    (found,) = read_page(parse(page), URL, (), settings)
    assert (found.listing.title, found.listing.price, found.listing.currency) == ("Own name", 60, "USD")
    assert found.listing.sources["price"] == "selectors"
    assert [photo.urls[0] for photo in found.photos] == ["https://s.example/own.jpg"]


@pytest.mark.parametrize("page", [
    "", "\0", "\ud83d", "<h1>", "<base href='http://[::1'><img src=x>",
    "<h1>x</h1>" + "<div class='gallery'>" * 20_000,
    "<h1>x</h1>" + "<div class='size-list'><button>42</button>" * 150 + "<i>x</i>" * 3_000,
    "<script type='application/ld+json'>" + "[" * 100_000,
    "<script type='application/ld+json'>" + '{"a":' * 50_000,
    '<div itemscope itemtype="http://schema.org/Product"><b itemprop="name">x</b>' * 3_000,
    "<h1>x</h1><p class='price'>" + "1 " * 500_000,
], ids=range(11))
def test_no_page_is_too_odd(page: str) -> None:
    assert len(read_page(parse(page), URL)) <= 1


def test_damaged_pages_are_read_or_not_but_never_crash() -> None:
    chance = random.Random(20)
    texts = [page.read_bytes().decode(errors="replace") for page in PAGES]
    scraps = ["<", ">", '"', "{", "}", "[", "\0", "&#0;", "<div " * 9, "</div>" * 9, "<h1>", "<script>", "<![CDATA[",
              "http://[::1", "data:,", "1e999", '<base href="http://[">', '<img src="http://[x">', '<a href="//[">']
    for _ in range(300):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 10)):
            start = chance.randrange(len(text) + 1)
            end = start + chance.randrange(300)
            other = chance.choice(texts)
            there = chance.randrange(len(other))
            put = chance.choice([chance.choice(scraps), text[start:end] * 3, text[start:end][::-1], "",
                                 other[there:there + 500]])
            text = text[:start] + put + text[end:]
        found = read_page(parse(text), "https://shop.example/p/1")
        assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize("twice", [
    '<meta itemprop="price" content="129.95"><span itemprop="price">129,95 €</span>',
    '<span itemprop="price">129.95</span><span itemprop="price">129.95</span>'])
def test_a_price_that_stands_twice_is_one(twice: str) -> None:
    (found,) = read_page(parse(f"""<h1>Toldo Low</h1><div itemscope itemtype="https://schema.org/Product">
        <span itemprop="name">Toldo Low</span><div itemprop="offers" itemscope itemtype="https://schema.org/Offer">
        <meta itemprop="priceCurrency" content="EUR"><meta itemprop="priceCurrency" content="EUR">{twice}
        </div></div>"""), URL)
    assert (found.listing.price, found.listing.currency) == (Decimal("129.95"), "EUR")


def test_variations_whose_attributes_are_percent_encoded_are_told_apart() -> None:
    colours, sizes = (f"attribute_pa_{quote(name).lower()}" for name in ("색상", "사이즈"))
    variations = [{"attributes": {colours: colour, sizes: size},
                   "display_price": 89, "is_in_stock": True, "image": {"url": f"https://s.example/{colour}.jpg"}}
                  for colour, size in (("red", "240"), ("red", "250"), ("blue", "240"))]
    told = html.escape(json.dumps(variations))
    page = f"""<meta property="og:type" content="product"><h1>Toldo Low</h1><p class="price">89 €</p>
        <form class="variations_form cart" data-product_variations="{told}"><button>Add to cart</button></form>"""
    found = [one.listing for one in read_page(parse(page), URL)]
    assert [(one.colour, sorted(one.sizes)) for one in found] == [("red", ["240", "250"]), ("blue", ["240"])]


def test_variants_that_stand_beside_their_group_are_its_own() -> None:
    def variant(colour: str, size: str, stock: str) -> dict[str, object]:
        return {"@type": "Product", "name": f"Toldo Low {colour} {size}", "isVariantOf": {"@id": "#toldo"},
                "color": colour, "size": size, "image": f"/i/{colour}.jpg",
                "offers": {"@type": "Offer", "price": 80, "priceCurrency": "EUR",
                           "availability": f"https://schema.org/{stock}"}}

    nodes = [{"@type": "ProductGroup", "@id": "#toldo", "name": "Toldo Low", "productGroupID": "T1"},
             variant("red", "40", "OutOfStock"), variant("red", "41", "InStock"), variant("blue", "40", "InStock")]
    page = f'<h1>Toldo Low</h1><script type="application/ld+json">{json.dumps(nodes)}</script>'
    red, blue = (one.listing for one in read_page(parse(page), URL))
    assert (red.colour, red.price, red.sizes) == ("red", 80, {"40": False, "41": True})
    assert (blue.colour, blue.sizes, blue.available) == ("blue", {"40": True}, True)


def test_sizes_that_each_stand_as_a_product_are_one_shoe() -> None:
    def size(name: str, stock: str, price: int) -> dict[str, object]:
        return {"@type": "Product", "name": "Toldo Low", "color": "red", "size": name, "sku": f"T1-{name}",
                "mpn": "TL-100", "image": "/i/red.jpg", "offers": {
                    "price": price, "priceCurrency": "EUR", "availability": f"https://schema.org/{stock}"}}

    nodes = [size("40", "OutOfStock", 70), size("41", "InStock", 80), size("42", "InStock", 80)]
    page = f'<h1>Toldo Low</h1><script type="application/ld+json">{json.dumps(nodes)}</script>'
    (shoe,) = (one.listing for one in read_page(parse(page), URL))
    assert (shoe.sizes, shoe.price, shoe.available) == ({"40": False, "41": True, "42": True}, 80, True)
    assert (shoe.colour, shoe.style_code) == ("red", "TL-100")


def test_pictures_whose_address_holds_a_nul_are_left_out() -> None:
    product = {"@type": "Product", "name": "Toldo Low", "image": ["/a\0b.jpg", "/c.jpg"],
               "offers": {"price": 80, "priceCurrency": "EUR"}}
    (found,) = read_page(parse(f"""<h1>Toldo Low</h1><img src="/_next/image?url=%2Fa%00b.jpg&w=900">
        <script type="application/ld+json">{json.dumps(product)}</script>"""), URL)
    assert found.photos and not any("\0" in url for photo in found.photos for url in photo.urls)


def _told(found: FoundPage) -> dict[str, object]:
    """What a page says, without what it leaves unsaid."""
    told = {name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(found.listing).items() if value not in ("", None, {}, ())}
    for name in ("price", "list_price"):
        if name in told:
            told[name] = format(told[name], "f")
    return {**told, "photos": [picture.urls[0] for picture in found.photos]}


@pytest.mark.parametrize("base", ["file:///", "data:text/html,x", "http://[::1", "javascript:0"])
def test_a_base_that_leads_off_the_web_counts_for_nothing(base: str) -> None:
    page = (f'<base href="{base}"><h1>Runner 5</h1><script type="application/ld+json">{{"@type": "Product", '
            '"name": "Runner 5", "image": "/1.jpg", "offers": {"price": 5, "priceCurrency": "EUR"}}</script>')
    found, = read_page(parse(page), "https://shoes.example/p/5")
    assert [picture.urls[0] for picture in found.photos] == ["https://shoes.example/1.jpg"]
