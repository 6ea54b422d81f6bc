"""Street photos: a shoe on some floor before some wall, in some light, worn or lying about, with clutter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from demo.camera import Camera, framed, grounded, orbit, placed, pose
from demo.clutter import ball, box, leaves, leg, tin
from demo.exposure import Photo, photographed
from demo.lights import Light, Thing
from demo.render import Layer, Renderer
from demo.scenery import backdrop
from demo.shoe import STREAM_STREET, Model, stream
from demo.shots import Shot, shot_of
from demo.subjects import Subject

Draw = np.random.Generator
MOST_HIDDEN = 0.3


def street(subject: Subject, number: int, long: int, renderer: Renderer) -> Photo:
    """Street photo `number` of a subject, `long` pixels on its longer side."""
    draw = stream(subject.model.seed, STREAM_STREET, subject.colourway.index, number)
    shot = shot_of(draw, subject.model, long)
    sample = subject.cloud.xyz[::53].astype(np.float64)
    place = grounded(pose(tip=-88.0 if shot.lying else 0.0, mirror=shot.mirror), sample)
    shoes = [subject.thing(place)]
    if shot.pair:
        aside = (0.5 if shot.mirror else -0.5) * float(draw.uniform(0.85, 1.3))
        second = pose(mirror=not shot.mirror, yaw=float(draw.uniform(-25, 25)),
                      at=(0.5 + float(draw.uniform(-0.25, 0.25)), aside, 0.0))
        shoes.append(subject.thing(grounded(second, sample)))
    points = placed(sample, place)
    camera = orbit(shot.azimuth, shot.elevation, shot.roll, points.mean(0).tolist(), shot.distance, shot.size)
    camera = framed(camera, points, shot.share, 0.72, shot.middle)
    clutter = _clutter(draw, subject.model, shot, camera, shoes, 0.9 * long)
    layer, things = _mostly_seen(renderer, shoes, clutter, camera, shot.light)
    return photographed(draw, layer, backdrop(draw, shot, camera, things), long)


def _clutter(
    draw: Draw, model: Model, shot: Shot, camera: Camera, shoes: Sequence[Thing], density: float
) -> list[Thing]:
    """Legs in the shoes, things beside and behind them, sometimes one in front."""
    made: list[Thing] = []
    if shot.worn:
        made += [leg(draw, model, shoe.place, 1.7 * density) for shoe in shoes]
    away = camera.rotation[2][:2] / max(float(np.hypot(*camera.rotation[2][:2])), 1e-6)
    across = np.array([-away[1], away[0]])
    middle = np.array([0.5, 0.0])
    for _ in range(int(draw.integers(0, 4))):
        aside = float(draw.choice([-1, 1])) * draw.uniform(0.3, 1.3)
        made.append(_prop(draw, middle + away * draw.uniform(0.65, 1.3) + across * aside, density))
    if draw.random() < 0.35:
        aside = float(draw.choice([-1, 1])) * draw.uniform(0.4, 0.7)
        made.append(_prop(draw, middle - away * draw.uniform(0.55, 0.75) + across * aside, density))
    if shot.floor == "grass" and draw.random() < 0.75:
        made.append(leaves(draw, density, True))
    elif draw.random() < 0.25:
        made.append(leaves(draw, density, False))
    return made


def _prop(draw: Draw, spot: np.ndarray, density: float) -> Thing:
    make = (box, ball, tin)[int(draw.integers(3))]
    return make(draw, (float(spot[0]), float(spot[1])), density)


def _mostly_seen(
    renderer: Renderer, shoes: list[Thing], clutter: list[Thing], camera: Camera, light: Light
) -> tuple[Layer, list[Thing]]:
    """The foreground and its things; what hides more than MOST_HIDDEN of the first shoe is taken away."""
    things = [*shoes, *clutter]
    layer = renderer.draw(things, camera, light)
    if len(things) == 1:
        return layer, things
    alone = renderer.draw(shoes[:1], camera, light, shadows=False).things[0].sum()
    for fewer in (shoes, shoes[:1]):
        if layer.things[0].sum() >= (1 - MOST_HIDDEN) * alone:
            break
        things = list(fewer)
        layer = renderer.draw(things, camera, light)
    return layer, things
