"""Preprocessing: whole, undistorted, on its own ground."""

import numpy as np
import pytest
from PIL import Image

from vision.preprocessing import Preprocessing


def test_a_wide_photo_is_whole_on_its_own_ground() -> None:
    image = Image.new("RGB", (200, 100), (10, 200, 30))
    image.paste((250, 0, 0), (80, 40, 120, 60))
    pixels = Preprocessing(size=64).pixels(image)
    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8
    assert (pixels[0, 0] == (10, 200, 30)).all() and pixels[32, 32, 0] > 200


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 20)])
def test_strange_shapes_pass(size: tuple[int, int]) -> None:
    assert Preprocessing(size=32).pixels(Image.new("RGB", size)).shape == (32, 32, 3)


def test_no_photos_are_an_empty_batch() -> None:
    assert Preprocessing(size=32).batch([]).shape == (0, 32, 32, 3)
    with pytest.raises(ValueError, match="between"):
        Preprocessing(size=4)
