"""One side of the upper while it is being drawn on."""

from dataclasses import dataclass

import numpy as np

from demo.slots import Slot

THICK = 0.0045  # how far one layer stands above the one below


@dataclass
class Sketch:
    """One side of the upper while it is being drawn on: coordinates and what was painted so far."""

    x: np.ndarray  # along the shoe
    h: np.ndarray  # above the sole's edge
    y: np.ndarray  # from the middle line, positive on either side
    v: np.ndarray  # 0 at the sole, 1 at the top
    side: int
    slot: np.ndarray
    height: np.ndarray
    shade: np.ndarray

    def lay(self, inside: np.ndarray, slot: Slot, stitch: bool = True, thick: float = THICK) -> None:
        """Lays a panel where `inside` (a distance from its edge, shoe lengths) is positive."""
        on = inside > 0
        self.slot[on] = slot
        self.height += thick * np.clip(inside / 0.005, 0, 1)
        near = np.abs(inside + 0.004) < 0.005
        self.shade[near & ~on] *= 0.8
        if stitch:
            dash = np.sin((self.x + 0.9 * self.h) * 330) > -0.35
            self.slot[on & (np.abs(inside - 0.009) < 0.0017) & dash] = Slot.STITCH
