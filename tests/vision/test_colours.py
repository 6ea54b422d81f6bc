"""Colours: a histogram that sees the shoe and not the ground, and tells colourways apart."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vision.colours import colour_counts


def shoe(colour: tuple[int, int, int], ground: int, left: int = 20) -> Tensor:
    """A block of one colour on a plain ground (3, 128, 128)."""
    pixels = torch.full((3, 128, 128), float(ground))
    pixels[:, 50:90, left:left + 70] = torch.tensor(colour, dtype=torch.float32).view(3, 1, 1)
    return pixels


def test_a_colourway_is_nearer_to_itself_on_another_ground_than_to_another_colourway() -> None:
    red, red_elsewhere, blue = colour_counts(torch.stack([
        shoe((200, 30, 30), 255), shoe((200, 30, 30), 120, left=40), shoe((30, 30, 200), 255)]), 8)
    assert float(red @ red_elsewhere) > float(red @ blue) + 0.2


@pytest.mark.parametrize("size", [32, 64, 96, 128, 200])
def test_histograms_have_unit_length_at_every_size(size: int) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 3, size, size)).astype(np.float32))
    found = colour_counts(pixels, 6)
    assert found.shape == (3, 216)
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_white_shoe_on_white_still_has_colours() -> None:
    counts = colour_counts(shoe((252, 252, 252), 255).unsqueeze(0), 8)[0]
    assert torch.isfinite(counts).all()
    assert int(counts.argmax()) == 8**3 - 1
