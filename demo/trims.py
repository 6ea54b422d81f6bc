"""What is mounted on the upper: tongue, laces and bow, straps, buckles, collar roll and pull tab."""

from __future__ import annotations

import numpy as np

from demo.slots import Slot
from demo.surfaces import Cloud, capped, grid_normals, rounded_path, sheet, tube
from demo.upper import Upper, feather

UP = np.array([0.0, 0.0, 1.0])


def trim_clouds(upper: Upper, density: float) -> list[Cloud]:
    """The clouds of everything that the model mounts on its upper."""
    trims = upper.model.trims
    parts: list[Cloud] = []
    if not upper.model.open_shoe:
        parts.append(_collar_roll(upper, density))
    if trims.tongue and not (upper.model.kind == "boot" and not trims.laces):
        parts.append(_tongue(upper, density))
    if trims.laces:
        parts += _laces(upper, density)
        if trims.bow:
            parts += _bow(upper, density)
    for i, (x, half, slant) in enumerate(trims.straps):
        twist = slant * (-1 if trims.strap_twist and i % 2 else 1)
        parts.append(strap(upper, x, half, twist, 0.008, Slot.STRAP, density))
    parts += _buckles(upper, density)
    if trims.ankle_strap or (trims.heel_strap and upper.model.open_shoe):
        parts += _ankle(upper, density)
    if trims.pull_tab:
        parts.append(_pull_tab(upper, density))
    return parts


