"""The one way a photo becomes network input, for training, index build and serving alike; needs no torch."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NEAR_GROUND = 14
FITS = ("pad", "stretch")


@dataclass(frozen=True)
class Preprocessing:
    """Fit the photo into a `size` × `size` square, whole and undistorted, on a ground of its own border colour.

    With `fit` = `stretch` it fills the square instead, distorted, as many classifiers are trained.
    `mean` and `std` (of RGB in [0, 1]) are applied inside the network, so that what is handed over stays uint8.
    `mirrored` says that the network looks at the photo and at its mirror image, and answers with the mean of both: a
    left shoe and a right one are one product.
    """

    size: int = 128
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    mirrored: bool = True
    fit: str = "pad"

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 1024:
            raise ValueError(f"input size {self.size} px; it must lie between 16 and 1024")
        if self.fit not in FITS:
            raise ValueError(f"a photo is made square by {' or '.join(FITS)}, not by {self.fit!r}")

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return the upright RGB image as uint8 (size, size, 3)."""
        if self.fit == "stretch":
            return np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR, reducing_gap=3.0))
        scale = self.size / max(image.size)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = np.asarray(image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=3.0))
        square = np.empty((self.size, self.size, 3), np.uint8)
        square[:] = border_colour(small)
        top, left = (self.size - inner[1]) // 2, (self.size - inner[0]) // 2
        square[top:top + inner[1], left:left + inner[0]] = small
        return square

    def batch(self, images: list[Image.Image]) -> np.ndarray:
        """Return the images as uint8 (n, size, size, 3)."""
        if not images:
            return np.empty((0, self.size, self.size, 3), np.uint8)
        return np.stack([self.pixels(image) for image in images])


def border_colour(pixels: np.ndarray) -> np.ndarray:
    """Return the median colour (3,) uint8 of the outermost pixels of an image (h, w, 3)."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return np.median(np.concatenate(edges), axis=0).astype(np.uint8)


def foreground(pixels: np.ndarray) -> np.ndarray:
    """Return a mask uint8 (h, w): 0 on the plain ground around a studio shoe, 255 elsewhere.

    Ground is what resembles the border's median colour and is connected to the border. A photo whose border is not
    plain (a street photo) has no such ground: its mask is 255 everywhere.
    """
    distance = np.abs(pixels.astype(np.int16) - border_colour(pixels).astype(np.int16)).max(axis=2)
    near = distance <= NEAR_GROUND
    edge = np.zeros_like(near)
    edge[0], edge[-1], edge[:, 0], edge[:, -1] = True, True, True, True
    if near[edge].mean() < 0.7:
        return np.full(near.shape, 255, np.uint8)
    labels, _ = ndimage.label(near)
    touching = np.unique(labels[edge & near])
    ground = np.isin(labels, touching[touching > 0])
    return np.where(ground, 0, 255).astype(np.uint8)
