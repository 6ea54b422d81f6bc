"""What is asked about a shelf: its slots and what is expected in them, read from a form's text; pure parsing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.errors import BadInput

MOST_SLOTS = 500
LONGEST_NAME = 80
MOST_COVER = 4  # slots may overlap, but each pixel in them costs time
MOST = 1e9  # more than any edge of a box; neither infinity nor NaN is below
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Slot:
    """A place on a shelf; `box` in pixels of the upright photo: left, top, right, bottom."""

    name: str
    box: Box

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (0 <= left < right and 0 <= top < bottom):
            raise ValueError(f"impossible slot: {self}")


def slots_of(slots: str, grid: str, size: tuple[int, int]) -> tuple[Slot, ...]:
    """The slots of a whole-shelf photo of `size` (width, height), from boxes as JSON or from a grid."""
    if slots and grid:
        raise BadInput("both `slots` and `grid` were sent; send one of them")
    return grid_slots(grid, size) if grid else read_slots(slots, size)


def read_slots(text: str, size: tuple[int, int]) -> tuple[Slot, ...]:
    """Slots from JSON: an object of name → box, or a list of boxes, which get the names 1, 2, …"""
    told = _json("slots", text)
    if isinstance(told, list):
        told = {str(number): box for number, box in enumerate(told, 1)}
    if not isinstance(told, dict) or not 1 <= len(told) <= MOST_SLOTS:
        raise BadInput(f"`slots` must be a JSON object of name → [left, top, right, bottom] with 1 to {MOST_SLOTS} of "
                       "them, or a list of such boxes")
    found = tuple(_slot(name, box, size) for name, box in told.items())
    if sum((right - left) * (bottom - top) for left, top, right, bottom in (one.box for one in found)) > (
            MOST_COVER * size[0] * size[1]):
        raise BadInput(f"the slots cover the photo more than {MOST_COVER} times; send slots that overlap less")
    return found


def _slot(name: str, told: Any, size: tuple[int, int]) -> Slot:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadInput(f"a slot is called {name[:40]!r}; a name is a line of 1 to {LONGEST_NAME} characters")
    said = f"slot {name[:40]!r}: the box {json.dumps(told)[:80]}"
    if (not isinstance(told, list) or len(told) != 4
            or not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < MOST for one in told)):
        raise BadInput(f"{said} is not four numbers [left, top, right, bottom]")
    left, top, right, bottom = (round(one) for one in told)
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise BadInput(f"{said} is empty or lies outside the photo, which is {size[0]} x {size[1]} pixels")
    return Slot(name, (left, top, right, bottom))


def grid_slots(text: str, size: tuple[int, int]) -> tuple[Slot, ...]:
    """Equal slots named row-column (1-1, 1-2, …, row by row) from text such as "2 x 5": rows x columns."""
    found = re.fullmatch(r"\s*(\d{1,3})\s*[xX×]\s*(\d{1,3})\s*", text)
    rows, columns = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= rows * columns <= MOST_SLOTS or rows > size[1] or columns > size[0]:
        raise BadInput(f"`grid` is {text[:40]!r}; it must be rows x columns, such as \"2 x 5\", of at most "
                       f"{MOST_SLOTS} slots and no more than the photo has pixels")
    across = [round(size[0] * column / columns) for column in range(columns + 1)]
    down = [round(size[1] * row / rows) for row in range(rows + 1)]
    return tuple(Slot(f"{row + 1}-{column + 1}", (across[column], down[row], across[column + 1], down[row + 1]))
                 for row in range(rows) for column in range(columns))


def read_expected(text: str, names: Sequence[str]) -> Mapping[str, str]:
    """The expected product of each slot that has one, from JSON: an object of slot → product, or a list in the order of
    the slots; null expects nothing."""
    if not text:
        return {}
    told = _json("expected", text)
    if isinstance(told, list):
        if len(told) != len(names):
            raise BadInput(f"`expected` lists {len(told)} products for {len(names)} slots; send one for each, or null")
        told = dict(zip(names, told, strict=True))
    if not isinstance(told, dict):
        raise BadInput("`expected` must be a JSON object of slot → product, or a list in the order of the slots")
    unknown = [name for name in told if name not in names]
    if unknown:
        raise BadInput(f"`expected` names the slot {unknown[0][:40]!r}; the slots are {some(names)}")
    found = {name: str(product) for name, product in told.items() if isinstance(product, str | int)}
    if any(product is not None and name not in found for name, product in told.items()):
        raise BadInput("`expected` must give each slot the name of a product, or null")
    return found


def some(names: Sequence[str]) -> str:
    """Up to eight of the names, and how many more there are."""
    return ", ".join(names[:8]) + (f", and {len(names) - 8} more" if len(names) > 8 else "")


def _json(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"`{field}` is no JSON ({str(error)[:80]})") from error
