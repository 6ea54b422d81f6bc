"""An answer's bytes as what they hold: JSON, whatever its byte-order mark, and the numbers in its address."""

import html
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from catalogue.errors import FetchFailed
from crawler.facts import clean


def json_of(body: bytes, url: str) -> Any:
    """The JSON of an answer; `FetchFailed` if it is none."""
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise FetchFailed(f"the answer of {url} is no JSON ({error}); check the address in a browser") from error


def words(value: Any, longest: int = 500) -> str:
    """A text value on one line, HTML entities decoded; empty for what is none."""
    return clean(html.unescape(value) if isinstance(value, str) else value, longest)


def not_listings(unread: int, total: int, what: str) -> str:
    """A sentence on items without name or address, if they are too many to be the odd ones that every shop has."""
    return f"{unread} of {total} {what} have no name or address" if unread * 2 > total else ""


def number_in(url: str, name: str, otherwise: int) -> int:
    """The number that a parameter of an address's query has."""
    found = dict(parse_qsl(urlsplit(url).query)).get(name, "")
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else otherwise


def with_query(url: str, **changes: object) -> str:
    """The address with parameters of its query set, new ones at the end; None takes one away."""
    parts = urlsplit(url)
    query: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.update(changes)
    kept = {name: value for name, value in query.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))
