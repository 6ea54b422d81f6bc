"""Puts a shoe into a picture: studio shots on white, and street photos with ground, light and clutter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.camera import Camera, framed, grounded, orbit, placed, pose
from demo.clutter import ball, box, leaves, leg, tin
from demo.colours import Colourway
from demo.geometry import shoe_cloud
from demo.grounds import FLOORS, WALLS
from demo.materials import glosses
from demo.render import Layer, Light, Renderer, Thing
from demo.shadows import blurred, ground_shadow
from demo.shoe import STREAM_STREET, STREAM_STUDIO, Model, stream
from demo.surfaces import Cloud

Draw = np.random.Generator
# azimuth, elevation, pair, lying on its side; a shop's usual views, first the one a listing leads with
STUDIO_VIEWS = (
    (0.0, 7.0, False, False), (180.0, 7.0, False, False), (52.0, 20.0, False, False), (0.0, 80.0, False, False),
    (216.0, 18.0, False, False), (38.0, 24.0, True, False), (90.0, 12.0, False, False), (0.0, 4.0, False, True),
)


@dataclass(frozen=True)
class Subject:
    """A model in one colourway, ready to be photographed; the cloud is shared by all colourways."""

    model: Model
    colourway: Colourway
    cloud: Cloud

    def thing(self, place: np.ndarray) -> Thing:
        """The shoe as a thing to draw."""
        return Thing(self.cloud, self.colourway.array(), glosses(self.model), place)


@dataclass(frozen=True)
class Photo:
    """A finished picture: sRGB bytes (h, w, 3), the shoe's own cover (h, w) and the JPEG quality it asks for."""

    pixels: np.ndarray
    cover: np.ndarray
    quality: int


def subject_of(model: Model, colourway: Colourway, size: int, cloud: Cloud | None = None) -> Subject:
    """A subject whose cloud is dense enough for pictures of `size` pixels."""
    return Subject(model, colourway, cloud or shoe_cloud(model, 1.25 * size))


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
        other = pose(mirror=True, yaw=float(draw.uniform(-4, 14)), at=(0.56, -0.42 + float(draw.uniform(-0.04, 0.02)), 0))
        things.append(subject.thing(grounded(other, sample)))
    points = np.concatenate([placed(sample, t.place) for t in things])
    camera = framed(orbit(azimuth, elevation, 0, points.mean(0).tolist(), 3.4, (size, size)), points, 0.86, 0.8, (0.5, 0.52))
    level = float(draw.uniform(0.92, 1.05))
    light = Light(_towards(azimuth + 35, 58), (0.85 * level,) * 3, (0.62 * level,) * 3, (0.42 * level,) * 3)
    layer = renderer.draw(things, camera, light)
    ground = _ground(camera)
    shade = np.ones((size, size))
    if ground is not None:
        x, y, hit = ground
        cast, contact = ground_shadow(things, light, 0.12).at(x, y)
        shade = np.where(hit, 1 - 0.16 * cast - 0.5 * contact * (1 - 0.2 * cast), 1.0)
    rgb = _shouldered(layer.rgb) + (1 - layer.cover[..., None]) * shade[..., None]
    return Photo(_encoded(rgb), layer.things[0], 86)


@dataclass(frozen=True)
class Street:
    """How one street photo is taken; drawn from the seed before anything is rendered."""

    size: tuple[int, int]
    azimuth: float
    elevation: float
    roll: float
    distance: float
    share: float
    middle: tuple[float, float]
    floor: str
    wall: str
    light: Light
    softness: float
    worn: bool
    pair: bool
    lying: bool


_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (4, 3))


