"""A catalogue of the first schema is brought to the newest one with all it holds, on both databases."""

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import alembic.command
import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, select, text
from sqlalchemy.orm import Session

import migrations
from app.wiring import migrate
from catalogue.database import open_database
from catalogue.integrity import faults
from catalogue.listings import save_listing
from catalogue.photos import PhotoStore
from catalogue.queries import product_cards, stats
from catalogue.releases import Releases
from catalogue.tables import (
    CrawlRun,
    FetchState,
    GalleryItem,
    Listing,
    Model,
    Product,
    ProductCode,
    ProductPhoto,
    Shop,
    Table,
)
from tests.catalogue.shelf import found
from tests.conftest import encoded, picture

THEN = datetime(2025, 5, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    return f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else request.getfixturevalue("cluster").empty()


@pytest.fixture
def old(empty: str) -> Engine:
    """A database at the first schema."""
    database = open_database(empty)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    with database.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
    return database


def populate(database: Engine, store: PhotoStore) -> list[str]:
    """Rows as the first version wrote them; returns the photos' names."""
    tables = MetaData()
    tables.reflect(database)
    names = [store.put(encoded(picture(seed))).sha256 for seed in range(3)]
    product = {"brand": "Tavero", "name": "Low", "colour": "red", "style_code": "", "gtin": "", "shoe_type": "",
               "model_id": None, "created_at": THEN}
    listing = {"shop_id": 1, "title": "Low", "price": 12900000, "currency": "KRW", "available": True, "sizes": {},
               "sources": {}, "content_hash": "x", "first_seen": THEN, "last_seen": THEN, "last_changed": THEN,
               "missed": 0}
    shown = {"reason": "listing", "source_url": "", "position": 0}
    told = {"shop_id": 1, "run_id": 1, "url": "https://runa.example/1", "kind": "product", "state": "done", "error": "",
            "etag": ""}
    rows: dict[str, list[dict[str, object]]] = {
        "shops": [{"name": "Runa", "url": "https://runa.example/", "paused": False, "created_at": THEN,
                   "settings": {"kind": "sitemap", "sitemaps": ["https://runa.example/sitemap.xml"]}}],
        "models": [{"key": "tavero:m1", "brand": "Tavero", "name": "Low"}],
        "products": [{**product, "key": "style:tavero:tv1", "style_code": "TV-1", "model_id": 1},
                     {**product, "key": "gtin:4006381333931", "gtin": "4006381333931"},
                     {**product, "key": "listing:1:https://runa.example/3"}],
        "photos": [{"sha256": name, "format": "JPEG", "width": 64, "height": 48, "size": 1, "dhash": "0" * 16,
                    "created_at": THEN} for name in names],
        "listings": [{**listing, "product_id": number, "url": f"https://runa.example/{number}"}
                     for number in (1, 2, 3)],
        "prices": [{"listing_id": 1, "at": THEN, "price": 12900000, "currency": "KRW", "available": True}],
        "product_photos": [{**shown, "product_id": number, "sha256": names[number - 1], "listing_id": number,
                            "origin": f"listing:{number}"} for number in (1, 2, 3)],
        "gallery_items": [{"product_id": 1, "sha256": names[0], "box": ""}],
        "photo_splits": [{"sha256": names[0], "split": "val", "created_at": THEN}],
        "crawl_runs": [{"shop_id": 1, "state": "done", "counters": {"new": 3}, "holder": "", "started_at": THEN,
                        "beat_at": THEN, "finished_at": THEN}],
        "fetch_states": [told]}
    with database.begin() as connection:
        for name, some in rows.items():
            known = {column.name for column in tables.tables[name].columns}
            assert all(set(row) <= known for row in some), name
            connection.execute(tables.tables[name].insert(), some)
    return names


def test_what_the_first_schema_held_is_there_and_found_again(old: Engine, tmp_path: Path) -> None:
    photos = PhotoStore(tmp_path / "photos")
    names = populate(old, photos)
    migrate(old)
    migrate(old)
    with Session(old) as session:
        assert {row.code: row.product_id for row in session.scalars(select(ProductCode))} == {
            "style:tavero:tv1": 1, "gtin:4006381333931": 2, "listing:1:https://runa.example/3": 3}
        assert not any(session.scalars(select(ProductCode.decided)))
        counted = stats(session)
        assert (counted["shops"], counted["listings"], counted["products"], counted["photos"]) == (1, 3, 3, 3)
        card = product_cards(session, [1])[1]
        assert (card.offers[0].price, card.photos, card.model_name) == (Decimal(129000), (names[0],), "Low")
        listing, shown = session.get_one(Listing, 1), session.get_one(ProductPhoto, 1)
        assert (listing.category, listing.list_price, shown.validator, shown.checked_at) == ("", None, "", None)
        assert session.scalars(select(GalleryItem)).one().removed_at is None
        assert session.scalars(select(CrawlRun)).one().stopped == ""
        state = session.scalars(select(FetchState)).one()
        assert (state.depth, state.told) == (0, None)
        assert session.scalars(select(Shop)).one().settings == {
            "adapter": "sitemap", "start": ["https://runa.example/sitemap.xml"]}
    with Session(old) as session, session.begin():
        for number, said in ((1, {"style_code": "TV-1"}), (2, {"brand": "", "gtins": ("4006381333931",)}), (3, {})):
            assert save_listing(session, 1, found(str(number), **said), []).product_id == number
    with Session(old) as session, session.begin():
        # A version of the first schema that still runs writes products without codes: they are found by their key.
        session.execute(text("INSERT INTO products (key, brand, name, colour, style_code, gtin, shoe_type, created_at) "
                             "VALUES ('style:tavero:tv9', '', '', '', '', '', '', '2025-05-01 00:00:00+00:00')"))
        found_again = save_listing(session, 1, found("9", style_code="TV-9"), [])
        assert found_again.product_id == 4
    assert not [fault for fault in faults(old, photos, Releases(old, tmp_path / "releases")) if fault.kind != "orphan"]
    old.dispose()


def test_models_that_shops_share_by_chance_are_parted(old: Engine, tmp_path: Path) -> None:
    populate(old, PhotoStore(tmp_path / "photos"))
    with old.begin() as connection:
        connection.execute(text("INSERT INTO shops (name, url, paused, created_at, settings) VALUES "
                                "('Kolo', 'https://kolo.example/', false, '2025-05-01 00:00:00+00:00', '{}'), "
                                "('Pila', 'https://pila.example/', false, '2025-05-01 00:00:00+00:00', '{}')"))
        connection.execute(text("UPDATE products SET model_id = 1"))
        connection.execute(text("UPDATE listings SET shop_id = 2 WHERE id = 2"))
        connection.execute(text("INSERT INTO models (key, brand, name) VALUES ('tavero:angles:m9', 'Tavero', 'Mid')"))
        connection.execute(text("UPDATE products SET model_id = 2 WHERE id = 3"))
        connection.execute(text("UPDATE product_photos SET reason = 'import', origin = 'import:angles/one' "
                                "WHERE product_id = 3"))
        # A shop that names no models listed the first product before.
        connection.execute(text("INSERT INTO listings (id, shop_id, product_id, url, title, currency, sizes, sources, "
                                "content_hash, first_seen, last_seen, last_changed, missed) SELECT 0, 3, 1, "
                                "'https://pila.example/1', title, currency, sizes, sources, content_hash, first_seen, "
                                "last_seen, last_changed, missed FROM listings WHERE id = 1"))
        connection.execute(text("INSERT INTO products (id, key, brand, name, colour, style_code, gtin, shoe_type, "
                                "model_id, created_at) SELECT 9, 'other', brand, name, colour, style_code, gtin, "
                                "shoe_type, 1, created_at FROM products WHERE id = 1"))
        connection.execute(text("INSERT INTO listings (id, shop_id, product_id, url, title, currency, sizes, sources, "
                                "content_hash, first_seen, last_seen, last_changed, missed) SELECT 9, 1, 9, "
                                "'https://runa.example/9', title, currency, sizes, sources, content_hash, first_seen, "
                                "last_seen, last_changed, missed FROM listings WHERE id = 1"))
    migrate(old)
    with Session(old) as session:
        keys = [product.model.key for product in session.scalars(select(Product).order_by(Product.id)) if product.model]
    assert keys == ["tavero:shop1:m1", "tavero:shop2:m1", "tavero:angles:m9", "tavero:shop1:m1"]
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    with old.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "0003")
    with Session(old) as session:
        assert session.scalars(select(Product.model_id).order_by(Product.id)).all() == [1, 1, 2, 1]
        assert session.scalars(select(Model.key).order_by(Model.id)).all() == ["tavero:m1", "tavero:angles:m9"]
    old.dispose()


