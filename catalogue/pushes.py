"""Listings pushed as JSON lines, without a crawl: read line by line, each in a transaction of its own."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, SoleSearchError
from catalogue.identity import Described, find_or_add_model, find_or_add_product, import_code, plain
from catalogue.imports import Fetch, ImportReport, read_photo, replace_photos
from catalogue.listings import FoundPhoto, save_listing
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.pushed_lines import PushedLine, read_line
from catalogue.tables import PUSHED, Listing, Photo, ProductPhoto, Shop
from catalogue.transactions import in_one_go

NAMES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def import_lines(engine: Engine, store: PhotoStore, path: Path, fetch: Fetch | None = None,
                 watch: Callable[[int], None] | None = None) -> ImportReport:
    """Import a file of JSON lines; bad lines are told with their number, the others go in.

    One transaction a line: a push that is killed and started again ends the same as one that was not. A shop of the
    line's name is made on demand. `fetch` brings photos that are addresses; one that was fetched from the same address
    before is not fetched again. A line whose origin an earlier one has is a bad line: it would take that one's photos
    away.
    """
    report = ImportReport()
    first_of: dict[str, int] = {}
    for number, data in _lines(path):
        try:
            line = read_line(data)
            origin = "" if line.shop else _origin(path, line)
            if origin and (first := first_of.setdefault(origin, number)) != number:
                raise BadInput(f"it is the same product as line {first} (origin {origin.removeprefix('import:')!r}); "
                               "put the photos of both on one line, or give each an origin of its own")
            known = _known(engine, store, line, origin)
            photos, wrong = _photos(store, path.parent, line, known, fetch)
            report.problems += [f"{path}, line {number}: {error}" for error in wrong]
            in_one_go(engine, partial(_save, line, origin, photos))
        except SoleSearchError as error:
            report.failed += 1
            report.problems.append(f"{path}, line {number}: {error}")
            continue
        report.products += 1
        report.photos += len(photos)
        if watch is not None:
            watch(report.products)
    if not report.products and not report.failed:
        raise BadInput(f"{path} holds no lines to import")
    return report


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if data.strip():
                    yield number, data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path} is damaged or cut short ({error}); the lines before are in the catalogue") from error


def _photos(store: PhotoStore, folder: Path, line: PushedLine, known: Mapping[str, FoundPhoto], fetch: Fetch | None
            ) -> tuple[list[FoundPhoto], list[SoleSearchError]]:
    """The photos of a line, and what is wrong with those that could not be had."""
    photos, wrong = [], []
    for place in line.places():
        if not place.path and place.url in known:
            photos.append(known[place.url])
            continue
        try:
            facts = read_photo(store, folder / place.path if place.path else place.url, fetch)
        except SoleSearchError as error:
            wrong.append(error)
        else:
            photos.append(FoundPhoto(facts, place.url))
    return photos, wrong


def _known(engine: Engine, store: PhotoStore, line: PushedLine, origin: str) -> dict[str, FoundPhoto]:
    """The photos that were fetched for this line before, by address."""
    urls = [place.url for place in line.places() if place.url and not place.path]
    if not urls:
        return {}
    rows = select(ProductPhoto.source_url, Photo).join(Photo, Photo.sha256 == ProductPhoto.sha256).where(
        ProductPhoto.source_url.in_(urls))
    if line.shop:
        rows = rows.join(Listing, Listing.id == ProductPhoto.listing_id).join(Shop, Shop.id == Listing.shop_id).where(
            Shop.name == line.shop, Listing.url == line.url)
    else:
        rows = rows.where(ProductPhoto.origin == origin)
    with Session(engine.execution_options(readonly=True)) as session:
        found = {url: PhotoFacts(row.sha256, row.format, row.width, row.height, row.size, row.dhash)
                 for url, row in session.execute(rows)}
    return {url: FoundPhoto(facts, url) for url, facts in found.items() if store.holds(facts)}


def _save(line: PushedLine, origin: str, photos: Sequence[FoundPhoto], session: Session) -> None:
    if line.shop:
        save_listing(session, _shop(session, line.shop), line.listing(), photos)
        return
    model = find_or_add_model(session, line.brand, line.group, line.model_name or line.title)
    product = find_or_add_product(session, origin, Described(
        line.brand, line.title, line.colour, line.style_code, line.gtins, line.shoe_type, model))
    replace_photos(session, product.id, origin, photos)


def _origin(path: Path, line: PushedLine) -> str:
    """The origin of a line without a shop: as stated, or made of what tells its product from the file's others."""
    words = (line.brand, line.style_code) if plain(line.style_code) else (line.brand, line.title, line.colour)
    # Unknown words keep their place: a brand and a title are not taken for a title and a colour.
    return import_code(line.origin or f"{path.name.partition('.')[0]}/{'-'.join(map(plain, words))}")


def _shop(session: Session, name: str) -> int:
    """The shop of that name; one that is only pushed has no site to crawl, and is paused from the start."""
    row = session.scalar(select(Shop).where(Shop.name == name))
    if row is None:
        row = Shop(name=name, url=f"{PUSHED}{name}", paused=True)
        session.add(row)
        session.flush()
    return row.id
