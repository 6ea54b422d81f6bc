"""The paintable parts of a shoe: one small number a part, which a colourway turns into a colour."""

from __future__ import annotations

from enum import IntEnum


class Slot(IntEnum):
    """A part of the shoe that has one colour; the numbers index a palette's rows."""

    BASE = 0
    VAMP = 1
    TOECAP = 2
    MUDGUARD = 3
    HEEL = 4
    EYESTAY = 5
    LOGO = 6
    TONGUE = 7
    LACE = 8
    LINING = 9
    MIDSOLE = 10
    SOLE_LINE = 11
    OUTSOLE = 12
    INSOLE = 13
    METAL = 14
    COLLAR = 15
    STRAP = 16
    PATTERN = 17
    STITCH = 18
    WINDOW = 19
    TAB = 20
    BADGE = 21


SLOTS = len(Slot)
