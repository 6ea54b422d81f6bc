"""Things that lie about in street photos: boxes, balls, tins, leaves, grass blades, a leg in the shoe."""

from __future__ import annotations

import numpy as np

from demo.camera import pose
from demo.colours import COLOURS, linear
from demo.lights import Thing
from demo.shoe import Model
from demo.surfaces import Cloud, joined, sheet
from demo.upper import feather

Draw = np.random.Generator
_SOME = tuple(COLOURS)


def _palette(draw: Draw, count: int = 3) -> np.ndarray:
    names = draw.choice(_SOME, count)
    rows = [linear(COLOURS[str(n)]) * draw.uniform(0.5, 1.0) for n in names]
    return np.array(rows, np.float32)


def _thing(cloud: Cloud, palette: np.ndarray, place: np.ndarray, gloss: float = 0.1) -> Thing:
    return Thing(cloud, palette, np.full(len(palette), gloss, np.float32), place)


def box(draw: Draw, at: tuple[float, float], density: float) -> Thing:
    """A carton or a book with a coloured band."""
    size = draw.uniform((0.25, 0.2, 0.06), (0.8, 0.6, 0.5))
    n = [max(int(s * density), 4) for s in size]
    u, v, w = (np.linspace(-0.5, 0.5, m) for m in n)
    faces = []
    for axis, (p, q) in ((0, (v, w)), (1, (u, w)), (2, (u, v))):
        a, b = np.meshgrid(p, q, indexing="ij")
        for sign in (-0.5, 0.5):
            flat = np.full_like(a, sign)
            xyz = np.stack({0: (flat, a, b), 1: (a, flat, b), 2: (a, b, flat)}[axis], -1) * size
            normal = np.zeros((a.size, 3), np.float32)
            normal[:, axis] = 2 * sign
            slot = (np.abs(a) < 0.12).astype(np.uint8).ravel()
            xyz = xyz.reshape(-1, 3) + np.array([0, 0, size[2] / 2])
            faces.append(Cloud(xyz.astype(np.float32), normal, slot, np.ones(a.size, np.float32)))
    return _thing(joined(faces), _palette(draw), pose(yaw=float(draw.uniform(0, 360)), at=(*at, 0.0), pivot=(0, 0, 0)))


def ball(draw: Draw, at: tuple[float, float], density: float) -> Thing:
    """A ball in two colours."""
    radius = float(draw.uniform(0.1, 0.4))
    n = max(int(radius * density * 3.3), 12)
    a, b = np.linspace(0, np.pi, n)[:, None], np.linspace(0, 2 * np.pi, 2 * n)[None]
    unit = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a) + 0 * b], -1)
    slot = ((np.abs(unit[..., 0]) < 0.08) | (np.abs(unit[..., 2]) < 0.08) | (unit[..., 1] > 0.6)).astype(np.uint8)
    made = sheet(unit * radius + [0, 0, radius], slot)
    cloud = Cloud(made.xyz, unit.reshape(-1, 3).astype(np.float32), made.slot, made.shade)
    place = pose(yaw=float(draw.uniform(0, 360)), at=(*at, 0.0), pivot=(0, 0, 0))
    return _thing(cloud, _palette(draw), place, float(draw.uniform(0, 0.6)))


def tin(draw: Draw, at: tuple[float, float], density: float) -> Thing:
    """A standing tin, cup or pole."""
    radius, tall = float(draw.uniform(0.08, 0.2)), float(draw.choice([0.3, 0.4, 0.5, 2.5]))
    b = np.linspace(0, 2 * np.pi, max(int(7 * radius * density), 16))[:, None]
    z = np.linspace(0, tall, max(int(tall * density), 12))[None]
    normal = np.stack([np.cos(b) + 0 * z, np.sin(b) + 0 * z, 0 * b * z], -1)
    slot = (np.abs(z / tall - 0.5) < 0.2).astype(np.uint8) + 0 * b.astype(np.uint8)
    side = Cloud((normal * radius + np.stack([0 * b * z, 0 * b * z, z + 0 * b], -1)).reshape(-1, 3).astype(np.float32),
                 normal.reshape(-1, 3).astype(np.float32), slot.ravel(), np.ones(slot.size, np.float32))
    r = np.linspace(0, radius, max(int(radius * density * 1.3), 6))[None]
    top = np.stack([r * np.cos(b), r * np.sin(b), tall + 0 * r * b], -1).reshape(-1, 3).astype(np.float32)
    up = np.tile(np.array([[0, 0, 1]], np.float32), (len(top), 1))
    lid = Cloud(top, up, np.full(len(top), 2, np.uint8), np.full(len(top), 0.8, np.float32))
    place = pose(at=(*at, 0.0), pivot=(0, 0, 0))
    return _thing(joined([side, lid]), _palette(draw), place, float(draw.uniform(0, 0.7)))


