"""The same picture in two sizes is kept once, in the larger; other views and other colours are other pictures."""

import io
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine

from catalogue.listings import FoundPhoto
from catalogue.photos import PhotoStore, read_image
from crawler.copies import PROXY, keep_largest
from crawler.fetch import Fetcher
from crawler.photos import Brought, Downloads, without_copies
from crawler.workers import Workers
from tests.conftest import encoded

SHOP = Path(__file__).parents[2] / "demo" / "photos" / "shop"
PHOTOS = sorted(SHOP.glob("*/1.jpg"))[::7]


def small(image: Image.Image, width: int, quality: int = 70) -> Image.Image:
    """A rendition as shops make them."""
    copy = image.copy()
    copy.thumbnail((width, width))
    data = io.BytesIO()
    copy.save(data, "JPEG", quality=quality)
    return Image.open(data)


def colourful(pixels: np.ndarray) -> np.ndarray:
    """(height, width) of the pixels that are no shade of grey."""
    return (pixels.max(2).astype(int) - pixels.min(2)) > 40


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.parent.name)
def test_a_picture_in_two_sizes_or_cut_to_a_thumbnail_is_kept_once(path: Path) -> None:
    image = Image.open(path).convert("RGB")
    wide = image.crop((0, 32, 256, 224))
    assert keep_largest([small(image, 100), image, small(image, 180)]) == [1]
    assert keep_largest([small(wide.crop((32, 0, 224, 192)), 90), wide]) == [1]
    assert keep_largest([small(wide.crop((58, 10, 198, 182)), 90), wide]) == [1]
    assert keep_largest([image, image.copy()]) == [0]


def test_views_and_colourways_stay_apart() -> None:
    for folder in sorted(SHOP.iterdir())[::5]:
        views = [Image.open(path) for path in sorted(folder.glob("*.jpg"))]
        assert keep_largest(views) == list(range(len(views)))
        siblings = sorted(SHOP.glob(f"{folder.name.rpartition('-')[0]}-*"))
        same_pose = [small(Image.open(one / "1.jpg"), 200 + 20 * number) for number, one in enumerate(siblings)]
        assert keep_largest(same_pose) == list(range(len(same_pose)))


@pytest.mark.parametrize("path", [path for path in PHOTOS if colourful(np.asarray(Image.open(path))).mean() > 0.05],
                         ids=lambda path: path.parent.name)
def test_a_shoe_with_its_colours_swapped_is_another_picture(path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    shoe = colourful(pixels)
    swapped = pixels.copy()
    swapped[shoe] = pixels[shoe][:, [2, 0, 1]]
    assert keep_largest([Image.fromarray(pixels), small(Image.fromarray(swapped), 120)]) == [0, 1]


def test_a_damaged_photo_of_a_listing_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, image = PhotoStore(tmp_path), Image.open(PHOTOS[0]).convert("RGB")
    large, reduced = (store.put(encoded(one)) for one in (image, small(image, 120)))
    brought = [Brought(outcome, FoundPhoto(one, f"https://runa.example/{one.sha256}.jpg"))
               for outcome, one in (("photos_known", reduced), ("photos_new", large))]
    with Workers(1) as workers:
        by = Downloads(cast(Engine, None), store, cast(Fetcher, None), workers)
        found = without_copies(by, "https://runa.example/1", brought)
        assert [one.outcome for one in found] == ["photos_copies", "photos_new"]
        store.path(reduced.sha256).write_bytes(bytes(reduced.size))
        assert without_copies(by, "https://runa.example/1", brought) == brought and "not compared" in caplog.text


def test_odd_pictures_do_no_harm() -> None:
    odd = [Image.new("L", (1, 1)), Image.new("RGB", (5000, 1), "red"), Image.new("RGBA", (70, 70)),
           Image.new("1", (64, 999))]
    assert keep_largest(odd)
    assert keep_largest([]) == []


def test_pictures_decoded_no_larger_than_needed_compare_as_whole_ones() -> None:
    def drafted(image: Image.Image, width: int) -> Image.Image:
        data = io.BytesIO()
        image.resize((width, width * image.height // image.width)).save(data, "JPEG", quality=80)
        return read_image(data.getvalue(), enough=PROXY)

    folder = sorted(SHOP.iterdir())[0]
    siblings = [Image.open(path / "1.jpg").convert("RGB") for path in SHOP.glob(f"{folder.name.rpartition('-')[0]}-*")]
    # Every colourway in two sizes: the larger is kept, no colourway is taken for another.
    seen = [drafted(image, width) for image in siblings for width in (600, 1600)]
    sizes = [(width, width) for _ in siblings for width in (600, 1600)]
    assert max(image.width for image in seen) < 1600
    assert keep_largest(seen, sizes) == list(range(1, len(seen), 2))
