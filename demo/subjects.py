"""A shoe ready to be photographed: one model in one colourway, with its cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.colours import Colourway
from demo.geometry import shoe_cloud
from demo.lights import Thing
from demo.materials import glosses
from demo.shoe import Model
from demo.surfaces import Cloud


@dataclass(frozen=True)
class Subject:
    """A model in one colourway, ready to be photographed; the cloud is shared by all colourways."""

    model: Model
    colourway: Colourway
    cloud: Cloud

    def thing(self, place: np.ndarray) -> Thing:
        """The shoe as a thing to draw."""
        return Thing(self.cloud, self.colourway.array(), glosses(self.model), place)


def subject_of(model: Model, colourway: Colourway, size: int, cloud: Cloud | None = None) -> Subject:
    """A subject whose cloud is dense enough for pictures of `size` pixels."""
    return Subject(model, colourway, cloud or shoe_cloud(model, 1.25 * size))