def _street_plan(draw: Draw, model: Model, long: int) -> Street:
    a, b = _ASPECTS[int(draw.integers(len(_ASPECTS)))]
    size = (long * a // max(a, b) // 2 * 2, long * b // max(a, b) // 2 * 2)
    side = float(draw.choice([0.0, 180.0, 55.0, 305.0, 125.0, 235.0, 90.0]))
    elevation = float(draw.choice([draw.uniform(3, 18), draw.uniform(15, 40), draw.uniform(30, 68)]))
    warm = float(draw.normal(0, 0.2))
    tint = float(draw.normal(0, 0.05))
    tone = np.array([np.exp(warm), np.exp(tint), np.exp(-1.15 * warm)]) * float(np.exp(draw.normal(-0.1, 0.3)))
    sunny = draw.random() < 0.5
    key = tone * (1.25 if sunny else 0.55)
    fill = tone * (0.3 if sunny else 0.62) * np.array([0.94, 1.0, 1.1] if sunny else [1, 1, 1])
    light = Light(_towards(float(draw.uniform(0, 360)), float(draw.uniform(32, 75))), _rgb(key), _rgb(fill), _rgb(fill * 0.55))
    worn = not model.open_shoe and model.kind != "heel" and draw.random() < 0.32
    return Street(
        size, side + float(draw.uniform(-32, 32)), elevation, float(draw.normal(0, 5)), float(draw.uniform(1.9, 3.6)),
        float(draw.uniform(0.38, 0.72)), (float(draw.uniform(0.4, 0.6)), float(draw.uniform(0.5, 0.64))),
        str(draw.choice(list(FLOORS))), str(draw.choice(list(WALLS))), light,
        0.02 if sunny else 0.14, worn, bool(draw.random() < 0.3), bool(not worn and draw.random() < 0.07),
    )


def street(subject: Subject, number: int, long: int, renderer: Renderer) -> Photo:
    """Street photo `number` of a subject, `long` pixels on its longer side."""
    draw = stream(subject.model.seed, STREAM_STREET, subject.colourway.index, number)
    plan = _street_plan(draw, subject.model, long)
    sample = subject.cloud.xyz[::53].astype(np.float64)
    mirror = bool(draw.random() < 0.4)
    place = grounded(pose(tip=-88.0 if plan.lying else 0.0, mirror=mirror), sample)
    shoes = [subject.thing(place)]
    if plan.pair:
        shift = (0.5 + float(draw.uniform(-0.25, 0.25)), (0.5 if mirror else -0.5) * float(draw.uniform(0.85, 1.3)), 0.0)
        second = pose(mirror=not mirror, yaw=float(draw.uniform(-25, 25)), at=shift)
        shoes.append(subject.thing(grounded(second, sample)))
    points = placed(sample, place)
    camera = orbit(plan.azimuth, plan.elevation, plan.roll, points.mean(0).tolist(), plan.distance, plan.size)
    camera = framed(camera, points, plan.share, 0.72, plan.middle)
    density = 0.9 * long
    extra = _clutter(draw, subject.model, plan, camera, shoes, density)
    layer = _mostly_seen(renderer, shoes, extra, camera, plan.light)
    backdrop = _backdrop(draw, plan, camera, shoes + extra)
    return _photographed(draw, layer, backdrop, long)


def _clutter(
    draw: Draw, model: Model, plan: Street, camera: Camera, shoes: Sequence[Thing], density: float
) -> list[Thing]:
    """Legs in the shoes, things beside and behind them, sometimes one in front."""
    extra: list[Thing] = []
    if plan.worn:
        extra += [leg(draw, model, shoe.place, density) for shoe in shoes[:2]]
    away = -camera.rotation[2][:2] * -1
    away = away / max(float(np.linalg.norm(away)), 1e-6)
    across = np.array([-away[1], away[0]])
    for _ in range(int(draw.integers(0, 4))):
        side = float(draw.choice([-1, 1])) * draw.uniform(0.3, 1.3)
        spot = np.array([0.5, 0.0]) + away * draw.uniform(0.65, 1.5) + across * side
        extra.append(_prop(draw, spot, density))
    if draw.random() < 0.35:
        spot = np.array([0.5, 0.0]) - away * draw.uniform(0.55, 0.75) + across * float(draw.choice([-1, 1])) * draw.uniform(0.4, 0.7)
        extra.append(_prop(draw, spot, density))
    if plan.floor == "grass" and draw.random() < 0.75:
        extra.append(leaves(draw, density, True))
    elif draw.random() < 0.25:
        extra.append(leaves(draw, density, False))
    return extra


def _prop(draw: Draw, spot: np.ndarray, density: float) -> Thing:
    make = (box, ball, tin)[int(draw.integers(3))]
    return make(draw, (float(spot[0]), float(spot[1])), density)


def _mostly_seen(
    renderer: Renderer, shoes: list[Thing], extra: list[Thing], camera: Camera, light: Light
) -> Layer:
    """The foreground; when clutter hides more than three tenths of the first shoe, it is taken away."""
    layer = renderer.draw([*shoes, *extra], camera, light)
    if not extra:
        return layer
    alone = renderer.draw(shoes[:1], camera, light).things[0].sum()
    if layer.things[0].sum() < 0.7 * alone:
        extra.clear()
        layer = renderer.draw(shoes, camera, light)
    return layer


def _backdrop(draw: Draw, plan: Street, camera: Camera, things: Sequence[Thing]) -> np.ndarray:
    """Ground, wall and shadows behind the things: linear RGB (h, w, 3)."""
    floor, wall = FLOORS[plan.floor](draw), WALLS[plan.wall](draw)
    rays = camera.rays()
    fall = np.minimum(rays[..., 2], -1e-4)
    far = float(draw.uniform(0.9, 4.0))
    turn = float(draw.uniform(-0.5, 0.5))
    ahead = camera.rotation[2][:2] / max(float(np.linalg.norm(camera.rotation[2][:2])), 1e-6)
    normal = np.array([ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn), ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn)])
    t_floor = np.where(rays[..., 2] < -1e-4, -camera.eye[2] / fall, 1e3)
    speed = rays[..., :2] @ normal
    t_wall = np.where(speed > 1e-3, (far + 0.5 - (camera.eye[:2] - [0.5, 0]) @ normal) / np.maximum(speed, 1e-3), 1e3)
    t = np.clip(np.minimum(t_floor, t_wall), 0, 40.0)
    at = camera.eye + rays * t[..., None]
    on_wall = t_wall < t_floor
    along = at[..., :2] @ np.array([-normal[1], normal[0]])
    low = floor(at[..., 0], at[..., 1])
    cast, contact = ground_shadow(things, plan.light, plan.softness).at(at[..., 0], at[..., 1])
    key, sky = np.array(plan.light.key), np.array(plan.light.sky)
    lit = key * plan.light.towards[2] * (1 - cast[..., None]) + sky * (1 - 0.25 * cast[..., None])
    low = low * lit * (1 - 0.62 * contact[..., None])
    high = wall(along, at[..., 2]) * (0.45 * key + sky)
    high = high * np.clip(0.6 + at[..., 2:] * 0.8, 0.6, 1.0)
    out = np.where(on_wall[..., None], high, low).astype(np.float32)
    soft = blurred(out, 0.012 * max(plan.size) * float(draw.uniform(0.3, 1.5)))
    depth = np.clip((t / plan.distance - 1.15) / 0.6, 0, 1)[..., None].astype(np.float32)
    return out * (1 - depth) + soft * depth


