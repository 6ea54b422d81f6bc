"""A model's whole shoe as one cloud of points: upper, lining, sole and trims, with baked occlusion."""

from __future__ import annotations

import numpy as np

from demo.panels import painted
from demo.shoe import Model
from demo.slots import Slot
from demo.soles import sole_cloud
from demo.surfaces import Cloud, joined, raised, sheet, smoothstep
from demo.trims import trim_clouds
from demo.upper import Upper, feather


def shoe_cloud(model: Model, density: float = 330.0) -> Cloud:
    """The right shoe of a model, about `density` points a shoe length; standing on z=0, lateral side +y."""
    upper = Upper(model)
    parts = [sole_cloud(upper, density)]
    if not model.open_shoe:
        for side in (1, -1):
            parts.append(_wall(upper, side, density))
            parts.append(_lining(upper, side, density))
    parts += trim_clouds(upper, density)
    return joined(parts)


def _wall(upper: Upper, side: int, density: float) -> Cloud:
    model = upper.model
    tall = 0.28 + max(model.last.collar_front, model.last.collar_back)
    k = np.linspace(0, 1, int(1.75 * density))[:, None]
    v = np.linspace(0, 1, int(1.5 * tall * density))[None, :]
    points = upper.at(k, v, side)
    low = feather(model.sole, upper.edge(k, side)[..., 0])
    sketch = painted(model, points, low, v, upper.centre(points[..., 0]), side)
    points = raised(points, sketch.height, flip=side > 0)
    shade = sketch.shade * (0.62 + 0.38 * smoothstep(sketch.h, 0.004, 0.035))
    return sheet(points, sketch.slot, shade, flip=side > 0)


def _lining(upper: Upper, side: int, density: float) -> Cloud:
    """The inside of the opening, darker the deeper."""
    model = upper.model
    reach = float(upper.k_at(min(model.last.opening_end + 0.12, 0.9), side))
    k = reach * np.linspace(0, 1, int(1.1 * density))[:, None]
    v = np.linspace(0.05, 1, int(1.2 * (model.last.collar_back + 0.12) * density))[None, :]
    points = upper.at(k, v, side)
    points = raised(points, np.full(points.shape[:2], -0.009), flip=side > 0)
    depth = np.broadcast_to(1 - v, points.shape[:2]) * model.last.collar_back
    shade = np.clip(1.0 - 3.2 * depth, 0.25, 1.0)
    return sheet(points, Slot.LINING, shade, flip=side < 0)
