"""Draws the parameters of a shoe model: one small function a kind, each a page of a pattern book."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from demo.finishes import Draw, chance, finish, logo, pick, uniform
from demo.shoe import (
    KIND_SHARES,
    KINDS,
    STREAM_MODEL,
    Last,
    Model,
    Panels,
    Sole,
    Trims,
    stream,
)


def model_of(seed: int, kind: str | None = None) -> Model:
    """The model of a seed; `kind` fixes the kind, else the seed draws it."""
    draw = stream(seed, STREAM_MODEL)
    drawn = str(draw.choice(KINDS, p=KIND_SHARES))
    kind = kind or drawn
    made = _PATTERN_BOOK[kind](draw)
    last, sole, panels, trims = made
    return Model(seed, kind, last, sole, panels, logo(draw, kind), trims, finish(draw, kind))


def _last(draw: Draw) -> Last:
    return Last(
        ball=uniform(draw, 0.9, 1.07),
        heel=uniform(draw, 0.92, 1.08),
        waist=uniform(draw, 0.9, 1.15),
        toe_power=uniform(draw, 2.0, 2.8),
        toe_height=uniform(draw, 0.105, 0.15),
        toe_start=uniform(draw, 0.74, 0.86),
        skew=uniform(draw, 0.01, 0.035),
        collar_back=uniform(draw, 0.25, 0.31),
        collar_side=uniform(draw, 0.175, 0.215),
        collar_front=uniform(draw, 0.27, 0.31),
        opening_end=uniform(draw, 0.4, 0.45),
        opening_width=uniform(draw, 0.062, 0.076),
        instep=uniform(draw, 0.19, 0.225),
        fullness=uniform(draw, 2.2, 2.7),
        lean=uniform(draw, 0.015, 0.045),
    )


def _overlays(draw: Draw) -> Panels:
    capped = chance(draw, 0.45)
    return Panels(
        toecap=uniform(draw, 0.76, 0.84) if capped else 2.0,
        toecap_curve=uniform(draw, -0.1, 0.14),
        mudguard=uniform(draw, 0.04, 0.085) if chance(draw, 0.5) else 0.0,
        mudguard_end=uniform(draw, 0.45, 0.68),
        vamp=uniform(draw, 0.56, 0.68) if chance(draw, 0.6) else 2.0,
        vamp_slant=uniform(draw, -0.6, 0.7),
        heel=uniform(draw, 0.12, 0.27) if chance(draw, 0.75) else 0.0,
        heel_slant=uniform(draw, -0.9, 0.5),
        heel_top=uniform(draw, 0.45, 1.0),
        collar=uniform(draw, 0.72, 0.88) if chance(draw, 0.5) else 0.0,
        tab=chance(draw, 0.5),
        eyestay=uniform(draw, 0.025, 0.05) if chance(draw, 0.8) else 0.0,
        throat=uniform(draw, 0.028, 0.042),
        throat_end=uniform(draw, 0.64, 0.72),
        saddle=uniform(draw, 0.05, 0.09) if chance(draw, 0.2) else 0.0,
        perforated=chance(draw, 0.35),
        stitch=chance(draw, 0.75),
        cage=int(draw.integers(2, 6)) if chance(draw, 0.18) else 0,
    )


def _laces(draw: Draw, low: int, high: int) -> Trims:
    return Trims(
        laces=int(draw.integers(low, high + 1)),
        lace_style=pick(draw, "bars", "cross", "cross"),
        lace_width=uniform(draw, 0.009, 0.015),
        bow=chance(draw, 0.7),
        tongue=uniform(draw, 0.03, 0.085),
        collar_roll=uniform(draw, 0.012, 0.022),
        pull_tab=chance(draw, 0.25),
    )


def _sole(draw: Draw, kind: str) -> Sole:
    thick = {"cup": (0.06, 0.085), "wedge": (0.09, 0.13), "chunky": (0.12, 0.16), "lug": (0.1, 0.14),
             "thin": (0.03, 0.045), "platform": (0.12, 0.17), "wave": (0.1, 0.14)}[kind]
    heel = uniform(draw, *thick)
    fore = heel * {"cup": 0.85, "wedge": 0.5, "chunky": 0.72, "lug": 0.7, "thin": 0.8, "platform": 0.85,
                   "wave": 0.55}[kind]
    return Sole(
        kind=kind,
        heel=heel,
        fore=fore,
        flare=uniform(draw, 0.004, 0.014) if kind in ("cup", "thin", "lug") else uniform(draw, 0.012, 0.035),
        spring=uniform(draw, 0.015, 0.035) if kind in ("cup", "thin", "platform") else uniform(draw, 0.03, 0.06),
        outsole_share=uniform(draw, 0.12, 0.32),
        line_at=uniform(draw, 0.5, 0.78),
        line_width=uniform(draw, 0.05, 0.13) if chance(draw, 0.55) else 0.0,
        relief=pick(draw, "none", "grooves", "zigzag", "ribs", "blocks"),
        relief_count=int(draw.integers(8, 30)),
        window=uniform(draw, 0.14, 0.3) if kind in ("wedge", "chunky") and chance(draw, 0.3) else 0.0,
        foxing=chance(draw, 0.35),
    )


def _low(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    sole = _sole(draw, pick(draw, "cup", "cup", "cup", "platform", "chunky"))
    trims = _laces(draw, 4, 6)
    if chance(draw, 0.18):
        trims = replace(trims, laces=0, straps=((0.5, 0.028, 0.1), (0.58, 0.026, 0.1), (0.66, 0.024, 0.1)))
    elif chance(draw, 0.08):
        trims = replace(trims, laces=0, bow=False)
    return _last(draw), sole, _overlays(draw), trims


def _high(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    height = uniform(draw, 0.38, 0.5)
    last = replace(
        _last(draw), collar_back=height, collar_side=height - uniform(draw, 0.0, 0.05), collar_front=height + 0.03,
        opening_end=uniform(draw, 0.38, 0.42), instep=uniform(draw, 0.21, 0.24),
    )
    sole = _sole(draw, pick(draw, "cup", "cup", "chunky", "platform"))
    panels = replace(_overlays(draw), elastic=0.0)
    trims = _laces(draw, 6, 9)
    if chance(draw, 0.3):
        trims = replace(trims, straps=((0.4, 0.03, 0.0),))
    return last, sole, panels, trims


def _runner(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    last = replace(_last(draw), collar_back=uniform(draw, 0.26, 0.33), toe_height=uniform(draw, 0.1, 0.13),
                   toe_power=uniform(draw, 1.9, 2.3))
    sole = replace(_sole(draw, pick(draw, "wedge", "wave", "chunky", "wedge")), foxing=chance(draw, 0.1))
    panels = replace(_overlays(draw), perforated=False)
    trims = replace(_laces(draw, 5, 7), pull_tab=chance(draw, 0.55), lace_width=uniform(draw, 0.007, 0.011))
    return last, sole, panels, trims


def _boot(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    style = pick(draw, "laced", "laced", "chelsea", "tall")
    low, high = {"laced": (0.45, 0.62), "chelsea": (0.4, 0.52), "tall": (0.75, 1.0)}[style]
    height = uniform(draw, low, high)
    last = replace(
        _last(draw), collar_back=height, collar_side=height - uniform(draw, 0.0, 0.02), collar_front=height,
        opening_end=uniform(draw, 0.38, 0.41), opening_width=uniform(draw, 0.08, 0.1), instep=uniform(draw, 0.22, 0.25),
        toe_height=uniform(draw, 0.11, 0.15),
    )
    sole = replace(_sole(draw, pick(draw, "lug", "lug", "thin")), post=pick(draw, "stacked", "stacked", "none"))
    if style == "laced":
        panels = _overlays(draw)
        trims = replace(_laces(draw, 6, 10), tongue=0.02, collar_roll=uniform(draw, 0.008, 0.026))
    else:
        panels = Panels(elastic=uniform(draw, 0.07, 0.11) if style == "chelsea" else 0.0, stitch=True,
                        toecap=uniform(draw, 0.78, 0.84) if chance(draw, 0.3) else 2.0,
                        heel=uniform(draw, 0.15, 0.25) if chance(draw, 0.4) else 0.0)
        straps = ((0.4, 0.02, 0.0),) if chance(draw, 0.35) else ()
        trims = Trims(collar_roll=0.006, pull_tab=chance(draw, 0.6), straps=straps,
                      buckle="box" if straps else "none")
    return last, sole, panels, trims


def _loafer(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    last = replace(
        _last(draw), collar_back=uniform(draw, 0.19, 0.23), collar_side=uniform(draw, 0.11, 0.14),
        collar_front=uniform(draw, 0.175, 0.2), opening_end=uniform(draw, 0.5, 0.56), instep=0.165,
        toe_height=uniform(draw, 0.09, 0.12), toe_power=uniform(draw, 1.7, 2.6),
        opening_width=uniform(draw, 0.08, 0.09),
    )
    sole = replace(_sole(draw, pick(draw, "thin", "thin", "lug")), post=pick(draw, "stacked", "none"), line_width=0.0)
    sole = replace(sole, relief="none", foxing=False)
    panels = Panels(apron=uniform(draw, 0.06, 0.09), heel=uniform(draw, 0.1, 0.2) if chance(draw, 0.4) else 0.0,
                    toecap=uniform(draw, 0.78, 0.84) if chance(draw, 0.15) else 2.0, stitch=True)
    band = ((uniform(draw, 0.6, 0.64), uniform(draw, 0.025, 0.04), 0.0),) if chance(draw, 0.75) else ()
    trims = Trims(collar_roll=0.005, straps=band, buckle=pick(draw, "none", "bit", "tassel", "box"))
    return last, sole, panels, trims


def _heel(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    last = replace(
        _last(draw), ball=uniform(draw, 0.8, 0.92), heel=uniform(draw, 0.78, 0.9), waist=uniform(draw, 0.7, 0.85),
        toe_power=uniform(draw, 1.45, 2.3), toe_height=uniform(draw, 0.075, 0.095),
        collar_back=uniform(draw, 0.18, 0.22), collar_side=uniform(draw, 0.06, 0.1),
        collar_front=uniform(draw, 0.09, 0.11), opening_end=uniform(draw, 0.72, 0.78),
        opening_width=uniform(draw, 0.085, 0.1), instep=0.1, skew=0.015,
    )
    post = pick(draw, "stiletto", "block", "stiletto", "wedge")
    sole = Sole(kind="thin", heel=0.02, fore=uniform(draw, 0.018, 0.05), flare=0.0, spring=0.02,
                pitch=uniform(draw, 0.18, 0.38), post=post, outsole_share=0.6, line_width=0.0)
    panels = Panels(toecap=uniform(draw, 0.84, 0.9) if chance(draw, 0.3) else 2.0, stitch=False,
                    heel=uniform(draw, 0.12, 0.2) if chance(draw, 0.25) else 0.0)
    straps = ((0.62, 0.018, 0.0),) if chance(draw, 0.25) else ()
    trims = Trims(collar_roll=0.004, ankle_strap=chance(draw, 0.45), straps=straps,
                  buckle=pick(draw, "none", "bow", "ring"))
    return last, sole, panels, trims


def _sandal(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    last = replace(_last(draw), toe_power=uniform(draw, 2.2, 3.0), toe_height=0.1, collar_front=0.24)
    sole = replace(_sole(draw, pick(draw, "cup", "chunky", "platform", "thin")), foxing=False)
    count = int(draw.integers(2, 4))
    xs = np.linspace(0.5, 0.78, count)
    straps = tuple((float(x), uniform(draw, 0.022, 0.045), uniform(draw, -0.12, 0.12)) for x in xs)
    trims = Trims(straps=straps, strap_twist=chance(draw, 0.3), ankle_strap=chance(draw, 0.6), heel_strap=True,
                  buckle=pick(draw, "box", "ring", "box"))
    return last, sole, Panels(stitch=chance(draw, 0.6)), trims


def _slide(draw: Draw) -> tuple[Last, Sole, Panels, Trims]:
    last = replace(_last(draw), toe_power=uniform(draw, 2.3, 3.2), toe_height=0.11, collar_front=0.24)
    sole = replace(_sole(draw, pick(draw, "cup", "platform", "wedge")), foxing=False)
    if chance(draw, 0.6):
        straps: tuple[tuple[float, float, float], ...] = ((uniform(draw, 0.6, 0.66), uniform(draw, 0.09, 0.12), 0.05),)
    else:
        straps = ((0.54, uniform(draw, 0.04, 0.055), 0.03), (0.7, uniform(draw, 0.04, 0.055), 0.03))
    return last, sole, Panels(stitch=True), Trims(straps=straps, buckle=pick(draw, "none", "box", "none"))


_PATTERN_BOOK = {
    "low sneaker": _low, "high sneaker": _high, "runner": _runner, "boot": _boot,
    "loafer": _loafer, "heel": _heel, "sandal": _sandal, "slide": _slide,
}
