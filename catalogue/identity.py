"""Which listings and imports are the same product: identity keys, and finding or making the row behind one."""

import hashlib
import re
import unicodedata

from sqlalchemy import String, select
from sqlalchemy.orm import Session

from catalogue.tables import Model, Product

WIDTHS = {column.name: column.type.length or 0 for column in Product.__table__.columns
          if isinstance(column.type, String)}


def plain(text: str) -> str:
    """Casefold and keep letters and digits of any script only: `Nike®  ` and `NIKE` are one brand."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def product_key(brand: str, style_code: str, gtin: str, otherwise: str) -> str:
    """Return the product's identity: brand and style code if both are known, else the GTIN, else `otherwise`.

    The style code comes first because shops give one GTIN per size, and sizes are one product. A key too long for its
    column is replaced by its digest.
    """
    key = f"gtin:{gtin}" if gtin else otherwise
    if plain(brand) and plain(style_code):
        key = f"style:{plain(brand)}:{plain(style_code)}"
    if len(key) > WIDTHS["key"]:
        return f"{key.partition(':')[0]}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    return key


def find_or_add_model(session: Session, brand: str, group: str, name: str) -> Model | None:
    """The model that `group` (a shop's or a data set's group identifier) names within the brand; none without one."""
    if not group:
        return None
    key = f"{plain(brand)}:{group}"[:300]
    model = session.scalar(select(Model).where(Model.key == key))
    if model is None:
        model = Model(key=key, brand=brand[:200], name=name[:300])
        session.add(model)
        session.flush()
    return model


def find_or_add_product(session: Session, key: str, *, brand: str, name: str, colour: str, style_code: str, gtin: str,
                        shoe_type: str, model: Model | None) -> Product:
    """The product by its key; a new one is made, and facts that an older row lacks are filled in."""
    product = session.scalar(select(Product).where(Product.key == key))
    if product is None:
        product = Product(key=key)
        session.add(product)
    fresh = {"brand": brand, "name": name, "colour": colour, "style_code": style_code, "gtin": gtin,
             "shoe_type": shoe_type}
    for column, value in fresh.items():
        if value and not getattr(product, column):
            setattr(product, column, value[:WIDTHS[column]])
    if model is not None and product.model_id is None:
        product.model_id = model.id
    session.flush()
    return product
