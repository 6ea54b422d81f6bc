"""A task: one additional classifier, described by one TOML file: its classes, its photos, its recipe."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from catalogue.errors import BadInput, NotFound
from training.multiplying import Multiply, read_multiply
from training.recipes import Recipe, read_recipe

SHIPPED = Path(__file__).parent / "tasks"
KINDS = ("folders", "csv", "aihub", "catalogue")
OTHERS = ("refuse", "skip")
# What folders and columns call the sides that photos stand on.
SIDES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
# What a task's recipe is before its file says anything: plain softmax regression on every photo once an epoch.
DEFAULTS: dict[str, Any] = {
    "backbone": "mobilenet_v2", "head": "linear", "loss": "ce", "metric": "none", "contrastive": 0.0, "group": 1,
    "views": 0, "sampling": "natural", "size": 128, "epochs": 12, "batch": 32, "optimizer": "adamw", "lr": 1e-3,
    "trunk_lr": 0.5, "weight_decay": 0.05,
    "label_smoothing": 0.1, "background": 0.0, "geometry": 0.4, "light": 0.5, "blur": 0.1, "erase": 0.1,
}


@dataclass(frozen=True)
class Source:
    """Where a task's photos come from.

    `path` is a folder or a file, relative to the user's folder of tasks; empty for the catalogue itself. `val` is the
    share of photos held out where the data name no side. `attribute` is the column (catalogue) or the field (aihub)
    that holds the class; `labels` renames what stands there; `others` says what to do with a label that is no class.
    `crop` cuts photos to their box, or to the box around all of their boxes.
    """

    kind: str = "folders"
    path: str = ""
    val: float = 0.1
    attribute: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    others: str = "refuse"
    crop: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.others not in OTHERS:
            raise BadInput(f"others is one of {', '.join(OTHERS)}, not {self.others!r}")
        if not 0 < self.val < 0.9:
            raise BadInput(f"val is a share above 0 and below 0.9, not {self.val}")


@dataclass(frozen=True)
class Guard:
    """A class whose photos the task must hardly ever deny: at most `refuse_at_most` of them fall below a threshold."""

    name: str
    refuse_at_most: float = 0.005

    def __post_init__(self) -> None:
        if not 0 < self.refuse_at_most < 0.5:
            raise BadInput(f"refuse_at_most is a share above 0 and below 0.5, not {self.refuse_at_most}")


@dataclass(frozen=True)
class Task:
    """One task as its file says; without `classes` those of its data. `recipe` holds only what differs from DEFAULTS.

    `filled` is the class that means that a shelf's slot is filled.
    """

    name: str
    about: str = ""
    classes: tuple[str, ...] = ()
    data: Source = Source()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    multiply: tuple[Multiply, ...] = ()
    guard: Guard | None = None
    filled: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadInput(f"a task's name is made of a–z, 0–9 and '-', not {self.name!r}")
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise BadInput("classes are two or more different names, or left out to take those of the data")
        for says, name in (("guard.class", self.guard and self.guard.name), ("filled", self.filled)):
            if name and self.classes and name not in self.classes:
                raise BadInput(f"{says} {name!r} is none of the classes: {', '.join(self.classes)}")


def read_task(path: Path) -> Task:
    """Read a task's file; `BadInput` names the file, the field and what it takes."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        raw.setdefault("name", path.stem)
        multiply, guard = raw.pop("multiply", []), raw.pop("guard", None)
        rules = tuple(_table(Multiply, "[multiply]", one)
                      for one in (multiply if isinstance(multiply, list) else [multiply]))
        guarded = None if guard is None else _table(Guard, "[guard]", guard)
        source = _table(Source, "[data]", raw.pop("data", {}))
        task: Task = _table(Task, "", {"classes": [], **raw, "data": source, "multiply": rules, "guard": guarded})
        if task.name != path.stem:
            raise BadInput(f"name is {task.name!r}, but the file is called {path.name}; they must agree")
        recipe_of(task)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the task file {path} cannot be read: {error}") from error
    except BadInput as error:
        raise BadInput(f"the task file {path}: {error}") from error
    return task


def _table(kind: type, where: str, raw: Any) -> Any:
    """The dataclass of a table's fields, each checked to be of its type; `class` is called `name` in Python."""
    if not isinstance(raw, dict):
        raise BadInput(f"{where} must be a table, not {raw!r}")
    said = {column.name: column for column in fields(kind)}
    if kind in (Guard, Multiply):
        said = {"class" if name == "name" else name: column for name, column in said.items()}
    if unknown := sorted(raw.keys() - said.keys()):
        raise BadInput(f"{where or 'a task'} has no field {unknown[0]!r}; it has {', '.join(said)}")
    for name, value in raw.items():
        kinds = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,)}
        wanted = kinds.get(word := _written(said[name].type))
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)):
            raise BadInput(f"{where} {name} must be {word}, not {value!r}".strip())
        if word == "Mapping" and not isinstance(value, dict):
            raise BadInput(f"[{name}] must be a table, not {value!r}")
    if kind is Task:
        if not isinstance(raw["classes"], list) or not all(isinstance(name, str) for name in raw["classes"]):
            raise BadInput(f"classes must be a list of words, not {raw['classes']!r}")
        raw = {**raw, "classes": tuple(raw["classes"])}
    try:
        return kind(**{said[name].name: value for name, value in raw.items()})
    except TypeError as error:
        raise BadInput(f"{where} lacks a field: {error}") from error


def _written(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def tasks(folder: Path) -> dict[str, Path]:
    """The files of all tasks by name: those shipped, and the user's in `folder`, which win."""
    return {path.stem: path for place in (SHIPPED, folder) for path in sorted(place.glob("*.toml"))}


def find_task(name: str, folder: Path) -> Task:
    """The task called so; `NotFound` lists those there are."""
    found = tasks(folder)
    if name not in found:
        raise NotFound(f"there is no task {name!r}; there are {', '.join(sorted(found))}, and `solesearch task new "
                       f"{name} --data DIR` writes {folder / name}.toml")
    return read_task(found[name])


def recipe_of(task: Task, path: Path | None = None, changes: Iterable[str] = ()) -> Recipe:
    """A task's recipe: the defaults, its file's differences, a recipe file's, and `name=value` words, in this order."""
    stated: dict[str, Any] = {**DEFAULTS, **task.recipe}
    if path is not None:
        read_recipe(path)
        stated |= tomllib.loads(path.read_text(encoding="utf-8"))
    return read_recipe(None, [*(f"{name}={value}" for name, value in stated.items()), *changes])


def parted(changes: Iterable[str]) -> tuple[list[str], tuple[Multiply, ...] | None]:
    """Part `name=value` words into those of a recipe and `multiply=…`, None where that is not said."""
    words, rules = [], None
    for word in changes:
        if word.startswith("multiply="):
            rules = read_multiply(word.partition("=")[2])
        else:
            words.append(word)
    return words, rules
