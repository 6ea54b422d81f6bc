"""A PostgreSQL cluster of the tests' own, and databases in it that start with the schema in place."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from app.wiring import migrate
from catalogue.database import open_database

BINARIES = Path(next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)),
                     Path(shutil.which("initdb") or "/none/initdb").parent))
ASKED = bool(os.environ.get("SOLESEARCH_TEST_POSTGRES"))


@dataclass
class Cluster:
    """A running server; `empty` and `migrated` make a new database and return its URL, `drop` removes it."""

    server: str
    numbers: Iterator[int] = field(default_factory=count)
    template: str = ""

    def empty(self, like: str = "template1") -> str:
        name = f"catalogue{next(self.numbers)}"
        self._say(f"CREATE DATABASE {name} TEMPLATE {like}")
        return f"{self.server}/{name}"

    def drop(self, url: str) -> None:
        self._say(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def migrated(self) -> str:
        if not self.template:
            url = self.empty()
            database = open_database(url)
            migrate(database)
            database.dispose()
            self.template = url.rpartition("/")[2]
        return self.empty(self.template)

    def _say(self, statement: str) -> None:
        engine = create_engine(f"{self.server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    if not (BINARIES / "initdb").exists():
        return "no PostgreSQL server on this machine: the catalogue is not tried on it"
    try:
        import pg8000  # noqa: F401
    except ImportError:
        return "pg8000 is not installed: the catalogue is not tried on PostgreSQL"
    return ""


@contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster in a temporary folder; it is stopped and removed afterwards."""
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
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500"
    run(str(BINARIES / "pg_ctl"), "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield Cluster(f"postgresql+pg8000://sole@127.0.0.1:{port}")
    finally:
        run(str(BINARIES / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
