"""Shops without an end: paging, calendars and sessions in links, cookies demanded, product lists that go on."""

import json
import re

from app.wiring import Stores
from tests.crawler import hostile
from tests.crawler.hostile import Behave, Handler, HostileShop, give, redirect
from tests.crawler.ordeal import SOME, Ordeal, at_peace

JSON = "application/json"


def linked(*paths: str) -> str:
    return "<!doctype html><title>Shoes</title>" + "".join(f'<p><a href="{path}">more</a></p>' for path in paths)


def walked(ordeal: Ordeal, **settings: int) -> None:
    """From now on the hostile shop is read by its links."""
    ordeal.configure(adapter="pages", **settings)
    ordeal.bad.trouble["/"] = give(linked("/c?page=1", *(f"/p/{slug}" for slug in SOME)))


def test_paging_without_end_is_left_when_its_budget_is_spent(stores: Stores) -> None:
    def page(handler: Handler) -> None:
        number = int(handler.path.rpartition("=")[2])
        give(linked(f"/c?page={number + 1}", f"/c?page={number * 2}", f"/p/none-{number}"))(handler)

    with at_peace(stores) as ordeal:
        walked(ordeal)
        ordeal.bad.trouble["/c*"] = page
        report = ordeal.crawl(max_pages=60)
        assert report.stopped == "the budget of 60 pages is spent" and report.counters["same"] == len(SOME)
        ordeal.nothing_is_lost()
        again = ordeal.crawl(max_pages=60)  # it goes on where it was
        assert again.run_id == report.run_id and again.stopped
        ordeal.nothing_is_lost()


def test_links_deeper_than_the_depth_are_not_followed(stores: Stores) -> None:
    def deeper(handler: Handler) -> None:
        give(linked(handler.path + "x"))(handler)

    with at_peace(stores) as ordeal:
        walked(ordeal)
        ordeal.bad.trouble["/c*"] = deeper
        report = ordeal.crawl(max_depth=9)
        assert not report.stopped and report.counters["same"] == len(SOME)
        assert (report.counters["skipped"], report.complete) == (1, False)
        assert sum(count for path, count in ordeal.bad.asked.items() if path.startswith("/c")) == 9
        ordeal.nothing_is_lost()


def test_calendars_carts_and_sorted_views_are_not_walked(stores: Stores) -> None:
    traps = ["/cart", "/?add-to-cart=7", "/c?sort=price", "/c?filter[colour]=red", "/search?q=shoe", "/login", "/a.pdf",
             "/c?min_price=1", "/account/orders", "javascript:void(0)", "mailto:me@shoes.example", "//other.example/",
             "http://10.0.0.1/", "/c?a=1&b=2&c=3&d=4", "data:text/html,x", "http://[::1", "/wp-admin/"]
    with at_peace(stores) as ordeal:
        walked(ordeal)
        ordeal.bad.trouble["/c?page=1"] = give(linked(*traps))
        ordeal.bad.asked.clear()
        report = ordeal.crawl()
        assert report.complete and report.counters["same"] == len(SOME)
        assert set(ordeal.bad.asked) <= {"/robots.txt", "/", "/c?page=1", *(f"/p/{slug}" for slug in SOME),
                                         *(f"/i/{slug}-0.jpg" for slug in SOME)}
        ordeal.nothing_is_lost()


def test_a_session_in_every_path_ends_with_the_budget(stores: Stores) -> None:
    def page(handler: Handler) -> None:
        sessions = [f"/c/s{hash((handler.path, number)) & 0xffffffff:x}/shoes" for number in range(5)]
        give(linked(*sessions, *(f"/p/{slug}" for slug in SOME)))(handler)

    with at_peace(stores) as ordeal:
        walked(ordeal)
        ordeal.bad.trouble["/c*"] = page
        report = ordeal.crawl(max_pages=80)
        assert report.stopped == "the budget of 80 pages is spent" and report.counters["same"] == len(SOME)
        ordeal.nothing_is_lost()


