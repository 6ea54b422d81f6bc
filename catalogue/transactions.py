"""Writing in one transaction, again where another writer was a moment faster."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

ATTEMPTS = 3
T = TypeVar("T")


def in_one_go(engine: Engine, save: Callable[[Session], T]) -> T:
    """Run `save` in a transaction, and again if another writer made or removed the same row at the same moment."""
    for _ in range(ATTEMPTS - 1):
        try:
            with Session(engine) as session, session.begin():
                return save(session)
        except IntegrityError:
            continue
    with Session(engine) as session, session.begin():
        return save(session)
