"""What a person decides about products: two are one shoe, or one is two. Later crawls and imports keep to it.

A merged product keeps its row, its codes and its gallery items: all of them lead to what it became, so undoing a merge
is clearing one column and moving its listings and photos back. Listings that were moved by hand keep their place by a
decided code of their own, whatever brand, style code or GTIN their pages say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, exists, func, or_, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, NotFound
from catalogue.gallery_items import note_changes
from catalogue.identity import as_it_is_now, codes_of, fitting, listing_code, plain
from catalogue.tables import Feedback, Listing, Product, ProductCode, ProductPhoto

_FACTS = ("brand", "name", "colour", "style_code", "gtin", "shoe_type", "model_id")


@dataclass(frozen=True)
class Moved:
    """What a merge or split moved: from which product to which, and how many listings and photos."""

    from_id: int
    to_id: int
    listings: int
    photos: int


def merge(engine: Engine, name: str, into: str) -> Moved:
    """Make one product of two: `name` becomes `into` and lends it the facts that it lacks.

    Products are named by id, style code, or any code they have. Models stay as they are: `into` takes the other's only
    if it has none.
    """
    with Session(engine) as session, session.begin():
        pair = {find_product(session, one, merged=False).id for one in (name, into)}
        if len(pair) == 1:
            raise BadInput(f"{name} and {into} are one product already (id {pair.pop()})")
        for number in sorted(pair):  # in one order, so that two merges at once do not wait for each other
            session.get_one(Product, number, with_for_update=True, populate_existing=True)
        source, target = (find_product(session, one, merged=False) for one in (name, into))
        _decide(session, source.id, _own_codes(session, source.id))
        listings = list(session.scalars(select(Listing).where(Listing.product_id == source.id)))
        for listing in listings:
            listing.product_id = target.id
        photos = _move_photos(session, target.id,
                              session.scalars(select(ProductPhoto).where(ProductPhoto.product_id == source.id)).all())
        for fact in _FACTS:
            if not getattr(target, fact):
                setattr(target, fact, getattr(source, fact))
        source.merged_into_id = target.id
        note_changes(session, [source.id, target.id])
        return Moved(source.id, target.id, len(listings), photos)


def split(engine: Engine, names: Sequence[str]) -> Moved:
    """Make a product of its own of listings (named by their address), imports (`import:<set>/<slug>`), or both.

    The id of a product that was merged away, or all that it brought, takes that merge back: the product is again what
    it was.
    """
    with Session(engine) as session, session.begin():
        homes = {code: home for name in names for code, home in _named(session, name).items()}
        present = {as_it_is_now(session, home).id for home in homes.values()}
        if len(present) != 1:
            raise BadInput("the listings to split off belong to different products "
                           f"({', '.join(map(str, sorted(present)))}); split them off one product at a time")
        former = session.get_one(Product, present.pop(), with_for_update=True, populate_existing=True)
        codes = set(homes)
        ways = [_way(session, home)[:-1] for home in homes.values()]
        merged = next((one for one in ways[0] if all(one in way for way in ways)
                       and codes == set(_codes_below(session, one))), None)
        if merged is not None:
            own = session.get_one(Product, merged)
            own.merged_into_id = None
            _take_back(session, own, former)
        else:
            if codes == _own_codes(session, former.id):
                raise BadInput(f"these are all that product {former.id} has; there is nothing to split them from")
            own = _new_product(session, former, sorted(codes))
        _decide(session, own.id, codes)
        listings = [row for row in _listings(session, former.id) if listing_code(row.shop_id, row.url) in codes]
        for listing in listings:
            listing.product_id, listing.content_hash = own.id, ""  # the next visit fills in the new product's facts
        photos = _move_photos(session, own.id, _photos_of(session, former.id, own.id, codes, listings))
        note_changes(session, [own.id, former.id])
        return Moved(former.id, own.id, len(listings), photos)


def find_product(session: Session, name: str, merged: bool) -> Product:
    """The product of an id, style code or product code: as it is now, or (`merged`) the very row of that name."""
    ids = list(session.scalars(select(Product.id).where(Product.id == int(name)))) \
        if name.isascii() and name.isdigit() and len(name) < 10 else []
    ids = ids or list(session.scalars(select(ProductCode.product_id).where(ProductCode.code == fitting(name))))
    if not ids:
        styled = session.execute(select(Product.id, Product.style_code).where(
            or_(Product.style_code == name, exists().where(
                ProductCode.product_id == Product.id, ProductCode.code.startswith("style:"),
                ProductCode.code.endswith(f":{plain(name)}", autoescape=True)))).order_by(Product.id)).all()
        ids = [number for number, _ in styled] if plain(name) else []
    found = {product.id: product for number in ids
             for product in [session.get_one(Product, number) if merged else as_it_is_now(session, number)]}
    if not found:
        raise NotFound(f"there is no product {name!r}; name it by its style code, or by its id as answers show it")
    if len(found) > 1:
        raise BadInput(f"{name!r} is the style code of {len(found)} products "
                       f"({', '.join(map(str, sorted(found)))}); name one by its id")
    return found.popitem()[1]


def _own_codes(session: Session, product_id: int) -> set[str]:
    """The codes of their own of everything a product shows: its listings and its imports."""
    origins = session.scalars(select(ProductPhoto.origin).where(
        ProductPhoto.product_id == product_id, ProductPhoto.reason == "import").distinct())
    return {*(listing_code(row.shop_id, row.url) for row in _listings(session, product_id)), *map(fitting, origins)}


def _way(session: Session, product_id: int) -> list[int]:
    """A product and what it was merged into, and so on, to the one it is now."""
    way = [product_id]
    while (into := session.get_one(Product, way[-1]).merged_into_id) is not None:
        way.append(into)
    return way


def _codes_below(session: Session, product_id: int) -> dict[str, int]:
    """The own codes that stand by a product or by one merged into it, as far as anything still goes by them."""
    below, found = [product_id], {product_id}
    while below:
        below = list(session.scalars(select(Product.id).where(Product.merged_into_id.in_(below))))
        found.update(below)
    used = _own_codes(session, as_it_is_now(session, product_id).id)
    return {code: home for code, home in session.execute(
        select(ProductCode.code, ProductCode.product_id).where(ProductCode.product_id.in_(found))) if code in used}


def _named(session: Session, name: str) -> dict[str, int]:
    """The own codes that a listing's address, an import's origin or a merged product's name means, and their homes."""
    if name.startswith("import:"):
        shown = session.scalar(select(ProductPhoto.product_id).where(ProductPhoto.origin == name).limit(1))
        if shown is None:
            raise NotFound(f"nothing was imported as {name!r}; origins read import:<set>/<slug>")
        return {fitting(name): _home(session, fitting(name), shown)}
    listings = session.scalars(select(Listing).where(Listing.url == name)).all()
    if not listings and "//" in name:
        raise NotFound(f"there is no listing {name}; give the address as `solesearch catalogue export` writes it, with "
                       "its #colour part if it has one")
    if listings:
        codes = {listing_code(row.shop_id, row.url): row.product_id for row in listings}
        return {code: _home(session, code, product) for code, product in codes.items()}
    product = find_product(session, name, merged=True)
    if product.merged_into_id is None:
        raise BadInput(f"product {product.id} was never merged into another; to split it, name the listings that are "
                       "another shoe")
    codes = _codes_below(session, product.id)
    if not codes:
        raise BadInput(f"nothing that product {product.id} brought is left; there is nothing to split off")
    return codes


