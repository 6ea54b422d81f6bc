"""A catalogue of a benchmark's own, whatever the environment says of the user's."""

from pathlib import Path

from app.settings import Settings
from app.wiring import Stores, open_stores


def own_stores(folder: Path, threads: int = 0) -> Stores:
    """Open stores in a folder of the benchmark's, with a database of their own: nothing of the user's is touched."""
    return open_stores(Settings(data_dir=folder, database_url="", threads=threads))
