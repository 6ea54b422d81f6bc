"""Saved pages and what must be read from them; a new case is one more pair of files in `pages/`."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from crawler.listing import FoundPage, canonical, parse, read_page
from crawler.shop_settings import shop_settings

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


def _told(found: FoundPage) -> dict[str, object]:
    """What a page says, without what it leaves unsaid."""
    told = {name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(found.listing).items() if value not in ("", None, {}, ())}
    for name in ("price", "list_price"):
        if name in told:
            told[name] = format(told[name], "f")
    return {**told, "photos": [picture.urls[0] for picture in found.photos]}