def test_who_demands_a_cookie_is_told_of(stores: Stores) -> None:
    def demand(handler: Handler) -> None:
        if "cookie" in {name.lower() for name in handler.headers}:
            give(ordeal.bad.page(handler.path[3:]))(handler)
        else:
            redirect(handler.path, Set_Cookie="session=1; Path=/")(handler)

    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/p/*"] = demand
        report = ordeal.crawl()
        assert report.counters["failed"] == len(SOME)
        assert "more than 5 redirects; the shop may refuse robots" in str(report.failures)
        ordeal.nothing_is_lost()


def shopify(shop: HostileShop, *numbers: int) -> bytes:
    return json.dumps({"products": [
        {"id": number, "handle": f"many-{number}", "title": f"Many {number}", "vendor": "Norrvik",
         "images": [{"src": shop.url("/i/many.jpg")}], "variants": [{"id": number, "price": "5.00"}]}
        for number in numbers]}).encode()


def test_a_product_list_that_never_ends_ends_with_the_budgets(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.configure(adapter="shopify", currency="USD")

        def more(handler: Handler) -> None:
            page = int(re.findall(r"page=(\d+)", handler.path)[0])
            give(shopify(ordeal.bad, *range(page * 2, page * 2 + 2)), JSON)(handler)

        ordeal.bad.trouble["/products.json*"] = more
        report = ordeal.crawl(max_items=60)
        assert report.stopped or not report.complete
        assert sum(count for path, count in ordeal.bad.asked.items() if "products.json" in path) <= 100
        ordeal.nothing_is_lost()


def test_a_product_list_that_says_the_same_on_every_page_ends(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.configure(adapter="shopify", currency="USD")
        ordeal.bad.trouble["/products.json*"] = give(shopify(ordeal.bad, 1, 2, 3), JSON)
        report = ordeal.crawl()
        assert not report.stopped and not report.complete and report.counters["new"] == 3
        assert "25,000" in str(report.failures)
        ordeal.nothing_is_lost()


def woo(*numbers: int) -> str:
    return json.dumps([
        {"id": number, "name": f"Woo {number}", "permalink": f"/p/woo-{number}", "type": "simple", "images": [],
         "prices": {"price": "500", "currency_code": "USD", "currency_minor_unit": 2}} for number in numbers])


def lying(total: str) -> Behave:
    def page(handler: Handler) -> None:
        first = handler.path.endswith("page=1")
        headers = {"X-WP-TotalPages": total, "Link": "<<>>; rel=;next"}
        give(woo(1, 2) if first else "[]", JSON, 200, **headers)(handler)

    return page


def test_a_list_that_lies_about_its_pages(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.configure(adapter="woocommerce")
        lies = ("9" * 30, "-1", "many", "0", "1e9", "٣")
        for total in lies:
            ordeal.bad.asked.clear()
            ordeal.bad.trouble["/wp-json*"] = lying(total.encode().decode("latin-1"))
            report = ordeal.crawl_alone()
            assert not report.stopped
            assert sum(count for path, count in ordeal.bad.asked.items() if "wp-json" in path) <= 2
        ordeal.nothing_is_lost()


def test_answers_that_are_no_product_lists(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        answers = {"html": give("<!doctype html><title>Shoes</title>"), "nothing": give(b""),
                   "null": give("null", JSON),
                   "deep": give("[" * 100_000, JSON), "endless": hostile.endless(JSON, b'{"products": [], ', b"{"),
                   "odd": give('{"products": {"a": [null, 1, {"id": []}]}}', JSON), "number": give("9" * 100_000, JSON),
                   "bomb": hostile.bomb(JSON, b"[")}
        for adapter in ("shopify", "woocommerce", "feed"):
            ordeal.configure(adapter=adapter, start=[ordeal.bad.url("/list")])
            for kind, behave in answers.items():
                ordeal.bad.trouble["/list"] = behave
                report = ordeal.crawl_alone(max_feed_bytes=500_000)
                assert not report.complete and not report.stopped, (adapter, kind)
                assert report.failures and "please report" not in str(report.failures), (adapter, kind, report.failures)
        ordeal.nothing_is_lost()
