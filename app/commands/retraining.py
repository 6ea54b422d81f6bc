"""`solesearch retrain`: snapshot, train, build, gate, promote."""

from pathlib import Path

import click

from app.commands.indexing import build_with_bar
from app.commands.releases import promote_gated
from app.commands.training import SHARES, train_with_bars
from app.settings import read_settings
from app.wiring import Stores, open_stores
from catalogue.errors import SoleSearchError
from catalogue.files import lock, write_file
from catalogue.snapshots import Snapshot, SplitShares, open_snapshot, take_snapshot

BEGUN = "retrain.snapshot"


@click.command()
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path), help="TOML file of settings.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; may be repeated.")
@click.option("--val", default=SHARES.val, show_default=True, help="Share of photo groups kept to check training.")
@click.option("--unseen", default=SHARES.unseen, show_default=True, help="Share of models that training never sees.")
@click.option("--force", is_flag=True, help="Promote although it measures worse than what is live.")
def retrain(recipe_file: Path | None, changes: tuple[str, ...], val: float, unseen: float, force: bool) -> None:
    """Snapshot, train, build an index, pass the gate and promote, while the service keeps answering.

    Killed at any moment, the same command goes on; what is live stays live until the last step.
    """
    from training.recipes import read_recipe
    recipe = read_recipe(recipe_file, changes)
    stores = open_stores(read_settings())
    with lock(stores.runs / "retrain.lock", "retraining"):
        taken = _begun(stores) or take_snapshot(stores.database, stores.snapshots, SplitShares(val, unseen))
        # What was crawled since a killed retraining waits for the next one: this one goes on with its own snapshot.
        write_file(stores.runs / BEGUN, taken.digest.encode())
        try:
            network = stores.releases.open(train_with_bars(stores, taken, recipe))
            click.echo(f"trained {network.name}")
            click.echo(promote_gated(stores, "index", build_with_bar(stores, network), force))
        except SoleSearchError:
            # Refused is not interrupted: the next retraining looks at the catalogue as it is then.
            (stores.runs / BEGUN).unlink()
            raise
        (stores.runs / BEGUN).unlink()


def _begun(stores: Stores) -> Snapshot | None:
    """The snapshot of a retraining that was killed; None if there was none, or it cannot be used any more."""
    path = stores.runs / BEGUN
    if not path.is_file():
        return None
    try:
        return open_snapshot(stores.snapshots, path.read_text())
    except SoleSearchError as error:
        click.echo(f"the unfinished retraining cannot go on ({error}); starting a new one", err=True)
        return None
