"""Opening the catalogue: engine settings per database, and the check that its schema is the one we know."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from catalogue.errors import BadInput

PATIENCE_S = 30  # for locks of SQLite


def open_database(url: str) -> Engine:
    """Return an engine for a SQLite or PostgreSQL `url`; the schema is the migrations' business.

    SQLite runs in WAL mode (readers never wait for the writer), with foreign keys on and 30 s of patience for locks.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadInput(f"{url!r} is no database URL; use sqlite:///file.db or "
                       "postgresql+pg8000://user@host/name") from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": PATIENCE_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediately)
        return engine
    try:
        return create_engine(parsed, pool_pre_ping=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise BadInput(f"no driver for {parsed.drivername!r}; install solesearch[postgres] and use "
                       "postgresql+pg8000://…") from error


def _prepare_sqlite(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes only before the first write, after reads that may then be stale; we begin ourselves.
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Unlike statements, this does not wait for another process that is just making the same file.
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _begin_immediately(connection: Any) -> None:
    # A deferred transaction that turns into a writer while another writes fails at once, without waiting.
    # Readers that ask for it (`execution_options(readonly=True)`) stay deferred and never wait.
    readonly = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")
