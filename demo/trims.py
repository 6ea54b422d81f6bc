"""What is mounted on the upper: straps, buckles, collar roll and pull tab."""

from __future__ import annotations

import numpy as np

from demo.laces import bow, laces, tongue
from demo.slots import Slot
from demo.surfaces import Cloud, bead, capped, grid_normals, rounded_path, sheet, shifted, tube
from demo.upper import Upper, feather

UP = np.array([0.0, 0.0, 1.0])


def trim_clouds(upper: Upper, density: float) -> list[Cloud]:
    """The clouds of everything that the model mounts on its upper."""
    trims = upper.model.trims
    parts: list[Cloud] = []
    if not upper.model.open_shoe:
        parts.append(_collar_roll(upper, density))
    if trims.tongue and not (upper.model.kind == "boot" and not trims.laces):
        parts.append(tongue(upper, density))
    if trims.laces:
        parts += laces(upper, density)
        if trims.bow:
            parts += bow(upper, density)
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
    from_axis = base * np.array([0, 1.0, 1.0]) - np.array([0, 0, 0.02])
    normal = normal * np.where((normal * from_axis).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    points = base + normal * (thick * (s * r) + lift)[..., None]
    edge = np.abs(c * r) > 0.86 if half > 0.02 else np.zeros(c.shape, bool)
    seam = edge & (np.abs(c * r) < 0.93) & upper.model.panels.stitch
    slots = np.where(np.broadcast_to(seam & (s > 0), points.shape[:2]), Slot.STITCH, slot)
    made = sheet(points, slots, np.broadcast_to(np.where(s > -0.5, 1.0, 0.6), points.shape[:2]))
    outward = (points - base - normal * lift).reshape(-1, 3)
    sign = np.where((made.normal * outward).sum(1, keepdims=True) < 0, -1, 1).astype(np.float32)
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
        ends = shifted(spot, 0, -0.055, -0.02), shifted(spot, 0, 0.055, -0.02)
        path = rounded_path([ends[0], shifted(spot, 0, 0, 0.004), ends[1]], n, 0.1)
        return [tube(path, UP, 0.007, 0.007, 12, Slot.METAL), bead(path[2], 0.014, density, Slot.METAL),
                bead(path[-3], 0.014, density, Slot.METAL)]
    reach = 0.055 if kind == "bow" else 0.03
    parts = [bead(spot, 0.014, density, Slot.STRAP)]
    for side in (1, -1):
        lean = 0.0 if kind == "bow" else 0.05
        end = shifted(spot, lean * 1.5, side * reach, -0.012)
        path = rounded_path([spot, shifted(spot, lean, side * reach * 0.6, 0.002), end], n)
        parts.append(tube(path, UP, np.linspace(0.008, 0.026, n) * capped(n, 0.08), 0.007, 14, Slot.STRAP))
    return parts


def _ankle(upper: Upper, density: float) -> list[Cloud]:
    """A strap around the heel or ankle, with its buckle on the lateral side."""
    model = upper.model
    low = float(feather(upper.sole, np.array(0.05)))
    t = np.linspace(0, 2 * np.pi, int(0.7 * density) + 40)
    if model.open_shoe:
        x = 0.21 - 0.19 * np.cos(t)
        z = low + 0.12 + 0.08 * _ramp(x, 0.05, 0.4)
    else:
        x = 0.17 - 0.145 * np.cos(t)
        z = low + model.last.collar_back - 0.012 + 0.05 * (1 - np.cos(t)) / 2
    loop = np.stack([x, 0.105 * np.sin(t) * np.where(model.open_shoe, 1.05, 0.85), z], 1)
    half = 0.02 if model.open_shoe else 0.011
    out = np.stack([x - 0.2, loop[:, 1], 0 * x], 1)
    band = tube(loop, out, half, 0.006, int(6 * half * density) + 12, Slot.STRAP)
    buckle = bead(loop[len(t) // 3], 0.018, density, Slot.METAL)
    parts = [band, buckle]
    if model.open_shoe:
        for side in (1, -1):
            foot = np.array([0.34, side * 0.1, low - 0.005])
            path = rounded_path([foot, shifted(foot, -0.03, side * 0.01, 0.1), [0.3, side * 0.095, low + 0.17]],
                                int(0.5 * density) + 20)
            out_side = np.array([0, side * 1.0, 0.1])
            parts.append(tube(path, out_side, 0.022, 0.006, int(0.13 * density) + 12, Slot.STRAP))
    return parts


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """A straight ramp from 0 at low to 1 at high."""
    return np.clip((x - low) / (high - low), 0, 1)


def _pull_tab(upper: Upper, density: float) -> Cloud:
    top = upper.at(np.array(0.0), np.array(1.0), 1)
    path = rounded_path(
        [shifted(top, 0, 0, -0.05), shifted(top, -0.022, 0, -0.01), shifted(top, -0.012, 0, 0.045),
         shifted(top, 0.012, 0, 0.03), top],
        int(0.25 * density) + 12, 0.06,
    )
    return tube(path, np.array([0, 1.0, 0]), 0.006, 0.018, 16, Slot.TAB)
