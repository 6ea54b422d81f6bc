"""`solesearch retrain`: snapshot, train, build, gate, promote."""

import shlex
from pathlib import Path

import click

from app import unfinished
from app.commands.indexing import build_with_bar
from app.commands.releases import promote_gated
from app.commands.training import SHARES, train_with_bars
from app.settings import read_settings
from app.wiring import open_stores
from catalogue.errors import BadInput, Busy, GateRefused, SoleSearchError
from catalogue.files import lock
from catalogue.pruning import prune
from catalogue.snapshots import SplitShares, take_snapshot


class _WithDefaults(click.Command):
    """A retraining without a recipe of its own takes the options of SOLESEARCH_RETRAIN_OPTIONS, and then its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not any(word.partition("=")[0] == "--recipe" for word in args):
            args = [*shlex.split(read_settings().retrain_options), *args]
        return super().parse_args(ctx, args)


@click.command(cls=_WithDefaults)
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path), help="TOML file of settings.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; may be repeated.")
@click.option("--val", default=SHARES.val, show_default=True, help="Share of photo groups kept to check training.")
@click.option("--unseen", default=SHARES.unseen, show_default=True, help="Share of models that training never sees.")
@click.option("--force", is_flag=True, help="Promote although it measures worse than what is live.")
@click.option("--prune", "pruning", is_flag=True, help="Then delete old releases, as `releases --prune` does.")
def retrain(recipe_file: Path | None, changes: tuple[str, ...], val: float, unseen: float, force: bool,
            pruning: bool) -> None:
    """Snapshot, train, build an index, pass the gate and promote, while the service keeps answering.

    Without --recipe it takes the options of SOLESEARCH_RETRAIN_OPTIONS, which --set changes further. Killed at any
    moment, the same command goes on within a week, with the photos it began with; what is live stays live until the
    last step.
    """
    from training.recipes import read_recipe
    recipe = read_recipe(recipe_file, changes)
    stores = open_stores(read_settings())
    with lock(stores.runs / "retrain.lock", "retraining"):
        shares = SplitShares(val, unseen)
        # What was crawled since a killed retraining waits for the next one: this one goes on with its own snapshot.
        taken = unfinished.begun(stores, shares)
        if taken is None:
            taken = take_snapshot(stores.database, stores.snapshots, shares)
            unfinished.remember(stores, taken, shares)
        network = None
        try:
            network = stores.releases.open(train_with_bars(stores, taken, recipe))
            click.echo(f"trained {network.name}")
            click.echo(promote_gated(stores, "index", build_with_bar(stores, network), force))
        except Busy as error:
            # Hours may have gone into it: it is no "nothing was done, try again later", and what is done stays.
            raise SoleSearchError(f"{error}; the same command goes on where this one was") from error
        except SoleSearchError as error:
            # Refused is not interrupted: the next retraining looks at the catalogue as it is then. But what was trained
            # is not thrown away because a file could not be read afterwards.
            if network is None or isinstance(error, GateRefused | BadInput):
                unfinished.place(stores).unlink()
            raise
        unfinished.place(stores).unlink()
        if pruning:
            for name in prune(stores.releases):
                click.echo(f"deleted {name}")
