"""The last and the upper over it: one surface from the sole's edge to the collar and the ridge."""

from __future__ import annotations

import numpy as np

from demo.shoe import Last, Model, Sole
from demo.surfaces import smoothstep, spline

ARC = 2000


def feather(sole: Sole, x: np.ndarray) -> np.ndarray:
    """Height above the ground of the line where upper and sole meet, along x."""
    x = np.asarray(x, float)
    return underside(sole, x) + thickness(sole, x)


def thickness(sole: Sole, x: np.ndarray) -> np.ndarray:
    """Thickness of the sole along x."""
    share = smoothstep(x, 0.3, 0.72)
    body = sole.heel * (1 - share) + sole.fore * share
    if sole.kind == "wave":
        body = body + 0.012 * np.sin(x * 16.0) * smoothstep(x, 0.05, 0.2) * (1 - smoothstep(x, 0.6, 0.9))
    return body * (1 - 0.25 * smoothstep(x, 0.85, 1.0))


def underside(sole: Sole, x: np.ndarray) -> np.ndarray:
    """Height above the ground of the sole's underside: toe spring, heel bevel and the pitch of a heel."""
    x = np.asarray(x, float)
    bevel = 0.35 if sole.kind in ("wedge", "wave", "chunky") else 0.08
    flat = sole.spring * smoothstep(x, 0.7, 1.04) ** 1.3 + bevel * sole.heel * (1 - smoothstep(x, 0.0, 0.13)) ** 2
    if sole.pitch:
        arch = 1 - smoothstep(x, 0.02, 0.74)
        return sole.pitch * (0.93 * arch + 0.07 * (1 - x)) * (1 - smoothstep(x, 0.7, 0.76)) + flat
    if sole.post == "stacked":
        return flat + 0.035 * (1 - smoothstep(x, 0.3, 0.42))
    return flat


