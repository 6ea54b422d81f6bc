"""How one street photo is taken: side, height, light, floor and wall, all drawn before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.grounds import FLOORS, WALLS
from demo.lights import Light, direction
from demo.shoe import Model

Draw = np.random.Generator
_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (4, 3))
_SIDES = (0.0, 180.0, 55.0, 305.0, 125.0, 235.0, 90.0)


@dataclass(frozen=True)
class Shot:
    """One street photo's circumstances; angles in degrees, lengths in shoe lengths."""

    size: tuple[int, int]
    azimuth: float
    elevation: float
    roll: float
    distance: float
    share: float  # of the picture's width that the shoe takes
    middle: tuple[float, float]
    floor: str
    wall: str
    light: Light
    softness: float
    worn: bool
    pair: bool
    lying: bool
    mirror: bool


def shot_of(draw: Draw, model: Model, long: int) -> Shot:
    """A shot of a model, `long` pixels on the longer side."""
    a, b = _ASPECTS[int(draw.integers(len(_ASPECTS)))]
    size = (long * a // max(a, b) // 2 * 2, long * b // max(a, b) // 2 * 2)
    light, softness = _light(draw)
    worn = bool(not model.open_shoe and model.kind != "heel" and draw.random() < 0.32)
    lying = bool(not worn and draw.random() < 0.07)
    # A shoe on its side shows its opening to azimuth 0; its bare sole would tell nobody which shoe it is.
    side = 0.0 if lying else float(draw.choice(_SIDES))
    return Shot(
        size=size,
        azimuth=side + float(draw.uniform(-32, 32)),
        elevation=float(draw.choice([draw.uniform(3, 18), draw.uniform(15, 40), draw.uniform(30, 68)])),
        roll=float(draw.normal(0, 5)),
        distance=float(draw.uniform(1.9, 3.6)),
        share=float(draw.uniform(0.46, 0.76)) * (1.15 if size[0] < size[1] else 1.0),
        middle=(float(draw.uniform(0.43, 0.57)), float(draw.uniform(0.5, 0.62))),
        floor=str(draw.choice(list(FLOORS))),
        wall=str(draw.choice(list(WALLS))),
        light=light,
        softness=softness,
        worn=worn,
        pair=bool(draw.random() < 0.3),
        lying=lying,
        mirror=bool(draw.random() < 0.4),
    )


def _light(draw: Draw) -> tuple[Light, float]:
    """Sun or overcast, warm or cold, bright or dim; and how soft the cast shadow is."""
    warm = float(np.clip(draw.normal(0, 0.17), -0.3, 0.34))
    tone = np.exp([warm, float(draw.normal(0, 0.05)), -1.15 * warm]) * float(np.exp(draw.normal(-0.1, 0.3)))
    sunny = bool(draw.random() < 0.5)
    key = tone * (1.25 if sunny else 0.55)
    fill = tone * (0.3 if sunny else 0.62) * np.array([0.94, 1.0, 1.1] if sunny else [1.0, 1.0, 1.0])
    towards = direction(float(draw.uniform(0, 360)), float(draw.uniform(32, 75)))
    return Light(towards, _rgb(key), _rgb(fill), _rgb(fill * 0.55)), 0.02 if sunny else 0.14


def _rgb(value: np.ndarray) -> tuple[float, float, float]:
    return float(value[0]), float(value[1]), float(value[2])
