"""What an adapter reads from one answer: listings, further answers to fetch, and what kept it from being read whole."""

from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from crawler.facts import Facts

_AMOUNTS = ("price", "list_price")
_SEVERAL = ("gtins", "images")


@dataclass(frozen=True)
class Entry:
    """One listing as an adapter tells it: its address (`#colour=…` where several share a page) and its facts."""

    url: str
    facts: Facts


@dataclass(frozen=True)
class Following:
    """A further answer to fetch, with the facts that its reading needs (a parent's, for its variations)."""

    url: str
    told: tuple[Facts, ...] = ()


@dataclass(frozen=True)
class AdapterPage:
    """One answer, read. `problem` says what could not be read of it, and is empty if all was."""

    entries: tuple[Entry, ...] = ()
    following: tuple[Following, ...] = ()
    problem: str = ""


def to_json(facts: Facts) -> dict[str, Any]:
    """Facts as plain JSON, only what is set; amounts are text, so that no digit is lost."""
    told: dict[str, Any] = {"source": facts.source}
    for one in fields(Facts):
        value = getattr(facts, one.name)
        if value is None or value in ("", (), {}):
            continue
        told[one.name] = str(value) if isinstance(value, Decimal) else (
            list(value) if isinstance(value, tuple) else value)
    return told


def from_json(told: dict[str, Any]) -> Facts:
    """Facts as `to_json` wrote them; names that this version does not know are passed over."""
    names = {one.name for one in fields(Facts)}
    values = {name: value for name, value in told.items() if name in names}
    for name in _AMOUNTS:
        try:
            values[name] = Decimal(str(values[name])) if values.get(name) is not None else None
        except InvalidOperation:
            values[name] = None
    values |= {name: tuple(values[name]) for name in _SEVERAL if name in values}
    return Facts(**{"source": "", **values})
