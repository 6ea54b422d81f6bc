"""The sole's surfaces: side wall with its lines and relief, rim, underside with tread, and heel posts."""

from __future__ import annotations

import numpy as np

from demo.shoe import Model, Sole
from demo.slots import Slot
from demo.surfaces import Cloud, capped, joined, raised, sheet, smoothstep, tube
from demo.upper import Upper, feather, thickness, underside

LIP = 0.012


def sole_cloud(upper: Upper, density: float) -> Cloud:
    """Everything under the upper, as one cloud with about `density` points a shoe length."""
    parts: list[Cloud] = []
    for side in (1, -1):
        parts += [_wall(upper, side, density), _rim(upper, side, density)]
    parts += [_bottom(upper, density, top=False), _bottom(upper, density, top=True)]
    if upper.sole.post != "none":
        parts += _post(upper, density)
    return joined(parts)


def spread(sole: Sole, v: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How far the wall stands outside the upper's edge at height share v."""
    rear = 1 - smoothstep(x, 0.0, 0.4)
    flare = sole.flare * (1 - v) ** 1.5 * (0.5 + 0.8 * rear)
    belly = {"cup": 0.004, "chunky": 0.012, "platform": 0.003, "wave": 0.012, "wedge": 0.01}.get(sole.kind, 0.002)
    return 0.007 + flare + belly * np.sin(np.pi * v)


def _wall(upper: Upper, side: int, density: float) -> Cloud:
    sole = upper.sole
    tall = max(sole.heel, sole.fore) + LIP
    k = np.linspace(0, 1, int(1.45 * density))[:, None]
    v = np.linspace(0, 1, max(int(tall * density * 1.5), 8))[None, :]
    edge, out = upper.edge(k, side), upper.outward(k, side)
    x = edge[..., 0]
    low = underside(sole, x)
    high = low + thickness(sole, x) + LIP * (1.0 if sole.kind != "thin" else 0.2)
    off = spread(sole, v, x)
    points = np.stack(
        [edge[..., 0] + out[..., 0] * off, edge[..., 1] + out[..., 1] * off, low + (high - low) * v + 0 * off], -1
    )
    slot, height, shade = _wall_paint(sole, np.broadcast_to(x, off.shape), np.broadcast_to(v, off.shape), k * 1.4)
    points = raised(points, height, flip=side > 0)
    return sheet(points, slot, shade, flip=side > 0)


def _wall_paint(sole: Sole, x: np.ndarray, v: np.ndarray, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slot, relief height and brightness of the side wall at (x, v)."""
    slot = np.full(x.shape, Slot.MIDSOLE, np.uint8)
    height, shade = np.zeros(x.shape), np.ones(x.shape)
    wave = 0.06 * np.sin(x * 17) if sole.kind in ("wave", "wedge") else 0.0
    if sole.line_width:
        slot[np.abs(v - sole.line_at - wave) < sole.line_width] = Slot.SOLE_LINE
    if sole.foxing:
        shade[np.abs(v - 0.8) < 0.035] *= 0.55
    turns = arc * sole.relief_count * 2
    zone = (v > sole.outsole_share + 0.05) & (v < 0.72)
    if sole.relief == "grooves":
        height -= 0.004 * (zone & (turns % 1 < 0.25))
    elif sole.relief == "zigzag":
        height += 0.003 * (zone & (np.abs(v - 0.45 - 0.12 * (np.abs((turns % 1) * 4 - 2) - 1)) < 0.06))
    elif sole.relief == "ribs":
        height += 0.002 * np.sin(v * 60) * zone
    elif sole.relief == "blocks":
        height += 0.004 * (zone & ((turns + np.floor(v * 5) * 0.5) % 1 < 0.6))
    if sole.window:
        inside = 1 - ((x - 0.05 - sole.window / 2) / (sole.window / 2)) ** 2 - ((v - 0.52) / 0.27) ** 2
        slot[inside > 0] = Slot.WINDOW
        shade[(inside > 0) & ((arc * 45) % 1 < 0.3)] *= 0.65
        height[inside > 0] = -0.006
    share = sole.outsole_share * (1 + 0.5 * smoothstep(x, 0.82, 1.0))
    under = v < share
    slot[under] = Slot.OUTSOLE
    if sole.kind == "lug":
        height[under & ((arc * 22) % 1 < 0.35)] -= 0.014
    shade *= 0.8 + 0.2 * np.clip(v / 0.25, 0, 1)
    return slot, height, shade


def _rim(upper: Upper, side: int, density: float) -> Cloud:
    sole = upper.sole
    k = np.linspace(0, 1, int(1.45 * density))[:, None]
    t = np.linspace(-1.5, 1, max(int(0.05 * density), 8))[None, :]
    edge, out = upper.edge(k, side), upper.outward(k, side)
    x = edge[..., 0]
    off = spread(sole, np.ones_like(t), x) * t
    z = feather(sole, x) + LIP * (1.0 if sole.kind != "thin" else 0.2)
    points = np.stack([edge[..., 0] + out[..., 0] * off, edge[..., 1] + out[..., 1] * off, z + 0 * off], -1)
    return sheet(points, Slot.MIDSOLE, 0.75, flip=side < 0)


def _bottom(upper: Upper, density: float, *, top: bool) -> Cloud:
    """The tread (top=False) or the footbed (top=True), between the two edges at equal x."""
    sole = upper.sole
    share = (1 - np.cos(np.linspace(0, np.pi, int(1.3 * density)))) / 2
    q = np.linspace(0, 1, int(0.42 * density))[None, :]
    ends = []
    for side in (1, -1):
        k = upper.k_at(share, side)
        off = 0.0 if top else spread(sole, np.zeros(1), share)[:, None]
        ends.append(upper.edge(k, side) + upper.outward(k, side) * off)
    x = ends[0][:, None, 0] * (1 - q) + ends[1][:, None, 0] * q
    y = ends[0][:, None, 1] * (1 - q) + ends[1][:, None, 1] * q
    inner = np.clip(x, 0, 1)
    if top:
        bed = feather(sole, inner) + (0.006 if upper.model.open_shoe else 0.002)
        edge = np.minimum(q, 1 - q)
        bed = bed + 0.012 * (1 - smoothstep(edge, 0.0, 0.25)) * (1 - smoothstep(x, 0.45, 0.7))
        return sheet(np.stack([x, y, bed], -1), Slot.INSOLE, 0.92, flip=True)
    z = underside(sole, inner)
    slot, height = _tread(upper.model, x, y)
    points = np.stack([x, y, z + height], -1)
    return sheet(points, slot, 0.85 - 12.0 * height)


def _tread(model: Model, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slot and groove depth of the underside."""
    sole, n = model.sole, model.sole.relief_count
    slot = np.full(x.shape, Slot.OUTSOLE, np.uint8)
    pitch = {"none": x * n, "grooves": x * n + np.abs(y) * n, "zigzag": x * n + 0.3 * np.sin(y * 60),
             "ribs": np.hypot(x - 0.72, y) * n * 1.4, "blocks": x * n}[sole.relief]
    groove = (pitch % 1 < 0.28).astype(float)
    if sole.relief == "blocks":
        groove = np.maximum(groove, (y * n) % 1 < 0.28)
    if sole.kind in ("thin",) or sole.pitch:
        groove = np.zeros_like(groove)
    slot[(np.abs(x - 0.44) < 0.09) & (np.abs(y) < 0.07)] = Slot.MIDSOLE
    return slot, 0.008 * groove


def _post(upper: Upper, density: float) -> list[Cloud]:
    """What stands under a raised heel: a block, a stiletto, a stacked heel or a wedge."""
    sole = upper.sole
    reach = {"block": 0.19, "stiletto": 0.16, "stacked": 0.3, "wedge": 0.66}[sole.post]
    around = int((3.2 * reach + 0.6) * density)
    angle = np.linspace(0, 2 * np.pi, around)
    height = float(underside(sole, np.array(0.05)))
    rows = max(int(height * density * 1.4), 6)
    t = np.linspace(0, 1, rows)[:, None]
    c, s = np.cos(angle)[None], np.sin(angle)[None]
    shrink = {"block": 0.85, "stiletto": 0.2, "stacked": 0.94, "wedge": 0.92}[sole.post]
    waist = {"stiletto": 0.7}.get(sole.post, 1.0)
    scale = shrink + (1 - shrink) * t ** (2.2 if sole.post == "stiletto" else 1.0) * waist
    wide = 0.1 * upper.last.heel * scale
    half = reach / 2 * (scale if sole.post != "wedge" else 1.0)
    centre_x = reach / 2 + 0.008 if sole.post in ("stacked", "wedge", "block") else 0.06 + 0.022 * t
    n = 2.6
    r = (np.abs(c) ** n + np.abs(s) ** n) ** (-1 / n)
    x = centre_x + half * c * r + 0.0 * t
    y = wide * s * r + 0.004
    z = t * (underside(sole, np.clip(x, 0, 1)) + 0.006)
    slot = np.where(np.broadcast_to(t, x.shape) < 0.12 * (0.05 / max(height, 0.03)) + 0.03, Slot.OUTSOLE, Slot.MIDSOLE)
    wall = sheet(np.stack(np.broadcast_arrays(x, y, z), -1), slot, 0.95, flip=True)
    path = np.stack([np.linspace(0.05, reach - 0.02, 12), np.full(12, 0.004), np.full(12, 0.004)], 1)
    foot = tube(path, np.array([0, 0, 1.0]), float(wide[0, 0]) * capped(12, 0.3), 0.004, 24, Slot.OUTSOLE)
    return [wall, foot] if sole.post != "stiletto" else [wall]
