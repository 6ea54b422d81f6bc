"""`solesearch snapshot` and `solesearch train`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.progress import counting, speaks, stepping
from app.settings import read_settings
from app.tables import show_table
from app.wiring import Stores, open_stores, training_device
from catalogue.files import write_file
from catalogue.snapshots import SPLITS, SplitShares, open_snapshot, take_snapshot

if TYPE_CHECKING:
    from catalogue.snapshots import Snapshot
    from training.recipes import Recipe

SHARES = SplitShares()


@click.command()
@click.option("--val", default=SHARES.val, show_default=True, help="Share of photo groups kept to check training.")
@click.option("--unseen", default=SHARES.unseen, show_default=True, help="Share of models that training never sees.")
def snapshot(val: float, unseen: float) -> None:
    """Export what a training may use; prints the snapshot's digest."""
    stores = open_stores(read_settings())
    taken = take_snapshot(stores.database, stores.snapshots, SplitShares(val, unseen))
    sides = ", ".join(f"{len(taken.side(side))} {side}" for side in SPLITS)
    click.echo(f"{taken.digest}  {sides}")


@click.group()
def train() -> None:
    """Train a network from a snapshot."""


@train.command()
@click.option("--snapshot", "digest", help="The snapshot to train on; without it a new one is taken.")
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path), help="TOML file of settings.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; may be repeated.")
@click.option("--val", default=SHARES.val, show_default=True, help="Share of photo groups kept to check training.")
@click.option("--unseen", default=SHARES.unseen, show_default=True, help="Share of models that training never sees.")
def sku(digest: str | None, recipe_file: Path | None, changes: tuple[str, ...], val: float, unseen: float) -> None:
    """Train the network that tells products apart, and publish it; makes nothing live.

    Killed at any moment, the same command goes on from the last epoch; with --snapshot also where photos came since.
    Settings are those of a recipe: backbone, start (none, shipped, torchvision:NAME or a state dict file), size,
    epochs, …
    """
    from training.recipes import read_recipe
    recipe = read_recipe(recipe_file, changes)
    stores = open_stores(read_settings())
    taken = open_snapshot(stores.snapshots, digest) if digest else take_snapshot(
        stores.database, stores.snapshots, SplitShares(val, unseen))
    if not digest and speaks():
        click.echo(f"snapshot {taken.digest}: should photos come before this training ends, and it is killed, "
                   f"--snapshot {taken.digest} goes on with it", err=True)
    name = train_with_bars(stores, taken, recipe)
    if speaks():
        click.echo(json.dumps({"release": name, **stores.releases.open(name).manifest["measures"]}))


@train.command()
@click.argument("release")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def export(release: str, out: Path) -> None:
    """Write a network's weights but for its head as a half-precision state dict, to start other trainings from."""
    from vision.weights import start_of
    data = start_of(open_stores(read_settings()).releases.open(release).folder)
    write_file(out, data)
    click.echo(f"{out}: {len(data) / 1e6:.1f} MB")


@train.command()
@click.argument("names", metavar="[RELEASE]…", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all figures unrounded.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the runs (.png, .svg).")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table to this file.")
def compare(names: tuple[str, ...], as_json: bool, picture: Path | None, out: Path | None) -> None:
    """Print one table of trainings: settings in which they differ, accuracy, recall, loss, size, speed.

    RELEASEs are network releases; without any, all there are, oldest first. A dash says that a card lacks a figure.
    """
    from training.compare import draw, records, run_of, table
    releases = open_stores(read_settings()).releases
    found = [releases.open(name) for name in names] or releases.all("network")[::-1] or [releases.newest("network")]
    runs = [run_of(release) for release in found]
    if picture is not None:
        draw(runs, picture)
    show_table(table(runs), {"runs": records(runs)}, out, as_json)


def train_with_bars(stores: Stores, snapshot: "Snapshot", recipe: "Recipe") -> str:
    """Train with progress bars; return the network release's name."""
    from training.loop import Watch
    from training.sku import train as train_sku
    device = training_device(stores.settings)
    with counting("prepare photos", len(snapshot.photos)) as packed, counting("train", unit="step") as stepped:
        return train_sku(snapshot, recipe, stores.photos, stores.releases, stores.runs, device,
                         Watch(packed, stepping(stepped)))
