"""The gallery's saved form: what a power cut or a bad disk left is refused in a sentence, a former version is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalogue.errors import BadRelease
from index.evaluate import evaluate
from index.gallery import FAISS_FILE, ITEMS_FILE, VECTORS_FILE, read_gallery, read_shown
from index.kinds import SQ8
from tests.index.test_index import made_gallery


def halved(data: bytes) -> bytes:
    return data[:len(data) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def altered(data: bytes) -> bytes:
    """A byte of the columns flipped, so that their checksum is wrong."""
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1:]


@pytest.mark.parametrize("damage", [halved, emptied, altered])
def test_damaged_columns_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    made_gallery().write(tmp_path)
    path = tmp_path / ITEMS_FILE
    path.write_bytes(damage(path.read_bytes()))
    for read in (read_gallery, read_shown):
        with pytest.raises(BadRelease, match=r"cannot be read .* build it again"):
            read(tmp_path)


@pytest.mark.parametrize("name", [FAISS_FILE, VECTORS_FILE])
@pytest.mark.parametrize("damage", [halved, emptied])
def test_damaged_vectors_are_refused(tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    made_gallery().write(tmp_path, SQ8)
    path = tmp_path / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadRelease, match="build it again"):
        read_gallery(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("products", [4, 400])  # what the file's buffer still holds as it closes, and more
def test_a_full_disk_is_said(tmp_path: Path, products: int) -> None:
    (tmp_path / FAISS_FILE).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        made_gallery(products).write(tmp_path)


def test_a_gallery_of_a_former_version_says_that_it_does_not_know(tmp_path: Path) -> None:
    gallery = made_gallery()
    gallery.write(tmp_path)
    with np.load(tmp_path / ITEMS_FILE) as columns:
        kept = {name: columns[name] for name in columns.files if name not in ("types", "places")}
    np.savez(tmp_path / ITEMS_FILE, **kept)
    found, _ = read_gallery(tmp_path)
    assert (found.places == -1).all() and (found.item_types == "").all() and (found.ids == gallery.ids).all()
    assert not {name.split()[0] for name in evaluate(found)["slices"]} & {"view", "type"}