def strap(
    upper: Upper, x: float, half: float, slant: float, thick: float, slot: Slot, density: float,
    reach: tuple[float, float] = (-1.0, 1.0), lift: float = 0.0,
) -> Cloud:
    """A band that lies on the upper from w=reach[0] to reach[1], `half` wide along the shoe, `thick` high."""
    long = max(int(0.55 * density * (reach[1] - reach[0]) / 2 * 1.6), 12)
    around = max(int(2.6 * (half + thick) * 2 * density), 10)
    w = np.linspace(reach[0], reach[1], long)[:, None]
    angle = np.linspace(0, 2 * np.pi, around)[None, :]
    c, s = np.cos(angle), np.sin(angle)
    r = (np.abs(c) ** 5 + np.abs(s) ** 5) ** (-1 / 5)
    middle = x + slant * w
    k0 = (upper.k_at(middle, 1) * (w >= 0) + upper.k_at(middle, -1) * (w < 0))
    dk = half / 1.25 * c * r
    base = upper.across(np.clip(k0 + dk, 0.001, 0.999), w)
    normal = grid_normals(upper.across(np.clip(k0 + np.linspace(-0.02, 0.02, 5)[None], 0.001, 0.999), w))[:, 2:3]
    normal = normal * np.where(normal[..., 2:] < -0.2, -1, 1)
    outside = base - np.stack([base[..., 0], 0 * base[..., 0], base[..., 2] * 0 + 0.02], -1)
    flip = np.where((normal * outside * np.array([0, 1, 1])).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    normal = normal * flip
    points = base + normal * (thick * (s * r) + lift)[..., None]
    edge = np.abs(c * r) > 0.86 if half > 0.02 else np.zeros(c.shape, bool)
    seam = edge & (np.abs(c * r) < 0.93) & upper.model.panels.stitch
    slots = np.where(np.broadcast_to(seam & (s > 0), points.shape[:2]), Slot.STITCH, slot)
    made = sheet(points, slots, np.broadcast_to(np.where(s > -0.5, 1.0, 0.6), points.shape[:2]))
    towards = (points - base - normal * lift).reshape(-1, 3) + 0.0
    along = np.gradient(base, axis=1).reshape(-1, 3) * 0
    sign = np.where((made.normal * (towards + along)).sum(1, keepdims=True) < 0, -1, 1).astype(np.float32)
    return Cloud(made.xyz, made.normal * sign, made.slot, made.shade)


def _collar_roll(upper: Upper, density: float) -> Cloud:
    """The padded or cut edge around the opening."""
    count = int(1.1 * density)
    end = upper.last.opening_end
    stops = np.linspace(0, 1, count // 2)
    halves = []
    for side in (1, -1):
        k = float(upper.k_at(end, side)) * stops
        halves.append(upper.at(k, np.ones_like(k), side))
    loop = np.concatenate([halves[0], halves[1][::-1]])
    radius = upper.model.trims.collar_roll
    slot = Slot.COLLAR if upper.model.panels.collar or radius > 0.012 else Slot.BASE
    return tube(loop, UP, radius * 0.75, radius, max(int(6 * radius * density), 10), slot, 0.95)


def _tongue(upper: Upper, density: float) -> Cloud:
    trims, last = upper.model.trims, upper.last
    end = last.opening_end
    ks = upper.k_at(np.array([0.62, 0.54, end + 0.05, end + 0.01]))
    ridge = upper.at(ks, np.ones(4), 1)
    ridge[:, 2] -= [0.02, 0.012, 0.008, 0.004]
    rise = ridge[3] - ridge[2]
    rise = np.array([-0.55, 0, 1.0]) if last.collar_front < 0.34 else np.array([-0.12, 0, 1.0]) + 0 * rise
    tip = ridge[3] + rise / np.linalg.norm(rise) * trims.tongue
    mid = (ridge[3] + tip) / 2 + np.array([0.006, 0, 0])
    path = rounded_path([*ridge, mid, tip + [0.008, 0, 0]], int(0.5 * density) + 8, 0.05)
    tangent = np.gradient(path, axis=0)
    up = np.cross(tangent, np.array([0, 1.0, 0]))
    up *= np.sign(up[:, :1] + 1e-9)
    n = len(path)
    wide = 0.052 * np.minimum(1.0, capped(n, 0.16) + (np.arange(n) < n / 2))
    around = int(0.28 * density) + 12
    badge = (np.arange(n) > 0.84 * n) & (np.arange(n) < 0.95 * n)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    front = np.abs(angle - np.pi / 2) < 0.8
    back = np.abs(angle - 1.5 * np.pi) < 1.2
    slots = np.where(badge[:, None] & front[None], Slot.BADGE, Slot.TONGUE)
    slots = np.where(back[None] & np.ones((n, 1), bool), Slot.LINING, slots)
    return tube(path, up, wide, 0.012 * np.minimum(1, wide / 0.04), around, slots, 0.95, blunt=2.4)


def _lace_xs(upper: Upper) -> np.ndarray:
    """x of the eyelet rows, top row first."""
    p, last = upper.model.panels, upper.last
    top = last.opening_end + 0.012
    return np.linspace(top, p.throat_end - 0.025, upper.model.trims.laces)


def _laces(upper: Upper, density: float) -> list[Cloud]:
    trims, p = upper.model.trims, upper.model.panels
    xs = _lace_xs(upper)
    tall = upper.last.collar_front > 0.34
    parts = []
    for i, x in enumerate(xs):
        reach = float(_reach(upper, float(x), p.throat + 0.016))
        step = float(xs[1] - xs[0]) if len(xs) > 1 else 0.0
        slant = 0.5 * step / reach if trims.lace_style == "cross" else 0.0
        slants = (slant, -slant) if slant else (0.0,)
        for j, one in enumerate(slants):
            parts.append(_lace(upper, float(x), one, reach, trims.lace_width, density, 0.004 + 0.004 * (j + tall)))
        for side in (1, -1):
            parts.append(_eyelet(upper, float(x), side, reach, density))
        if i > 12:
            break
    return parts


def _reach(upper: Upper, x: float, half: float) -> float:
    """The w at which the upper is `half` away from the middle line at edge position x."""
    w = np.linspace(0, 0.95, 80)
    points = upper.across(upper.k_at(x), w)
    return float(np.interp(half, np.abs(points[:, 1] - points[0, 1]), w))


def _lace(upper: Upper, x: float, slant: float, reach: float, wide: float, density: float, lift: float) -> Cloud:
    w = np.linspace(-reach, reach, max(int(0.16 * density), 12))
    k = np.where(w >= 0, upper.k_at(x + slant * w, 1), upper.k_at(x + slant * w, -1))
    path = upper.across(k, w)
    fan = np.stack([upper.across(np.clip(k + d, 0, 1), w) for d in (-0.012, 0.0, 0.012)])
    normal = np.cross(np.gradient(path, axis=0), fan[2] - fan[0])
    normal *= np.where(normal[:, 2:] + normal[:, :1] < 0, -1, 1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    arch = lift + 0.006 * np.cos(w / reach * np.pi / 2)
    thick = 0.55 * wide
    path = path + normal * (arch + thick * 0.3)[:, None]
    return tube(path, normal, wide * (0.6 + 0.4 * capped(len(w))), thick, 12 + int(0.03 * density), Slot.LACE)


def _eyelet(upper: Upper, x: float, side: int, reach: float, density: float) -> Cloud:
    spot = upper.across(upper.k_at(x, side), np.array(side * (reach + 0.03)))
    out = np.array([0.1, side * 0.8, 0.6])
    return _ball(spot, 0.009, density, Slot.METAL, out)


def _ball(spot: np.ndarray, radius: float, density: float, slot: Slot, squash: np.ndarray | None = None) -> Cloud:
    n = max(int(radius * density * 3.2), 6)
    a = np.linspace(0, np.pi, n)[:, None]
    b = np.linspace(0, 2 * np.pi, 2 * n)[None]
    unit = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a) + 0 * b], -1)
    made = sheet(spot + unit * radius, slot)
    return Cloud(made.xyz, unit.reshape(-1, 3).astype(np.float32), made.slot, made.shade)


