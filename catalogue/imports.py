"""Products and photos that come as files: a folder with a `products.csv`, any CSV with a column of photos, public sets.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, BadPhoto, SoleSearchError
from catalogue.files import new_folder
from catalogue.gallery_items import note_changes
from catalogue.identity import Described, codes_of, find_or_add_model, find_or_add_product, import_code
from catalogue.listings import FoundPhoto, add_photos
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.products_csv import ProductRow, photo_paths, read_csv, read_products, write_products
from catalogue.public_sets import read_public
from catalogue.queries import catalogue_rows, products_by_codes
from catalogue.tables import ProductPhoto
from catalogue.transactions import in_one_go

Fetch = Callable[[str], bytes]


@dataclass
class ImportReport:
    """What an import did; `problems` holds one sentence for each photo or line that could not be used.

    `failed` counts the lines of which nothing went in.
    """

    products: int = 0
    photos: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Rows:
    """The rows of a CSV that are one product: what tells it from others, its first line and row, all their photos."""

    identity: tuple[str, ...]
    line: int
    row: dict[str, str]
    places: list[Path | str] = field(default_factory=list)


@dataclass(frozen=True)
class _Entry:
    """One product to import and where its photos lie: files, or addresses."""

    origin: str
    row: ProductRow
    places: Sequence[Path | str]


def import_path(engine: Engine, store: PhotoStore, path: Path, photo_column: str = "photo",
                sets: Sequence[str] = (), watch: Callable[[int], None] | None = None,
                fetch: Fetch | None = None, layout: str = "") -> ImportReport:
    """Import a folder with a `products.csv`, or one CSV whose `photo_column` holds paths relative to the file.

    One transaction a product: an import that is killed and started again ends the same as one that was not. Importing
    again replaces what the same origin brought before. `sets` keeps to those sets; `watch(n)` hears of each product.
    Rows of a CSV are one product by their slug, else by brand and sku, else by brand, name and colour, else by the
    photo's folder. With `fetch`, its photos may be addresses, several of them apart by spaces. `layout` says that the
    folder is a public set's; its sets are `<layout>-train` and `<layout>-test`.
    """
    report = ImportReport()
    entries = (_public_entries(path, layout, sets) if layout else _folder_entries(path, sets) if path.is_dir()
               else _csv_entries(path, photo_column, report))
    for entry in entries:
        found = list(_stored(store, entry, report, fetch))
        in_one_go(engine, partial(_save, entry=entry, photos=found))
        report.products += 1
        report.photos += len(found)
        if watch is not None:
            watch(report.products)
    if not report.products and not report.failed:
        raise BadInput(f"{path} names no products to import" + (f" in the sets {', '.join(sets)}" if sets else ""))
    return report


def read_photo(store: PhotoStore, place: Path | str, fetch: Fetch | None) -> PhotoFacts:
    """Store the photo of a file or an address; a `SoleSearchError` says why it cannot be used."""
    if isinstance(place, str) and fetch is None:
        raise BadInput(f"{place}: an address, and addresses are not fetched; add --fetch")
    try:
        data = place.read_bytes() if isinstance(place, Path) else fetch(place) if fetch is not None else b""
    except OSError as error:
        raise BadInput(f"{place}: {error.strerror}") from error
    try:
        return store.put(data)
    except BadPhoto as error:
        raise BadPhoto(f"{place}: {error}") from error


def is_address(place: str) -> bool:
    """Whether a photo is named by an address rather than by a path."""
    return place.startswith(("http://", "https://"))


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
    found = [(codes_of(row.brand, row.sku, (), import_code(f"{row.set}/{row.slug}")), photo_paths(folder, row))
             for row in read_products(folder) if not sets or row.set in sets]
    ids = products_by_codes(session, [codes for codes, _ in found])
    known = [(ids[codes], path) for codes, paths in found if codes in ids for path in paths]
    return known, sum(len(paths) for _, paths in found) - len(known)


def _folder_entries(folder: Path, sets: Sequence[str]) -> Iterator[_Entry]:
    for row in read_products(folder):
        if not sets or row.set in sets:
            yield _Entry(f"{row.set}/{row.slug}", row, photo_paths(folder, row))


def _public_entries(folder: Path, layout: str, sets: Sequence[str]) -> Iterator[_Entry]:
    rows: dict[tuple[str, str], tuple[ProductRow, list[Path | str]]] = {}
    for photo in read_public(layout, folder):
        part = f"{layout}-{'train' if photo.side == 'train' else 'test'}"
        row = ProductRow(part, photo.product, photo.brand, f"{photo.kind} {photo.product}", shoe_type=photo.kind,
                         model_group=photo.model if photo.model != photo.product else "")
        rows.setdefault((part, photo.product), (row, []))[1].append(photo.path)
    for row, places in rows.values():
        if not sets or row.set in sets:
            yield _Entry(f"{row.set}/{row.slug}", row, places)


def _csv_entries(path: Path, photo_column: str, report: ImportReport) -> Iterator[_Entry]:
    products: dict[str, _Rows] = {}
    for line, row in read_csv(path, required=(photo_column,)):
        places = _places(path, (row.get(photo_column) or "").strip())
        identity = _identity(row, places)
        slug = re.sub(r"[/\\\0]", "-", "-".join(filter(None, identity[1:]))).strip(".") or "product"
        if not places:
            problem = f"no photo in the column {photo_column!r}"
        elif not identity:
            problem = "a row needs a slug, sku or name, or a photo path with a folder"
        elif (former := products.setdefault(slug, _Rows(identity, line, row))).identity != identity:
            problem = (f"another product, that of line {former.line}, has the slug {slug!r} already; "
                       "give the rows of one of them another in a column 'slug'")
        else:
            former.places.extend(places)
            continue
        report.failed += 1
        report.problems.append(f"{path}, line {line}: {problem}")
    for slug, rows in products.items():
        known = {name: rows.row.get(name) or "" for name in
                 ("brand", "name", "price", "colour", "sku", "model_group", "shoe_type", "kind")}
        yield _Entry(f"{path.stem}/{slug}", ProductRow(set=path.stem, slug=slug, **known), rows.places)


def _identity(row: dict[str, str], places: Sequence[Path | str]) -> tuple[str, ...]:
    """What tells a row's product from others: the column it goes by, then the words; empty if there are none."""
    brand = row.get("brand") or ""
    if slug := row.get("slug"):
        return ("slug", slug)
    if sku := row.get("sku"):
        return ("sku", brand, sku)
    if name := row.get("name"):
        return ("name", brand, name, row.get("colour") or "")
    folder = places[0].parent.name if places and isinstance(places[0], Path) else ""
    return ("folder", folder) if folder else ()


