"""`solesearch task install` and `export`: task networks that come with the project."""

from functools import partial
from pathlib import Path

import click

from app.commands.task_options import say_if_off, shoes_of
from app.settings import read_settings
from app.wiring import open_stores, training_device


@click.command()
@click.argument("names", metavar="[NAME]…", nargs=-1)
def install(names: tuple[str, ...]) -> None:
    """Publish networks that come with the project, without NAME all of them; makes nothing live.

    A guard, such as the one that says that there is no shoe in a photo, is fitted to your catalogue's photos: do this
    again when the catalogue has grown.
    """
    from training.shipped_tasks import install_task, shipped
    stores = open_stores(read_settings())
    if not (names or shipped()):
        click.echo("No networks are shipped; train one with `solesearch task train NAME`.", err=True)
    for name in names or tuple(shipped()):
        made = install_task(name, stores.releases, partial(shoes_of, stores), training_device(stores.settings))
        say_if_off(stores.releases.open(made))
        click.echo(made)


@click.command()
@click.argument("name")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--release", help="The release to write; without it the live one, else the newest.")
@click.option("--attribution", default="", help="Whose photos it was trained on, and under which licence.")
def export(name: str, out: Path, release: str | None, attribution: str) -> None:
    """Write a task's network into the folder OUT as NAME.pt (half precision) and NAME.json, as `install` takes them."""
    from training.classified import release_of
    from training.shipped_tasks import export_task
    stores = open_stores(read_settings())
    path, size = export_task(release_of(stores.releases, name, release), out, attribution)
    click.echo(f"{path}: {size / 1e6:.1f} MB")
