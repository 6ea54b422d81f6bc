"""Files appear whole or not at all, and whoever serves may read them."""

import os
from pathlib import Path

import pytest

from catalogue.files import new_file, write_file


@pytest.mark.parametrize("settle", [True, False])
def test_a_file_may_be_read_by_others_whatever_the_mask(tmp_path: Path, settle: bool) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "new" / "file", b"shoes", settle)
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "file").read_bytes() == b"shoes"
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o644


def test_what_stood_there_stays_if_the_writing_fails(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"before")
    with pytest.raises(RuntimeError), new_file(tmp_path / "file") as file:
        file.write(b"half of what")
        raise RuntimeError("the writer is out of ink")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"
