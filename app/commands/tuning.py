"""`solesearch tune`: search for the settings that train best."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.commands.training import SHARES
from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, open_stores, training_device
from catalogue.errors import BadInput
from catalogue.files import write_file
from catalogue.snapshots import Snapshot, SplitShares, open_snapshot, take_snapshot

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from training.loop import Step
    from training.recipes import Recipe
    from training.tune import Means, Search


@click.command()
@click.option("--trials", default=20, show_default=True, type=click.IntRange(min=1),
              help="End when so many trials have, those of earlier calls counted.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop, after a whole epoch, at this.")
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path), help="TOML file of settings.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; may be repeated.")
@click.option("--space", "space_file", type=click.Path(exists=True, path_type=Path),
              help="TOML file of what to search: setting = {low, high, log} or {choices}.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of a trial; without it, those of the recipe.")
@click.option("--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median", show_default=True,
              help="What ends trials early that do worse than others.")
@click.option("--snapshot", "digest", help="The snapshot to search on; without it one is taken when the search begins.")
@click.option("--val", default=SHARES.val, show_default=True, help="Share of photo groups kept to check training.")
@click.option("--unseen", default=SHARES.unseen, show_default=True, help="Share of models that training never sees.")
@click.option("--train", "then_train", is_flag=True, help="Then train the best settings in full and publish.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the best recipe to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def tune(trials: int, minutes: float | None, recipe_file: Path | None, changes: tuple[str, ...],
         space_file: Path | None, epochs: int | None, pruner: str, digest: str | None, val: float, unseen: float,
         then_train: bool, out: Path | None, as_json: bool) -> None:
    """Search for the settings that train best: recall@1 on products that training never saw.

    Prints the trials as a table, draws them, and writes the best as a recipe for `train sku --recipe`. Killed at any
    moment, the same command goes on with the trial that was running; with more --trials it searches further, on the
    same snapshot. Trials publish nothing.
    """
    recipe, stores, asked = _asked(recipe_file, changes, space_file, epochs, pruner, digest, (val, unseen))
    from training import trials as outcome
    from training.tune import best, search, train_best
    with _means(stores, asked) as means:
        found = search(asked, means, trials, math.inf if minutes is None else 60 * minutes)
    first = best(found)
    picture, best_file = asked.folder / "trials.png", asked.folder / "best.toml"
    outcome.draw(found, picture)
    if not as_json:
        click.echo(outcome.table(found, asked.space))
    if first is None:
        raise BadInput("no trial has been completed yet; the same command goes on, give it more --trials or --minutes")
    text = outcome.recipe_text(first, recipe, found).encode()
    for path in (best_file, *([out] if out else [])):
        write_file(path, text)
    said: dict[str, Any] = {"best": first.number, outcome.objective(found): first.value,
                            "recipe": str(out or best_file), "plot": str(picture)}
    if then_train:
        with _means(stores, asked) as means:
            said["release"] = train_best(asked, first.params, recipe.epochs, means)
        said.update(stores.releases.open(said["release"]).manifest["measures"])
    if as_json:
        said = {"snapshot": asked.snapshot.digest, "trials": outcome.records(found), **said}
    click.echo(json.dumps(said))


def _asked(recipe_file: Path | None, changes: tuple[str, ...], space_file: Path | None, epochs: int | None, pruner: str,
           digest: str | None, shares: tuple[float, float]) -> "tuple[Recipe, Stores, Search]":
    """The recipe as it will be trained in full, the stores, and what is to be searched."""
    from dataclasses import replace

    from training.recipes import read_recipe
    from training.space import DEFAULT, read_space
    recipe = read_recipe(recipe_file, changes)
    short = replace(recipe, epochs=epochs or recipe.epochs)
    space = read_space(space_file or DEFAULT, short)
    stores = open_stores(read_settings())
    training_device(stores.settings)  # says what to install, before a snapshot is taken
    try:
        from training.tune import Search, search_folder
    except ModuleNotFoundError as error:
        raise BadInput(f"the search for settings needs {error.name}; install solesearch[tune]") from error
    folder = search_folder(stores.runs, short, space, json.dumps([digest, shares]))
    return recipe, stores, Search(short, space, _snapshot(stores, folder, digest, SplitShares(*shares)), folder, pruner)


def _snapshot(stores: Stores, folder: Path, digest: str | None, shares: SplitShares) -> Snapshot:
    """The one snapshot of the search: as named, as it was begun on, else a new one."""
    from training.tune import snapshot_of
    before = snapshot_of(folder)
    if before is not None:
        click.echo(f"going on with the search in {folder}, on snapshot {before}", err=True)
    if digest or before:
        return open_snapshot(stores.snapshots, digest or str(before))
    return take_snapshot(stores.database, stores.snapshots, shares)


@contextmanager
def _means(stores: Stores, asked: "Search") -> "Iterator[Means]":
    """What trials are run with: bars, and a line for each trial that ends."""
    from training.tune import Means, why
    with counting("prepare photos", len(asked.snapshot.photos)) as packed, counting("train", unit="step") as stepped:
        def step(trial: int, now: "Step") -> None:
            stepped((now.epoch - 1) * now.steps + now.step, now.epochs * now.steps,
                    trial="best" if trial < 0 else trial, epoch=f"{now.epoch}/{now.epochs}", loss=f"{now.loss:.3f}")

        def ended(trial: "FrozenTrial") -> None:
            reached = "" if trial.last_step is None else f" at {trial.intermediate_values[trial.last_step]:.3f}"
            reason = why(trial)
            click.echo(f"trial {trial.number} {trial.state.name.lower()}{reached}{reason and f': {reason}'}", err=True)

        yield Means(stores.photos, stores.releases, training_device(stores.settings), packed, step, ended)
