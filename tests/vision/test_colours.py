"""Colours: a histogram that sees the shoe and not the ground, and tells colourways apart."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vision.colours import COUNT, ColourEmbedding, cielab, colour_shares, studio_likeness


def shoe(colour: tuple[int, int, int], ground: int, left: int = 20) -> Tensor:
    """A block of one colour on a plain ground (3, 128, 128)."""
    pixels = torch.full((3, 128, 128), float(ground))
    pixels[:, 50:90, left:left + 70] = torch.tensor(colour, dtype=torch.float32).view(3, 1, 1)
    return pixels


def test_a_colourway_is_nearer_to_itself_on_another_ground_than_to_another_colourway() -> None:
    red, red_elsewhere, blue = colour_shares(torch.stack([
        shoe((200, 30, 30), 255), shoe((200, 30, 30), 120, left=40), shoe((30, 30, 200), 120)]))
    assert float(red @ red_elsewhere) > float(red @ blue) + 0.2


@pytest.mark.parametrize("size", [32, 64, 96, 128, 200])
def test_histograms_have_unit_length_at_every_size(size: int) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 3, size, size)).astype(np.float32))
    found = colour_shares(pixels)
    assert found.shape == (3, COUNT)
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_white_shoe_on_white_still_has_colours() -> None:
    shares = colour_shares(shoe((252, 252, 252), 255).unsqueeze(0))[0]
    assert torch.isfinite(shares).all()
    assert float(shares.norm()) == pytest.approx(1)


def test_cielab_is_that_of_the_standard() -> None:
    colours = torch.tensor([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]) / 255
    found = cielab(colours.T.reshape(1, 3, 1, 4))[0, :, 0].T
    expected = torch.tensor([[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]])
    assert torch.allclose(found * torch.tensor([100, 160, 160]) - torch.tensor([0, 80, 80]), expected, atol=0.3)


def test_axes_are_those_along_which_the_photos_differ() -> None:
    draw = np.random.default_rng(1)
    photos = torch.stack([shoe((int(r), int(g), int(b)), 255) for r, g, b in draw.integers(0, 255, (40, 3))])
    embedding = ColourEmbedding(8)
    assert not embedding(photos).any()  # nothing fitted yet: no colour says anything
    embedding.fit(colour_shares(photos))
    scores = embedding(photos) @ embedding(photos).T
    assert torch.allclose(scores.diagonal(), torch.ones(40), atol=1e-5)
    moved = torch.stack([photo.roll(12, 2) for photo in photos])
    assert ((embedding(moved) @ embedding(photos).T).argmax(1) == torch.arange(40)).all()


def test_of_large_photos_a_part_of_the_pixels_is_counted() -> None:
    small = shoe((200, 30, 30), 255)[None]
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    counted, every = ColourEmbedding(8, by_ground=True), ColourEmbedding(8)
    assert torch.allclose(counted.shares(large), counted.shares(small), atol=1e-6)
    assert torch.equal(every.shares(large), colour_shares(large))


def test_fewer_photos_than_axes_leave_the_rest_empty() -> None:
    embedding = ColourEmbedding(16)
    photos = torch.stack([shoe((200, 30, 30), 255), shoe((30, 30, 200), 255), shoe((30, 200, 30), 255)])
    embedding.fit(colour_shares(photos))
    assert embedding.axes.any(0).sum() == 2
    assert torch.isfinite(embedding(photos)).all()


def test_a_studios_ground_is_even_and_nearly_white_though_the_shoe_touches_it() -> None:
    touching = shoe((200, 30, 30), 255, left=58)
    touching[:, 30:90, 0] = 10
    grounds = [shoe((200, 30, 30), 255), touching, shoe((200, 30, 30), 234), shoe((200, 30, 30), 40)]
    assert studio_likeness(torch.stack(grounds)).tolist() == [1, 1, 1, 0]
    warm = shoe((200, 30, 30), 255)
    warm[2] -= 70
    assert 0 < float(studio_likeness(warm[None])) < 1


def test_a_rough_ground_is_no_studios_though_padding_made_two_sides_even() -> None:
    rough = torch.from_numpy(np.random.default_rng(0).normal(235, 20, (3, 128, 128)).astype(np.float32)).clamp(0, 255)
    padded = rough.clone()
    padded[:, :24] = padded[:, -24:] = 235.0
    assert studio_likeness(torch.stack([rough, padded])).tolist() == [0, 0]
    assert 0 < float(studio_likeness((235 + 0.12 * (rough - 235))[None])) < 1


def test_colours_count_by_the_ground_only_where_that_is_asked_for() -> None:
    draw = np.random.default_rng(1)
    photos = torch.stack([shoe((int(r), int(g), int(b)), 255) for r, g, b in draw.integers(0, 255, (40, 3))])
    rough = photos[:1] + torch.from_numpy(draw.normal(0, 20, (1, 3, 128, 128)).astype(np.float32))
    for by_ground, length in ((True, 0.0), (False, 1.0)):
        embedding = ColourEmbedding(8, by_ground)
        embedding.fit(colour_shares(photos))
        assert float(embedding(rough.clamp(0, 255)).norm()) == pytest.approx(length, abs=1e-5)
        assert float(embedding(photos[:1]).norm()) == pytest.approx(1, abs=1e-5)
