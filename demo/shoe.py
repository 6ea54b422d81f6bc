"""A shoe model from a seed: its kind, last, sole, panels and materials, as frozen parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

KINDS = ("low sneaker", "high sneaker", "runner", "boot", "loafer", "heel", "sandal", "slide")
KIND_SHARES = (0.27, 0.13, 0.22, 0.12, 0.09, 0.07, 0.06, 0.04)
LACED = ("low sneaker", "high sneaker", "runner", "boot")
LOGOS = ("none", "stripes", "wave", "chevron", "dots", "letter", "ring", "bolt", "cross", "bars")
TEXTURES = ("smooth", "knit", "mesh", "suede", "canvas", "quilt")
PATTERNS = ("none", "check", "camo", "speckle", "bands", "zebra")
SOLES = ("cup", "wedge", "chunky", "lug", "thin", "platform", "wave")

# What tells the streams of one seed apart; a new stream must take a new number, never reuse one.
STREAM_MODEL, STREAM_COLOURS, STREAM_NAMES, STREAM_STUDIO, STREAM_STREET = range(5)


def stream(seed: int, *path: int) -> np.random.Generator:
    """The generator of one purpose of one seed; nothing here uses a global generator."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(seed), *map(int, path)])))


@dataclass(frozen=True)
class Last:
    """The form of the shoe, in shoe lengths; heights are above the line where upper and sole meet."""

    ball: float = 1.0  # factors on the widths
    heel: float = 1.0
    waist: float = 1.0
    toe_power: float = 2.4  # 1.5 pointed ... 3.4 square
    toe_height: float = 0.125
    toe_start: float = 0.8
    skew: float = 0.02
    collar_back: float = 0.28
    collar_side: float = 0.2
    collar_front: float = 0.3
    opening_end: float = 0.42
    opening_width: float = 0.07
    instep: float = 0.21
    fullness: float = 2.4
    lean: float = 0.03


@dataclass(frozen=True)
class Sole:
    """The sole: profile kind, thickness at heel and ball, flare, pitch of a heel, and how it is drawn."""

    kind: str = "cup"
    heel: float = 0.09
    fore: float = 0.06
    flare: float = 0.012
    spring: float = 0.03
    pitch: float = 0.0
    post: str = "none"  # none, block, stiletto, stacked, wedge
    outsole_share: float = 0.25
    line_at: float = 0.62
    line_width: float = 0.06
    relief: str = "none"  # none, grooves, zigzag, ribs, blocks
    relief_count: int = 14
    window: float = 0.0  # length of the air window at the heel
    foxing: bool = False

    def __post_init__(self) -> None:
        if self.kind not in SOLES:
            raise ValueError(f"unknown sole kind {self.kind!r}; use one of {SOLES}")


@dataclass(frozen=True)
class Panels:
    """Which panels the upper has and where their edges run (x along the shoe, z above the sole)."""

    toecap: float = 2.0  # x where it starts; 2 = none
    toecap_curve: float = 0.08
    mudguard: float = 0.0  # height at the toe; 0 = none
    mudguard_end: float = 0.55
    vamp: float = 2.0
    vamp_slant: float = 0.5
    heel: float = 0.0  # x where the heel counter ends at the bottom; 0 = none
    heel_slant: float = -0.4
    heel_top: float = 1.0
    collar: float = 0.0  # share of height
    tab: bool = False
    eyestay: float = 0.0  # its width
    throat: float = 0.035
    throat_end: float = 0.68
    saddle: float = 0.0
    apron: float = 0.0
    elastic: float = 0.0
    perforated: bool = False
    stitch: bool = True
    cage: int = 0


@dataclass(frozen=True)
class Logo:
    """The mark on the side: its kind, place, size and slant."""

    kind: str = "none"
    x: float = 0.48
    z: float = 0.09
    size: float = 0.1
    slant: float = 0.4
    count: int = 3
    weight: float = 0.5
    medial: bool = True


@dataclass(frozen=True)
class Trims:
    """What is mounted on the upper: laces, bow, straps, buckles, collar roll, tongue and pull tab."""

    laces: int = 0
    lace_style: str = "bars"  # bars, cross
    lace_width: float = 0.011
    bow: bool = True
    tongue: float = 0.0
    collar_roll: float = 0.016
    straps: tuple[tuple[float, float, float], ...] = ()  # (x, half width, slant)
    strap_twist: bool = False
    ankle_strap: bool = False
    heel_strap: bool = False
    buckle: str = "none"  # none, ring, box, bit, tassel
    pull_tab: bool = False


@dataclass(frozen=True)
class Finish:
    """What the upper is made of: texture and pattern on which parts, and how glossy it is."""

    texture: str = "smooth"
    texture_scale: float = 60.0
    pattern: str = "none"
    pattern_scale: float = 14.0
    pattern_on: int = 0
    gloss: float = 0.15
    overlay_gloss: float = 0.2
    sole_gloss: float = 0.1
    metal: bool = True
    noise_seed: int = 0


@dataclass(frozen=True)
class Model:
    """Everything of one shoe model but its colours."""

    seed: int
    kind: str
    last: Last = field(default_factory=Last)
    sole: Sole = field(default_factory=Sole)
    panels: Panels = field(default_factory=Panels)
    logo: Logo = field(default_factory=Logo)
    trims: Trims = field(default_factory=Trims)
    finish: Finish = field(default_factory=Finish)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown shoe kind {self.kind!r}; use one of {KINDS}")

    @property
    def open_shoe(self) -> bool:
        """True when straps, not walls, hold the foot."""
        return self.kind in ("sandal", "slide")