def leaves(draw: Draw, density: float, grassy: bool) -> Thing:
    """Fallen leaves around the shoe, or blades of grass that stand up."""
    parts = []
    count = int(draw.integers(60, 160)) if grassy else int(draw.integers(5, 22))
    for _ in range(count):
        x, y = draw.uniform(-0.7, 1.7), draw.uniform(-1.0, 1.0)
        size = draw.uniform(0.05, 0.14)
        rows = max(int(size * density * 1.5), 6)
        t = np.linspace(0, 1, rows)[:, None]
        wide = 0.006 if grassy else size * 0.35
        q = np.linspace(-1, 1, max(int(wide * density * 3), 3))[None]
        turn = draw.uniform(0, 2 * np.pi)
        half = wide * (np.sin(np.pi * (0.05 + 0.93 * t)) if not grassy else 1 - 0.8 * t)
        if grassy:
            along, z = size * 0.7 * t**2, size * 1.6 * t
        else:
            along, z = size * (t - 0.5) * 2, 0.012 + 0.03 * (t - 0.5) ** 2 + 0.01 * q**2
        px = along + 0 * q
        py = half * q
        c, s = np.cos(turn), np.sin(turn)
        xyz = np.stack([x + px * c - py * s, y + px * s + py * c, z + 0 * px], -1)
        if not grassy and abs(y) < 0.2 and -0.1 < x < 1.1:
            continue
        for flip in (False, True):
            parts.append(sheet(xyz, int(draw.integers(3)), 1.0, flip=flip))
    names = ("Forest", "Moss", "Olive") if grassy else ("Mustard", "Gum", "Red")
    palette = np.array([linear(COLOURS[n]) * draw.uniform(0.5, 1.1) for n in names], np.float32)
    return _thing(joined(parts), palette, pose(pivot=(0, 0, 0)))


def leg(draw: Draw, model: Model, place: np.ndarray, density: float) -> Thing:
    """A leg in jeans, sock or bare skin that comes out of the shoe's opening."""
    last = model.last
    base = float(feather(model.sole, np.array(0.2)))
    start = base + 0.04
    collar = base + max(last.collar_side, last.collar_back)
    hem = collar + float(draw.uniform(-0.02, 0.35)) if last.collar_back < 0.6 else 9.0
    tall = collar + 1.6
    z = np.linspace(start, tall, max(int((tall - start) * density), 20))[:, None]
    b = np.linspace(0, 2 * np.pi, max(int(1.1 * density), 24))[None]
    calf = np.clip((z - collar) / 0.9, 0, 1)
    rx = 0.115 + 0.06 * calf
    ry = np.minimum(0.052 + 0.012 * np.clip((z - base) / 0.2, 0, 1), last.opening_width - 0.012) + 0.11 * calf
    jeans = z > hem
    slim = float(draw.uniform(0.03, 0.08))
    rx, ry = rx + jeans * slim, ry + jeans * slim
    cx = 0.2 + 0.05 * np.clip(collar - z, 0, 1) + float(draw.uniform(-0.12, 0.12)) * calf
    fold = 1 + 0.02 * np.sin(z * 25 + 2 * np.sin(b * 2)) * jeans
    xyz = np.stack([cx + rx * fold * np.cos(b), 0.004 + ry * fold * np.sin(b), z + 0 * b], -1)
    slot = np.where(jeans, 0, np.where(z < collar + float(draw.uniform(-0.1, 0.3)), 1, 2)) + 0 * b.astype(int)
    cloth = str(draw.choice(["Navy", "Ink", "Black", "Graphite", "Slate", "Sand", "Olive"]))
    sock = str(draw.choice(["White", "Black", "Fog", "Red", "Mustard"]))
    skin = np.array([0.62, 0.36, 0.24]) * draw.uniform(0.25, 1.1)
    palette = np.stack([linear(COLOURS[cloth]), linear(COLOURS[sock]), skin]).astype(np.float32)
    return _thing(sheet(xyz, slot.astype(np.uint8), 0.95, flip=True), palette, place, 0.03)
