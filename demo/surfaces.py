"""Surfaces as dense grids of points: the cloud that the renderer splats, and the ways to make one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cloud:
    """Points on the outside of surfaces, in shoe lengths (heel at x=0, toe at x=1, lateral +y, up +z).

    xyz, normal: (n, 3) float32; slot: (n,) uint8, rows of a palette; shade: (n,) float32, a brightness
    factor (texture and baked occlusion).
    """

    xyz: np.ndarray
    normal: np.ndarray
    slot: np.ndarray
    shade: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.xyz)
        if not (len(self.normal) == len(self.slot) == len(self.shade) == n):
            raise ValueError("a cloud needs one normal, slot and shade for each point")

    def __len__(self) -> int:
        return len(self.xyz)


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """One cloud with the points of all, in order."""
    return Cloud(
        np.concatenate([c.xyz for c in clouds]),
        np.concatenate([c.normal for c in clouds]),
        np.concatenate([c.slot for c in clouds]),
        np.concatenate([c.shade for c in clouds]),
    )


def grid_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (a, b, 3) of a grid of points (a, b, 3): d/da x d/db."""
    da = np.gradient(points, axis=0)
    db = np.gradient(points, axis=1)
    n = np.cross(da, db)
    return n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-12)


def sheet(
    points: np.ndarray,
    slot: np.ndarray | int,
    shade: np.ndarray | float = 1.0,
    *,
    flip: bool = False,
    keep: np.ndarray | None = None,
) -> Cloud:
    """The cloud of a grid of points (a, b, 3); `flip` turns its outside, `keep` (a, b) drops points."""
    normals = grid_normals(points)
    if flip:
        normals = -normals
    size = points.shape[:2]
    slots = np.broadcast_to(np.asarray(slot, np.uint8), size)
    shades = np.broadcast_to(np.asarray(shade, np.float32), size)
    pick = np.ones(size, bool) if keep is None else keep
    return Cloud(
        points[pick].astype(np.float32), normals[pick].astype(np.float32), slots[pick].copy(), shades[pick].copy()
    )


def raised(points: np.ndarray, height: np.ndarray, *, flip: bool = False) -> np.ndarray:
    """The grid moved along its own normals by `height` (a, b), whose steps become short slopes."""
    for axis in (0, 1, 0, 1):
        ends = [(1, 1) if i == axis else (0, 0) for i in range(2)]
        wide = np.pad(height, ends, "edge")
        n = height.shape[axis]
        height = (wide.take(range(n), axis) + 2 * height + wide.take(range(2, n + 2), axis)) / 4
    sign = -1.0 if flip else 1.0
    return points + sign * grid_normals(points) * height[..., None]


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """A 1-d curve blurred by a Gaussian of `sigma` samples with its two ends kept."""
    if sigma <= 0:
        return values
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    head = 2 * values[0] - values[reach:0:-1]
    tail = 2 * values[-1] - values[-2 : -reach - 2 : -1]
    return np.convolve(np.concatenate([head, values, tail]), kernel / kernel.sum(), "valid")


def spline(knots: Sequence[tuple[float, float]], at: np.ndarray, soft: float = 0.02) -> np.ndarray:
    """A smooth curve through about the knots (x, y), read at `at`; `soft` is the blur in x."""
    xs, ys = np.array(knots, float).T
    lattice = np.linspace(xs[0], xs[-1], 513)
    dense = smoothed(np.interp(lattice, xs, ys), soft / (xs[-1] - xs[0]) * 512)
    return np.interp(at, lattice, dense)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((np.asarray(x, float) - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def resampled(path: np.ndarray, count: int) -> np.ndarray:
    """The polyline (m, d) at `count` points evenly spaced along it."""
    step = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, step[-1], count)
    return np.stack([np.interp(at, step, path[:, i]) for i in range(path.shape[1])], 1)


def shifted(point: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    """The point (3,) moved by x, y and z."""
    return point + np.array([x, y, z])


def rounded_path(corners: Sequence[Any], count: int, soft: float = 0.06) -> np.ndarray:
    """A soft 3-d curve (count, 3) along the corners; `soft` is the rounding as a share of its length."""
    path = resampled(np.array(corners, float), 257)
    path = np.stack([smoothed(path[:, i], soft * 256) for i in range(3)], 1)
    return resampled(path, count)


def tube(
    path: np.ndarray,
    up: np.ndarray,
    wide: np.ndarray | float,
    thick: np.ndarray | float,
    around: int,
    slot: np.ndarray | int,
    shade: np.ndarray | float = 1.0,
    *,
    blunt: float = 2.0,
) -> Cloud:
    """A tube along the path (m, 3) with superelliptic sections: half `thick` along `up`, half `wide` across."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    up = np.broadcast_to(up, path.shape)
    across = np.cross(up, tangent)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    up = np.cross(tangent, across)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    r = (np.abs(c) ** blunt + np.abs(s) ** blunt) ** (-1 / blunt)
    wide = np.broadcast_to(np.asarray(wide, float), len(path))[:, None, None]
    thick = np.broadcast_to(np.asarray(thick, float), len(path))[:, None, None]
    ring = wide * across[:, None] * (c * r)[None, :, None] + thick * up[:, None] * (s * r)[None, :, None]
    closed = np.concatenate([ring, ring[:, :1]], 1) + path[:, None]
    made = sheet(closed, _wrapped(slot), _wrapped(shade))
    # The outside is wherever the ring points away from its path; grids of either handedness come out right.
    outward = (closed - path[:, None]).reshape(-1, 3)
    sign = np.where((made.normal * outward).sum(1, keepdims=True) < 0, -1, 1).astype(np.float32)
    return Cloud(made.xyz, made.normal * sign, made.slot, made.shade)


def _wrapped(value: Any) -> Any:
    """A ring property (m, around) with its first column repeated at the end; numbers pass through."""
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return np.concatenate([value, value[:, :1]], 1)
    return value


def capped(count: int, ends: float = 0.15) -> np.ndarray:
    """Radius factors (count,) that close a tube's two ends like a half circle over a share `ends`."""
    t = np.linspace(0, 1, count)
    edge = np.clip(np.minimum(t, 1 - t) / ends, 0, 1)
    return np.sqrt(np.maximum(1 - (1 - edge) ** 2, 0))


def bead(spot: np.ndarray, radius: float, density: float, slot: int) -> Cloud:
    """A small ball at `spot`."""
    n = max(int(radius * density * 3.2), 6)
    a = np.linspace(0, np.pi, n)[:, None]
    b = np.linspace(0, 2 * np.pi, 2 * n)[None]
    unit = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a) + 0 * b], -1)
    made = sheet(spot + unit * radius, slot)
    return Cloud(made.xyz, unit.reshape(-1, 3).astype(np.float32), made.slot, made.shade)
