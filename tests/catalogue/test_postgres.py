"""The catalogue on PostgreSQL: a private cluster on a free port, the same import, snapshot, releases and answers."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import open_stores
from catalogue.imports import import_path
from catalogue.queries import product_cards, stats
from catalogue.snapshots import SplitShares, take_snapshot

BINARIES = Path(next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)),
                     Path(shutil.which("initdb") or "/none/initdb").parent))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The URL of an empty database in a cluster of our own."""
    pytest.importorskip("pg8000", reason="pg8000 is not installed: the catalogue is not tried on PostgreSQL")
    if not (BINARIES / "initdb").exists():
        pytest.skip("no PostgreSQL server on this machine: the catalogue is not tried on it")
    account = {}
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:  # the server refuses to run as root
        user = next((entry for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody")), None)
        assert user is not None
        account = {"user": user.pw_uid, "group": user.pw_gid}
        os.chown(folder, user.pw_uid, user.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **account)  # type: ignore[call-overload]

    run(str(BINARIES / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "sole", "-N")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(str(BINARIES / "pg_ctl"), "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+pg8000://sole@127.0.0.1:{port}/postgres"
    finally:
        run(str(BINARIES / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_the_catalogue_works_on_postgresql(cluster: str, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    stores = open_stores(Settings(data_dir=tmp_path / "data", database_url=cluster))
    again = open_stores(Settings(data_dir=tmp_path / "data", database_url=cluster))
    folder = make_folder(tmp_path / "folder")
    import_path(stores.database, stores.photos, folder)
    import_path(again.database, again.photos, folder)
    with Session(stores.readers) as session:
        assert stats(session)["photos"] == 48 and len(product_cards(session, range(1, 13))) == 12
    one = take_snapshot(stores.database, stores.snapshots, SplitShares(0.3, 0.3))
    assert one == take_snapshot(again.database, again.snapshots, SplitShares(0.3, 0.3))
    with stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("x")
    stores.releases.promote("index", draft.name)
    assert again.releases.live("index").name == draft.name
