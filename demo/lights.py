"""Light on a shoe: what is lit, by what, and the colour that the eye gets from each visible point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from demo.surfaces import Cloud


@dataclass(frozen=True)
class Light:
    """One key light from `towards` (unit, points at the light) plus light from above and from the ground (RGB)."""

    towards: tuple[float, float, float]
    key: tuple[float, float, float]
    sky: tuple[float, float, float]
    bounce: tuple[float, float, float]


@dataclass(frozen=True)
class Thing:
    """A cloud in the world: its colours (S, 3) linear RGB, glosses (S,), and a (3, 4) placement."""

    cloud: Cloud
    palette: np.ndarray
    gloss: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class ShadowMap:
    """Depths (side, side) seen from the light, and the rows (3, 3) and shift (2,) that lead from the world there."""

    depth: torch.Tensor
    rows: np.ndarray
    shift: np.ndarray


def lit(
    thing: Thing, points: Sequence[torch.Tensor], eye: np.ndarray, light: Light, shadow: ShadowMap
) -> torch.Tensor:
    """Linear RGB (n, 3) of points of a thing: key light with shadow and highlight, light from sky and ground.

    points: x, y, z, nx, ny, nz, an ignored one, slot and shade, each (n,), in the thing's own coordinates.
    """
    x, y, z, nx, ny, nz, _, slot, shade = points
    device = x.device
    place = torch.from_numpy(thing.place.astype(np.float32))
    scale = float(np.cbrt(abs(np.linalg.det(thing.place[:, :3]))))
    world = _moved(place, x, y, z, 1.0)
    normal = [c / scale for c in _moved(place, nx, ny, nz, 0.0)]
    towards = light.towards
    facing = _dot(normal, towards)
    open_key = _unshadowed(world, shadow) * facing.clamp(min=0.0)
    to_eye = [float(e) - c for e, c in zip(eye, world, strict=True)]
    length = (to_eye[0] * to_eye[0] + to_eye[1] * to_eye[1] + to_eye[2] * to_eye[2]).sqrt()
    shine = _shine(normal, to_eye, length, towards)
    gloss = torch.from_numpy(thing.gloss).to(device)[slot]
    sharp = (shine * shine) * (shine * shine)
    flash = (0.12 * shine * gloss + 0.9 * sharp * gloss * gloss) * (0.25 + 0.75 * open_key)
    edge = 1.0 - ((normal[0] * to_eye[0] + normal[1] * to_eye[1] + normal[2] * to_eye[2]) / length).clamp(0.0, 1.0)
    sheen = 0.25 * gloss * edge * edge * edge
    up = normal[2] * 0.5 + 0.5
    near_ground = (world[2] * 5.0).clamp(0.0, 1.0) * 0.3 + 0.7
    albedo = torch.from_numpy(thing.palette.astype(np.float32)).to(device)[slot] * shade[:, None]
    channels = []
    for c in range(3):
        ambient = (light.sky[c] * up + light.bounce[c] * (1.0 - up)) * near_ground
        channels.append(albedo[:, c] * (ambient + light.key[c] * open_key) + light.key[c] * flash
                        + light.sky[c] * sheen)
    return torch.stack(channels, 1)


def _shine(
    normal: Sequence[torch.Tensor], to_eye: Sequence[torch.Tensor], length: torch.Tensor, towards: Sequence[float]
) -> torch.Tensor:
    """Blinn's highlight (n,): the cosine between normal and half-way vector, to the 16th power by squaring."""
    half = [c / length + t for c, t in zip(to_eye, towards, strict=True)]
    norm = (half[0] * half[0] + half[1] * half[1] + half[2] * half[2]).sqrt().clamp(min=1e-6)
    shine = ((normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]) / norm).clamp(min=0.0)
    for _ in range(4):
        shine = shine * shine
    return shine


def _moved(place: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, one: float) -> list[torch.Tensor]:
    p = place.tolist()
    return [x * r[0] + y * r[1] + z * r[2] + r[3] * one for r in p]


def _dot(a: Sequence[torch.Tensor], b: Sequence[float]) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _unshadowed(world: Sequence[torch.Tensor], shadow: ShadowMap) -> torch.Tensor:
    """The share (n,) of the key light that reaches each world point: 3x3 looks into the shadow map."""
    depth, rows, shift = shadow.depth, shadow.rows, shadow.shift
    u = (_dot(world, rows[0].tolist()) + float(shift[0])).floor().to(torch.int64)
    v = (_dot(world, rows[1].tolist()) + float(shift[1])).floor().to(torch.int64)
    mine = _dot(world, rows[2].tolist()) + 8.0
    free = torch.zeros_like(mine)
    side = depth.shape[0] - 1
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
            near = depth[(v + dv).clamp(0, side), (u + du).clamp(0, side)]
            free += (near > mine - 0.03).to(torch.float32)
    return free / 9.0


def direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """The unit vector (x, y, z) to a place at these angles, degrees; azimuth as for cameras."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return float(np.sin(a) * np.cos(e)), float(np.cos(a) * np.cos(e)), float(np.sin(e))
