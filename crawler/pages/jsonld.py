"""The JSON-LD of a page: its scripts read into nodes, however sloppily they are written."""

import html
import json
import re
from typing import Any

from crawler.pages.outline import Outline

_WRAPPING = re.compile(r"^\s*(?:<!--|(?://|/\*)?\s*<!\[CDATA\[\s*(?:\*/)?)|(?:-->|(?://|/\*)?\s*\]\]>\s*(?:\*/)?)\s*;?\s*$")
_LONGEST = 2_000_000


def jsonld_nodes(page: Outline) -> list[Any]:
    """What each of the page's JSON-LD scripts holds; one that nobody can read is left out."""
    read = (_read(script) for script in page.scripts if len(script) <= _LONGEST)
    return [data for data in read if isinstance(data, dict | list)]


def _read(script: str) -> Any:
    text = _WRAPPING.sub("", _WRAPPING.sub("", script)).strip().rstrip(";")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    import chompjs
    for attempt in (text, html.unescape(text)):
        try:
            return chompjs.parse_js_object(attempt, loader_kwargs={"strict": False})
        except (ValueError, RecursionError):
            continue
    return None
