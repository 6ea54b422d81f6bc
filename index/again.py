"""Photos of the gallery asked again as others would take them: turned, small, careless."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from catalogue.photos import PhotoStore
from index.disturbed import disturbed
from index.evaluate import Queries
from index.gallery import Gallery
from vision.embedder import Embedder

SMALL = 48
MOST_AGAIN = 500
FLIPPED, SMALLER, STREET = "flipped", "small", "street"


def asked_again(store: PhotoStore, embedder: Embedder, gallery: Gallery, rows: np.ndarray) -> dict[str, Queries]:
    """Embed the photos of these rows mirrored, shrunk to 48 px and disturbed."""
    return {name: _embedded(store, embedder, gallery, rows, change) for name, change in CHANGES.items()}


def street(store: PhotoStore, embedder: Embedder, gallery: Gallery, rows: np.ndarray) -> Queries:
    """Embed the photos of these rows as people photograph."""
    return _embedded(store, embedder, gallery, rows, disturbed)


def _embedded(store: PhotoStore, embedder: Embedder, gallery: Gallery, rows: np.ndarray,
              change: Callable[[Image.Image, int], Image.Image]) -> Queries:
    changed = (change(store.image(str(gallery.photos[row])), int(gallery.ids[row])) for row in rows)
    return Queries(embedder.embed(changed).vectors, rows)


def _smaller(image: Image.Image, seed: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((SMALL, SMALL))
    return image


def _mirrored(image: Image.Image, seed: int) -> Image.Image:
    return ImageOps.mirror(image)


CHANGES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    FLIPPED: _mirrored, SMALLER: _smaller, STREET: disturbed}
