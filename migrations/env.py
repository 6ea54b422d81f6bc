"""Runs migrations on the connection handed over by the application, or on `-x url=…` from the alembic command."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from catalogue.database import open_database
from catalogue.tables import Table


def plain_type(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own column types into migrations as what they are in the database: code may go, migrations stay."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


def run(connection: Connection) -> None:
    """Run the migrations the command asked for, in one transaction each."""
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True,
                      compare_type=True, render_item=plain_type)
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("name the database: alembic -x url=sqlite:///data/catalogue.db upgrade head")
    with open_database(url).connect() as fresh:
        run(fresh)
        fresh.commit()