def _places(path: Path, cell: str) -> list[Path | str]:
    if is_address(cell):
        return list(re.split(r"[\s|]+", cell))
    return [path.parent / cell] if cell else []


def _stored(store: PhotoStore, entry: _Entry, report: ImportReport, fetch: Fetch | None) -> Iterator[FoundPhoto]:
    if not entry.places:
        report.problems.append(f"{entry.origin}: no photos found")
    for place in entry.places:
        try:
            yield FoundPhoto(read_photo(store, place, fetch), place if isinstance(place, str) else "")
        except SoleSearchError as error:
            report.problems.append(str(error))


def _save(session: Session, entry: _Entry, photos: Sequence[FoundPhoto]) -> None:
    row, origin = entry.row, import_code(entry.origin)
    group = row.model_group and f"{row.set}:{row.model_group}"
    model = find_or_add_model(session, row.brand, group, row.name)
    product = find_or_add_product(session, origin, Described(
        row.brand, row.name or row.slug, row.colour, row.sku, (), row.shoe_type, model))
    replace_photos(session, product.id, origin, photos)


def replace_photos(session: Session, product_id: int, origin: str, photos: Sequence[FoundPhoto]) -> None:
    """Make these the photos that the import `origin` brings, in the place of those it brought before."""
    former = set(session.scalars(delete(ProductPhoto).where(ProductPhoto.origin == origin)
                                 .returning(ProductPhoto.product_id)))
    add_photos(session, [photo.facts for photo in photos])
    for position, photo in enumerate({photo.facts.sha256: photo for photo in photos}.values()):
        session.add(ProductPhoto(product_id=product_id, sha256=photo.facts.sha256, reason="import", origin=origin,
                                 position=position, source_url=photo.source_url))
    note_changes(session, {product_id, *former})
