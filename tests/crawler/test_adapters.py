"""Adapters: saved answers with what must be read from them in `pages/*.answer`, and the cases that are about more."""

import csv
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from catalogue.errors import BadInput, FetchFailed
from crawler import adapters
from crawler.adapters.entries import AdapterPage, Entry, from_json, to_json
from crawler.facts import Facts
from crawler.pages.listing import told_page
from crawler.shop_settings import Follow, ShopSettings, shop_settings
from crawler.targets import answer_targets

ANSWERS = sorted((Path(__file__).parent / "pages").glob("*.answer"))
SHOP = "https://shop.example/"


def read(answer: Any, path: str, settings: dict[str, Any], headers: Mapping[str, str] | None = None,
         told: Sequence[Facts] = ()) -> AdapterPage:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return adapters.read(body, urljoin(SHOP, path), headers or {}, SHOP, shop_settings(settings), told)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda path: path.stem)
def test_answer_is_read_as_expected(answer: Path) -> None:
    expected = json.loads(answer.with_suffix(".json").read_text())
    settings = shop_settings({**expected.get("settings", {}), "adapter": expected["adapter"]})
    told = expected.get("told", [])
    try:
        page = adapters.read(
            answer.read_bytes(), expected["url"], expected.get("headers", {}),
            expected.get("shop", urljoin(expected["url"], "/")), settings,
            [from_json({"source": expected["adapter"], **one}) for one in (told if isinstance(told, list) else [told])])
    except FetchFailed as error:
        page = AdapterPage(problem=str(error))
    assert [_told(entry, settings) for entry in page.entries] == expected["found"]
    assert [more.url for more in page.following] == expected.get("following", [])
    assert bool(page.problem) == expected.get("problem", False), page.problem


def _told(entry: Entry, settings: ShopSettings) -> dict[str, object]:
    """What an entry says, without what it leaves unsaid."""
    found = told_page(entry.url, [entry.facts], settings)
    if settings.adapter == "sitemap":
        return {"url": entry.url, "photos": [picture.urls[0] for picture in found.photos]}
    told = {name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(found.listing).items() if value not in ("", None, {}, ())}
    for name in ("price", "list_price"):
        if name in told:
            told[name] = str(told[name])
    return {**told, "photos": [picture.urls[0] for picture in found.photos]}


def shoe(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "title": "Runner", "handle": "runner", "vendor": "Solely", "options": [], "images": [],
            "variants": [{"price": "99.00", "available": True}], **changes}


def coloured(images: list[dict[str, Any]]) -> AdapterPage:
    variants = [{"id": number, "option1": colour, "option2": size, "price": "99.00", "available": True}
                for number, (colour, size) in enumerate([("Red", "42"), ("Red", "43"), ("Blue", "42")], 11)]
    options = [{"name": "Color", "values": ["Red", "Blue"]}, {"name": "Size", "values": ["42", "43"]}]
    return read({"products": [shoe(variants=variants, options=options, images=images)]}, "products.json",
                {"adapter": "shopify", "currency": "EUR"})


def images(*named: tuple[str, list[int]]) -> list[dict[str, Any]]:
    return [{"src": f"https://cdn.example/{name}.jpg", "variant_ids": ids} for name, ids in named]


def photos(page: AdapterPage) -> dict[str, list[str]]:
    return {entry.facts.colour: [image.rpartition("/")[2].removesuffix(".jpg") for image in entry.facts.images]
            for entry in page.entries}


def test_shopify_untagged_images_belong_to_the_tagged_one_before_them() -> None:
    page = coloured(images(("a", []), ("r1", [11, 12]), ("r2", []), ("b1", [13]), ("b2", [])))
    assert photos(page) == {"Red": ["a", "r1", "r2"], "Blue": ["b1", "b2"]}
    assert photos(coloured(images(("a", []), ("b", [])))) == {"Red": ["a", "b"], "Blue": ["a", "b"]}
    assert photos(coloured(images(("both", [11, 13]), ("more", [])))) == {"Red": ["both", "more"],
                                                                           "Blue": ["both", "more"]}


