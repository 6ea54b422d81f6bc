"""What lies behind the shoe in a street photo: floor, wall, and the shadows on the floor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from demo.camera import Camera
from demo.grounds import FLOORS, WALLS
from demo.lights import Thing
from demo.shadows import blurred, ground_shadow
from demo.shots import Shot

Draw = np.random.Generator


def backdrop(draw: Draw, shot: Shot, camera: Camera, things: Sequence[Thing]) -> np.ndarray:
    """Floor, wall and shadows behind the things: linear RGB (h, w, 3), less sharp the farther away."""
    floor, wall = FLOORS[shot.floor](draw), WALLS[shot.wall](draw)
    at, along, on_wall, away = _places(draw, camera)
    cast, contact = ground_shadow(things, shot.light, shot.softness).at(at[..., 0], at[..., 1])
    key, sky = np.array(shot.light.key), np.array(shot.light.sky)
    lit = key * shot.light.towards[2] * (1 - cast[..., None]) + sky * (1 - 0.25 * cast[..., None])
    low = floor(at[..., 0], at[..., 1]) * lit * (1 - 0.62 * contact[..., None])
    high = wall(along, at[..., 2]) * (0.45 * key + sky) * np.clip(0.6 + at[..., 2:] * 0.8, 0.6, 1.0)
    out = np.where(on_wall[..., None], high, low).astype(np.float32)
    soft = blurred(out, 0.012 * max(shot.size) * float(draw.uniform(0.3, 1.5)))
    depth = np.clip((away / shot.distance - 1.15) / 0.6, 0, 1)[..., None].astype(np.float32)
    return out * (1 - depth) + soft * depth


def _places(draw: Draw, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What each pixel's ray meets first: place (h, w, 3), place along the wall, whether it is the wall, how far."""
    rays = camera.rays()
    far, turn = float(draw.uniform(1.4, 4.5)), float(draw.uniform(-0.5, 0.5))
    ahead = camera.rotation[2][:2] / max(float(np.hypot(*camera.rotation[2][:2])), 1e-6)
    nx = float(ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn))
    ny = float(ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn))
    to_floor = np.where(rays[..., 2] < -1e-4, -camera.eye[2] / np.minimum(rays[..., 2], -1e-4), 1e3)
    speed = rays[..., 0] * nx + rays[..., 1] * ny
    gap = far - ((camera.eye[0] - 0.5) * nx + camera.eye[1] * ny)
    to_wall = np.where(speed > 1e-3, gap / np.maximum(speed, 1e-3), 1e3)
    away = np.clip(np.minimum(to_floor, to_wall), 0, 40.0)
    at = camera.eye + rays * away[..., None]
    return at, at[..., 1] * nx - at[..., 0] * ny, to_wall < to_floor, away
