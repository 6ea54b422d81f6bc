"""Which listings and imports are the same product: the codes each brings, and finding or making the row behind them."""

import hashlib
import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import String, insert, select
from sqlalchemy.orm import Session

from catalogue.tables import Model, Product, ProductCode, ProductPhoto, Table

log = logging.getLogger(__name__)


def _widths(table: type[Table]) -> dict[str, int]:
    return {column.name: column.type.length or 0 for column in table.__table__.columns
            if isinstance(column.type, String)}


WIDTHS = _widths(Product)
_ORIGIN_WIDTH = _widths(ProductPhoto)["origin"]

_CODE = insert(ProductCode)


@dataclass(frozen=True)
class Described:
    """What a listing or an import says of its product; unknown text is empty."""

    brand: str
    name: str
    colour: str = ""
    style_code: str = ""
    gtins: tuple[str, ...] = ()
    shoe_type: str = ""
    model: Model | None = None


@dataclass(frozen=True)
class Codes:
    """The codes by which a product is found: brand and style code (empty if unknown), GTINs, and the finder's own.

    The style code comes before the GTINs because shops give one GTIN per size, and sizes are one product. `own` is
    `listing:<shop>:<url>` or `import:<set>/<slug>`.
    """

    style: str
    gtins: tuple[str, ...]
    own: str

    def all(self) -> list[str]:
        """Every code, the strongest first."""
        return list(dict.fromkeys([*filter(None, [self.style]), *self.gtins, self.own]))


def plain(text: str) -> str:
    """Casefold and keep letters and digits of any script only: `Nike®  ` and `NIKE` are one brand."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def is_gtin(digits: str) -> bool:
    """Whether this is a GTIN without spaces: 8, 12, 13 or 14 digits, not all 0, the last of them the check digit."""
    if not re.fullmatch("[0-9]{8}|[0-9]{12,14}", digits) or not int(digits):
        return False
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits[:-1])))
    return (10 - total % 10) % 10 == int(digits[-1])


def codes_of(brand: str, style_code: str, gtins: Iterable[str], own: str) -> Codes:
    """The codes of a listing or an import; a UPC and the same number written as an EAN or GTIN-14 are one code."""
    style = f"style:{plain(brand)}:{plain(style_code)}" if plain(brand) and plain(style_code) else ""
    numbers = (gtin.lstrip("0") for gtin in gtins)
    return Codes(fitting(style), tuple(dict.fromkeys(fitting(f"gtin:{number}") for number in numbers if number)),
                 fitting(own))


def listing_code(shop_id: int, url: str) -> str:
    """The code of its own that a listing has."""
    return fitting(f"listing:{shop_id}:{url}")


def shop_group(shop_id: int, group: str) -> str:
    """A shop's identifier of a model as no other shop has it; empty where it names none."""
    return f"shop{shop_id}:{group}" if group else ""


def group_of(key: str, shop_id: int = 0) -> str:
    """The group of a model's key, as its shop says it where it is this one's, else as no other shop has it."""
    return key.partition(":")[2].removeprefix(f"shop{shop_id}:")


def import_code(name: str) -> str:
    """The code of its own that an import has, which is also its photos' origin; `name` is `<set>/<slug>`."""
    return fitting(f"import:{name}", _ORIGIN_WIDTH)


def fitting(code: str, width: int = WIDTHS["key"]) -> str:
    """The code, or its digest where it is too long for its column."""
    if len(code) > width:
        return f"{code.partition(':')[0]}:sha256:{hashlib.sha256(code.encode()).hexdigest()}"
    return code


def chosen(codes: Codes, known: Mapping[str, tuple[int, bool]], present: int | None = None) -> int | None:
    """The product that codes lead to; `known` maps a code to its product and whether a person decided that.

    A person's decision on the listing wins, then brand and style code, then any GTIN, then where the listing was
    before: by its own code, or by `present` if it is older than codes are.
    """
    own, decided = known.get(codes.own, (present, False))
    if decided:
        return own
    for code in (codes.style, *codes.gtins):
        if code in known:
            return known[code][0]
    return own


def find_or_add_model(session: Session, brand: str, group: str, name: str) -> Model | None:
    """The model that `group` (`shop_group`, or `<set>:<group>` of a data set) names within the brand; none without."""
    if not group:
        return None
    key = f"{plain(brand)}:{group}"[:300]
    model = session.scalar(select(Model).where(Model.key == key))
    if model is None:
        model = Model(key=key, brand=brand[:200], name=name[:300])
        session.add(model)
        session.flush()
    return model


def find_or_add_product(session: Session, own: str, said: Described, present: int | None = None) -> Product:
    """The product that these codes lead to, or a new one; facts that an older row lacks are filled in.

    All codes that are free become the product's; a code once given stays with its product, so nothing merges silently.
    Two writers that make the same product at the same moment meet a unique constraint: whoever gets the
    `IntegrityError` runs its transaction again and finds what the other made.
    """
    codes = codes_of(said.brand, said.style_code, said.gtins, own)
    rows = {row.code: row for row in session.scalars(select(ProductCode).where(ProductCode.code.in_(codes.all())))}
    home = chosen(codes, {code: (row.product_id, row.decided) for code, row in rows.items()}, present)
    if home is None:  # a version that knew no codes may have written the product since they were filled in
        home = session.scalar(select(Product.id).where(Product.key.in_(codes.all())).order_by(Product.id).limit(1))
    if home is None:
        product = Product(key=codes.all()[0])
        session.add(product)
    else:
        product = as_it_is_now(session, home)
    _fill_in(product, said)
    session.flush()
    _register(session, codes, rows, product)
    session.flush()
    return product


def as_it_is_now(session: Session, product_id: int) -> Product:
    """The product, or the one it was merged into; kept from being merged away until the transaction ends."""
    seen: set[int] = set()
    while True:
        product = session.get_one(Product, product_id, with_for_update={"read": True, "key_share": True})
        if product.merged_into_id is None or product.id in seen:
            return product
        seen.add(product.id)
        product_id = product.merged_into_id


def _register(session: Session, codes: Codes, rows: Mapping[str, ProductCode], product: Product) -> None:
    fresh = [{"code": code, "product_id": product.id} for code in codes.all() if code not in rows]
    if fresh:
        session.connection().execute(_CODE, fresh)
    for code, row in rows.items():
        if row.product_id != product.id and as_it_is_now(session, row.product_id).id != product.id:
            if code == codes.own and not row.decided:
                row.product_id = product.id  # its own code goes where the listing goes
            elif code != codes.own:
                log.info("%s is product %d, but its code %s is product %d's; `solesearch catalogue merge` joins them "
                         "if they are one shoe", codes.own, product.id, code, row.product_id)


def _fill_in(product: Product, said: Described) -> None:
    fresh = {"brand": said.brand, "name": said.name, "colour": said.colour, "style_code": said.style_code,
             "gtin": "".join(said.gtins[:1]), "shoe_type": said.shoe_type}
    for column, value in fresh.items():
        if value and not getattr(product, column):
            setattr(product, column, value[:WIDTHS[column]])
    if said.model is not None and product.model_id is None:
        product.model_id = said.model.id
