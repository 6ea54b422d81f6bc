"""Which part each point of the upper belongs to, and how far the part is raised: panels, seams, marks."""

from __future__ import annotations

import numpy as np

from demo.materials import patterned, textured
from demo.shoe import LACED, Logo, Model
from demo.sketch import Sketch
from demo.slots import Slot
from demo.surfaces import smoothstep


def painted(model: Model, points: np.ndarray, low: np.ndarray, v: np.ndarray, middle: np.ndarray, side: int) -> Sketch:
    """Draws panels, mark, pattern and texture on one side (a, b, 3) of the upper."""
    size = points.shape[:2]
    sketch = Sketch(
        points[..., 0], points[..., 2] - low, np.abs(points[..., 1] - middle), np.broadcast_to(v, size), side,
        np.full(size, Slot.BASE, np.uint8), np.zeros(size), np.ones(size),
    )
    p = model.panels
    _front(sketch, model)
    _rear(sketch, model)
    if model.logo.kind != "none" and (side > 0 or model.logo.medial):
        sketch.lay(mark(model.logo, sketch.x, sketch.h), Slot.LOGO, stitch=False, thick=0.003)
    if p.cage:
        bars = np.sin((sketch.x - 0.6 * sketch.h) * np.pi * 2 * p.cage / 0.4)
        zone = np.minimum(np.minimum(sketch.x - 0.33, 0.72 - sketch.x), 0.15 - sketch.h)
        sketch.lay(np.minimum((bars - 0.55) * 0.03, zone), Slot.MUDGUARD, stitch=False)
    _throat(sketch, model)
    patterned(model, sketch.slot, sketch.x, sketch.h, sketch.y)
    textured(model, sketch)
    return sketch


def _front(sketch: Sketch, model: Model) -> None:
    p, x, h, y = model.panels, sketch.x, sketch.h, sketch.y
    if p.vamp < 1:
        sketch.lay(x - (p.vamp + p.vamp_slant * (0.1 - h)), Slot.VAMP, p.stitch)
    if p.mudguard:
        line = p.mudguard * smoothstep(x, p.mudguard_end, p.mudguard_end + 0.3)
        sketch.lay(line - h, Slot.MUDGUARD, p.stitch)
    if p.toecap < 1:
        sketch.lay(x - p.toecap - p.toecap_curve * (y / 0.15) ** 2, Slot.TOECAP, p.stitch)
    if p.apron:
        oval = 1 - ((x - 0.7) / 0.21) ** 2 - (y / p.apron) ** 2
        sketch.lay(np.where(x > 0.5, oval * 0.05, -1), Slot.VAMP, p.stitch)
    if p.perforated:
        spot = ((x * 62) % 1 - 0.5) ** 2 + ((y * 62) % 1 - 0.5) ** 2 < 0.07
        sketch.shade[spot & (x > 0.72) & (x < 0.88) & (y < 0.055)] *= 0.35


def _rear(sketch: Sketch, model: Model) -> None:
    p, x, h, v = model.panels, sketch.x, sketch.h, sketch.v
    if p.saddle:
        sketch.lay(p.saddle - np.abs(x - 0.5 + 0.35 * (h - 0.08)), Slot.MUDGUARD, p.stitch)
    if p.heel:
        edge = p.heel + p.heel_slant * (h - 0.05) - x
        sketch.lay(np.minimum(edge, p.heel_top * model.last.collar_back - h), Slot.HEEL, p.stitch)
    if p.collar:
        zone = np.minimum((v - p.collar) * 0.2, model.last.opening_end + 0.01 - x)
        sketch.lay(zone, Slot.COLLAR, p.stitch)
    if p.tab:
        sketch.lay(np.minimum(0.075 - x, h - 0.6 * model.last.collar_back), Slot.TAB, p.stitch)
    if p.elastic:
        wedge = p.elastic * (0.35 + 0.65 * np.clip(h / model.last.collar_back, 0, 1)) - np.abs(x - 0.26)
        zone = np.minimum(wedge, h - 0.12)
        sketch.lay(zone, Slot.COLLAR, p.stitch)
        sketch.shade[zone > 0] *= 0.9 + 0.1 * np.sin(x[zone > 0] * 420)


