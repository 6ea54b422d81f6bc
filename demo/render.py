"""The z-buffer: splats clouds of points into pictures, with shadows, on any torch device.

All arithmetic on points is plain multiply, add, compare and an integer scatter-minimum, so a picture does not
depend on the number of threads. Several pictures of one size go through in one call (the leading dimension V),
which is how a GPU is kept busy; on a CPU points go in chunks that stay in the cache, one picture at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from demo.camera import Camera
from demo.surfaces import Cloud

FAR = torch.iinfo(torch.int64).max
DEPTH_STEPS = float(1 << 24)
ID_BITS = 32
SHADOW_SIDE = 192


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
class Layer:
    """A rendered foreground: linear RGB (h, w, 3) premultiplied, cover (h, w) in 0..1, and per thing its cover."""

    rgb: np.ndarray
    cover: np.ndarray
    things: np.ndarray  # (number of things, h, w): the share of the pixel that each thing owns


class Renderer:
    """Renders things on one device; keeps the clouds it has seen last on that device."""

    def __init__(self, device: str = "cpu", supersample: int = 2, chunk: int | None = None) -> None:
        self.device = torch.device(device)
        self.supersample = supersample
        self.chunk = chunk or (16384 if self.device.type == "cpu" else 1 << 22)
        self._held: dict[int, tuple[Cloud, tuple[torch.Tensor, ...]]] = {}

    def draw(self, things: Sequence[Thing], camera: Camera, light: Light) -> Layer:
        """One picture's foreground. Raises ValueError without things."""
        if not things:
            raise ValueError("nothing to draw: give at least one thing")
        n = self.supersample
        width, height = camera.size[0] * n, camera.size[1] * n
        keys = torch.full((width * height,), FAR, dtype=torch.int64, device=self.device)
        rows = np.stack([camera.rotation[0] * camera.focal * n, camera.rotation[1] * camera.focal * n, camera.rotation[2]])
        shift = np.array([camera.centre[0] * n, camera.centre[1] * n])
        start = 0
        for thing in things:
            self._splat(thing, rows, shift, camera.eye, (width, height), keys, start, perspective=True)
            start += len(thing.cloud)
        _fill_holes(keys.view(height, width))
        seen = (keys != FAR).nonzero().squeeze(1)
        ids = keys[seen] & ((1 << ID_BITS) - 1)
        shadow = self._shadow_map(things, light)
        colour, owner = self._shade(things, ids, camera, light, shadow)
        return _layer(colour, owner, seen, (height, width), n, len(things))

    def _tensors(self, cloud: Cloud) -> tuple[torch.Tensor, ...]:
        """x, y, z, nx, ny, nz, n.p, slot, shade of a cloud as contiguous tensors, kept for the next picture."""
        held = self._held.get(id(cloud))
        if held is not None and held[0] is cloud:
            return held[1]
        if len(self._held) > 24:
            self._held.clear()
        xyz = torch.from_numpy(np.ascontiguousarray(cloud.xyz.T)).to(self.device)
        nor = torch.from_numpy(np.ascontiguousarray(cloud.normal.T)).to(self.device)
        plane = xyz[0] * nor[0] + xyz[1] * nor[1] + xyz[2] * nor[2]
        made = (xyz[0], xyz[1], xyz[2], nor[0], nor[1], nor[2], plane,
                torch.from_numpy(cloud.slot.astype(np.int64)).to(self.device),
                torch.from_numpy(cloud.shade).to(self.device))
        self._held[id(cloud)] = (cloud, made)
        return made

    def _splat(
        self, thing: Thing, rows: np.ndarray, shift: np.ndarray, eye: np.ndarray, size: tuple[int, int],
        keys: torch.Tensor, start: int, *, perspective: bool, step: int = 1,
    ) -> None:
        """Writes the nearest point of every pixel into keys: depth in the high bits, the point's number below."""
        m = (rows @ thing.place[:, :3]).astype(np.float32).tolist()
        o = (rows @ (thing.place[:, 3] - eye)).astype(np.float32).tolist()
        view = np.linalg.inv(thing.place[:, :3]) @ (eye - thing.place[:, 3])
        e = view.astype(np.float32).tolist()
        x, y, z, nx, ny, nz, plane = self._tensors(thing.cloud)[:7]
        width, height = size
        for a in range(0, len(thing.cloud), self.chunk):
            part = slice(a, min(a + self.chunk, len(thing.cloud)), step)
            number = torch.arange(part.start, part.stop, step, device=self.device)
            px, py, pz = x[part], y[part], z[part]
            if perspective:
                facing = (nx[part] * e[0] + ny[part] * e[1] + nz[part] * e[2]) > plane[part]
                number = number[facing]
                px, py, pz = px[facing], py[facing], pz[facing]
            depth = px * m[2][0] + py * m[2][1] + pz * m[2][2] + o[2]
            u = px * m[0][0] + py * m[0][1] + pz * m[0][2] + o[0]
            v = px * m[1][0] + py * m[1][1] + pz * m[1][2] + o[1]
            if perspective:
                inverse = 1.0 / depth.clamp(min=1e-3)
                u, v = u * inverse, v * inverse
            iu = (u + float(shift[0])).floor().to(torch.int64)
            iv = (v + float(shift[1])).floor().to(torch.int64)
            inside = (iu >= 0) & (iu < width) & (iv >= 0) & (iv < height) & (depth > 0.02)
            near = (depth * (DEPTH_STEPS / 64.0)).to(torch.int64).clamp(0, (1 << 30))
            key = (near << ID_BITS) | (number + start)
            keys.scatter_reduce_(0, (iv * width + iu)[inside], key[inside], "amin")

    def _shadow_map(self, things: Sequence[Thing], light: Light) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
        """Depths (SHADOW_SIDE, SHADOW_SIDE) seen from the light, with the rows and shift that lead there."""
        towards = np.array(light.towards)
        right = np.cross(towards, [0.0, 0, 1])
        right /= np.linalg.norm(right) + 1e-9
        rows = np.stack([right, np.cross(towards, right), -towards])
        corners = np.concatenate([
            (t.cloud.xyz[::97] @ t.place[:, :3].T + t.place[:, 3]) @ rows[:2].T for t in things if len(t.cloud) > 3000
        ] or [things[0].cloud.xyz[:, :2]])
        low, high = corners.min(0), corners.max(0)
        zoom = (SHADOW_SIDE - 4) / max(float((high - low).max()), 1e-3)
        rows = rows * np.array([[zoom], [zoom], [1.0]])
        shift = SHADOW_SIDE / 2 - (low + high) / 2 * zoom
        keys = torch.full((SHADOW_SIDE * SHADOW_SIDE,), FAR, dtype=torch.int64, device=self.device)
        for thing in things:
            need = 2.2 * (SHADOW_SIDE**2) / max(len(thing.cloud), 1)
            step = 1 if need > 0.5 else min(int(0.7 / need), 5)
            self._splat(thing, rows, shift, towards * 20.0 * 0 - rows[2] * 8.0, (SHADOW_SIDE, SHADOW_SIDE), keys, 0,
                        perspective=False, step=max(step, 1))
        depth = (keys >> ID_BITS).to(torch.float32) * (64.0 / DEPTH_STEPS)
        return depth.view(SHADOW_SIDE, SHADOW_SIDE), rows, shift

    def _shade(
        self, things: Sequence[Thing], ids: torch.Tensor, camera: Camera, light: Light,
        shadow: tuple[torch.Tensor, np.ndarray, np.ndarray],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Linear RGB (n, 3) and owner (n,) of the visible points."""
        colour = torch.zeros((len(ids), 3), device=self.device)
        owner = torch.zeros(len(ids), dtype=torch.int64, device=self.device)
        start = 0
        for i, thing in enumerate(things):
            mine = ((ids >= start) & (ids < start + len(thing.cloud))).nonzero().squeeze(1)
            if len(mine):
                colour[mine] = self._lit(thing, ids[mine] - start, camera, light, shadow)
                owner[mine] = i
            start += len(thing.cloud)
        return colour, owner

    def _lit(
        self, thing: Thing, ids: torch.Tensor, camera: Camera, light: Light,
        shadow: tuple[torch.Tensor, np.ndarray, np.ndarray],
    ) -> torch.Tensor:
        """Linear RGB (n, 3): key light with shadow and highlight, light from sky and ground."""
        x, y, z, nx, ny, nz, _, slot, shade = (t[ids] for t in self._tensors(thing.cloud))
        place = torch.from_numpy(thing.place.astype(np.float32)).to(self.device)
        scale = float(np.cbrt(abs(np.linalg.det(thing.place[:, :3]))))
        world = _moved(place, x, y, z, 1.0)
        normal = [c / scale for c in _moved(place, nx, ny, nz, 0.0)]
        towards = light.towards
        facing = _dot(normal, towards)
        lit = _unshadowed(world, shadow) * facing.clamp(min=0.0)
        to_eye = [float(e) - c for e, c in zip(camera.eye, world, strict=True)]
        length = (to_eye[0] * to_eye[0] + to_eye[1] * to_eye[1] + to_eye[2] * to_eye[2]).sqrt()
        half = [c / length + t for c, t in zip(to_eye, towards, strict=True)]
        norm = (half[0] * half[0] + half[1] * half[1] + half[2] * half[2]).sqrt().clamp(min=1e-6)
        shine = ((normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]) / norm).clamp(min=0.0)
        for _ in range(4):
            shine = shine * shine
        broad, sharp = shine, (shine * shine) * (shine * shine)
        gloss = torch.from_numpy(thing.gloss).to(self.device)[slot]
        flash = (0.12 * broad * gloss + 0.9 * sharp * gloss * gloss) * (0.25 + 0.75 * lit)
        edge = 1.0 - ((normal[0] * to_eye[0] + normal[1] * to_eye[1] + normal[2] * to_eye[2]) / length).clamp(0.0, 1.0)
        sheen = 0.25 * gloss * edge * edge * edge
        up = normal[2] * 0.5 + 0.5
        near_ground = (world[2] * 5.0).clamp(0.0, 1.0) * 0.3 + 0.7
        albedo = torch.from_numpy(thing.palette.astype(np.float32)).to(self.device)[slot] * shade[:, None]
        channels = []
        for c in range(3):
            ambient = (light.sky[c] * up + light.bounce[c] * (1.0 - up)) * near_ground
            channels.append(albedo[:, c] * (ambient + light.key[c] * lit) + light.key[c] * flash
                            + light.sky[c] * sheen)
        return torch.stack(channels, 1)


def _moved(place: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, one: float) -> list[torch.Tensor]:
    p = place.tolist()
    return [x * r[0] + y * r[1] + z * r[2] + r[3] * one for r in p]


def _dot(a: Sequence[torch.Tensor], b: Sequence[float]) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _unshadowed(world: Sequence[torch.Tensor], shadow: tuple[torch.Tensor, np.ndarray, np.ndarray]) -> torch.Tensor:
    """The share (n,) of the key light that reaches each world point: 3x3 looks into the shadow map."""
    depth, rows, shift = shadow
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


def _fill_holes(keys: torch.Tensor) -> None:
    """Gives pixels that no point hit the nearer of two opposite neighbours, if both were hit (in place)."""
    for _ in range(2):
        for axis in (1, 0):
            size = keys.shape[axis] - 2
            before, here, after = (keys.narrow(axis, i, size) for i in (0, 1, 2))
            hole = (here == FAR) & (before != FAR) & (after != FAR)
            here.copy_(torch.where(hole, torch.minimum(before, after), here))
            near = torch.maximum(before, after)
            gap = (1 << ID_BITS) * int(DEPTH_STEPS / 64.0 * 0.05)
            sunk = (here != FAR) & (near != FAR) & ((here - near) > gap)
            here.copy_(torch.where(sunk, torch.minimum(before, after), here))


def _layer(
    colour: torch.Tensor, owner: torch.Tensor, seen: torch.Tensor, size: tuple[int, int], n: int, things: int
) -> Layer:
    """Averages the supersampled points down to pixels."""
    height, width = size
    canvas = torch.zeros((height * width, 4), device=colour.device)
    canvas[seen, :3] = colour.clamp(0.0, 4.0)
    canvas[seen, 3] = 1.0
    small = _shrunk(canvas.view(height, width, 4), n).cpu().numpy()
    shares = []
    for i in range(things):
        flat = torch.zeros(height * width, device=colour.device)
        flat[seen] = (owner == i).to(torch.float32)
        shares.append(_shrunk(flat.view(height, width, 1), n)[..., 0].cpu().numpy())
    return Layer(small[..., :3], small[..., 3], np.stack(shares))


def _shrunk(canvas: torch.Tensor, n: int) -> torch.Tensor:
    """The mean over n x n blocks, summed in a fixed order."""
    total = torch.zeros_like(canvas[::n, ::n])
    for i in range(n):
        for j in range(n):
            total = total + canvas[i::n, j::n]
    return total / float(n * n)