def test_shopify_pages_follow_until_one_is_empty_or_no_more_are_given() -> None:
    settings = {"adapter": "shopify"}
    page = read({"products": [shoe()]}, "products.json?limit=250&page=3", settings)
    assert [more.url for more in page.following] == [f"{SHOP}products.json?limit=250&page=4"]
    assert read({"products": []}, "products.json?limit=250&page=4", settings) == AdapterPage()
    last = read({"products": [shoe()]}, "products.json?limit=250&page=100", settings)
    assert last.entries and not last.following and "25,000" in last.problem


def test_shopify_in_a_market_folder_and_on_another_host() -> None:
    settings = {"adapter": "shopify"}
    answer = {"products": [shoe()]}
    assert read(answer, "en-kr/products.json", settings).entries[0].url == f"{SHOP}en-kr/products/runner"
    assert read(answer, "collections/all/products.json", settings).entries[0].url == f"{SHOP}products/runner"
    assert read(answer, "https://solely.platform.example/products.json", settings).entries[0].url == (
        f"{SHOP}products/runner")


def test_unknown_price_and_missing_photos_ask_for_the_page() -> None:
    settings = shop_settings({"adapter": "shopify", "currency": "EUR"})

    def asks(**changes: Any) -> bool:
        answer = json.dumps({"products": [shoe(**changes)]}).encode()
        entry = adapters.read(answer, f"{SHOP}products.json", {}, SHOP, settings).entries[0]
        return adapters.needs_page(entry, settings)

    pictured = images(("a", []))
    assert not asks(images=pictured)
    assert asks(images=[]) and asks(images=pictured, variants=[{"price": "0.00"}])
    entry = Entry(SHOP, Facts("feed", title="x"))
    assert not adapters.needs_page(entry, shop_settings({"adapter": "feed", "pages": "never"}))
    assert adapters.needs_page(Entry(SHOP, Facts("sitemap")), shop_settings({"adapter": "sitemap", "pages": "never"}))


def variation(number: int, colour: str, size: str, image: str) -> dict[str, Any]:
    return {"id": number, "type": "variation", "parent": 6, "name": "Boot", "images": [{"src": f"{SHOP}{image}.jpg"}],
            "permalink": f"{SHOP}product/boot/?attribute_pa_colour={colour}", "sku": f"BOOT-10-{colour}",
            "variation": f"Colour: {colour}, Size: {size}", "is_in_stock": size == "42",
            "prices": {"price": "12900", "regular_price": "15900", "currency_code": "USD", "currency_minor_unit": 2}}


def test_woocommerce_variations_join_to_colourways_and_share_the_gallery() -> None:
    parent = Facts("woocommerce", title="Boot", group="6", brand="Solely",
                   images=tuple(f"{SHOP}{name}.jpg" for name in ("r1", "r2", "b1", "b2")))
    answer = [variation(61, "Red", "42", "r1"), variation(62, "Red", "43", "r1"), variation(63, "Blue", "43", "b1")]
    page = read(answer, "wp-json/wc/store/v1/products?type=variation&parent=6", {"adapter": "woocommerce"},
                {"x-wp-totalpages": "1"}, [parent])
    red, blue = page.entries
    assert (red.url, blue.url) == (f"{SHOP}product/boot/#colour=red", f"{SHOP}product/boot/#colour=blue")
    assert (red.facts.sizes, red.facts.available, blue.facts.available) == ({"42": True, "43": False}, True, False)
    assert (red.facts.price, red.facts.list_price, red.facts.style_code) == (Decimal(129), Decimal(159), "BOOT-10-Red")
    assert photos(page) == {"Red": ["r1", "r2"], "Blue": ["b1", "b2"]}
    alone = read(answer, "x?type=variation", {"adapter": "woocommerce"}, {}, [Facts("woocommerce", "Boot", group="6")])
    assert photos(alone) == {"Red": ["r1"], "Blue": ["b1"]} and not alone.following


def test_woocommerce_pages_are_counted_by_the_header_or_until_one_is_short() -> None:
    def more(headers: dict[str, str], per_page: int) -> int:
        answer = [{"id": 1, "name": "A", "permalink": f"{SHOP}a"}]
        return len(read(answer, f"products?per_page={per_page}&page=1", {"adapter": "woocommerce"}, headers).following)

    broken = {"link": '<https://shop.example/?page=9>; rel="next"'}
    assert more({**broken, "x-wp-totalpages": "1"}, 1) == 0 and more({"x-wp-totalpages": "2"}, 100) == 1
    assert more(broken, 100) == 0 and more({}, 1) == 1