def _photographed(draw: Draw, layer: Layer, backdrop: np.ndarray, long: int) -> Photo:
    """What the camera makes of it: exposure, contrast, blur, vignette, noise and JPEG quality."""
    rgb = (layer.rgb + (1 - layer.cover[..., None]) * backdrop).astype(np.float32)
    bright = float(np.percentile(rgb.mean(-1), 60))
    rgb = rgb * float(np.clip(0.3 / max(bright, 1e-3), 0.6, 1.9)) ** 0.6 * float(np.exp(draw.normal(0.0, 0.22)))
    height, width = rgb.shape[:2]
    if draw.random() < 0.5:
        rgb = blurred(rgb, long / 256 * float(draw.uniform(0.3, 1.5)))
    if draw.random() < 0.15:
        rgb = _shaken(rgb, int(round(long / 128 * draw.uniform(2, 4))), draw.random() < 0.7)
    u = (np.arange(width) / width - 0.5)[None, :, None]
    v = (np.arange(height) / height - 0.5)[:, None, None]
    rgb = rgb * (1 - float(draw.uniform(0, 0.9)) * (u * u + v * v)).astype(np.float32)
    grey = rgb.mean(-1, keepdims=True)
    rgb = np.maximum(grey + (rgb - grey) * float(draw.uniform(0.75, 1.15)), 0)
    pixels = _encoded(_shouldered(rgb), float(draw.uniform(0.9, 1.15))).astype(np.float32)
    noise = draw.standard_normal(pixels.shape).astype(np.float32) * float(draw.uniform(0.5, 6.0))
    pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return Photo(pixels, layer.things[0], int(draw.integers(48, 88)))


def _shaken(rgb: np.ndarray, reach: int, sideways: bool) -> np.ndarray:
    """Motion blur over `reach` pixels."""
    axis = 1 if sideways else 0
    return np.mean([np.roll(rgb, i, axis) for i in range(reach)], axis=0, dtype=np.float32)


def _ground(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Where the pixels' rays meet the ground: x, y and whether they do (h, w)."""
    rays = camera.rays()
    hit = rays[..., 2] < -1e-3
    if not hit.any():
        return None
    t = np.where(hit, -camera.eye[2] / np.minimum(rays[..., 2], -1e-3), 0.0)
    return camera.eye[0] + rays[..., 0] * t, camera.eye[1] + rays[..., 1] * t, hit & (t > 0)


def _towards(azimuth: float, elevation: float) -> tuple[float, float, float]:
    a, e = np.radians(azimuth), np.radians(elevation)
    return float(np.sin(a) * np.cos(e)), float(np.cos(a) * np.cos(e)), float(np.sin(e))


def _rgb(value: np.ndarray) -> tuple[float, float, float]:
    return float(value[0]), float(value[1]), float(value[2])


def _shouldered(rgb: np.ndarray) -> np.ndarray:
    """Highlights rolled off instead of clipped hard."""
    over = np.maximum(rgb - 0.75, 0)
    return np.where(rgb > 0.75, 0.75 + 0.25 * (1 - np.exp(-over / 0.25)), rgb)


def _encoded(rgb: np.ndarray, contrast: float = 1.0) -> np.ndarray:
    """sRGB bytes of linear RGB."""
    value = np.clip(rgb, 0, 1) ** (contrast / 2.2)
    return np.clip(np.rint(value * 255), 0, 255).astype(np.uint8)
