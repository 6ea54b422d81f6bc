"""`solesearch task`: classifiers described by one file each: list, make, train, evaluate."""

import json
from functools import partial
from pathlib import Path

import click

from app.commands.task_options import (
    AS_JSON,
    CHANGES,
    DATA,
    PLOT,
    RECIPE,
    prepared,
    say_if_off,
    shoes_of,
    task_named,
    to_measure,
    watching,
)
from app.commands.task_shipping import export, install
from app.commands.task_trials import compare, cross_validate
from app.progress import speaks
from app.settings import read_settings
from app.wiring import embedder_of, open_stores, training_device
from catalogue.errors import BadInput
from catalogue.files import write_file


@click.group()
def task() -> None:
    """Train, measure and publish other classifiers, one file each."""


@task.command("list")
@AS_JSON
def list_tasks(as_json: bool) -> None:
    """Show the tasks there are, shipped and your own, and what is live of each."""
    from training.task_file import read_task, tasks
    settings = read_settings()
    releases = open_stores(settings).releases
    live = {slot: pair[0] for slot, pair in releases.slots().items()}
    rows = []
    for name, path in sorted(tasks(settings.tasks).items()):
        found = read_task(path)
        rows.append({"name": name, "about": found.about, "classes": list(found.classes), "file": str(path),
                     "live": live.get(f"task:{name}")})
    if as_json:
        click.echo(json.dumps({"tasks": rows}))
        return
    for row in rows:
        click.echo(f"{row['name']:<16} {row['about']}  [{row['live'] or 'not live'}]")


@task.command()
@click.argument("name")
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path),
              help="A folder with one folder of photos a class (or train/ and val/ of these), or a CSV.")
@click.option("--about", default="", help="One sentence about the task.")
def new(name: str, data: Path, about: str) -> None:
    """Write the file of a new task for labelled photos, to be trained and changed as you like."""
    import tomli_w

    from training.task_file import Task, tasks
    folder = read_settings().tasks
    path = folder / f"{Task(name).name}.toml"
    if name in tasks(folder):
        raise BadInput(f"there is a task {name!r} already ({tasks(folder)[name]}); choose another name")
    kind = "csv" if data.suffix.lower() == ".csv" else "folders"
    text = tomli_w.dumps({"name": name, "about": about or f"Classifies photos as in {data.name}.",
                          "data": {"kind": kind, "path": str(data.absolute())}, "recipe": {}})
    write_file(path, text.encode())
    click.echo(f"{path}: train it with `solesearch task train {name}`")


@task.command()
@click.argument("name")
@DATA
@RECIPE
@CHANGES
def train(name: str, data: Path | None, recipe_file: Path | None, changes: tuple[str, ...]) -> None:
    """Train the classifier of a task and publish it; makes nothing live (`solesearch promote task:NAME` does).

    Killed at any moment, the same command goes on from the last epoch; done before, it says what it made.
    """
    from training.classify import train_task
    from training.fitting import overfitting
    stores = open_stores(read_settings())
    plan, photos = prepared(stores, name, data, recipe_file, changes)
    with watching() as watch:
        made = train_task(plan, photos, partial(shoes_of, stores), stores.releases, stores.runs,
                          training_device(stores.settings), watch)
    if not speaks():
        return
    release = stores.releases.open(made)
    measures = release.manifest["measures"]
    say_if_off(release)
    if warning := overfitting(measures):
        click.echo(warning, err=True)
    click.echo(json.dumps({"release": made, **measures}))


@task.command()
@click.argument("name")
@click.option("--release", help="The release to measure; without it the live one, else the newest.")
@DATA
@PLOT
@AS_JSON
def evaluate(name: str, release: str | None, data: Path | None, picture: Path | None, as_json: bool) -> None:
    """Measure a published classifier on labelled photos, as the service would answer.

    Labels are matched to the task's classes by name. Where the photos lie in train/ and val/, val/ is measured; without
    --data, the part of the task's own photos that training holds out.
    """
    from training.classified import class_table, release_of
    from training.classified import evaluate as measured
    from training.drawings import save_drawing
    from training.task_report import draw_confusion, said_of
    stores = open_stores(read_settings())
    found = release_of(stores.releases, name, release)
    described = task_named(stores, name)
    photos = to_measure(stores, described, found, data)
    said = measured(embedder_of(stores, found), photos, described.data.crop)
    if picture is not None:
        save_drawing(draw_confusion(said.classes, said.found), picture)
    if as_json:
        click.echo(json.dumps({"task": name, "release": found.name, **said.as_dict()}))
        return
    click.echo(f"{found.name}: {said_of(said.found)}, ece {said.ece:.3f}\n{class_table(said.classes, said.found)}")
    for one in said.mistakes[:5]:
        click.echo(f"{one['photo']}: {one['is']}, taken for {one['taken_for']} ({one['probability']:.2f})")
    if said.unreadable:
        click.echo(f"{len(said.unreadable)} photos cannot be read: {said.unreadable[0]}", err=True)


for command in (cross_validate, compare, install, export):
    task.add_command(command)
