"""From light to bytes: highlights, gamma, and what a hand-held camera does to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.render import Layer
from demo.shadows import blurred

Draw = np.random.Generator


@dataclass(frozen=True)
class Photo:
    """A finished picture: sRGB bytes (h, w, 3), the shoe's own cover (h, w) and the JPEG quality it asks for."""

    pixels: np.ndarray
    cover: np.ndarray
    quality: int


def photographed(draw: Draw, layer: Layer, backdrop: np.ndarray, long: int) -> Photo:
    """What the camera makes of it: exposure, contrast, blur, vignette, noise and JPEG quality."""
    rgb = (layer.rgb + (1 - layer.cover[..., None]) * backdrop).astype(np.float32)
    bright = float(np.percentile(rgb.mean(-1), 60))
    rgb = rgb * float(np.clip(0.3 / max(bright, 1e-3), 0.6, 1.9)) ** 0.6 * float(np.exp(draw.normal(0.0, 0.22)))
    height, width = rgb.shape[:2]
    if draw.random() < 0.5:
        rgb = blurred(rgb, long / 256 * float(draw.uniform(0.3, 1.5)))
    if draw.random() < 0.15:
        rgb = _shaken(rgb, round(long / 128 * float(draw.uniform(2, 4))), draw.random() < 0.7)
    u = (np.arange(width) / width - 0.5)[None, :, None]
    v = (np.arange(height) / height - 0.5)[:, None, None]
    rgb = rgb * (1 - float(draw.uniform(0, 0.9)) * (u * u + v * v)).astype(np.float32)
    grey = rgb.mean(-1, keepdims=True)
    rgb = np.maximum(grey + (rgb - grey) * float(draw.uniform(0.75, 1.15)), 0)
    pixels = encoded(shouldered(rgb), float(draw.uniform(0.9, 1.15))).astype(np.float32)
    noise = draw.standard_normal(pixels.shape).astype(np.float32) * float(draw.uniform(0.5, 6.0))
    pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return Photo(pixels, layer.things[0], int(draw.integers(48, 88)))


def _shaken(rgb: np.ndarray, reach: int, sideways: bool) -> np.ndarray:
    """Motion blur over `reach` pixels."""
    axis = 1 if sideways else 0
    return np.asarray(np.mean([np.roll(rgb, i, axis) for i in range(reach)], axis=0, dtype=np.float32))


def shouldered(rgb: np.ndarray) -> np.ndarray:
    """Highlights rolled off instead of clipped hard."""
    over = np.maximum(rgb - 0.75, 0)
    return np.where(rgb > 0.75, 0.75 + 0.25 * (1 - np.exp(-over / 0.25)), rgb)


def encoded(rgb: np.ndarray, contrast: float = 1.0) -> np.ndarray:
    """sRGB bytes of linear RGB."""
    value = np.clip(rgb, 0, 1) ** (contrast / 2.2)
    return np.clip(np.rint(value * 255), 0, 255).astype(np.uint8)