class Upper:
    """The surface (k, v, side): k runs along the sole's edge from heel to toe, v from there to the top."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.last: Last = model.last
        self.sole: Sole = model.sole
        self.edges = {side: self._edge(side) for side in (1, -1)}
        self._x = np.linspace(0, 1, 1024)
        self._top = self._topline()

    def _edge(self, side: int) -> np.ndarray:
        """The sole's edge (ARC, 2) on one side, evenly spaced from the heel's back to the toe's tip."""
        last = self.last
        t = np.linspace(0, 1, 4 * ARC)
        x = (1 - np.cos(np.pi * t)) / 2
        if side > 0:
            knots = [(0, 0.112 * last.heel), (0.15, 0.12 * last.heel), (0.36, 0.116 * last.waist),
                     (0.5, 0.128 * last.waist), (0.66, 0.165 * last.ball), (0.78, 0.168 * last.ball), (1, 0.15)]
        else:
            knots = [(0, 0.112 * last.heel), (0.15, 0.115 * last.heel), (0.38, 0.088 * last.waist),
                     (0.5, 0.1 * last.waist), (0.68, 0.148 * last.ball), (0.8, 0.155 * last.ball), (1, 0.15)]
        half = spline(knots, x, 0.05)
        heel = np.sqrt(np.maximum(1 - (np.maximum(0.13 - x, 0) / 0.13) ** 2, 0))
        front = np.clip((x - 0.7) / 0.3, 0, 1)
        toe = np.maximum(1 - front**last.toe_power, 0) ** (1 / last.toe_power)
        y = side * half * heel * toe + self.centre(x)
        step = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        at = np.linspace(0, step[-1], ARC)
        return np.stack([np.interp(at, step, x), np.interp(at, step, y)], 1)

    def centre(self, x: np.ndarray) -> np.ndarray:
        """The last's middle line: shoes bend towards the big toe."""
        return np.asarray(0.006 - self.last.skew * smoothstep(x, 0.45, 1.0) ** 1.5)

    def edge(self, k: np.ndarray, side: int) -> np.ndarray:
        """Points (..., 2) of the sole's edge at shares k of its length."""
        at = np.asarray(k, float) * (ARC - 1)
        lattice = np.arange(ARC)
        line = self.edges[side]
        return np.stack([np.interp(at, lattice, line[:, 0]), np.interp(at, lattice, line[:, 1])], -1)

    def outward(self, k: np.ndarray, side: int) -> np.ndarray:
        """Unit vectors (..., 2) that point out of the sole's edge."""
        line = self.edges[side]
        d = np.gradient(line, axis=0)
        normal = np.stack([-d[:, 1], d[:, 0]], 1) * side
        normal[0], normal[-1] = (-1, 0), (1, 0)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        at = np.asarray(k, float) * (ARC - 1)
        lattice = np.arange(ARC)
        return np.stack([np.interp(at, lattice, normal[:, 0]), np.interp(at, lattice, normal[:, 1])], -1)

    def k_at(self, x: float | np.ndarray, side: int = 1) -> np.ndarray:
        """The share k at which the edge passes x."""
        return np.asarray(np.interp(x, self.edges[side][:, 0], np.linspace(0, 1, ARC)))

    def _topline(self) -> np.ndarray:
        """Columns x, height, half width (1024, 3) of the top edge, over the x of the sole's edge."""
        last, x = self.last, self._x
        end, tall = last.opening_end, last.collar_front > 0.34
        knots = [(0.0, 0.0 + last.lean, last.collar_back), (0.07, 0.075 + last.lean * 0.7, last.collar_back * 0.96),
                 (0.17, 0.17, last.collar_side), (0.28, 0.27, last.collar_side * 1.0 + 0.15 * max(
                     0, last.collar_front - last.collar_side)), (end, end, last.collar_front)]
        if self.model.open_shoe:
            knots = [(0, 0.03, 0.22), (0.3, 0.3, 0.27), (end, end, 0.25)]
        if tall:
            drop = last.collar_front
            knots += [(end + 0.035, end + 0.01, 0.66 * drop + 0.1), (end + 0.085, end + 0.03, 0.3 * drop + 0.2)]
        after = knots[-1][0]
        knots += [(after + 0.35 * (0.62 - after), after + 0.35 * (0.62 - after), last.instep + 0.012),
                  (0.64, 0.64, 0.5 * (last.instep + last.toe_height) + 0.008)] if after < 0.6 else []
        knots += [(0.8, 0.8, last.toe_height * 1.04), (1.0, 1.0, last.toe_height * 0.97)]
        soft = 0.022 if not tall else 0.014
        xt = spline([(a, b) for a, b, _ in knots], x, soft)
        height = spline([(a, c) for a, _, c in knots], x, soft)
        front = np.clip((x - last.toe_start) / (1 - last.toe_start), 0, 1)
        height = height * np.maximum(1 - front**2.3, 0) ** (1 / 2.3)
        start = float(xt[0])
        mid, reach = (start + end) / 2, (end - start) / 2
        wide = last.opening_width * np.maximum(1 - np.abs((xt - mid) / reach) ** 2.2, 0) ** (1 / 2.2)
        wide = np.where(self.model.open_shoe, 0.0, wide)
        return np.stack([xt, height, wide], 1)

    def top(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, height above the feather line and opening half width of the top edge over edge position x."""
        a, b, c = (np.interp(x, self._x, self._top[:, i]) for i in range(3))
        return a, b, c

    def at(self, k: np.ndarray, v: np.ndarray, side: int) -> np.ndarray:
        """Points (..., 3) of the upper; k and v broadcast, v=0 at the sole and 1 at the top."""
        k, v = np.broadcast_arrays(np.asarray(k, float), np.asarray(v, float))
        foot = self.edge(k, side)
        bx, by = foot[..., 0], foot[..., 1]
        tx, height, wide = self.top(bx)
        n = self.last.fullness
        c, s = np.cos(v * np.pi / 2), np.sin(v * np.pi / 2)
        r = (np.abs(c) ** n + np.abs(s) ** n) ** (-1 / n)
        c, s = c * r, s * r
        low = feather(self.sole, bx)
        high = feather(self.sole, tx) + height
        z = low + (high - low) * s
        rear = 1 - smoothstep(bx, 0.0, 0.3)
        above = (z - low) if not self.sole.pitch else height * s
        bend = -0.02 * np.exp(-(((above - 0.08) / 0.06) ** 2)) + 0.03 * np.exp(-(((above - 0.27) / 0.1) ** 2)) * (
            self.last.collar_back > 0.34)
        x = bx + (tx - bx) * s + bend * rear
        y = (self.centre(tx) + side * wide) * (1 - c) + by * c
        return np.stack([x, y, z], -1)

    def across(self, k: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Points (..., 3) with w from -1 (medial edge) over the ridge at 0 to +1 (lateral edge)."""
        k, w = np.broadcast_arrays(np.asarray(k, float), np.asarray(w, float))
        v = 1 - np.abs(w)
        return np.where((w >= 0)[..., None], self.at(k, v, 1), self.at(k, v, -1))
