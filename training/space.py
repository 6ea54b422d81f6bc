"""Which settings a search may turn and how far: a TOML file, checked against what a recipe takes."""

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from catalogue.errors import BadInput
from training.recipes import Recipe, is_a

DEFAULT = Path(__file__).parent / "space.toml"
ALLOWED = "{low = NUMBER, high = NUMBER, log = true or false} or {choices = [VALUE, …]}"
# Settings that a search must leave alone, and why.
_APART = {"epochs": "the length of a trial is told by --epochs", "patience": "trials are ended by the pruner alone",
          "seed": "a lucky seed is no better setting", "precision": "it belongs to the machine",
          "compile": "it belongs to the machine"}
_DRAWS = 200


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `log`: drawn evenly by factor; `whole`: integers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def holds(self, value: Any) -> bool:
        """Whether the value lies in it."""
        return bool(self.low <= value <= self.high)

    def draw(self, chance: random.Random) -> Any:
        """Any value of it."""
        return chance.randint(int(self.low), int(self.high)) if self.whole else chance.uniform(self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    options: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return value in self.options

    def draw(self, chance: random.Random) -> Any:
        """Any of them."""
        return chance.choice(self.options)


Space = Mapping[str, Range | Choice]


def read_space(path: Path, recipe: Recipe) -> Space:
    """Read a space around a recipe; `BadInput` names the key that cannot be used and what is allowed there."""
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"the space {path} cannot be read: {error}") from error
    kinds: dict[str, Any] = {column.name: column.type for column in fields(Recipe)}
    if not stated:
        raise BadInput(f"the space {path} names no setting; a line is a setting and {ALLOWED}")
    for name in stated:
        if name not in kinds:
            raise BadInput(f"{path}: a recipe has no setting {name!r}; it has {', '.join(kinds)}")
        if name in _APART:
            raise BadInput(f"{path}: {name} is not searched: {_APART[name]}; take the line out")
    space = {name: _entry(f"{path}: {name}", kinds[name], entry) for name, entry in stated.items()}
    for name, entry in space.items():
        for value in entry.options if isinstance(entry, Choice) else (entry.low, entry.high):
            _usable(path, recipe, space, name, value)
    return space


def _entry(where: str, kind: Any, entry: Any) -> Range | Choice:
    if not isinstance(entry, dict):
        raise BadInput(f"{where} must be {ALLOWED}, not {entry!r}")
    for key in entry:
        if key not in ("low", "high", "log", "choices"):
            raise BadInput(f"{where}: there is no {key!r}; write {ALLOWED}")
    if "choices" in entry:
        return _choice(where, kind, entry)
    return _range(where, kind, entry)


def _choice(where: str, kind: Any, entry: Mapping[str, Any]) -> Choice:
    options = entry["choices"]
    if len(entry) > 1:
        raise BadInput(f"{where}: choices stand alone, without {', '.join(sorted(entry.keys() - {'choices'}))}")
    if not isinstance(options, list) or not options:
        raise BadInput(f"{where}: choices must be a list of one value or more, not {options!r}")
    for option in options:
        if not is_a(kind, option):
            raise BadInput(f"{where}: the choice {option!r} must be a {kind.__name__}")
    return Choice(tuple(dict.fromkeys(kind(option) for option in options)))


def _range(where: str, kind: Any, entry: Mapping[str, Any]) -> Range:
    if kind not in (int, float):
        raise BadInput(f"{where} is a {kind.__name__}, which has no low and high; write {{choices = […]}}")
    for key in ("low", "high"):
        if not is_a(kind, entry.get(key)):
            raise BadInput(f"{where}: {key} must be a{'n int' if kind is int else ' number'}, not {entry.get(key)!r}")
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    if not low < high:
        raise BadInput(f"{where}: low ({low}) must be below high ({high})")
    if not isinstance(log, bool) or (log and low <= 0):
        raise BadInput(f"{where}: log is true or false, and with log = true low must be above 0, not {low}")
    return Range(low, high, log, kind is int)


def _usable(path: Path, recipe: Recipe, space: Space, name: str, value: Any) -> None:
    """Refuse a value that no recipe of the space takes; one that only some take makes a few trials fail, no more."""
    try:
        replace(recipe, **{name: value})
        return
    except BadInput as error:
        refused = error
    chance = random.Random(0)
    for _ in range(_DRAWS):
        try:
            replace(recipe, **{other: entry.draw(chance) for other, entry in space.items()} | {name: value})
            return
        except BadInput:
            continue
    raise BadInput(f"{path}: {name} cannot be {value!r}: {refused}") from refused
