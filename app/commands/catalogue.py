"""`solesearch catalogue`: import, export, stats, merge, split, sweep, verify."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy.orm import Session

from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, crawl_settings, open_stores
from catalogue.errors import FetchFailed

if TYPE_CHECKING:
    from catalogue.imports import Fetch, ImportReport
    from catalogue.merging import Moved

GB = 10**9
_TOLD = 20


@click.group()
def catalogue() -> None:
    """Import, export, count, merge, split, sweep and verify products and photos."""


@catalogue.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats(as_json: bool) -> None:
    """Count shops, listings, products and photos, and the bytes of the photo store."""
    from catalogue.queries import stats as count
    from catalogue.sweeping import disk_use
    stores = open_stores(read_settings())
    with Session(stores.readers) as session:
        found = count(session)
    found["bytes"] = disk_use(stores.photos).bytes
    click.echo(json.dumps(found) if as_json else "\n".join(f"{number:12d} {name}" for name, number in found.items()))


@catalogue.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--set", "sets", multiple=True, help="Only these sets of products.csv; may be repeated.")
@click.option("--photo-column", default="photo", show_default=True, help="The column of photos, for a CSV file.")
@click.option("--fetch", is_flag=True, help="Fetch photos that are addresses, as politely as a crawl.")
@click.option("--layout", type=click.Choice(["sop", "inshop", "zappos"]),
              help="PATH is an unpacked public set: Stanford Online Products, In-Shop or UT-Zappos50K.")
def import_(path: Path, sets: tuple[str, ...], photo_column: str, fetch: bool, layout: str | None) -> None:
    """Import a folder with a products.csv and <set>/<slug>/<n>.jpg, a CSV with a column of photos, or JSON lines.

    A line of a .jsonl (or .jsonl.gz) file is an object of title, brand, style_code, gtins, colour, price, currency,
    available, sizes, photos …; with shop and url it is a listing of that shop. Photos are paths relative to the file,
    or addresses. Lines that cannot be used are told, the others go in, and the exit status is 1.

    A public set (--layout) comes as the sets <layout>-train and <layout>-test: --set sop-train keeps to the first.
    """
    from catalogue.imports import import_path
    from catalogue.pushes import NAMES, import_lines
    stores = open_stores(read_settings())
    with counting("import", unit="product") as move, _fetching(stores, fetch) as bring:
        if path.name.endswith(NAMES) and not layout:
            report = import_lines(stores.database, stores.photos, path, bring, move)
        else:
            report = import_path(stores.database, stores.photos, path, photo_column, sets, move, bring,
                                 layout or "")
    _tell(report)


@catalogue.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--jsonl", type=click.Path(dir_okay=False, path_type=Path), help="Write JSON lines (.gz compresses).")
@click.option("--photos/--no-photos", default=True, help="With --jsonl: photo files beside it, or addresses only.")
def export(folder: Path | None, jsonl: Path | None, photos: bool) -> None:
    """Write the catalogue as a new folder with a products.csv and photos, or as JSON lines with every listing."""
    from catalogue.exports import export_lines
    from catalogue.imports import export_folder
    if (folder is None) == (jsonl is None):
        raise click.UsageError("name a folder, or a file with --jsonl")
    stores = open_stores(read_settings())
    if folder is not None:
        report = export_folder(stores.database, stores.photos, folder)
    else:
        assert jsonl is not None
        report = export_lines(stores.database, stores.photos, jsonl, photos)
    what = "products" if folder else "lines"
    click.echo(f"{report.products} {what}, {report.photos} photos in {folder or jsonl}")


@catalogue.command()
@click.argument("product")
@click.argument("into")
def merge(product: str, into: str) -> None:
    """Make PRODUCT one with INTO (ids or style codes); later crawls and imports keep to it."""
    from catalogue.merging import merge as join
    moved = join(open_stores(read_settings()).database, product, into)
    click.echo(f"product {moved.from_id} is now product {moved.to_id} ({_amounts(moved)} moved); "
               f"`solesearch catalogue split {moved.from_id}` takes it back")


@catalogue.command()
@click.argument("names", metavar="LISTING_URL…", nargs=-1, required=True)
def split(names: tuple[str, ...]) -> None:
    """Make listings (or imports: import:<set>/<slug>) a product of their own; the id of a merged product undoes that.

    Later crawls and imports keep to it.
    """
    from catalogue.merging import split as part
    moved = part(open_stores(read_settings()).database, names)
    click.echo(f"product {moved.to_id} was split off product {moved.from_id} ({_amounts(moved)} moved)")


@catalogue.command()
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS",
              help="Also let go the photos of listings that left their shop longer ago.")
@click.option("--max-gb", type=click.FloatRange(min=0, min_open=True), help="Exit 1 if the photos take more than this.")
def sweep(older_than: float | None, max_gb: float | None) -> None:
    """Remove photo files that nothing shows (a day old or more), and say how much room the others take."""
    from catalogue.sweeping import disk_use
    from catalogue.sweeping import sweep as clean
    stores = open_stores(read_settings())
    swept = clean(stores.database, stores.photos, older_than)
    left = disk_use(stores.photos)
    click.echo(f"removed {swept.photos} photos and {swept.orphans} orphan files, {swept.bytes / GB:.3f} GB; "
               f"{left.files} files, {left.bytes / GB:.3f} GB are left")
    if max_gb is not None and left.bytes > max_gb * GB:
        raise click.ClickException(f"the photos take more than {max_gb:g} GB; let go those of listings long gone "
                                   "(--older-than DAYS), remove a shop, or give them more room")


@catalogue.command()
def verify() -> None:
    """Compare rows, photo files and releases; exit 1 if photos or releases are missing or altered."""
    from catalogue.integrity import faults
    stores = open_stores(read_settings())
    found = list(faults(stores.database, stores.photos, stores.releases))
    for fault in found:
        click.echo(f"{fault.kind}: {fault.what}")
    serious = [fault for fault in found if fault.kind != "orphan"]
    click.echo(f"{len(serious)} faults, {len(found) - len(serious)} orphans")
    if serious:
        raise click.exceptions.Exit(1)


def _amounts(moved: "Moved") -> str:
    return f"{moved.listings} listings, {moved.photos} photos"


def _tell(report: "ImportReport") -> None:
    for problem in report.problems[:_TOLD]:
        click.echo(f"skipped: {problem}", err=True)
    if len(report.problems) > _TOLD:
        click.echo(f"… and {len(report.problems) - _TOLD} problems more", err=True)
    click.echo(f"{report.products} products, {report.photos} photos, {len(report.problems)} problems")
    if report.failed:
        raise click.ClickException(f"{report.failed} lines could not be used")
    if report.problems and not report.photos:
        raise click.ClickException("no photo could be used")


@contextmanager
def _fetching(stores: Stores, wanted: bool) -> Iterator["Fetch | None"]:
    """The crawler's way to fetch one photo, if addresses are to be fetched."""
    if not wanted:
        yield None
        return
    from crawler.fetch import Fetcher
    settings = crawl_settings(stores.settings)
    with Fetcher(settings) as fetcher:
        def fetch(url: str) -> bytes:
            answer = fetcher.get(url, settings.max_photo_bytes, "image/*,*/*;q=0.5")
            if answer.status != 200:
                raise FetchFailed(f"{url} answered {answer.status}")
            return answer.body

        yield fetch
