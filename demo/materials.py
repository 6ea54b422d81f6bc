"""What the parts are made of: weave, nap and printed patterns as functions of a place on the shoe."""

from __future__ import annotations

import numpy as np

from demo.shoe import Model, stream
from demo.sketch import Sketch
from demo.slots import SLOTS, Slot

STREAM_NOISE = 91
_TEXTURED = (Slot.BASE, Slot.VAMP, Slot.COLLAR, Slot.TONGUE)
_PATTERNED = ((Slot.BASE,), (Slot.BASE, Slot.VAMP, Slot.COLLAR), (Slot.VAMP, Slot.HEEL, Slot.TOECAP))


def lattice_noise(seed: int, u: np.ndarray, v: np.ndarray, size: int = 64) -> np.ndarray:
    """Smooth noise in 0..1 over the plane (u, v), one bump about one unit wide, repeating every `size`."""
    table = stream(seed, STREAM_NOISE).random((size, size)).astype(np.float32)
    return table_noise(table, u, v)


def table_noise(table: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`lattice_noise` from a table (n, n) of corner values; n must be a power of two."""
    mask = len(table) - 1
    iu, iv = np.floor(u), np.floor(v)
    fu, fv = (u - iu), (v - iv)
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    a, b = iu.astype(np.int32) & mask, iv.astype(np.int32) & mask
    a1, b1 = (a + 1) & mask, (b + 1) & mask
    top = table[a, b] * (1 - fu) + table[a1, b] * fu
    low = table[a, b1] * (1 - fu) + table[a1, b1] * fu
    return top * (1 - fv) + low * fv


def textured(model: Model, sketch: Sketch) -> None:
    """Adds weave, nap or quilting to the drawn side: brightness for the fine part, height for the coarse."""
    f = model.finish
    on = np.isin(sketch.slot, [int(s) for s in _TEXTURED])
    a, b = (sketch.x * f.texture_scale), ((sketch.h - sketch.y) * f.texture_scale)
    if f.texture == "knit":
        loops = np.sin(a * 5 + 1.2 * np.sin(b * 5)) * np.sin(b * 5)
        sketch.shade[on] *= (1 + 0.13 * loops)[on]
    elif f.texture == "mesh":
        holes = (np.sin(a * 4) * np.sin(b * 4 + a * 0.2)) > 0.45
        sketch.shade[on & holes] *= 0.62
    elif f.texture == "canvas":
        sketch.shade[on] *= (1 + 0.07 * np.sin(a * 11) + 0.07 * np.sin(b * 11))[on]
    elif f.texture == "suede":
        nap = lattice_noise(f.noise_seed, a * 2.3, b * 2.3) + lattice_noise(f.noise_seed + 1, a * 0.5, b * 0.5)
        sketch.shade[on] *= (0.84 + 0.16 * nap)[on]
    elif f.texture == "quilt":
        waves = np.abs(np.sin(a * 0.9 + b * 0.9)) * np.abs(np.sin(a * 0.9 - b * 0.9))
        sketch.height[on] += (0.006 * np.sqrt(waves))[on]
    else:
        grain = lattice_noise(f.noise_seed, a * 1.6, b * 1.6)
        sketch.shade[on] *= (0.96 + 0.08 * grain)[on]


def patterned(model: Model, slot: np.ndarray, x: np.ndarray, h: np.ndarray, y: np.ndarray) -> None:
    """Prints the model's pattern: points of the patterned parts that the print covers change slot."""
    f = model.finish
    if f.pattern == "none":
        return
    on = np.isin(slot, [int(s) for s in _PATTERNED[f.pattern_on]])
    a, b = x * f.pattern_scale, (h - y) * f.pattern_scale
    if f.pattern == "check":
        ink = (np.floor(a * 2) + np.floor(b * 2)) % 2 < 1
    elif f.pattern == "camo":
        ink = lattice_noise(f.noise_seed + 2, a, b) > 0.55
    elif f.pattern == "speckle":
        ink = lattice_noise(f.noise_seed + 3, a * 4, b * 4) > 0.78
    elif f.pattern == "bands":
        ink = (b * 1.3) % 1 < 0.4
    else:
        ink = np.sin(a * 4 + 5 * lattice_noise(f.noise_seed + 4, a * 0.7, b * 0.7)) > 0.25
    slot[on & ink] = Slot.PATTERN


def glosses(model: Model) -> np.ndarray:
    """How glossy each part is, 0 matte to 1 patent: (SLOTS,) float32."""
    f = model.finish
    matte = f.texture in ("knit", "mesh", "canvas", "suede")
    gloss = np.full(SLOTS, 0.05 if matte else f.gloss, np.float32)
    for part in (Slot.TOECAP, Slot.MUDGUARD, Slot.HEEL, Slot.EYESTAY, Slot.LOGO, Slot.TAB, Slot.STRAP):
        gloss[part] = 0.05 if f.texture == "suede" else f.overlay_gloss
    for part in (Slot.MIDSOLE, Slot.SOLE_LINE, Slot.OUTSOLE):
        gloss[part] = f.sole_gloss
    for part in (Slot.LINING, Slot.INSOLE, Slot.LACE, Slot.STITCH, Slot.TONGUE):
        gloss[part] = 0.02
    gloss[Slot.METAL], gloss[Slot.WINDOW] = 1.0, 0.9
    return gloss
