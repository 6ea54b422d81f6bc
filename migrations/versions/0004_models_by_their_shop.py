"""models are known by the shop that groups them: a number that means one model in one shop means another elsewhere"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MODELS = sa.table("models", sa.column("id", sa.Integer), sa.column("key", sa.String), sa.column("brand", sa.String),
                  sa.column("name", sa.String))
PRODUCTS = sa.table("products", sa.column("id", sa.Integer), sa.column("model_id", sa.Integer))
WIDTH = 300
# The products of each model with the shops that list them; those of imports, whose data sets name their models.
LISTED = sa.text("""
    SELECT models.id, products.id, listings.shop_id FROM products
    JOIN models ON models.id = products.model_id JOIN listings ON listings.product_id = products.id
    GROUP BY models.id, products.id, listings.shop_id ORDER BY min(listings.id)""")
IMPORTED = sa.text("SELECT DISTINCT product_id, origin FROM product_photos WHERE reason = 'import'")


def upgrade() -> None:
    """Put the shop into the keys of models that shops named, and part those that several shops share by chance."""
    connection = op.get_bind()
    sets: dict[int, list[str]] = {}
    for product, origin in connection.execute(IMPORTED):
        sets.setdefault(product, []).append(origin.removeprefix("import:").partition("/")[0])
    known = {row.id: row for row in connection.execute(sa.select(MODELS))}
    listed: dict[int, dict[int, list[int]]] = {}
    imported: set[int] = set()
    for model, product, shop in connection.execute(LISTED):
        group = known[model].key.partition(":")[2]
        if any(group.startswith(f"{one}:") for one in sets.get(product, ())):
            imported.add(model)
        else:
            listed.setdefault(model, {}).setdefault(shop, []).append(product)
    for model, shops in listed.items():
        row = 0 if model in imported else model
        while any(shops.values()):
            # Who lists most of a model's products grouped them; what is left was somebody else's.
            shop, products = max(shops.items(), key=lambda one: len(one[1]))
            number = _named(connection, known[model], shop, row)
            connection.execute(PRODUCTS.update().where(PRODUCTS.c.id.in_(products)).values(model_id=number))
            shops = {other: [one for one in theirs if one not in products] for other, theirs in shops.items()}
            row = 0


def _named(connection: sa.Connection, model: sa.Row[Any], shop: int, row: int) -> int:
    """The number of a shop's model of that key: of one that is there, of `row` if that is not 0, else of a new one."""
    maker, _, group = model.key.partition(":")
    key = f"{maker}:shop{shop}:{group}"[:WIDTH]
    there = connection.execute(sa.select(MODELS.c.id).where(MODELS.c.key == key)).scalar()
    if there is not None:
        return int(there)
    if row:
        connection.execute(MODELS.update().where(MODELS.c.id == row).values(key=key))
        return row
    connection.execute(MODELS.insert().values(key=key, brand=model.brand, name=model.name))
    return int(connection.execute(sa.select(MODELS.c.id).where(MODELS.c.key == key)).scalar_one())


def downgrade() -> None:
    """Take the shop out of the keys again; models that are then called the same are one."""
    connection = op.get_bind()
    known = {key: number for number, key in connection.execute(sa.select(MODELS.c.id, MODELS.c.key))}
    for key, number in sorted(known.items(), key=lambda one: one[1]):
        former = re.sub(r"^([^:]*):shop\d+:", r"\1:", key)
        if former == key:
            continue
        if former in known:
            connection.execute(PRODUCTS.update().where(PRODUCTS.c.model_id == number).values(model_id=known[former]))
            connection.execute(MODELS.delete().where(MODELS.c.id == number))
        else:
            connection.execute(MODELS.update().where(MODELS.c.id == number).values(key=former))
            known[former] = number
