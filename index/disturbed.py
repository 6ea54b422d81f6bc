"""Shop photos made to look as people photograph: what the decision is calibrated on, for such are the queries."""

import numpy as np
from PIL import Image, ImageFilter

from vision.preprocessing import border_colour, foreground

SIDE = 256


def disturbed(image: Image.Image, seed: int) -> Image.Image:
    """Return the upright RGB photo as a careless one, 256 px square: other ground, smaller, askew, ill lit, soft.

    A photo without a plain ground keeps its own. The same seed gives the same pixels.
    """
    random = np.random.default_rng(seed)
    image = image.copy()
    image.thumbnail((SIDE, SIDE))
    pixels = np.asarray(image)
    mask = Image.fromarray(foreground(pixels))
    ground = _ground(random) if np.asarray(mask).min() == 0 else Image.new(
        "RGB", (SIDE, SIDE), tuple(int(value) for value in border_colour(pixels)))
    angle, scale = random.uniform(-15, 15), random.uniform(0.55, 1.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    turned, cut = (layer.resize(size).rotate(angle, Image.Resampling.BILINEAR, expand=True) for layer in (image, mask))
    left, top = (int(random.uniform(min(0, SIDE - side), max(0, SIDE - side))) for side in turned.size)
    ground.paste(turned, (left, top), cut)
    light = np.array([1 + (warmth := random.uniform(-0.15, 0.15)), 1.0, 1 - warmth]) * random.uniform(0.6, 1.15)
    lit = (np.asarray(ground) * light).clip(0, 255).astype(np.uint8)
    return Image.fromarray(lit).filter(ImageFilter.GaussianBlur(random.uniform(0, 2.0)))


def _ground(random: np.random.Generator) -> Image.Image:
    """A mottled ground of one tone, coarse and fine."""
    tone = random.uniform(40, 220) + random.normal(0, 25, 3)
    mottle = np.zeros((SIDE, SIDE))
    for cells, strength in ((4, 18.0), (24, 12.0), (SIDE, 8.0)):
        noise = Image.fromarray(random.normal(0, strength, (cells, cells)).astype(np.float32))
        mottle += np.asarray(noise.resize((SIDE, SIDE)))
    return Image.fromarray((tone + mottle[..., None]).clip(0, 255).astype(np.uint8))