def test_an_import_finds_its_photos_by_an_index(old: Engine) -> None:
    migrate(old)
    assert ["origin"] in [index["column_names"] for index in inspect(old).get_indexes("product_photos")]
    old.dispose()


def differences(database: Engine) -> list[object]:
    """What the tables of a database lack or have too much."""
    with database.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": False}),
                                     Table.metadata))


def test_migrations_and_tables_agree(old: Engine) -> None:
    migrate(old)
    assert differences(old) == []
    old.dispose()


def test_a_database_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    releasing = threading.Timer(0.3, other.execute, ["COMMIT"])
    releasing.start()
    try:
        with open_database(f"sqlite:///{tmp_path}/new.db").connect() as connection:
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    finally:
        releasing.join()
        other.close()


OPENING = """
import sys
import alembic.command, alembic.config, alembic.script
from app.settings import read_settings
from app.wiring import open_stores
settings = read_settings()
print("ready", flush=True)
sys.stdin.readline()
open_stores(settings)
"""


def test_processes_that_open_an_empty_database_at_once_find_it_whole(empty: str, tmp_path: Path) -> None:
    surroundings = {**os.environ, "SOLESEARCH_DATA_DIR": str(tmp_path / "data"), "SOLESEARCH_DATABASE_URL": empty}
    opening = [subprocess.Popen([sys.executable, "-c", OPENING], env=surroundings, text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for one in opening:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in opening:
        assert one.stdin is not None
        one.stdin.write("on\n")
        one.stdin.flush()
    for one in opening:
        _, said = one.communicate()
        assert one.returncode == 0, said
    database = open_database(empty)
    assert differences(database) == []
    database.dispose()
