"""Shadows on the ground: where things stand on it and where they keep the key light away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.camera import placed
from demo.lights import Light, Thing

SIDE = 192
REACH = 1.9


@dataclass(frozen=True)
class GroundShadow:
    """Two maps (SIDE, SIDE) in 0..1 over the square of +-REACH around `middle`: cast and contact shadow."""

    middle: tuple[float, float]
    cast: np.ndarray
    contact: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cast and contact shadow at ground places (..., ), bilinear; nothing outside the square."""
        u = (x - self.middle[0] + REACH) / (2 * REACH) * SIDE - 0.5
        v = (y - self.middle[1] + REACH) / (2 * REACH) * SIDE - 0.5
        inside = (u > 0) & (v > 0) & (u < SIDE - 2) & (v < SIDE - 2)
        u, v = np.clip(u, 0, SIDE - 2.001), np.clip(v, 0, SIDE - 2.001)
        i, j = u.astype(np.int32), v.astype(np.int32)
        fu, fv = u - i, v - j
        return tuple(  # type: ignore[return-value]
            inside * ((m[i, j] * (1 - fu) + m[i + 1, j] * fu) * (1 - fv)
                      + (m[i, j + 1] * (1 - fu) + m[i + 1, j + 1] * fu) * fv)
            for m in (self.cast, self.contact)
        )


def ground_shadow(things: Sequence[Thing], light: Light, softness: float) -> GroundShadow:
    """The shadow maps of things on z=0 under a light; softness is the cast shadow's blur in shoe lengths."""
    first = placed(things[0].cloud.xyz[::301], things[0].place)
    middle = (float(np.round(first[:, 0].mean(), 4)), float(np.round(first[:, 1].mean(), 4)))
    cast, contact = np.zeros(SIDE * SIDE), np.zeros(SIDE * SIDE)
    towards = light.towards
    for thing in things:
        step = max(len(thing.cloud) // 40000, 1)
        p = placed(thing.cloud.xyz[::step].astype(np.float64), thing.place)
        low = p[p[:, 2] < 0.07]
        contact += _hits(low[:, 0], low[:, 1], middle, 1 - low[:, 2] / 0.07)
        slide = p[:, 2] / max(towards[2], 0.2)
        cast += _hits(p[:, 0] - towards[0] * slide, p[:, 1] - towards[1] * slide, middle, None)
    cell = 2 * REACH / SIDE
    cast2, contact2 = np.minimum(cast, 1).reshape(SIDE, SIDE), np.minimum(contact, 1).reshape(SIDE, SIDE)
    cast2 = np.minimum(blurred(cast2, 0.8) * 1.25, 1)
    return GroundShadow(middle, blurred(cast2, softness / cell), blurred(blurred(contact2, 0.7) * 1.2, 0.045 / cell))


def _hits(x: np.ndarray, y: np.ndarray, middle: tuple[float, float], weight: np.ndarray | None) -> np.ndarray:
    """How much falls into each cell of the square, flat (SIDE * SIDE,)."""
    i = np.floor((x - middle[0] + REACH) / (2 * REACH) * SIDE).astype(np.int64)
    j = np.floor((y - middle[1] + REACH) / (2 * REACH) * SIDE).astype(np.int64)
    inside = (i >= 0) & (j >= 0) & (i < SIDE) & (j < SIDE)
    flat = (i * SIDE + j)[inside]
    return np.bincount(flat, None if weight is None else weight[inside], SIDE * SIDE).astype(np.float64)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of (h, w) or (h, w, c), edges repeated; sums run in a fixed order."""
    if sigma < 0.2:
        return image
    reach = max(int(2.5 * sigma + 0.5), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(image.dtype)
    for axis in (0, 1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (reach, reach)
        wide = np.pad(image, pad, "edge")
        n = image.shape[axis]
        total = np.zeros_like(image)
        for i, k in enumerate(kernel):
            total += k * (wide[i : i + n] if axis == 0 else wide[:, i : i + n])
        image = total
    return image