def _bow(upper: Upper, density: float) -> list[Cloud]:
    """Two loops and two ends at the topmost row."""
    x = float(_lace_xs(upper)[0])
    knot = upper.across(upper.k_at(x), np.array(0.0)) + np.array([0.012, 0, 0.016])
    tall = upper.last.collar_front > 0.34
    ahead = np.array([0.06, 0, -0.03]) if not tall else np.array([0.03, 0, -0.09])
    parts = [_ball(knot, 0.013, density, Slot.LACE)]
    wide = upper.model.trims.lace_width * 0.7
    for side in (1, -1):
        y = np.array([0, 1.0, 0]) * side
        loop = [knot, knot + y * 0.05 + [0.005, 0, 0.02], knot + y * 0.095 + ahead * 0.5 - [0, 0, 0.01],
                knot + y * 0.05 + ahead * 0.6, knot]
        tail = [knot, knot + y * 0.03 + ahead * 0.7, knot + y * 0.06 + ahead * 1.2 - [0, 0, 0.02]]
        for corners in (loop, tail):
            path = rounded_path(corners, int(0.3 * density) + 10, 0.07)
            parts.append(tube(path, UP, wide, 0.006, 10, Slot.LACE))
    return parts


def _buckles(upper: Upper, density: float) -> list[Cloud]:
    trims = upper.model.trims
    if trims.buckle == "none" or not (trims.straps or trims.buckle in ("bow", "tassel")):
        return []
    parts = []
    places = [s[0] for s in trims.straps] or [0.79]
    for x in places:
        if trims.buckle in ("bow", "tassel", "bit"):
            spot = upper.across(upper.k_at(x), np.array(0.0)) + np.array([0, 0, 0.012])
            parts += _ornament(spot, trims.buckle, density)
        else:
            spot = upper.across(upper.k_at(x, 1), np.array(0.52))
            out = np.array([0.1, 0.75, 0.65])
            t = np.linspace(0, 2 * np.pi, int(0.2 * density) + 16)
            side = np.cross(out, [1.0, 0, 0])
            side /= np.linalg.norm(side)
            n = 2.0 if trims.buckle == "ring" else 6.0
            r = (np.abs(np.cos(t)) ** n + np.abs(np.sin(t)) ** n) ** (-1 / n)
            ring = spot + out * 0.014 + 0.03 * (
                (np.cos(t) * r)[:, None] * np.array([1.0, 0, 0]) + (np.sin(t) * r)[:, None] * side)
            parts.append(tube(ring, out, 0.006, 0.006, 10, Slot.METAL))
    return parts[:4]


