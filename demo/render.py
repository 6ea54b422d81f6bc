"""The z-buffer: splats clouds of points into pictures, with shadows, on any torch device.

All arithmetic on points is plain multiply, add, compare and an integer scatter-minimum, so a picture does not
depend on the number of threads. A call draws one picture. On a CPU the points go in chunks that stay in the
cache (fresh big arrays cost more than the arithmetic); on a GPU all points of a thing go at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from demo.camera import Camera, placed, turned
from demo.lights import Light, ShadowMap, Thing, lit
from demo.surfaces import Cloud

FAR = torch.iinfo(torch.int64).max
DEPTH_STEPS = float(1 << 24)
ID_BITS = 32
SHADOW_SIDE = 192


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

    def draw(self, things: Sequence[Thing], camera: Camera, light: Light, *, shadows: bool = True) -> Layer:
        """One picture's foreground; without `shadows` things cast none on each other. ValueError without things."""
        if not things:
            raise ValueError("nothing to draw: give at least one thing")
        n = self.supersample
        width, height = camera.size[0] * n, camera.size[1] * n
        keys = torch.full((width * height,), FAR, dtype=torch.int64, device=self.device)
        rows = camera.rotation * np.array([[camera.focal * n], [camera.focal * n], [1.0]])
        shift = np.array([camera.centre[0] * n, camera.centre[1] * n])
        start = 0
        for thing in things:
            self._splat(thing, rows, shift, camera.eye, (width, height), keys, start, perspective=True)
            start += len(thing.cloud)
        _fill_holes(keys.view(height, width))
        seen = (keys != FAR).nonzero().squeeze(1)
        ids = keys[seen] & ((1 << ID_BITS) - 1)
        shadow = self._shadow_map(things if shadows else (), light)
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

    def _shadow_map(self, things: Sequence[Thing], light: Light) -> ShadowMap:
        """What the light sees of the things, SHADOW_SIDE pixels wide."""
        towards = np.array(light.towards)
        right = np.cross(towards, [0.0, 0, 1])
        right /= np.linalg.norm(right) + 1e-9
        rows = np.stack([right, np.cross(towards, right), -towards])
        big = [t for t in things if len(t.cloud) > 3000]
        if not big:
            return ShadowMap(torch.full((1, 1), 1e9, device=self.device), rows, np.zeros(2))
        corners = np.concatenate([turned(placed(t.cloud.xyz[::97], t.place), rows[:2]) for t in big])
        low, high = corners.min(0), corners.max(0)
        zoom = (SHADOW_SIDE - 4) / max(float((high - low).max()), 1e-3)
        rows = rows * np.array([[zoom], [zoom], [1.0]])
        shift = SHADOW_SIDE / 2 - (low + high) / 2 * zoom
        keys = torch.full((SHADOW_SIDE * SHADOW_SIDE,), FAR, dtype=torch.int64, device=self.device)
        for thing in things:
            need = 2.2 * (SHADOW_SIDE**2) / max(len(thing.cloud), 1)
            step = 1 if need > 0.5 else min(int(0.7 / need), 5)
            self._splat(thing, rows, shift, towards * 8.0, (SHADOW_SIDE, SHADOW_SIDE), keys, 0,
                        perspective=False, step=max(step, 1))
        depth = (keys >> ID_BITS).to(torch.float32) * (64.0 / DEPTH_STEPS)
        return ShadowMap(depth.view(SHADOW_SIDE, SHADOW_SIDE), rows, shift)

    def _shade(
        self, things: Sequence[Thing], ids: torch.Tensor, camera: Camera, light: Light,
        shadow: ShadowMap,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Linear RGB (n, 3) and owner (n,) of the visible points."""
        colour = torch.zeros((len(ids), 3), device=self.device)
        owner = torch.zeros(len(ids), dtype=torch.int64, device=self.device)
        start = 0
        for i, thing in enumerate(things):
            mine = ((ids >= start) & (ids < start + len(thing.cloud))).nonzero().squeeze(1)
            if len(mine):
                points = [t[ids[mine] - start] for t in self._tensors(thing.cloud)]
                colour[mine] = lit(thing, points, camera.eye, light, shadow)
                owner[mine] = i
            start += len(thing.cloud)
        return colour, owner

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
