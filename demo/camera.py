"""Cameras and poses: where a picture is taken from, and how a shoe lies in the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: eye (3,), rotation (3, 3) with rows right, down, forward; pixels of the final picture."""

    eye: np.ndarray
    rotation: np.ndarray
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]  # width, height

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixel places (n, 2) of world points (n, 3)."""
        local = turned(points - self.eye, self.rotation)
        return local[:, :2] / np.maximum(local[:, 2:], 1e-3) * self.focal + np.array(self.centre)

    def rays(self) -> np.ndarray:
        """World directions (height, width, 3) through the pixels' middles, forward part 1."""
        width, height = self.size
        u = (np.arange(width) + 0.5 - self.centre[0]) / self.focal
        v = (np.arange(height) + 0.5 - self.centre[1]) / self.focal
        r = self.rotation
        return u[None, :, None] * r[0] + v[:, None, None] * r[1] + r[2]


def orbit(
    azimuth: float, elevation: float, roll: float, target: Sequence[float], distance: float, size: tuple[int, int]
) -> Camera:
    """A camera on a sphere around the target, degrees; azimuth 0 sees the lateral (+y) side, 90 the toe."""
    a, e, r = (math.radians(x) for x in (azimuth, elevation, roll))
    out = np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)])
    forward = -out
    hint = np.array([0, 0, 1.0]) if abs(out[2]) < 0.999 else np.array([0, -math.cos(a), 0.0])
    right = np.cross(forward, hint)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    rolled = np.stack([right * math.cos(r) + down * math.sin(r), -right * math.sin(r) + down * math.cos(r), forward])
    return Camera(np.asarray(target, float) + out * distance, rolled, float(size[0]), (size[0] / 2, size[1] / 2), size)


def framed(camera: Camera, points: np.ndarray, width: float, height: float, middle: tuple[float, float]) -> Camera:
    """The camera zoomed and shifted so that the points' box fills at most these shares around `middle`."""
    places = camera.project(points)
    low, high = places.min(0), places.max(0)
    wide, tall = np.maximum(high - low, 1e-6)
    zoom = min(width * camera.size[0] / wide, height * camera.size[1] / tall)
    box = ((low + high) / 2 - np.array(camera.centre)) * zoom
    at = np.array([middle[0] * camera.size[0], middle[1] * camera.size[1]]) - box
    return replace(camera, focal=camera.focal * zoom, centre=(float(at[0]), float(at[1])))


def pose(
    *, yaw: float = 0.0, tip: float = 0.0, pitch: float = 0.0, mirror: bool = False, scale: float = 1.0,
    at: Sequence[float] = (0.0, 0.0, 0.0), pivot: Sequence[float] = (0.5, 0.0, 0.0),
) -> np.ndarray:
    """A (3, 4) placement: mirrored in y, tipped about x, pitched about y, turned about z (degrees), then moved."""
    a, b, c = (math.radians(x) for x in (yaw, tip, pitch))
    tipped = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    pitched = np.array([[math.cos(c), 0, math.sin(c)], [0, 1, 0], [-math.sin(c), 0, math.cos(c)]])
    yawed = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    flip = np.diag([1.0, -1.0 if mirror else 1.0, 1.0])
    linear = yawed @ pitched @ tipped @ flip * scale
    return np.concatenate([linear, (np.asarray(at, float) - linear @ np.asarray(pivot, float))[:, None]], 1)


def placed(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    """World points (n, 3) of object points under a (3, 4) placement."""
    return turned(points, place[:, :3]) + place[:, 3]


def turned(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The points (n, 3) times the transposed matrix (m, 3), without BLAS, whose sums may depend on threads."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    return np.stack([x * row[0] + y * row[1] + z * row[2] for row in matrix], 1)


def grounded(place: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The placement lifted or lowered so that the lowest of the object's points touches z=0."""
    low = placed(points, place)[:, 2].min()
    out = place.copy()
    out[2, 3] -= low
    return out
