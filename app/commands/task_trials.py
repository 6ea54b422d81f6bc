"""`solesearch task cross-validate` and `compare`: several trainings of one task, in one table and one picture."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands.task_options import AS_JSON, CHANGES, DATA, PLOT, RECIPE, prepared, watching
from app.settings import read_settings
from app.tables import show_table
from app.wiring import open_stores, training_device
from catalogue.errors import BadInput

if TYPE_CHECKING:
    from training.fitting import Plan
    from training.task_data import TaskData

OUT = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table to this file.")


@click.command("cross-validate")
@click.argument("name")
@click.option("--folds", default=5, show_default=True, help="How many folds.")
@DATA
@RECIPE
@CHANGES
@click.option("--versus", multiple=True, metavar="'NAME=VALUE …'",
              help="Another network, by its changes on top of these; may be repeated.")
@click.option("--draw", "drawn", multiple=True, metavar="CLASS=COUNT",
              help="Use so many photos of a class, drawn at random; may be repeated.")
@PLOT
@OUT
@AS_JSON
def cross_validate(name: str, folds: int, data: Path | None, recipe_file: Path | None, changes: tuple[str, ...],
                   versus: tuple[str, ...], drawn: tuple[str, ...], picture: Path | None, out: Path | None,
                   as_json: bool) -> None:
    """Train on all folds but one and measure that one, in turn: every photo is judged by a network that never saw it.

    All labelled photos are used, whatever side they stand on. Near-duplicates share a fold. Killed at any moment, the
    same command goes on; folds that are done are not done again.
    """
    from training import crossing
    stores = open_stores(read_settings())
    plan, photos = prepared(stores, name, data, recipe_file, changes)
    photos = _drawn(photos, drawn)
    plans = [(_words(plan, changes), plan)]
    for words in versus:
        more = (*changes, *shlex.split(words))
        other = _changed(plan, recipe_file, more)
        plans.append((_words(other, more), other))
    device = training_device(stores.settings)
    found = []
    for word, one in plans:
        with watching() as watch:
            found.append(crossing.cross_validate(word, one, photos, folds, stores.runs, device, stores.releases, watch))
    if picture is not None:
        crossing.draw(found, picture)
    show_table(crossing.table(found), {"task": name, "networks": [one.as_dict() for one in found]}, out, as_json)


@click.command()
@click.argument("name")
@click.option("--grid", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="TOML file: [vary] with lists of values, or [[cells]] with a name and settings each.")
@click.option("--vary", multiple=True, metavar="NAME=A,B", help="Values of one setting; may be repeated.")
@DATA
@RECIPE
@CHANGES
@click.option("--start", default="", help="Weights of the task's backbone: for the baseline, and cells with it.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 20), help="Trainings of each cell.")
@PLOT
@OUT
@AS_JSON
def compare(name: str, grid: Path | None, vary: tuple[str, ...], data: Path | None, recipe_file: Path | None,
            changes: tuple[str, ...], start: str, seeds: int, picture: Path | None, out: Path | None,
            as_json: bool) -> None:
    """Train every cell of a grid and print them in one table, below a linear probe on the frozen trunk as the baseline.

    Killed at any moment, the same command goes on; trainings that are done are not done again.
    """
    from training import grid as grids
    stores = open_stores(read_settings())
    cells = grids.read_grid(grid, vary)
    plan, photos = prepared(stores, name, data, recipe_file, changes)
    begun = f"start={start or plan.recipe.start}"
    rows = []
    device = training_device(stores.settings)
    on = "random weights of " if begun == "start=none" else ""
    trials = [(grids.Cell(f"linear probe, {on}{plan.recipe.backbone}", probe=True),
               grids.baseline(_changed(plan, recipe_file, (*changes, begun))))]
    if on:
        click.echo("The baseline is a linear probe on random weights; name the backbone's own with --start.", err=True)
    for cell in cells:
        one = _changed(plan, recipe_file, (*changes, *cell.changes))
        if start and one.recipe.backbone == plan.recipe.backbone and one.recipe.start == plan.recipe.start:
            one = _changed(plan, recipe_file, (*changes, begun, *cell.changes))
        trials.append((cell, one))
    for cell, one in trials:
        with watching() as watch:
            rows.append(grids.train_cell(cell, one, photos, seeds, stores.runs, device, stores.releases, watch))
    if picture is not None:
        grids.draw(rows, picture)
    show_table(grids.table(rows), {"task": name, "rows": [row.as_dict() for row in rows]}, out, as_json)


def _changed(plan: "Plan", recipe_file: Path | None, changes: tuple[str, ...]) -> "Plan":
    """The plan with other changes to its task's recipe."""
    from training.task_file import parted, recipe_of
    words, multiply = parted(changes)
    return replace(plan, recipe=recipe_of(plan.task, recipe_file, words),
                   multiply=plan.task.multiply if multiply is None else multiply)


def _words(plan: "Plan", changes: tuple[str, ...]) -> str:
    """A network's name in a table: its backbone and what was changed."""
    last = dict(word.split("=", 1) for word in changes if not word.startswith("backbone="))
    if "start" in last:
        last["start"] = Path(last["start"]).name
    return " ".join([plan.recipe.backbone, *(f"{name}={value}" for name, value in last.items())])


def _drawn(photos: "TaskData", drawn: tuple[str, ...]) -> "TaskData":
    """So many photos of each class that is named; all of the others."""
    from training.folds import draw
    if not drawn:
        return photos
    counts = {number: int((photos.labels == number).sum()) for number in range(len(photos.classes))}
    for word in drawn:
        name, _, count = word.rpartition("=")
        if name not in photos.classes or not count.isdigit() or int(count) < 1:
            raise BadInput(f"--draw is written CLASS=COUNT with a class of {', '.join(photos.classes)}, not {word!r}")
        number = photos.classes.index(name)
        if int(count) > counts[number]:
            raise BadInput(f"there are {counts[number]} photos of {name!r}, fewer than {count}; draw fewer")
        counts[number] = int(count)
    return photos.only(draw(photos.labels, photos.groups, counts, seed=0))
