"""Which of one listing's decoded photos are the same picture: in another size, or cut to a thumbnail."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Pictures are compared as 12 × 12 RGB cells. Measured on the demo's 583 photos: one picture at 64 to 160 px, saved
# again at JPEG quality 60, differs from itself by at most 4.5 of 255 on average, and by 12.6 (99 %) in the mean of its
# four most different cells; two colourways in the same pose by at least 15.4 there (1 %: 37.8), two views by 39. A
# grey comparison cannot tell colourways apart at all.
# Thumbnails cut from the middle differ by at most 12.8 from their source when the cut is made in a proxy of 192
# pixels, colourways cut alike by at least 22.7.
_CELLS = 12
_WORST = 4
_MEAN_LIMIT = 5.0
_WORST_LIMIT = 13.0
PROXY = 192
# How much of the larger picture, about its centre, a thumbnail may show.
_CUTS = (1.0, 0.9, 0.8)
_SAME_ASPECT = 0.03
_CLEARLY_SMALLER = 0.75


@dataclass(frozen=True)
class _Proxy:
    """A picture made small: its own size, and the pixels that stand for it."""

    width: int
    height: int
    small: Image.Image
    cells: np.ndarray  # (12, 12, 3)

    @property
    def area(self) -> int:
        return self.width * self.height


def keep_largest(images: Iterable[Image.Image], sizes: Sequence[tuple[int, int]] | None = None) -> list[int]:
    """The places of the photos to keep, in their order: of several that show the same picture only the largest.

    Images may be smaller than the photos they stand for, by a decoder that gives no more than the `PROXY` pixels along
    the shorter side that are asked for; the photos' own widths and heights are then `sizes`.

    A smaller photo that is the middle of a larger one, cut to another shape, is the same picture. Colours count:
    colourways in the same pose are different pictures.
    """
    # One after the other: decoded, twenty photos are gigabytes.
    proxies = [_proxy(image, sizes[place] if sizes else image.size) for place, image in enumerate(images)]
    kept: list[int] = []
    for place in sorted(range(len(proxies)), key=lambda number: (-proxies[number].area, number)):
        if not any(_same(proxies[other], proxies[place]) for other in kept):
            kept.append(place)
    return sorted(kept)


def _proxy(image: Image.Image, of: tuple[int, int]) -> _Proxy:
    scale = PROXY / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # A strip a thousand times as long as high is no photo, and need not be exact.
    small = image.convert("RGB").resize((min(size[0], 10 * PROXY), min(size[1], 10 * PROXY)),
                                        Image.Resampling.BOX, reducing_gap=2.0)
    return _Proxy(*of, small, _cells(small, (0.0, 0.0, float(small.width), float(small.height))))


def _same(large: _Proxy, small: _Proxy) -> bool:
    aspect = (large.width / large.height) / (small.width / small.height)
    if abs(aspect - 1) <= _SAME_ASPECT and _near(large.cells, small.cells):
        return True
    if small.area > _CLEARLY_SMALLER * large.area:
        return False
    return any(_near(_cells(large.small, box), small.cells) for box in _cuts(large.small, small.width / small.height))


def _cuts(image: Image.Image, aspect: float) -> Iterator[tuple[float, float, float, float]]:
    """The largest box of an aspect in the middle of an image, and somewhat smaller ones."""
    width, height = min(image.width, image.height * aspect), min(image.height, image.width / aspect)
    for cut in _CUTS:
        w, h = width * cut, height * cut
        left, top = (image.width - w) / 2, (image.height - h) / 2
        yield left, top, min(left + w, image.width), min(top + h, image.height)


def _cells(image: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
    return np.asarray(image.resize((_CELLS, _CELLS), Image.Resampling.BOX, box=box), np.int16)  # (12, 12, 3)


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    difference = np.abs(one - other).mean(2).ravel()  # (144,)
    worst = np.partition(difference, -_WORST)[-_WORST:]
    return bool(difference.mean() < _MEAN_LIMIT and worst.mean() < _WORST_LIMIT)
