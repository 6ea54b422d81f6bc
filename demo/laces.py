"""What closes a laced shoe: the tongue, laces through their eyelets, and the bow."""

from __future__ import annotations

import numpy as np

from demo.slots import Slot
from demo.surfaces import Cloud, bead, capped, rounded_path, shifted, tube
from demo.upper import Upper

UP = np.array([0.0, 0.0, 1.0])


def tongue(upper: Upper, density: float) -> Cloud:
    trims, last = upper.model.trims, upper.last
    end = last.opening_end
    ks = upper.k_at(np.array([0.62, 0.54, end + 0.05, end + 0.01]))
    ridge = upper.at(ks, np.ones(4), 1)
    ridge[:, 2] -= [0.02, 0.012, 0.008, 0.004]
    rise = ridge[3] - ridge[2]
    rise = np.array([-0.55, 0, 1.0]) if last.collar_front < 0.34 else np.array([-0.12, 0, 1.0]) + 0 * rise
    tip = ridge[3] + rise / np.linalg.norm(rise) * trims.tongue
    mid = (ridge[3] + tip) / 2 + np.array([0.006, 0, 0])
    path = rounded_path([*ridge, mid, shifted(tip, 0.008, 0, 0)], int(0.5 * density) + 8, 0.05)
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


def laces(upper: Upper, density: float) -> list[Cloud]:
    trims, p = upper.model.trims, upper.model.panels
    xs = _lace_xs(upper)
    tall = upper.last.collar_front > 0.34
    parts = []
    for x in xs:
        reach = float(_reach(upper, float(x), p.throat + 0.016))
        step = float(xs[1] - xs[0]) if len(xs) > 1 else 0.0
        slant = 0.5 * step / reach if trims.lace_style == "cross" else 0.0
        slants = (slant, -slant) if slant else (0.0,)
        for j, one in enumerate(slants):
            parts.append(_lace(upper, float(x), one, reach, trims.lace_width, density, 0.004 + 0.004 * (j + tall)))
        for side in (1, -1):
            parts.append(_eyelet(upper, float(x), side, reach, density))
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
    return bead(spot, 0.009, density, Slot.METAL)


def bow(upper: Upper, density: float) -> list[Cloud]:
    """Two loops and two ends at the topmost row."""
    x = float(_lace_xs(upper)[0])
    knot = upper.across(upper.k_at(x), np.array(0.0)) + np.array([0.012, 0, 0.016])
    tall = upper.last.collar_front > 0.34
    ahead = np.array([0.06, 0, -0.03]) if not tall else np.array([0.03, 0, -0.09])
    parts = [bead(knot, 0.013, density, Slot.LACE)]
    wide = upper.model.trims.lace_width * 0.7
    for side in (1, -1):
        y = np.array([0, 1.0, 0]) * side
        loop = [knot, shifted(knot + y * 0.05, 0.005, 0, 0.02), shifted(knot + y * 0.095 + ahead * 0.5, 0, 0, -0.01),
                knot + y * 0.05 + ahead * 0.6, knot]
        tail = [knot, knot + y * 0.03 + ahead * 0.7, shifted(knot + y * 0.06 + ahead * 1.2, 0, 0, -0.02)]
        for corners in (loop, tail):
            path = rounded_path(corners, int(0.3 * density) + 10, 0.07)
            parts.append(tube(path, UP, wide, 0.006, 10, Slot.LACE))
    return parts
