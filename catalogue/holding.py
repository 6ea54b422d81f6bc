"""Who works on a shop: each crawl names its place, the lock folder it shares, and shows by a beat that it is alive."""

import os
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from catalogue.files import write_file
from catalogue.tables import CrawlRun, now

# A crawl that has given no sign of life for so long was killed.
SILENT = timedelta(seconds=60)


def works_elsewhere(run: CrawlRun, place: str) -> bool:
    """Whether a crawl works on the run that does not share this place's kernel locks."""
    return bool(run.holder) and not run.holder.startswith(f"{place}/") and now() - run.beat_at < SILENT


def place_of(locks: Path) -> str:
    """The name of the lock folder: whoever shares the folder shares its kernel locks, and needs no beat."""
    path = locks / "place"
    if not path.is_file():
        name = uuid.uuid4().hex
        write_file(locks / f"place-{name}", name.encode())
        with suppress(FileExistsError):
            os.link(locks / f"place-{name}", path)  # unlike a rename, a link never replaces what another process made
        (locks / f"place-{name}").unlink()
    return path.read_text()
