"""`solesearch catalogue`: import, export, stats, verify."""

import json
from pathlib import Path

import click
from sqlalchemy.orm import Session

from app.progress import counting
from app.settings import read_settings
from app.wiring import open_stores


@click.group()
def catalogue() -> None:
    """Import, export, count and verify products and photos."""


@catalogue.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats(as_json: bool) -> None:
    """Count shops, listings, products and photos."""
    from catalogue.queries import stats as count
    with Session(open_stores(read_settings()).readers) as session:
        found = count(session)
    click.echo(json.dumps(found) if as_json else "\n".join(f"{number:8d} {name}" for name, number in found.items()))


@catalogue.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--set", "sets", multiple=True, help="Only these sets of products.csv; may be repeated.")
@click.option("--photo-column", default="photo", show_default=True, help="The column of photo paths, for a CSV file.")
def import_(path: Path, sets: tuple[str, ...], photo_column: str) -> None:
    """Import a folder with a products.csv and <set>/<slug>/<n>.jpg, or any CSV with a column of photo paths."""
    from catalogue.imports import import_path
    stores = open_stores(read_settings())
    with counting("import", unit="product") as move:
        report = import_path(stores.database, stores.photos, path, photo_column, sets, move)
    for problem in report.problems[:20]:
        click.echo(f"skipped: {problem}", err=True)
    click.echo(f"{report.products} products, {report.photos} photos, {len(report.problems)} problems")
    if report.problems and not report.photos:
        raise click.ClickException("no photo could be used")


@catalogue.command()
@click.argument("folder", type=click.Path(path_type=Path))
def export(folder: Path) -> None:
    """Write the catalogue as a new folder with a products.csv and photos."""
    from catalogue.imports import export_folder
    stores = open_stores(read_settings())
    report = export_folder(stores.database, stores.photos, folder)
    click.echo(f"{report.products} products, {report.photos} photos in {folder}")


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
