"""models are known by the shop that groups them: a number that means one model in one shop means another elsewhere"""

import re

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
# Each product of a model with the shop that listed it first; those of imports, whose data sets name their models.
LISTED = sa.text("""
    SELECT models.id, models.key, models.brand, models.name, products.id, listings.shop_id FROM products
    JOIN models ON models.id = products.model_id
    JOIN listings ON listings.id = (SELECT min(id) FROM listings AS own WHERE own.product_id = products.id)
    ORDER BY listings.id""")
IMPORTED = sa.text("SELECT DISTINCT product_id, origin FROM product_photos WHERE reason = 'import'")


def upgrade() -> None:
    """Put the shop into the keys of models that shops named, and part those that several shops share by chance."""
    connection = op.get_bind()
    sets: dict[int, list[str]] = {}
    for product, origin in connection.execute(IMPORTED):
        sets.setdefault(product, []).append(origin.removeprefix("import:").partition("/")[0])
    made: dict[str, int] = {}
    renamed: set[int] = set()
    for model, key, brand, name, product, shop in connection.execute(LISTED).all():
        maker, _, group = key.partition(":")
        if any(group.startswith(f"{one}:") for one in sets.get(product, ())):
            continue
        wanted = f"{maker}:shop{shop}:{group}"[:WIDTH]
        if wanted not in made and model not in renamed:
            connection.execute(MODELS.update().where(MODELS.c.id == model).values(key=wanted))
            made[wanted] = model
            renamed.add(model)
        elif wanted not in made:
            connection.execute(MODELS.insert().values(key=wanted, brand=brand, name=name))
            made[wanted] = connection.execute(sa.select(MODELS.c.id).where(MODELS.c.key == wanted)).scalar_one()
        if made[wanted] != model:
            connection.execute(PRODUCTS.update().where(PRODUCTS.c.id == product).values(model_id=made[wanted]))


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