def _home(session: Session, code: str, shown: int) -> int:
    """The product that an own code stands by, or the one that shows its listing where it has no code yet."""
    row = session.get(ProductCode, code)
    return shown if row is None else row.product_id


def _decide(session: Session, product_id: int, codes: Iterable[str]) -> None:
    """Keep these codes with the product, or with one merged into it, whatever pages and files say later."""
    for code in codes:
        row = session.get(ProductCode, code)
        if row is None:
            row = ProductCode(code=code, product_id=product_id)
            session.add(row)
        elif product_id not in _way(session, row.product_id):
            row.product_id = product_id
        row.decided = True
    session.flush()


def _take_back(session: Session, own: Product, former: Product) -> None:
    """Clear the style code and GTIN that a merge lent: the codes still stand by the product that brought them."""
    said = codes_of(own.brand, own.style_code, (own.gtin,), "")
    for fact, code in (("style_code", said.style), ("gtin", next(iter(said.gtins), ""))):
        row = session.get(ProductCode, code) if code else None
        if row is not None and row.product_id == own.id and getattr(former, fact) == getattr(own, fact):
            setattr(former, fact, "")


def _new_product(session: Session, former: Product, codes: Sequence[str]) -> Product:
    """A product split off: what the rest of the listings said of the former one (style code, colour) is not its own."""
    titles = session.scalars(select(Listing).where(Listing.product_id == former.id).order_by(Listing.id)).all()
    title = next((row.title for row in titles if listing_code(row.shop_id, row.url) in codes), former.name)
    taken = session.scalar(select(func.count()).select_from(Product).where(Product.key.startswith(codes[0])))
    product = Product(key=codes[0] if not taken else fitting(f"{codes[0]}#{taken}"), brand=former.brand,
                      name=title[:500], shoe_type=former.shoe_type, model_id=former.model_id)
    session.add(product)
    session.flush()
    return product


def _listings(session: Session, product_id: int) -> list[Listing]:
    return list(session.scalars(select(Listing).where(Listing.product_id == product_id).order_by(Listing.id)))


def _photos_of(session: Session, former: int, own: int, codes: set[str], listings: Sequence[Listing]
               ) -> list[ProductPhoto]:
    """The photos that go with what is split off: the listings', the imports', and what users said of that product."""
    mine = {listing.id for listing in listings}
    said = {f"feedback:{number}" for number in session.scalars(select(Feedback.id).where(Feedback.product_id == own))}
    return [row for row in session.scalars(select(ProductPhoto).where(ProductPhoto.product_id == former))
            if row.listing_id in mine or fitting(row.origin) in codes or row.origin in said]


def _move_photos(session: Session, product_id: int, rows: Iterable[ProductPhoto]) -> int:
    there = {(sha256, origin) for sha256, origin in session.execute(
        select(ProductPhoto.sha256, ProductPhoto.origin).where(ProductPhoto.product_id == product_id))}
    moved = set()
    for row in rows:
        moved.add(row.sha256)
        if (row.sha256, row.origin) in there:
            session.delete(row)
        else:
            row.product_id = product_id
    session.flush()
    return len(moved)
