"""Colourways: named colours, and how a model's parts share them out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.shoe import STREAM_COLOURS, Model, stream
from demo.slots import SLOTS, Slot

COLOURS: dict[str, str] = {
    "White": "f4f4f1", "Chalk": "e9e4d6", "Bone": "dccfb8", "Sand": "cbb28a", "Camel": "b5834a", "Gum": "a8713c",
    "Cocoa": "5d3d2b", "Espresso": "37261e", "Black": "1c1c1e", "Graphite": "43474b", "Slate": "6d7780",
    "Fog": "a9aeb1", "Silver": "c6c9cc", "Navy": "1f2d52", "Ink": "2b2f6b", "Cobalt": "1f55c4", "Sky": "86b8e0",
    "Ice": "cfe3ec", "Teal": "13707a", "Mint": "9fd8c0", "Forest": "1f5138", "Olive": "68693a", "Moss": "8e9a4f",
    "Lime": "b6d837", "Lemon": "f2dc4c", "Mustard": "cf9a24", "Orange": "e8702a", "Coral": "ee7f6b", "Red": "c22a2c",
    "Burgundy": "6a1f2e", "Rose": "d99aa5", "Pink": "ee9dc0", "Fuchsia": "c72f83", "Lilac": "b39ad1", "Plum": "5b3264",
    "Violet": "6b43b5",
}
NEUTRAL = ("White", "Chalk", "Bone", "Black", "Graphite", "Slate", "Fog", "Navy", "Cocoa", "Camel", "Sand")
VIVID = tuple(name for name in COLOURS if name not in NEUTRAL)
SOLE_COLOURS = ("White", "White", "White", "Chalk", "Chalk", "Black", "Gum", "Bone", "Graphite")
ROLES = ("main", "second", "accent", "sole", "outsole", "lining", "lace", "metal", "thread")


@dataclass(frozen=True)
class Colourway:
    """One colourway of a model: its number, its name and linear RGB for each part."""

    model_seed: int
    index: int
    name: str
    roles: tuple[str, ...]  # a colour name for each of ROLES
    palette: tuple[tuple[float, float, float], ...]

    def __post_init__(self) -> None:
        if len(self.palette) != SLOTS:
            raise ValueError(f"a palette needs {SLOTS} colours, not {len(self.palette)}")

    def array(self) -> np.ndarray:
        """The palette as (SLOTS, 3) float32."""
        return np.array(self.palette, np.float32)


def linear(colour: str) -> np.ndarray:
    """Linear RGB (3,) of six hexadecimal digits."""
    value = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)]) / 255.0
    return np.round(value**2.2, 6)


def colourways_of(model: Model, count: int) -> tuple[Colourway, ...]:
    """The first `count` colourways of a model; about half of the later ones are close to an earlier one."""
    parts = _parts(model)
    made: list[tuple[str, ...]] = []
    attempt = 0
    while len(made) < count:
        draw = stream(model.seed, STREAM_COLOURS, 1, attempt)
        attempt += 1
        close = bool(made) and draw.random() < 0.5
        roles = _neighbour(draw, made[int(draw.integers(len(made)))], model) if close else _scheme(draw)
        if all(_apart(roles, other, parts, model) for other in made) or attempt > 200:
            made.append(roles)
    names: list[str] = []
    for i, roles in enumerate(made):
        name = _name(roles, full=i > 0)
        names.append(f"{name} ({roles[3]} sole)" if name in names else name)
    return tuple(_colourway(model, i, names[i], roles, parts) for i, roles in enumerate(made))


def _name(roles: tuple[str, ...], full: bool) -> str:
    """What a shop calls the colourway: its main colours, the first colourway of a model with two at most."""
    shown = list(dict.fromkeys(roles[:3]))
    return " / ".join(shown if full else shown[:2])


def _scheme(draw: np.random.Generator) -> tuple[str, ...]:
    """Fresh colours for all roles."""
    main = str(draw.choice(NEUTRAL if draw.random() < 0.58 else VIVID))
    tonal = draw.random() < 0.2
    second = main if tonal else _other(draw, (main,), 0.55)
    accent = second if draw.random() < 0.2 and second != main else _other(draw, (main, second), 0.25)
    sole = str(draw.choice(SOLE_COLOURS)) if draw.random() < 0.85 else _other(draw, (main,), 0.0)
    outsole = str(draw.choice((sole, "Gum", "Black", accent, sole)))
    lining = str(draw.choice((main, second, "Chalk", "Black", "Fog", accent)))
    lace = str(draw.choice((main, "White", second, accent, "Black")))
    metal = str(draw.choice(("Silver", "Mustard", "Graphite", "Silver")))
    thread = str(draw.choice((main, main, "White", second, accent)))
    return (main, second, accent, sole, outsole, lining, lace, metal, thread)


def _other(draw: np.random.Generator, taken: tuple[str, ...], neutral: float) -> str:
    """A colour that is clearly not one of those taken."""
    for _ in range(50):
        name = str(draw.choice(NEUTRAL if draw.random() < neutral else VIVID))
        if all(_distance(name, other) > 0.22 for other in taken):
            return name
    return "White" if "White" not in taken else "Black"


def _neighbour(draw: np.random.Generator, roles: tuple[str, ...], model: Model) -> tuple[str, ...]:
    """A hard sibling: one or two roles of an existing colourway change, the rest stays."""
    changed = list(roles)
    small = [1, 2, 3] if not model.open_shoe else [0, 1, 3]
    for role in draw.permutation(small)[: int(draw.integers(1, 3))]:
        old = changed[role]
        new = str(draw.choice(SOLE_COLOURS)) if role == 3 else _other(draw, (old, changed[0]), 0.35)
        if role == 3 and changed[4] == old:
            changed[4] = new
        changed[role] = new
    return tuple(changed)


def _distance(a: str, b: str) -> float:
    x, y = (np.array([int(COLOURS[n][i : i + 2], 16) for i in (0, 2, 4)]) / 255 for n in (a, b))
    return float(np.linalg.norm(x - y))


def _areas(model: Model) -> dict[Slot, float]:
    """About how much of the shoe each part covers, seen from most sides; parts the model lacks are left out."""
    p = model.panels
    shown = {Slot.BASE: 0.0 if model.open_shoe else 4.0, Slot.VAMP: 1.2 * (p.vamp < 1 or p.apron > 0),
             Slot.TOECAP: 1.0 * (p.toecap < 1), Slot.HEEL: 1.0 * (p.heel > 0), Slot.MIDSOLE: 1.5,
             Slot.MUDGUARD: 0.7 * (p.mudguard > 0 or p.saddle > 0 or p.cage > 0),
             Slot.LOGO: 0.5 * (model.logo.kind != "none"), Slot.COLLAR: 0.5 * (p.collar > 0 or p.elastic > 0),
             Slot.STRAP: 3.0 if model.open_shoe else 0.5 * bool(model.trims.straps), Slot.INSOLE: 2.0 * model.open_shoe,
             Slot.PATTERN: 1.5 * (model.finish.pattern != "none")}
    if model.trims.laces:
        shown |= {Slot.EYESTAY: 0.4 * (p.eyestay > 0), Slot.TONGUE: 0.2, Slot.LACE: 0.3}
    return shown


def _apart(a: tuple[str, ...], b: tuple[str, ...], parts: tuple[int, ...], model: Model) -> bool:
    """True when two colourways differ enough, area by area, for an eye to tell them apart."""
    return sum(area * _distance(a[parts[slot]], b[parts[slot]]) for slot, area in _areas(model).items()) > 0.7


def _parts(model: Model) -> tuple[int, ...]:
    """For each part the role that colours it; one choice for all colourways of a model."""
    draw = stream(model.seed, STREAM_COLOURS, 0)
    main, second, accent, sole, outsole, lining, lace, metal, thread = range(9)
    role = [main] * SLOTS
    role[Slot.VAMP] = int(draw.choice([main, second, main]))
    role[Slot.TOECAP] = int(draw.choice([second, main, sole]))
    role[Slot.MUDGUARD] = int(draw.choice([second, accent, second]))
    role[Slot.HEEL] = int(draw.choice([second, accent, second]))
    role[Slot.EYESTAY] = int(draw.choice([second, main, second]))
    role[Slot.LOGO] = int(draw.choice([accent, accent, second]))
    role[Slot.TONGUE] = int(draw.choice([main, second]))
    role[Slot.LACE] = lace
    role[Slot.LINING] = lining
    role[Slot.MIDSOLE] = sole if not model.sole.pitch else int(draw.choice([main, main, second]))
    role[Slot.SOLE_LINE] = int(draw.choice([accent, second, main]))
    role[Slot.OUTSOLE] = outsole
    role[Slot.INSOLE] = int(draw.choice([lining, accent, lining]))
    role[Slot.METAL] = metal
    role[Slot.COLLAR] = int(draw.choice([main, second, lining]))
    role[Slot.STRAP] = main if model.open_shoe else int(draw.choice([main, second]))
    role[Slot.PATTERN] = second
    role[Slot.STITCH] = thread
    role[Slot.WINDOW], role[Slot.TAB], role[Slot.BADGE] = accent, accent, accent
    return tuple(role)


def _colourway(
    model: Model, index: int, name: str, roles: tuple[str, ...], parts: tuple[int, ...]
) -> Colourway:
    base = np.stack([linear(COLOURS[roles[parts[slot]]]) for slot in range(SLOTS)])
    pattern = roles[1] if _distance(roles[0], roles[1]) > 0.15 else roles[2]
    base[Slot.PATTERN] = linear(COLOURS[pattern])
    base[Slot.STITCH] = base[Slot.STITCH] * 0.8 + 0.2 * linear(COLOURS["Fog"])
    base[Slot.LINING] = base[Slot.LINING] * 0.9 + 0.02
    palette = tuple((float(r), float(g), float(b)) for r, g, b in base)
    return Colourway(model.seed, index, name, roles, palette)
