"""Shop pictures: a shoe or a pair on white, in soft light, from the usual sides."""

from __future__ import annotations

import numpy as np

from demo.camera import Camera, framed, grounded, orbit, placed, pose
from demo.exposure import Photo, encoded, shouldered
from demo.lights import Light, direction
from demo.render import Renderer
from demo.shadows import ground_shadow
from demo.shoe import STREAM_STUDIO, stream
from demo.subjects import Subject

# azimuth, elevation, pair, lying on its side; a shop's usual views, first the one a listing leads with
STUDIO_VIEWS = (
    (0.0, 7.0, False, False), (180.0, 7.0, False, False), (52.0, 20.0, False, False), (0.0, 80.0, False, False),
    (216.0, 18.0, False, False), (38.0, 24.0, True, False), (90.0, 12.0, False, False), (180.0, 4.0, False, True),
)


def studio(subject: Subject, view: int, size: int, renderer: Renderer) -> Photo:
    """Shop picture number `view` of a subject: square, white, soft light."""
    draw = stream(subject.model.seed, STREAM_STUDIO, subject.colourway.index, view)
    azimuth, elevation, pair, lying = STUDIO_VIEWS[view % len(STUDIO_VIEWS)]
    spread = 3.0 if view < len(STUDIO_VIEWS) else 25.0
    azimuth += float(draw.uniform(-spread, spread))
    elevation = float(np.clip(elevation + draw.uniform(-2, 2) * spread / 3, -3, 82))
    sample = subject.cloud.xyz[::53].astype(np.float64)
    place = grounded(pose(tip=-90.0 if lying else 0.0), sample)
    things = [subject.thing(place)]
    if pair:
        aside = -0.42 + float(draw.uniform(-0.04, 0.02))
        other = pose(mirror=True, yaw=float(draw.uniform(-4, 14)), at=(0.56, aside, 0))
        things.append(subject.thing(grounded(other, sample)))
    points = np.concatenate([placed(sample, t.place) for t in things])
    camera = orbit(azimuth, elevation, 0, points.mean(0).tolist(), 3.4, (size, size))
    camera = framed(camera, points, 0.86, 0.8, (0.5, 0.52))
    level = float(draw.uniform(0.92, 1.05))
    light = Light(direction(azimuth + 35, 58), (0.66 * level,) * 3, (0.47 * level,) * 3, (0.34 * level,) * 3)
    layer = renderer.draw(things, camera, light)
    ground = _ground(camera)
    shade = np.ones((size, size))
    if ground is not None:
        x, y, hit = ground
        cast, contact = ground_shadow(things, light, 0.12).at(x, y)
        shade = np.where(hit, 1 - 0.16 * cast - 0.5 * contact * (1 - 0.2 * cast), 1.0)
    rgb = shouldered(layer.rgb) + (1 - layer.cover[..., None]) * shade[..., None]
    return Photo(encoded(rgb), layer.things[0], 86)


def _ground(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Where the pixels' rays meet the ground: x, y and whether they do (h, w)."""
    rays = camera.rays()
    hit = rays[..., 2] < -1e-3
    if not hit.any():
        return None
    t = np.where(hit, -camera.eye[2] / np.minimum(rays[..., 2], -1e-3), 0.0)
    return camera.eye[0] + rays[..., 0] * t, camera.eye[1] + rays[..., 1] * t, hit & (t > 0)
