"""Writing in one transaction, and again where another writer was a moment faster."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

ATTEMPTS = 3
# PostgreSQL's names for a row that is missing or there already, a deadlock, and a conflict of transactions.
_RACES = {"23503", "23505", "40P01", "40001"}
T = TypeVar("T")


def in_one_go(engine: Engine, save: Callable[[Session], T]) -> T:
    """Run `save` in a transaction, and again if another writer made or removed the same row at the same moment."""
    for _ in range(ATTEMPTS - 1):
        try:
            with Session(engine) as session, session.begin():
                return save(session)
        except DBAPIError as error:
            if not lost_a_race(error):
                raise
    with Session(engine) as session, session.begin():
        return save(session)


def lost_a_race(error: DBAPIError) -> bool:
    """Whether a transaction failed only because of another one, so that running it again helps.

    pg8000 calls a unique constraint's violation an `IntegrityError`, but a foreign key's and a deadlock not.
    """
    if isinstance(error, IntegrityError):
        return True
    said: tuple[object, ...] = getattr(error.orig, "args", None) or ({},)
    first = said[0]
    state = first.get("C") if isinstance(first, dict) else getattr(error.orig, "sqlstate", None)
    return state in _RACES
