"""The one image decoder and the photo store: bytes in, upright RGB pixels out, files named by their sha256."""

import hashlib
import io
import logging
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from catalogue.errors import BadPhoto, NotFound
from catalogue.files import write_file

log = logging.getLogger(__name__)
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
MEDIA_TYPES = {name: f"image/{name.lower()}" for name in FORMATS}
MAX_PIXELS = 64_000_000
STRIP = 256  # rows that are laid on a ground at once
# Pixels of a picture along each side that its difference hash asks for.
_ENOUGH = 72
# What Pillow's decoders raise on damaged bytes, besides OSError.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, TypeError, KeyError, IndexError, OverflowError,
          struct.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class PhotoFacts:
    """What is stored about a photo: its name, format, upright size in pixels, size in bytes and difference hash."""

    sha256: str
    format: str
    width: int
    height: int
    size: int
    dhash: str

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or self.width < 1 or self.height < 1 or self.size < 1:
            raise ValueError(f"impossible photo facts: {self}")


def read_image(data: bytes, max_pixels: int = MAX_PIXELS, enough: int | None = None) -> Image.Image:
    """Decode picture bytes to an upright RGB image; raise `BadPhoto` for anything that is not one whole picture.

    JPEG, PNG, WebP, AVIF and the first frame of a GIF. EXIF orientation is applied, CMYK and 16-bit become 8-bit RGB,
    transparency is laid on white. The pixel limit is checked from the header, before any pixel is decoded. If a picture
    with `enough` pixels along its shorter side will do, a JPEG may come as a half, a quarter or an eighth of itself, in
    a third of the time.
    """
    image = _open(data, max_pixels)
    if enough is not None:
        image.draft(None, (enough, enough))
    return _decode(image)


def facts(data: bytes, max_pixels: int = MAX_PIXELS) -> PhotoFacts:
    """What is stored about a photo; all of it is decoded, so `BadPhoto` says if it is damaged or cut short."""
    image = _open(data, max_pixels)
    size, file_format = image.size, str(image.format)
    image.draft(None, (_ENOUGH, _ENOUGH))
    lying = image.size
    upright = _decode(image)
    width, height = size if upright.size == lying else size[::-1]
    file_format = "JPEG" if file_format == "MPO" else file_format  # several JPEGs in one file; the first is the photo
    return PhotoFacts(hashlib.sha256(data).hexdigest(), file_format, width, height, len(data), difference_hash(upright))


def _decode(image: Image.Image) -> Image.Image:
    file_format = image.format
    try:
        image.load()
        return _upright_rgb(image)
    except DAMAGE as error:
        raise BadPhoto(f"the {file_format} picture is damaged or cut short ({error}); send the whole file") from error


def difference_hash(image: Image.Image) -> str:
    """Return the 64-bit dHash as 16 hex digits; it is grey: it finds renditions of a photo, not colourways."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


class PhotoStore:
    """Photo bytes on disk, one file each, named by their sha256, in 256 folders by its beginning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the photo lies (or would lie)."""
        return self.folder / sha256[:2] / sha256

    def put(self, data: bytes) -> PhotoFacts:
        """Store the bytes if they are a picture we can read (`BadPhoto` if not); storing twice is storing once."""
        found = facts(data)
        if not self._renewed(found):
            write_file(self.path(found.sha256), data, settle=False)
        return found

    def _renewed(self, photo: PhotoFacts) -> bool:
        """Whether the photo's file is there, now as good as new: what was stored a moment ago is never removed."""
        try:
            os.utime(self.path(photo.sha256))
        except FileNotFoundError:
            return False
        return self.holds(photo)  # looked at last, for another process may have removed it until it was touched

    def holds(self, photo: PhotoFacts) -> bool:
        """Whether the photo's file is there, whole as far as its size says (a power cut may leave an empty one)."""
        try:
            return self.path(photo.sha256).stat().st_size == photo.size
        except FileNotFoundError:
            return False

    def files(self) -> Iterator[tuple[Path, int, float]]:
        """Every file of the store with its size in bytes and time of change; what killed writers left, too."""
        for folder in sorted(self.folder.glob("??/")):
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # a writer has just given it its name, or a sweep removed it
                    if entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), found.st_size, found.st_mtime

    def read(self, sha256: str) -> bytes:
        """The stored bytes; `NotFound` if there are none by that name."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"photo {sha256} is not in the store; `solesearch catalogue verify` lists what is missing") \
                from error

    def image(self, sha256: str, enough: int | None = None) -> Image.Image:
        """The photo's upright RGB pixels, as by `read_image`; `BadPhoto` names it if its file was damaged since."""
        try:
            return read_image(self.read(sha256), enough=enough)
        except BadPhoto as error:
            raise BadPhoto(f"the stored photo {sha256} is damaged ({error}); `solesearch catalogue verify` says more") \
                from error


def _open(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise BadPhoto("the photo is empty; send the bytes of a picture")
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        raise BadPhoto("HEIC pictures are not read here; send the photo as JPEG (phones convert it on upload)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadPhoto(f"the picture has more than {max_pixels // 1_000_000} megapixels; send a smaller one") from error
    except (UnidentifiedImageError, *DAMAGE) as error:
        raise BadPhoto("the file is no picture that can be read; send a JPEG, PNG, WebP, AVIF or GIF") from error
    if image.width * image.height > max_pixels:
        raise BadPhoto(f"the picture has {image.width} × {image.height} pixels, more than "
                       f"{max_pixels // 1_000_000} megapixels; send a smaller one")
    return image


def _upright_rgb(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except DAMAGE:
        log.info("a photo's EXIF block is damaged; it is taken as it lies")
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips 16-bit greys to 255 when it converts; scale them instead.
        values = np.asarray(image)
        image = Image.fromarray(((values.clip(0, 65535).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """A picture with transparency on a white ground, by strips: whole, it would lie in memory four times."""
    found = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP):
        part = image.crop((0, top, image.width, min(top + STRIP, image.height))).convert("RGBA")
        found.paste(Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB"), (0, top))
    return found