def feed(*items: str, end: str = "</channel></rss>") -> bytes:
    return ('<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>'
            + "".join(f"<item>{item}</item>" for item in items) + end).encode()


def item(number: int, colour: str = "Red", size: str = "42", more: str = "") -> str:
    return (f"<g:title>Nimbus {colour} {size}</g:title><g:link>{SHOP}p/1?variant={number}&utm_source=g</g:link>"
            f"<g:item_group_id>G1</g:item_group_id><g:color>{colour}</g:color><g:size>{size}</g:size>"
            f"<g:price>129.00 EUR</g:price>{more}")


def test_a_feeds_sizes_are_one_listing_whose_address_names_no_size() -> None:
    settings = {"adapter": "feed"}
    page = read(feed(item(1), item(2, size="43"), item(3, "Blue")), "feed.xml", settings)
    assert [entry.url for entry in page.entries] == [f"{SHOP}p/1#colour=red", f"{SHOP}p/1#colour=blue"]
    assert page.entries[0].facts.title == "Nimbus Red" and page.entries[0].facts.sizes == {"42": True, "43": True}
    assert [entry.url for entry in read(feed(item(1)), "feed.xml", settings).entries] == [f"{SHOP}p/1"]


def test_a_sale_counts_while_it_runs() -> None:
    def price(window: str, date: str) -> Decimal | None:
        more = (f"<g:sale_price>99.00 EUR</g:sale_price>"
                f"<g:sale_price_effective_date>{window}</g:sale_price_effective_date>")
        page = read(feed(item(1, more=more)), "feed.xml", {"adapter": "feed"}, {"date": date} if date else {})
        return page.entries[0].facts.price

    window = "2024-02-24T13:00-0800/2024-02-29T15:30-0800"
    assert price(window, "Mon, 26 Feb 2024 10:00:00 GMT") == 99
    assert price(window, "Fri, 01 Mar 2024 10:00:00 GMT") == 129
    assert price(window, "") == 99 and price("soon", "Fri, 01 Mar 2024 10:00:00 GMT") == 99


def test_a_feed_that_is_cut_short_keeps_its_whole_items() -> None:
    whole = feed(item(1), item(2, "Blue"))
    for body in (whole[:whole.rindex(b"</g:color>")], gzip.compress(whole)[:-9]):
        page = read(body, "feed.xml", {"adapter": "feed"})
        assert page.problem and [entry.facts.colour for entry in page.entries][:1] == ["Red"]


def test_a_table_feed_is_read_like_the_others() -> None:
    rows = [["id", "title", "link", "image link", "price", "color"],
            ["1", "12\" boot", f"{SHOP}p/1", "https://cdn.example/1.jpg", "79.50 USD", "Red"]]
    for mark in ("\t", ",", ";"):
        out = io.StringIO()
        csv.writer(out, delimiter=mark).writerows(rows)
        (entry,) = read(gzip.compress(out.getvalue().encode()), "feed.txt", {"adapter": "feed"}).entries
        assert (entry.facts.title, entry.facts.price, entry.facts.images) == (
            '12" boot', Decimal("79.5"), ("https://cdn.example/1.jpg",))


