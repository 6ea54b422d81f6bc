"""A transaction that another one got in the way of is run again; any other failure is not."""

import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.tables import Product
from catalogue.transactions import in_one_go, lost_a_race
from tests.postgres import Cluster


def test_a_row_that_another_made_is_found_the_second_time(stores: Stores) -> None:
    tries: list[int] = []

    def save(session: Session) -> int:
        tries.append(1)
        if len(tries) == 1:
            session.add_all([Product(key="a"), Product(key="a")])  # as if another writer had made one of them
        elif session.scalar(select(Product).where(Product.key == "a")) is None:
            session.add(Product(key="a"))
        session.flush()
        return len(tries)

    assert in_one_go(stores.database, save) == 2
    with pytest.raises(DBAPIError):
        in_one_go(stores.database, lambda session: session.execute(text("SELECT nonsense")))


def test_postgresqls_deadlocks_and_missing_rows_are_races(cluster: Cluster) -> None:
    from catalogue.database import open_database
    database = open_database(cluster.migrated())
    with pytest.raises(DBAPIError) as missing, Session(database) as session:
        session.execute(text("INSERT INTO product_codes (code, product_id, decided) VALUES ('x', 99, false)"))
    assert lost_a_race(missing.value)
    with pytest.raises(DBAPIError) as nonsense, Session(database) as session:
        session.execute(text("SELECT nonsense"))
    assert not lost_a_race(nonsense.value)
    with Session(database) as session, session.begin():
        session.add_all([Product(key="a"), Product(key="b")])
    meet = threading.Barrier(2)
    first: dict[str, bool] = {"a": True, "b": True}

    def lock(one: str, other: str) -> None:
        def save(session: Session) -> None:
            session.scalars(select(Product).where(Product.key == one).with_for_update()).one()
            if first.pop(one, False):
                meet.wait(10)
            session.scalars(select(Product).where(Product.key == other).with_for_update()).one().name += one
        in_one_go(database, save)

    threads = [threading.Thread(target=lock, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(database) as session:
        assert list(session.scalars(select(Product.name).order_by(Product.key))) == ["b", "a"]
    database.dispose()
    cluster.drop(str(database.url))