def _ornament(spot: np.ndarray, kind: str, density: float) -> list[Cloud]:
    """A metal bit, a bow or two tassels on the vamp."""
    n = int(0.2 * density) + 12
    if kind == "bit":
        path = rounded_path([spot + [0, -0.055, -0.02], spot + [0, 0, 0.004], spot + [0, 0.055, -0.02]], n, 0.1)
        return [tube(path, UP, 0.007, 0.007, 12, Slot.METAL), _ball(path[2], 0.014, density, Slot.METAL),
                _ball(path[-3], 0.014, density, Slot.METAL)]
    reach = 0.055 if kind == "bow" else 0.03
    parts = [_ball(spot, 0.014, density, Slot.STRAP)]
    for side in (1, -1):
        lean = 0.0 if kind == "bow" else 0.05
        path = rounded_path([spot, spot + [lean, side * reach * 0.6, 0.002], spot + [lean * 1.5, side * reach, -0.012]], n)
        parts.append(tube(path, UP, np.linspace(0.008, 0.026, n) * capped(n, 0.08), 0.007, 14, Slot.STRAP))
    return parts


def _ankle(upper: Upper, density: float) -> list[Cloud]:
    """A strap around the heel or ankle, with its buckle on the lateral side."""
    model = upper.model
    low = float(feather(upper.sole, np.array(0.05)))
    t = np.linspace(0, 2 * np.pi, int(0.7 * density) + 40)
    if model.open_shoe:
        x = 0.21 - 0.19 * np.cos(t)
        z = low + 0.12 + 0.08 * smooth01(x, 0.05, 0.4)
    else:
        x = 0.17 - 0.145 * np.cos(t)
        z = low + model.last.collar_back - 0.012 + 0.05 * (1 - np.cos(t)) / 2
    loop = np.stack([x, 0.105 * np.sin(t) * np.where(model.open_shoe, 1.05, 0.85), z], 1)
    half = 0.02 if model.open_shoe else 0.011
    out = np.stack([x - 0.2, loop[:, 1], 0 * x], 1)
    band = tube(loop, out, half, 0.006, int(6 * half * density) + 12, Slot.STRAP)
    buckle = _ball(loop[len(t) // 3], 0.018, density, Slot.METAL)
    parts = [band, buckle]
    if model.open_shoe:
        for side in (1, -1):
            foot = np.array([0.34, side * 0.1, low - 0.005])
            path = rounded_path([foot, foot + [-0.03, side * 0.01, 0.1], [0.3, side * 0.095, low + 0.17]],
                                int(0.5 * density) + 20)
            out_side = np.array([0, side * 1.0, 0.1])
            parts.append(tube(path, out_side, 0.022, 0.006, int(0.13 * density) + 12, Slot.STRAP))
    return parts


def smooth01(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """A straight ramp from 0 at low to 1 at high."""
    return np.clip((x - low) / (high - low), 0, 1)


def _pull_tab(upper: Upper, density: float) -> Cloud:
    top = upper.at(np.array(0.0), np.array(1.0), 1)
    path = rounded_path(
        [top + [0.0, 0, -0.05], top + [-0.022, 0, -0.01], top + [-0.012, 0, 0.045], top + [0.012, 0, 0.03], top],
        int(0.25 * density) + 12, 0.06,
    )
    return tube(path, np.array([0, 1.0, 0]), 0.006, 0.018, 16, Slot.TAB)