def test_a_large_feed_is_never_whole_in_memory_as_objects() -> None:
    body = feed(*(item(n, f"Colour {n}").replace("G1", f"G{n}").replace("p/1", f"p/{n}")
                  + f"<description>{'words ' * 400}</description>" for n in range(4000)))
    tracemalloc.start()
    page = read(body, "feed.xml", {"adapter": "feed"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(page.entries) == 4000 and len(body) > 10_000_000
    assert peak < len(body) * 1.5


def test_entities_of_a_feed_are_never_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE rss [<!ENTITY l0 "ha">{laughs}]>'.encode() + feed(item(1, "&l9;")).partition(b"?>")[2]
    assert all(len(entry.facts.colour) < 100 for entry in read(bomb, "feed.xml", {"adapter": "feed"}).entries)


API = {"url": "https://api.example/v1/shoes?page={page}&key=1", "items": "data.shoes", "minor_units": 2,
       "page_url": "https://shop.example/p/{slug}",
       "fields": {"title": "name", "price": "price.cents", "currency": "price.code", "images": "pictures.*.url",
                  "sizes": "sizes.*.name", "available": "sizes.*.stock"}}


def test_any_api_is_read_by_its_paths() -> None:
    answer = {"data": {"shoes": [
        {"slug": "a b", "name": "A &amp; B", "price": {"cents": 7950, "code": "usd"},
         "pictures": [{"url": "/1.jpg"}, {"url": "//cdn.example/2.jpg"}, {}],
         "sizes": [{"name": 250, "stock": 0}, {"name": "260", "stock": "3"}]}]}}
    page = read(answer, "https://api.example/v1/shoes?page=7&key=1", {"adapter": "api", "api": API})
    (entry,) = page.entries
    assert entry.url == f"{SHOP}p/a%20b" and entry.facts.title == "A & B"
    assert (entry.facts.price, entry.facts.currency) == (Decimal("79.5"), "USD")
    assert entry.facts.images == (f"{SHOP}1.jpg", "https://cdn.example/2.jpg")
    assert entry.facts.sizes == {"250": False, "260": True} and entry.facts.available is True
    assert [more.url for more in page.following] == ["https://api.example/v1/shoes?page=8&key=1"]
    empty = read({"data": {"shoes": []}}, "https://api.example/v1/shoes?page=8&key=1", {"adapter": "api", "api": API})
    assert empty == AdapterPage()


def test_items_of_one_colour_share_the_model_that_their_settings_name() -> None:
    def facts(fields: dict[str, str], **of_item: Any) -> list[Facts]:
        api = {"url": "https://api.example/shoes", "page_url": SHOP + "p/{id}", "variants": "colours",
               "fields": {"title": "name", "colour": "colour", **fields}, "variant_fields": {"colour": "name"}}
        item = {"id": 1, "name": "Runner", "model": {"id": "m7", "name": "Runner 7"}, "colour": "Red", **of_item}
        return [entry.facts for entry in read([item], "https://api.example/shoes", {"adapter": "api", "api": api})
                .entries]

    named = {"group": "model.id", "model_name": "model.name"}
    (one,) = facts(named)
    assert (one.group, one.model_name, one.variant) == ("m7", "Runner 7", "")
    assert facts({})[0].group == ""  # its own id groups nothing
    several = {"colours": [{"name": "Red"}, {"name": "Blue"}]}
    assert [one.group for one in facts(named, **several)] == ["m7", "m7"]
    assert [(one.group, one.model_name) for one in facts({}, **several)] == [("1", "Runner")] * 2


def test_a_cursor_is_quoted_and_ends_the_paging_when_it_is_gone() -> None:
    api = {"url": 'https://api.example/graphql?query={shoes(after:"{cursor}"){name}}', "items": "shoes.*.node",
           "cursor": "end", "page_url": SHOP + "p/{name}", "fields": {"title": "name"}}
    settings = {"adapter": "api", "api": api}
    assert adapters.first_addresses(SHOP, shop_settings(settings)) == [
        'https://api.example/graphql?query={shoes(after:""){name}}']
    page = read({"shoes": [{"node": {"name": "a"}}], "end": "a=="}, "https://api.example/graphql", settings)
    assert [more.url for more in page.following] == [
        'https://api.example/graphql?query={shoes(after:"a%3D%3D"){name}}']
    assert not read({"shoes": [{"node": {"name": "a"}}], "end": None}, "https://api.example/", settings).following
    with pytest.raises(FetchFailed, match=r"api\.items"):
        read({"errors": ["no"]}, "https://api.example/graphql", settings)


def test_first_addresses() -> None:
    def first(**settings: Any) -> list[str]:
        return adapters.first_addresses(SHOP, shop_settings(settings))

    assert first(adapter="shopify") == [f"{SHOP}products.json?limit=250&page=1"]
    assert first(adapter="woocommerce") == [f"{SHOP}wp-json/wc/store/v1/products?per_page=100&page=1"]
    assert first(adapter="sitemap") == [f"{SHOP}sitemap.xml"] and first() == [SHOP]
    assert first(adapter="feed", start=["https://a.example/f.xml"]) == ["https://a.example/f.xml"]
    with pytest.raises(BadInput, match="needs start"):
        first(adapter="feed")
    with pytest.raises(BadInput, match="pages are visited"):
        read(b"", "", {})


def test_facts_survive_the_catalogue() -> None:
    facts = Facts("feed", title="x", price=Decimal("79.50"), gtins=("4006381333931",), available=False,
                  sizes={"42": True}, images=("https://a.example/1.jpg",), variant="red")
    stored = json.loads(json.dumps(to_json(facts)))
    assert from_json(stored) == facts and "brand" not in stored
    assert from_json({**stored, "of a later version": 1, "price": "?"}).price is None


@pytest.mark.parametrize("adapter", ["shopify", "woocommerce", "feed", "api", "sitemap"])
def test_what_is_no_answer_says_so(adapter: str) -> None:
    settings = {"adapter": adapter, "api": API}
    for body in (b"", b"<html><body>Sorry</body></html>", b'{"message": "no"}', b"\x1f\x8bnonsense", b"\xff\xfe\0"):
        with pytest.raises(FetchFailed):
            read(body, "x", settings)


@pytest.mark.parametrize("adapter", ["shopify", "woocommerce", "feed", "api", "sitemap"])
def test_odd_answers_never_trip_the_readers(adapter: str) -> None:
    """Answers of every adapter with values exchanged or bytes broken, by a fixed seed."""
    draw = random.Random(5)
    odd = [None, 0, -1, 1e400, "", "x", [], {}, [None], {"a": None}, "9" * 400, [[]], True, "\x00", "#", "http://[",
           [3]]
    samples: dict[str, Any] = {
        "shopify": {"products": [shoe(images=images(("a", [1])), options=[{"name": "Color", "values": ["Red"]}])]},
        "woocommerce": [variation(1, "Red", "42", "a"), {"id": 2, "type": "variable", "name": "B", "permalink": SHOP,
                        "attributes": [{"name": "Color", "terms": [{"name": "Red"}, {"name": "Blue"}]}],
                        "categories": [{"name": "a", "link": SHOP}], "brands": [{"name": "x"}]}],
        "api": {"data": {"shoes": [{"slug": "a", "name": "A", "price": {"cents": 7950, "code": "usd"},
                                    "pictures": [{"url": "/1.jpg"}], "sizes": [{"name": 250, "stock": 0}]}]}}}

    def mutated(value: Any) -> Any:
        if draw.random() < 0.06:
            return draw.choice(odd)
        if isinstance(value, dict):
            return {name: mutated(one) for name, one in value.items()}
        return [mutated(one) for one in value] if isinstance(value, list) else value

    for _ in range(400):
        if adapter in samples:
            body = json.dumps(mutated(samples[adapter])).encode()
        else:
            whole = bytearray(feed(item(1), item(2, "Blue")) if adapter == "feed" else
                              b"<urlset><url><loc>https://shop.example/1</loc></url></urlset>")
            for _ in range(draw.randrange(1, 12)):
                whole[draw.randrange(len(whole))] = draw.randrange(256)
            body = bytes(whole)
        try:
            page = read(body, "x?page=1", {"adapter": adapter, "api": API})
        except FetchFailed:
            continue
        for entry in page.entries:
            assert from_json(json.loads(json.dumps(to_json(entry.facts)))) == entry.facts


def test_a_pattern_of_products_knows_nothing_of_a_colourways_mark() -> None:
    told = AdapterPage(tuple(Entry(f"https://s.example/{path}", Facts("shopify", title="Low"))
                             for path in ("shoes/low#colour=red", "shoes/low#colour=blue", "bags/low#colour=red")))
    found = answer_targets(told, 0, ShopSettings(adapter="shopify", follow=Follow(product="/shoes/[a-z0-9-]+$")))
    assert [target.url for target in found] == ["https://s.example/shoes/low#colour=red",
                                                "https://s.example/shoes/low#colour=blue"]
