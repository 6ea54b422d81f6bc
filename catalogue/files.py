"""Writes that survive `kill -9` and a full disk, and locks that end with their process."""

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from catalogue.errors import Busy

PARTIAL = ".partial-"


def write_file(path: Path, data: bytes, settle: bool = True) -> None:
    """Put `data` at `path`, as `new_file` does."""
    with new_file(path, settle) as file:
        file.write(data)


@contextmanager
def new_file(path: Path, settle: bool = True) -> Iterator[IO[bytes]]:
    """A file that appears at `path` whole or not at all; what stood there before stays until the new bytes are on disk.

    Without `settle` nobody waits for the disk: whatever kills the process, the file is whole, but a power cut within
    the next seconds may lose it or leave it empty. For what can be had again, and is checked before it is used.
    """
    temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        with _created(temporary) as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            if settle:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if settle:
        sync_folder(path.parent)


def _created(path: Path) -> IO[bytes]:
    try:
        return path.open("xb")
    except FileNotFoundError:  # most folders are there already: looking first would cost every file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `final`; on success it is synced and renamed to `final`, else removed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=final.parent))
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            else:
                sync_folder(path)
        sync_folder(temporary)
        temporary.chmod(0o755)
        os.rename(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(final.parent)


def sweep_partial(folder: Path) -> int:
    """Remove what killed writers left directly in `folder`; call it only while holding the folder's lock."""
    swept = 0
    for path in folder.glob(PARTIAL + "*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        swept += 1
    return swept


def remove_folder(folder: Path) -> None:
    """Delete a folder, out of the way in one step: a deletion cut short leaves no half of it under its name."""
    aside = folder.with_name(PARTIAL + folder.name)
    shutil.rmtree(aside, ignore_errors=True)  # of a deletion that was cut short
    folder.rename(aside)
    shutil.rmtree(aside)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it is still there after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def lock(path: Path, job: str, patience_s: float = 0) -> Iterator[None]:
    """Hold an exclusive lock on `path` for the block; `Busy` if another process holds it for longer than `patience_s`.

    The kernel releases the lock when the process ends, however it ends: no stale lock can be left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise Busy(f"another process is already busy with {job}; wait for it to end, then try again") \
                        from error
                time.sleep(0.05)
        yield
