"""Procedural surfaces of street photos: floors, walls and far backgrounds as colour over a plane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.colours import COLOURS, linear
from demo.materials import table_noise

Draw = np.random.Generator
Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _tables(draw: Draw, count: int) -> list[np.ndarray]:
    return [draw.random((64, 64)).astype(np.float32) for _ in range(count)]


def _tone(draw: Draw, names: tuple[str, ...] = (), spread: float = 0.35) -> np.ndarray:
    """A colour (3,) near one of the named ones, mostly muted: floors and walls are seldom vivid."""
    name = str(draw.choice(names if names else tuple(COLOURS)))
    colour = linear(COLOURS[name])
    colour = colour + (colour.mean() - colour) * float(draw.uniform(0.1, 0.85))
    return (colour * draw.uniform(1 - spread, 1 + spread, 3) ** 0.6 * 0.85).clip(0.01, 0.9)


def _mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (a + (b - a) * share[..., None]).astype(np.float32)


def asphalt(draw: Draw) -> Paint:
    """Grey grain with paler stones and a painted line now and then."""
    t, base = _tables(draw, 3), _tone(draw, ("Graphite", "Slate", "Fog", "Bone", "Cocoa"))
    line = float(draw.uniform(-1, 2)) if draw.random() < 0.3 else 99.0
    paint = _tone(draw, ("White", "Lemon"))

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        grain = table_noise(t[0], x * 30, y * 30) * 0.5 + table_noise(t[1], x * 75, y * 75) * 0.5
        wide = table_noise(t[2], x * 1.7, y * 1.7)
        out = base * (0.35 + 0.8 * grain + 0.4 * wide)[..., None]
        painted = np.abs(x * 0.8 + y * 0.6 - line) < 0.2
        return np.where(painted[..., None], paint * (0.6 + 0.4 * grain[..., None]), out)

    return colour


def planks(draw: Draw) -> Paint:
    """Boards of slightly different tones with grain and dark gaps."""
    t, base = _tables(draw, 2), _tone(draw, ("Camel", "Gum", "Cocoa", "Sand", "Espresso", "Fog"))
    wide, turn = float(draw.uniform(0.25, 0.6)), float(draw.uniform(0, np.pi))
    c, s = np.cos(turn), np.sin(turn)

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, v = c * x + s * y, c * y - s * x
        board = np.floor(v / wide)
        tone = table_noise(t[0], board * 5.37, np.floor(u / 3 + board * 0.4) * 3.1)
        grain = table_noise(t[1], u * 2.5 + board * 9, v * 40)
        gap = np.abs(v / wide - board - 0.5) > 0.485
        return base * ((0.6 + 0.45 * tone + 0.3 * grain) * np.where(gap, 0.3, 1))[..., None]

    return colour


def tiles(draw: Draw) -> Paint:
    """Square or oblong tiles, one or two colours, with joints."""
    t, first = _tables(draw, 2), _tone(draw)
    second = _tone(draw) if draw.random() < 0.5 else first
    joint = _tone(draw, ("Fog", "Graphite", "Chalk"))
    size, ratio, turn = float(draw.uniform(0.3, 0.9)), float(draw.choice([1, 1, 2])), float(draw.uniform(0, 1.6))
    c, s = np.cos(turn), np.sin(turn)

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, v = (c * x + s * y) / size / ratio, (c * y - s * x) / size
        u = u + 0.5 * (np.floor(v) % 2) * (ratio > 1)
        odd = (np.floor(u) + np.floor(v)) % 2
        tone = 0.75 + 0.3 * table_noise(t[0], np.floor(u) * 3.3, np.floor(v) * 3.3)
        tone = tone + 0.2 * table_noise(t[1], x * 6, y * 6)
        body = _mixed(first, second, odd) * tone[..., None]
        gap = np.maximum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5)) > 0.475
        return np.where(gap[..., None], joint * 0.7, body)

    return colour


def grass(draw: Draw) -> Paint:
    """Blotchy green with fine blades and bare earth."""
    t = _tables(draw, 3)
    green, earth = _tone(draw, ("Forest", "Olive", "Moss")), _tone(draw, ("Cocoa", "Olive", "Sand"))

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        blades = table_noise(t[0], x * 50 + 3 * table_noise(t[1], x * 6, y * 6), y * 18)
        bare = np.clip(table_noise(t[2], x * 2.2, y * 2.2) * 2 - 1.1, 0, 1)
        return _mixed(green, earth, bare) * (0.35 + 1.1 * blades)[..., None]

    return colour


def carpet(draw: Draw) -> Paint:
    """A woven rug: plain, striped or with diamonds."""
    t, a, b = _tables(draw, 2), _tone(draw), _tone(draw)
    style, scale, turn = int(draw.integers(3)), float(draw.uniform(1.5, 5)), float(draw.uniform(0, 1.6))
    c, s = np.cos(turn), np.sin(turn)

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, v = (c * x + s * y) * scale, (c * y - s * x) * scale
        share = [np.zeros_like(u), (u % 1 < 0.4) * 1.0, (np.abs(u % 1 - 0.5) + np.abs(v % 1 - 0.5) < 0.35) * 1.0][style]
        pile = 0.65 + 0.5 * table_noise(t[0], x * 60, y * 60) + 0.2 * table_noise(t[1], x * 3, y * 3)
        return _mixed(a, b, share) * pile[..., None]

    return colour


def bricks(draw: Draw) -> Paint:
    """Bricks or pavers in running bond."""
    t, base = _tables(draw, 2), _tone(draw, ("Burgundy", "Gum", "Camel", "Cocoa", "Slate", "Bone", "Red"))
    joint, wide = _tone(draw, ("Fog", "Bone", "Graphite")), float(draw.uniform(0.25, 0.5))

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        row = np.floor(y / wide * 2)
        u = x / wide + 0.5 * (row % 2)
        tone = table_noise(t[0], np.floor(u) * 3.7, row * 5.3)
        rough = table_noise(t[1], x * 30, y * 30)
        gap = (u % 1 < 0.06) | ((y / wide * 2) % 1 < 0.12)
        return np.where(gap[..., None], joint * 0.7, base * (0.5 + 0.6 * tone + 0.3 * rough)[..., None])

    return colour


def plaster(draw: Draw) -> Paint:
    """A painted wall or concrete: one colour, soft stains, a darker band at the foot sometimes."""
    t, base, band = _tables(draw, 2), _tone(draw), _tone(draw)
    foot = float(draw.uniform(0.1, 1.0)) if draw.random() < 0.4 else -9.0

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        stain = table_noise(t[0], x * 0.8, y * 0.8) * 0.35 + table_noise(t[1], x * 8, y * 8) * 0.12 + 0.7
        return np.where((y < foot)[..., None], band, base) * stain[..., None]

    return colour


def blobs(draw: Draw) -> Paint:
    """A far, unsharp background: big soft patches, bright spots, sky above."""
    t, a, b, sky = _tables(draw, 3), _tone(draw), _tone(draw), _tone(draw, ("Sky", "Ice", "White", "Graphite", "Navy"))
    scale = float(draw.uniform(0.3, 1.1))

    def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        share = np.clip(table_noise(t[0], x * scale, y * scale) * 1.6 - 0.3, 0, 1)
        out = _mixed(a, b, share) * (0.5 + 0.8 * table_noise(t[1], x * scale * 2, y * scale * 2))[..., None]
        spots = np.clip(table_noise(t[2], x * 3, y * 3) * 4 - 3.2, 0, 1)[..., None]
        high = np.clip(y / 3.0 - 0.6, 0, 1)[..., None]
        return out * (1 - high) + sky * high + spots * 0.8

    return colour


FLOORS = {"asphalt": asphalt, "planks": planks, "tiles": tiles, "grass": grass, "carpet": carpet, "bricks": bricks}
WALLS = {"bricks": bricks, "plaster": plaster, "planks": planks, "tiles": tiles, "blobs": blobs}
