"""The catalogue written as JSON lines that `catalogue import` reads back: listings, and products that were imported."""

import gzip
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import Session

from catalogue.files import new_file, write_file
from catalogue.gallery_items import merged
from catalogue.identity import group_of, is_gtin
from catalogue.imports import ImportReport
from catalogue.photos import PhotoStore
from catalogue.pushed_lines import write_line
from catalogue.tables import Listing, Model, Photo, Product, ProductCode, ProductPhoto, Shop

AT_ONCE = 500
Line = tuple[dict[str, Any], list[tuple[ProductPhoto, str]]]


def export_lines(engine: Engine, store: PhotoStore, path: Path, photos: bool = True, shops: Sequence[int] = (),
                 since: datetime | None = None) -> ImportReport:
    """Write every listing that is still sold and every imported product, a line each; compressed if named `.gz`.

    With `shops`, only their listings, and with `since` only those seen since then; no imported products.

    Photos go into a folder beside the file, `<name>-photos`, before the file itself appears whole. Without `photos` the
    lines name the addresses that the photos came from.
    """
    report = ImportReport()
    folder = f"{path.name.partition('.')[0]}-photos"
    with _whole(path) as out, Session(engine.execution_options(readonly=True)) as session:
        for said, shown in _lines(session, shops, since):
            places: list[str | dict[str, str]] = []
            for row, kind in shown:
                file = f"{folder}/{row.sha256}.{kind.lower()}"
                if photos:
                    if not (path.parent / file).exists():
                        write_file(path.parent / file, store.read(row.sha256))
                    places.append({"path": file, "url": row.source_url} if row.source_url else file)
                elif row.source_url:
                    places.append(row.source_url)
            out.write((write_line({**said, "photos": places}) + "\n").encode())
            report.products += 1
            report.photos += len(places)
    return report


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at `path` whole or not at all, compressed if named `.gz`."""
    with new_file(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
                yield packed  # type: ignore[misc]
        else:
            yield file


def _lines(session: Session, shops: Sequence[int], since: datetime | None) -> Iterator[Line]:
    gtins = _gtins(session)
    wanted = [Listing.gone_at.is_(None), *([Listing.shop_id.in_(shops)] if shops else []),
              *([Listing.last_seen >= since] if since else [])]
    last = 0
    while rows := session.execute(
            select(Listing, Shop.name, Product, Model).join(Shop).join(Product, Product.id == Listing.product_id)
            .outerjoin(Model, Model.id == Product.model_id)
            .where(Listing.id > last, *wanted).order_by(Listing.id).limit(AT_ONCE)).all():
        shown: dict[int, list[tuple[ProductPhoto, str]]] = defaultdict(list)
        for row, kind in _shown(session, ProductPhoto.listing_id.in_([listing.id for listing, *_ in rows])):
            shown[row.listing_id or 0].append((row, kind))
        for listing, shop, product, model in rows:
            yield {"shop": shop, "url": listing.url, **_facts(product, model, gtins, listing.shop_id),
                   "title": listing.title, "category": listing.category, "price": listing.price,
                   "list_price": listing.list_price, "currency": listing.currency, "available": listing.available,
                   "sizes": listing.sizes, "sources": listing.sources}, shown[listing.id]
        last = rows[-1][0].id
        session.expunge_all()
    if shops or since:
        return
    imported = select(ProductPhoto.origin, ProductPhoto.product_id).where(ProductPhoto.reason == "import").distinct()
    for origin, product_id in session.execute(imported.order_by(ProductPhoto.product_id, ProductPhoto.origin)).all():
        product, model = session.execute(select(Product, Model).outerjoin(Model, Model.id == Product.model_id)
                                         .where(Product.id == product_id)).one()
        said = {"origin": origin.removeprefix("import:"), "title": product.name, **_facts(product, model, gtins)}
        yield said, _shown(session, ProductPhoto.origin == origin)
        session.expunge_all()


def _facts(product: Product, model: Model | None, gtins: dict[int, list[str]], shop: int = 0) -> dict[str, Any]:
    group = group_of(model.key, shop) if model else ""
    return {"brand": product.brand, "model_name": model.name if model else "", "group": group,
            "colour": product.colour, "style_code": product.style_code, "gtins": gtins.get(product.id, []),
            "shoe_type": product.shoe_type}


def _shown(session: Session, which: ColumnElement[bool]) -> list[tuple[ProductPhoto, str]]:
    rows = session.execute(select(ProductPhoto, Photo.format).join(Photo, Photo.sha256 == ProductPhoto.sha256)
                           .where(which).order_by(ProductPhoto.position, ProductPhoto.id))
    return [(row, kind) for row, kind in rows]


def _gtins(session: Session) -> dict[int, list[str]]:
    """The GTINs of every product, those of products merged into it included.

    What is no GTIN (it came before they were checked) is left out: it would keep its line from being read back.
    """
    became = merged(session)
    found: dict[int, list[str]] = defaultdict(list)
    for code, product_id in session.execute(select(ProductCode.code, ProductCode.product_id)
                                            .where(ProductCode.code.startswith("gtin:")).order_by(ProductCode.code)):
        # A code is written without leading zeros; a GTIN-13 says the same with them.
        if is_gtin(digits := code.removeprefix("gtin:").zfill(13)):
            found[became.get(product_id, product_id)].append(digits)
    return found
