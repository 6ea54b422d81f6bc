"""Multiplying classes: more photos of a rare class, as plain copies or as geometric or colour variants."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from catalogue.errors import BadInput

HOWS = ("copies", "geometric", "colour")
ALL = "*"


@dataclass(frozen=True)
class Multiply:
    """Make the photos of the class `name` (all for `*`) `times` as many, by `how`."""

    how: str
    name: str = ALL
    times: int = 4

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise BadInput(f"how is one of {', '.join(HOWS)}, not {self.how!r}")
        if not 2 <= self.times <= 64:
            raise BadInput(f"times lies between 2 and 64, not {self.times}")

    def __str__(self) -> str:
        return f"{self.how}:{self.name}:{self.times}"


def read_multiply(text: str) -> tuple[Multiply, ...]:
    """Read rules written `how:class:times`, joined by `+`; `none` or nothing is no rule."""
    rules = []
    for word in [] if text in ("", "none") else text.split("+"):
        parts = word.split(":")
        if len(parts) != 3 or not parts[2].isdigit():
            raise BadInput(f"multiply is written how:class:times, as in geometric:hat:4, not {word!r}")
        rules.append(Multiply(parts[0], parts[1], int(parts[2])))
    return tuple(rules)


def plan(labels: np.ndarray, classes: Sequence[str], rules: Sequence[Multiply]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rules add to photos of classes `labels` (n,): which photo each comes of (m,), and how (m,).

    `how` is a number in HOWS. Rules work one after the other on what is there by then, so that two of ×4 make ×16; a
    variant of a variant is a variant of the first photo.
    """
    origin, how = np.arange(len(labels)), np.full(len(labels), -1)
    for rule in rules:
        if rule.name != ALL and rule.name not in classes:
            raise BadInput(f"multiply: {rule.name!r} is none of the classes: {', '.join(classes)}")
        chosen = origin if rule.name == ALL else origin[labels[origin] == list(classes).index(rule.name)]
        origin = np.concatenate([origin, np.tile(chosen, rule.times - 1)])
        how = np.concatenate([how, np.full(len(chosen) * (rule.times - 1), HOWS.index(rule.how))])
    return origin[len(labels):], how[len(labels):]


def multiplied(packed: np.ndarray, rows: np.ndarray, labels: np.ndarray, classes: Sequence[str],
               rules: Sequence[Multiply], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return packed pixels uint8 (N, s, s, 4), rows (n,) and labels (n,) with what the rules add.

    Copies are rows of the same pixels; variants are pixels of their own, drawn once by the seed. They change as much
    as a photo's augmentation does at full strength: geometry alone, or saturation and hue alone.
    """
    if not rules:
        return packed, rows, labels
    origin, how = plan(labels, classes, rules)
    new_rows, parts, count = rows[origin].copy(), [packed], len(packed)
    for number, name in enumerate(HOWS):
        at = np.flatnonzero(how == number)
        if name != "copies" and len(at):
            parts.append(_variants(packed, rows[origin[at]], name, seed))
            new_rows[at] = count + np.arange(len(at))
            count += len(at)
    together = packed if len(parts) == 1 else np.concatenate(parts)
    return together, np.concatenate([rows, new_rows]), np.concatenate([labels, labels[origin]])


def _variants(packed: np.ndarray, rows: np.ndarray, how: str, seed: int) -> np.ndarray:
    """Variants uint8 (n, s, s, 4) of these rows of packed pixels."""
    import torch

    from training.augmentation import augment
    from training.recipes import Recipe
    off = replace(Recipe(), background=0, geometry=0, light=0, blur=0, erase=0, flip=False)
    strong = replace(off, geometry=1.0, flip=True) if how == "geometric" else replace(off, saturation=1.0, hue=1.0)
    random = torch.Generator().manual_seed(seed)
    found = np.empty((len(rows), *packed.shape[1:]), np.uint8)
    for start in range(0, len(rows), 256):
        pixels = augment(torch.from_numpy(packed[rows[start:start + 256]]), strong, random, packed.shape[1])
        found[start:start + 256, ..., :3] = pixels.clamp(0, 255).round().byte().permute(0, 2, 3, 1).numpy()
    found[..., 3] = 255  # where the ground of a moved photo lies is not known
    return found

