"""Products and photos that come as files: a folder with a `products.csv`, or any CSV with a column of photo paths."""

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, BadPhoto
from catalogue.files import new_folder
from catalogue.identity import find_or_add_model, find_or_add_product, product_key
from catalogue.listings import add_photo
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.products_csv import ProductRow, photo_paths, read_csv, read_products, write_products
from catalogue.queries import catalogue_rows, product_ids_by_key
from catalogue.tables import ProductPhoto


@dataclass
class ImportReport:
    """What an import did; `problems` holds one sentence for each photo that could not be used."""

    products: int = 0
    photos: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Entry:
    """One product to import and where its photos lie."""

    origin: str
    row: ProductRow
    paths: Sequence[Path]


def import_path(engine: Engine, store: PhotoStore, path: Path, photo_column: str = "photo",
                sets: Sequence[str] = (), watch: Callable[[int], None] | None = None) -> ImportReport:
    """Import a folder with a `products.csv`, or one CSV whose `photo_column` holds paths relative to the file.

    One transaction a product: an import that is killed and started again ends the same as one that was not. Importing
    again replaces what the same origin brought before. `sets` keeps to those sets; `watch(n)` hears of each product.
    """
    entries = _folder_entries(path, sets) if path.is_dir() else _csv_entries(path, photo_column)
    report = ImportReport()
    for entry in entries:
        found = list(_stored(store, entry, report))
        with Session(engine) as session, session.begin():
            _save(session, entry, found)
        report.products += 1
        report.photos += len(found)
        if watch is not None:
            watch(report.products)
    if not report.products:
        raise BadInput(f"{path} names no products to import" + (f" in the sets {', '.join(sets)}" if sets else ""))
    return report


def export_folder(engine: Engine, store: PhotoStore, folder: Path) -> ImportReport:
    """Write the catalogue as a new folder with a `products.csv` and photos, which `import_path` reads back."""
    if folder.exists():
        raise BadInput(f"{folder} exists already; name a folder that does not")
    report = ImportReport()
    with new_folder(folder) as place, Session(engine.execution_options(readonly=True)) as session:
        rows = []
        for row, photos in catalogue_rows(session):
            target = place / row.set / row.slug
            target.mkdir(parents=True)
            for number, photo in enumerate(photos):
                (target / f"{number}.{photo.format.lower()}").write_bytes(store.read(photo.sha256))
            rows.append(row)
            report.products += 1
            report.photos += len(photos)
        write_products(place / "products.csv", rows)
    return report


def labelled_photos(session: Session, folder: Path, sets: Sequence[str] = ()) -> tuple[list[tuple[int, Path]], int]:
    """Return (product id, photo path) of a folder's photos whose products the catalogue knows, and how many others.

    Products are recognised as an import would: by brand and style code, else by set and slug.
    """
    keyed = [(product_key(row.brand, row.sku, "", f"import:{row.set}/{row.slug}"), path)
             for row in read_products(folder) if not sets or row.set in sets for path in photo_paths(folder, row)]
    ids = product_ids_by_key(session, list({key for key, _ in keyed}))
    known = [(ids[key], path) for key, path in keyed if key in ids]
    return known, len(keyed) - len(known)


def _folder_entries(folder: Path, sets: Sequence[str]) -> Iterator[_Entry]:
    for row in read_products(folder):
        if not sets or row.set in sets:
            yield _Entry(f"{row.set}/{row.slug}", row, photo_paths(folder, row))


def _csv_entries(path: Path, photo_column: str) -> Iterator[_Entry]:
    grouped: dict[str, tuple[dict[str, str], list[Path]]] = {}
    for line, row in read_csv(path, required=(photo_column,)):
        if not row.get(photo_column):
            raise BadInput(f"{path}, line {line}: no photo path in the column {photo_column!r}")
        identity = row.get("slug") or row.get("sku") or row.get("name") or Path(row[photo_column]).parent.name
        if not identity:
            raise BadInput(f"{path}: a row needs a slug, sku or name, or a photo path with a folder")
        grouped.setdefault(identity, (row, []))[1].append(path.parent / row[photo_column])
    for identity, (row, paths) in grouped.items():
        slug = re.sub(r"[/\\\0]", "-", identity).strip(".") or "product"
        known = {name: row.get(name) or "" for name in
                 ("brand", "name", "price", "colour", "sku", "model_group", "shoe_type", "kind")}
        yield _Entry(f"{path.stem}/{slug}", ProductRow(set=path.stem, slug=slug, **known), paths)


def _stored(store: PhotoStore, entry: _Entry, report: ImportReport) -> Iterator[PhotoFacts]:
    if not entry.paths:
        report.problems.append(f"{entry.origin}: no photos found")
    for path in entry.paths:
        try:
            yield store.put(path.read_bytes())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            report.problems.append(f"{path}: {error.strerror}")
        except BadPhoto as error:
            report.problems.append(f"{path}: {error}")


def _save(session: Session, entry: _Entry, photos: Sequence[PhotoFacts]) -> None:
    row, origin = entry.row, f"import:{entry.origin}"
    if len(origin) > 200:
        raise BadInput(f"the set and slug {entry.origin[:60]!r}… are longer than 190 characters; shorten them")
    group = row.model_group and f"{row.set}:{row.model_group}"
    model = find_or_add_model(session, row.brand, group, row.name)
    product = find_or_add_product(session, product_key(row.brand, row.sku, "", origin), brand=row.brand,
                                  name=row.name or row.slug, colour=row.colour, style_code=row.sku, gtin="",
                                  shoe_type=row.shoe_type, model=model)
    session.execute(delete(ProductPhoto).where(ProductPhoto.origin == origin))
    placed: set[str] = set()
    for facts in photos:
        if facts.sha256 not in placed:
            add_photo(session, facts)
            session.add(ProductPhoto(product_id=product.id, sha256=facts.sha256, reason="import", origin=origin,
                                     position=len(placed)))
            placed.add(facts.sha256)
