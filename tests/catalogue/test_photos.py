"""The decoder and the photo store: every format upright and RGB, every bad file a sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalogue.errors import BadPhoto, NotFound
from catalogue.photos import PhotoStore, difference_hash, facts, read_image
from tests.conftest import encoded, picture


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_reads_every_format(file_format: str) -> None:
    original = picture(3)
    found = read_image(encoded(original, file_format))
    assert found.mode == "RGB" and found.size == original.size
    assert np.abs(np.asarray(found, float) - np.asarray(original, float)).mean() < 25
    assert facts(encoded(original, file_format)).format == file_format


def test_turns_by_exif_orientation() -> None:
    image = picture(1, (60, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned by 90 degrees
    assert read_image(encoded(image, exif=exif)).size == (20, 60)


def test_lays_transparency_on_white() -> None:
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert read_image(encoded(clear, "PNG")).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert read_image(encoded(palette, "GIF", transparency=0)).getpixel((5, 5)) == (255, 255, 255)


def test_transparency_is_laid_on_white_strip_by_strip_as_at_once() -> None:
    values = np.random.default_rng(0).integers(0, 256, (600, 3, 4), dtype=np.uint8)
    clear = Image.fromarray(values, "RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    assert np.array_equal(np.asarray(read_image(encoded(clear, "PNG"))), np.asarray(whole))


def test_scales_16_bit_and_converts_cmyk() -> None:
    half = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert abs(read_image(encoded(half, "PNG")).getpixel((0, 0))[0] - 128) <= 1
    assert read_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)))).getpixel((0, 0))[0] > 200


def test_takes_the_first_frame_of_an_animation() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    assert read_image(buffer.getvalue()).getpixel((4, 4)) == (255, 0, 0)


def huge_png(side: int) -> bytes:
    """A valid PNG of side × side black pixels: a few hundred kilobytes that would decode to gigabytes."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


@pytest.mark.parametrize(("data", "says"), [
    (b"", "empty"), (b"hello", "no picture"), (encoded(picture(0, (300, 300)))[:2000], "cut short"),
    (huge_png(20_000), "megapixels"), (huge_png(9_000), "megapixels"), (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
    (b"%PDF-1.4", "no picture"), (encoded(picture(0), "PNG")[:60], "cut short"),
])
def test_bad_bytes_are_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(BadPhoto, match=says):
        read_image(data)


def test_damage_inside_is_a_sentence_and_a_broken_exif_block_none() -> None:
    whole = encoded(picture(2, (120, 90)), exif=Image.Exif())
    random = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for at in random.integers(2, len(data), 6):
            data[at] = random.integers(256)
        try:
            assert read_image(bytes(data)).mode == "RGB"
        except BadPhoto as error:
            assert len(str(error)) > 20
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff"
    assert read_image(encoded(picture(2), exif=exif)).size == (64, 48)


def test_several_jpegs_in_one_file_are_a_jpeg() -> None:
    buffer = io.BytesIO()
    picture(1).save(buffer, "MPO", save_all=True, append_images=[picture(2)])
    assert facts(buffer.getvalue()).format == "JPEG"


def test_store_keeps_bytes_once_under_their_hash(tmp_path) -> None:
    store, data = PhotoStore(tmp_path), encoded(picture(5))
    first, again = store.put(data), store.put(data)
    assert first == again and store.read(first.sha256) == data
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    with pytest.raises(BadPhoto):
        store.put(b"no picture")
    with pytest.raises(NotFound):
        store.read("0" * 64)


def test_difference_hash_knows_a_rendition_but_not_colour() -> None:
    image = picture(8, (400, 300))
    small = image.resize((130, 97))
    assert (int(difference_hash(image), 16) ^ int(difference_hash(small), 16)).bit_count() <= 4
    assert (int(difference_hash(image), 16) ^ int(difference_hash(picture(9)), 16)).bit_count() > 10


def test_the_facts_of_a_large_photo_are_those_of_all_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned by 90 degrees
    data = encoded(picture(3, (1200, 800)), exif=exif)
    found = facts(data)
    assert (found.width, found.height, found.size) == (800, 1200, len(data))
    whole = int(difference_hash(read_image(data)), 16)
    assert (int(found.dhash, 16) ^ whole).bit_count() <= 4
    with pytest.raises(BadPhoto, match="cut short"):
        facts(data[:-2000])


def test_a_file_that_a_power_cut_left_empty_is_written_again(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path), encoded(picture(4))
    found = store.put(data)
    store.path(found.sha256).write_bytes(b"")
    assert not store.holds(found)
    store.put(data)
    assert store.holds(found) and store.read(found.sha256) == data
