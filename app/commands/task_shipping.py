"""`solesearch task install` and `export`: task networks that come with the project."""

from functools import partial
from pathlib import Path

import click

from app.commands.task_options import say_if_off, shoes_of
from app.settings import read_settings
from app.wiring import open_stores, training_device


@click.command()
@click.argument("names", metavar="[NAME]…", nargs=-1)
@click.option("--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder that `task export` wrote into, instead of those that come along.")
def install(names: tuple[str, ...], folder: Path | None) -> None:
    """Publish networks that come with the project (or lie in a folder), without NAME all; makes nothing live.

    A guard, such as the one that says that there is no shoe in a photo, is fitted to your catalogue's photos: do this
    again when the catalogue has grown.
    """
    from training.shipped_tasks import install_task, shipped
    from training.task_file import SHIPPED
    stores, place = open_stores(read_settings()), folder or SHIPPED
    if not (names or shipped(place)):
        click.echo(f"No networks lie in {place}; train one with `solesearch task train NAME`.", err=True)
    for name in names or tuple(shipped(place)):
        made = install_task(name, stores.releases, partial(shoes_of, stores), training_device(stores.settings), place)
        say_if_off(stores.releases.open(made))
        click.echo(made)


@click.command()
@click.argument("name")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--release", help="The release to write; without it the live one, else the newest.")
@click.option("--attribution", default="", help="Whose photos it was trained on, and under which licence.")
def export(name: str, out: Path, release: str | None, attribution: str) -> None:
    """Write a task's network into the folder OUT as NAME.pt (half precision) and NAME.json: `install --from OUT`."""
    from training.classified import release_of
    from training.shipped_tasks import export_task
    stores = open_stores(read_settings())
    path, size = export_task(release_of(stores.releases, name, release), out, attribution)
    click.echo(f"{path}: {size / 1e6:.1f} MB")