def _throat(sketch: Sketch, model: Model) -> None:
    """The opening under the laces and the stay with the eyelets around it, on laced shoes."""
    p, x, y = model.panels, sketch.x, sketch.y
    if model.kind not in LACED or not model.trims.laces:
        return
    start = model.last.opening_end - 0.035
    gap = p.throat * np.sqrt(np.clip((p.throat_end - x) / 0.06, 0, 1)) * (0.8 + 0.8 * np.clip(0.6 - x, 0, 1))
    ahead = np.where(sketch.v > 0.45, np.minimum(gap - y, p.throat_end - x), -1)
    behind = x > start
    if p.eyestay:
        stay = np.minimum(gap + p.eyestay - y, p.throat_end + 0.6 * p.eyestay - x)
        stay = np.where((sketch.v > 0.4) & behind, stay, -1)
        sketch.lay(stay, Slot.EYESTAY, p.stitch)
    inside = (ahead > 0) & behind
    sketch.slot[inside] = Slot.TONGUE
    sketch.height[inside] -= 0.006
    sketch.shade[behind & (np.abs(ahead + 0.001) < 0.003)] *= 0.6
    sketch.shade[inside] *= 0.85


def mark(logo: Logo, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Signed distance (positive inside, shoe lengths) of the side mark at x along and h above the sole."""
    a = (x - logo.x) / logo.size
    b = (h - logo.z) / logo.size
    slanted = a - logo.slant * b
    w = logo.weight
    if logo.kind == "stripes":
        phase = (slanted / 0.75 * logo.count / 2 + 50.5 - logo.count / 2) % 1
        body = np.minimum(w / 2 - np.abs(phase - 0.5), 0.75 - np.abs(slanted))
        d = np.minimum(body * 1.5 / logo.count, 0.85 - np.abs(b))
    elif logo.kind == "wave":
        arc = 0.55 * np.sin((a + 0.1) * 2.4) - 0.1
        d = np.minimum((0.1 + 0.3 * w) * np.clip((a + 1.2) / 1.5, 0, 1) - np.abs(b - arc), 1.3 - np.abs(a))
    elif logo.kind == "chevron":
        phase = (a - 0.7 * np.abs(b) + 10) * (logo.count - 1) / 1.2
        frame = np.minimum(0.8 - np.abs(b), 0.9 - np.abs(a))
        d = np.minimum((w / 2 - np.abs(phase % 1 - 0.5)) * 1.2 / logo.count, frame)
    elif logo.kind == "dots":
        step = 1.6 / logo.count
        cell = np.hypot((slanted + 9) % step - step / 2, (b + 9) % step - step / 2)
        d = np.minimum(step * (0.15 + 0.35 * w) - cell, 0.8 - np.maximum(np.abs(slanted), np.abs(b)))
    elif logo.kind == "letter":
        d = _letter(logo, slanted, b)
    elif logo.kind == "ring":
        d = 0.12 + 0.2 * w - np.abs(np.hypot(a, b) - 0.6)
        d = np.maximum(d, 0.2 - np.hypot(a, b)) if logo.count % 2 else d
    elif logo.kind == "bolt":
        zig = np.where(b > 0.05, a - 0.6 * b + 0.3, a - 0.6 * b - 0.3)
        d = np.minimum(0.12 + 0.25 * w - np.abs(zig), 0.85 - np.abs(b))
    elif logo.kind == "cross":
        arm = 0.1 + 0.2 * w
        d = np.maximum(arm - np.abs(slanted - b), arm - np.abs(slanted + b))
        d = np.minimum(d, 0.8 - np.maximum(np.abs(slanted), np.abs(b)))
    else:  # bars: long, lying
        phase = (b * logo.count / 1.4 + 50.5) % 1
        d = np.minimum((w / 2 - np.abs(phase - 0.5)) * 1.4 / logo.count, np.minimum(1.4 - np.abs(a), 0.7 - np.abs(b)))
    return d * logo.size


def _letter(logo: Logo, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One of six big letter-like shapes: N, H, K, T, V, S by the mark's count."""
    t = 0.1 + 0.18 * logo.weight
    left, right = t - np.abs(a + 0.5), t - np.abs(a - 0.5)
    shape = logo.count % 5
    if shape == 0:
        d = np.maximum(np.maximum(left, right), t - np.abs(a - 0.65 * b * -1))
    elif shape == 1:
        d = np.maximum(np.maximum(left, right), np.minimum(t - np.abs(b), 0.5 - np.abs(a)))
    elif shape == 2:
        d = np.maximum(left, np.minimum(t - np.abs(np.abs(b) * 1.1 - (a + 0.3)), 0.7 - np.abs(a)))
    elif shape == 3:
        d = np.maximum(t - np.abs(a), np.minimum(t - np.abs(b - 0.6), 0.75 - np.abs(a)))
    else:
        d = t * 1.2 - np.abs(np.abs(a) * 1.5 - b - 0.6)
    return np.minimum(d, np.minimum(0.8 - np.abs(b), 0.95 - np.abs(a)))
