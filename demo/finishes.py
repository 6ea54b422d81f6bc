"""Draws what dresses a model: the mark on its side, and texture, pattern and gloss of its material."""

from __future__ import annotations

import numpy as np

from demo.shoe import LACED, LOGOS, Finish, Logo

Draw = np.random.Generator


def uniform(draw: Draw, low: float, high: float) -> float:
    """A number between low and high."""
    return float(draw.uniform(low, high))


def chance(draw: Draw, share: float) -> bool:
    """True for this share of draws."""
    return bool(draw.random() < share)


def pick(draw: Draw, *options: str) -> str:
    """One of the options; repeat one to favour it."""
    return str(options[int(draw.integers(len(options)))])


def logo(draw: Draw, kind: str) -> Logo:
    """The side mark of a shoe of this kind; dress shoes mostly have none."""
    plain = kind in ("loafer", "heel", "sandal", "boot")
    choice = "none" if plain and not (kind == "boot" and chance(draw, 0.2)) else pick(draw, *LOGOS[1:])
    return Logo(
        kind=choice if chance(draw, 0.93) else "none",
        x=uniform(draw, 0.42, 0.54),
        z=uniform(draw, 0.08, 0.11),
        size=uniform(draw, 0.08, 0.14),
        slant=uniform(draw, -0.3, 0.7),
        count=int(draw.integers(2, 6)),
        weight=uniform(draw, 0.3, 0.65),
        medial=chance(draw, 0.7),
    )


def finish(draw: Draw, kind: str) -> Finish:
    """The material of a shoe of this kind."""
    textures = {
        "low sneaker": ("smooth", "canvas", "suede", "smooth"), "high sneaker": ("smooth", "canvas", "suede"),
        "runner": ("knit", "mesh", "knit"), "boot": ("smooth", "suede", "smooth"), "loafer": ("smooth", "suede"),
        "heel": ("smooth", "suede", "smooth"), "sandal": ("smooth", "canvas"), "slide": ("smooth", "quilt"),
    }[kind]
    patterned = chance(draw, 0.22 if kind in LACED else 0.18)
    shiny = chance(draw, 0.25)
    return Finish(
        texture=pick(draw, *textures),
        texture_scale=uniform(draw, 40, 75),
        pattern=pick(draw, "check", "camo", "speckle", "bands", "zebra") if patterned else "none",
        pattern_scale=uniform(draw, 9, 20),
        pattern_on=int(draw.integers(0, 3)),
        gloss=uniform(draw, 0.5, 0.95) if shiny else uniform(draw, 0.03, 0.25),
        overlay_gloss=uniform(draw, 0.5, 0.9) if chance(draw, 0.2) else uniform(draw, 0.05, 0.3),
        sole_gloss=uniform(draw, 0.03, 0.2),
        noise_seed=int(draw.integers(2**31)),
    )
