"""Photos decoded once: a packed file of preprocessed uint8 pixels with a mask of what is not plain ground."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from catalogue.errors import BadPhoto, NotFound
from catalogue.files import write_file
from catalogue.photos import PhotoStore
from vision.preprocessing import Preprocessing, foreground

log = logging.getLogger(__name__)
UNUSED_S = 14 * 24 * 3600


def pack_readable(store: PhotoStore, names: Sequence[str], preprocessing: Preprocessing, folder: Path,
                  watch: Callable[[int], None] | None = None) -> tuple[np.ndarray, list[int]]:
    """Return the store's photos as `pack_images` does, and which rows of `names` they are: those that are gone or
    damaged are left out.

    A photo that was left out once stays left out of this folder: a training that goes on has the photos it began with.
    """
    note = folder / "pixels.unread"
    unread = set(note.read_text().split()) if note.is_file() else set()

    def image(kept: Sequence[str], row: int) -> Image.Image:
        try:
            return store.image(kept[row])
        except (BadPhoto, NotFound) as error:
            log.warning("left out of training: %s", error)
            unread.add(kept[row])
            raise

    while True:
        rows = [row for row, name in enumerate(names) if name not in unread]
        kept = [names[row] for row in rows]
        try:
            return pack_images(kept, partial(image, kept), preprocessing, folder, watch), rows
        except (BadPhoto, NotFound):
            unread.update(name for name in kept if not store.path(name).is_file())
            log.warning("%d of %d photos cannot be read: the training goes without them", len(unread), len(names))
            if len(unread) == len(names):
                raise
            write_file(note, "\n".join(sorted(unread)).encode())


def pack_images(names: Sequence[str], image: Callable[[int], Image.Image], preprocessing: Preprocessing, folder: Path,
                watch: Callable[[int], None] | None = None) -> np.ndarray:
    """Return pixels and masks of photos as uint8 (n, size, size, 4), memory-mapped from a file in `folder`.

    `image` gives the upright RGB pixels of a row, `names` says what they are. The file is made once; a run that finds
    it whole (`pixels.done` holds its names) reads it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, done, listing = folder / "pixels.u8", folder / "pixels.done", "\n".join(names).encode()
    shape = (len(names), preprocessing.size, preprocessing.size, 4)
    if not (done.is_file() and done.read_bytes() == listing):
        done.unlink(missing_ok=True)
        with path.open("wb") as file:
            # A sparse file on a full disk would end the process by a signal; claimed beforehand it is an error.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
            else:
                file.truncate(int(np.prod(shape)))
        packed = np.memmap(path, np.uint8, "r+", shape=shape)
        for row in range(len(names)):
            pixels = preprocessing.pixels(image(row))
            packed[row, ..., :3] = pixels
            packed[row, ..., 3] = foreground(pixels)
            if watch is not None:
                watch(row + 1)
        packed.flush()
        write_file(done, listing)
    os.utime(done)
    return np.memmap(path, np.uint8, "r", shape=shape)


def sweep_pixels(folder: Path) -> None:
    """Remove those packed photos below `folder` that no training asked for in two weeks; one that still reads them
    keeps what it has open."""
    for done in folder.glob("*/pixels.done"):
        if time.time() - done.stat().st_mtime > UNUSED_S:
            done.unlink(missing_ok=True)
            (done.parent / "pixels.u8").unlink(missing_ok=True)
            log.info("removed the packed photos in %s: unused for two weeks", done.parent.name)
