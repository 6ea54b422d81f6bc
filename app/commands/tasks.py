"""`solesearch task`: classifiers described by one file each: list, make, train, evaluate."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, embedder_of, open_stores, training_device
from catalogue.errors import BadInput
from catalogue.files import write_file

if TYPE_CHECKING:
    from PIL import Image

    from training.classify import Plan, Watch
    from training.labelled import Labelled
    from training.task_data import TaskData
    from training.task_file import Task

DATA = click.option("--data", type=click.Path(path_type=Path), help="Where the photos lie: a folder or a CSV.")
RECIPE = click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path),
                      help="TOML file of settings.")
CHANGES = click.option("--set", "changes", multiple=True, metavar="NAME=VALUE",
                       help="Change one setting of the recipe, or multiply=how:class:times; may be repeated.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all figures unrounded.")


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

    from training.task_file import read_task, tasks
    folder = read_settings().tasks
    path = folder / f"{name}.toml"
    if name in tasks(folder):
        raise BadInput(f"there is a task {name!r} already ({tasks(folder)[name]}); choose another name")
    kind = "csv" if data.suffix.lower() == ".csv" else "folders"
    text = tomli_w.dumps({"name": name, "about": about or f"Classifies photos as in {data.name}.",
                          "data": {"kind": kind, "path": str(data.absolute())}, "recipe": {}})
    write_file(path, text.encode())
    try:
        read_task(path)
    except BadInput:
        path.unlink()
        raise
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
    from training.classify import overfitting, train_task
    stores = open_stores(read_settings())
    plan, photos = prepared(stores, name, data, recipe_file, changes)
    with watching() as watch:
        made = train_task(plan, photos, shoes_of(stores, plan.task), stores.releases, stores.runs,
                          training_device(stores.settings), watch)
    measures = stores.releases.open(made).manifest["measures"]
    if warning := overfitting(measures):
        click.echo(warning, err=True)
    click.echo(json.dumps({"release": made, **measures}))


@task.command()
@click.argument("name")
@click.option("--release", help="The release to measure; without it the live one, else the newest.")
@DATA
@AS_JSON
def evaluate(name: str, release: str | None, data: Path | None, as_json: bool) -> None:
    """Measure a published classifier on labelled photos, as the service would answer.

    Labels are matched to the task's classes by name. Where the photos lie in train/ and val/, val/ is measured.
    """
    from training.classified import evaluate as measured
    from training.classified import held_out_side, release_of, table
    from training.task_report import said_of
    stores = open_stores(read_settings())
    found = release_of(stores.releases, name, release)
    described = task_named(stores, name)
    photos = under_classes(held_out_side(labelled(stores, described, data)), described)
    said = measured(embedder_of(stores, found), photos, described.data.crop)
    if as_json:
        click.echo(json.dumps({"task": name, "release": found.name, **said.as_dict()}))
        return
    click.echo(f"{found.name}: {said_of(said.found)}, ece {said.ece:.3f}\n{table(said)}")
    for one in said.mistakes[:5]:
        click.echo(f"{one['photo']}: {one['is']}, taken for {one['taken_for']} ({one['probability']:.2f})")
    if said.unreadable:
        click.echo(f"{len(said.unreadable)} photos cannot be read: {said.unreadable[0]}", err=True)


def task_named(stores: Stores, name: str) -> "Task":
    """The task of a name; a release whose file is gone can still be measured."""
    from catalogue.errors import NotFound
    from training.classified import release_of
    from training.task_file import Task, find_task
    try:
        return find_task(name, stores.settings.tasks)
    except NotFound:
        release_of(stores.releases, name)
        return Task(name)


def labelled(stores: Stores, found: "Task", data: Path | None) -> "list[Labelled]":
    """The labelled photos of a task, as their source names them."""
    from training.classified import data_path
    from training.labelled import load
    source = found.data
    path = data_path(data, source.path, stores.settings.tasks)
    if path is None and source.kind != "catalogue":
        raise BadInput(f"the task {found.name!r} does not say where its photos lie; say it with --data")
    if path is not None and source.kind == "csv" and path.is_dir() and not (path / "labels.csv").is_file():
        source = replace(source, kind="folders")
    if path is not None and source.kind == "catalogue" and path.is_dir() and not (path / "products.csv").is_file():
        source = replace(source, kind="folders")
    return load(source, path, catalogue_rows(stores) if path is None else (), stores.photos)


def under_classes(entries: "list[Labelled]", found: "Task") -> "list[Labelled]":
    """The photos under the names of a task's classes; those of other labels are left out if its file says so."""
    source = found.data
    named = [replace(one, label=source.labels.get(one.label, one.label)) for one in entries]
    return [one for one in named if source.others != "skip" or not found.classes or one.label in found.classes]


def catalogue_rows(stores: Stores) -> Any:
    """Every photo of the catalogue with its product's attributes."""
    from sqlalchemy.orm import Session

    from catalogue.queries import product_photos
    with Session(stores.readers) as session:
        return product_photos(session)


def prepared(stores: Stores, name: str, data: Path | None, recipe_file: Path | None,
             changes: tuple[str, ...]) -> "tuple[Plan, TaskData]":
    """What to train and on which photos, read and checked."""
    from training.classify import Plan
    from training.task_data import read_data
    from training.task_file import find_task, parted, recipe_of
    found = find_task(name, stores.settings.tasks)
    words, multiply = parted(changes)
    plan = Plan(found, recipe_of(found, recipe_file, words), found.multiply if multiply is None else multiply)
    entries = labelled(stores, found, data)
    with counting("read photos", len(entries)) as moved:
        return plan, read_data(entries, found.data, found.classes, stores.runs / "task-photos", moved)


def shoes_of(stores: Stores, found: "Task") -> "list[Callable[[], Image.Image]]":
    """Photos of the catalogue, which all show shoes, for a task whose guard must hardly ever deny them."""
    from functools import partial

    from numpy.random import default_rng

    from training.guard import MOST_PHOTOS
    if found.guard is None:
        return []
    names = sorted({row.sha256 for row in catalogue_rows(stores)})
    chosen = default_rng(0).permutation(len(names))[:MOST_PHOTOS]
    return [partial(stores.photos.image, names[at]) for at in chosen]


@contextmanager
def watching() -> "Iterator[Watch]":
    """Progress bars for one training after the other."""
    from training.classify import Watch
    from training.loop import Step
    with counting("prepare photos") as packed, counting("train", unit="step") as stepped:
        def step(now: Step) -> None:
            stepped((now.epoch - 1) * now.steps + now.step, now.epochs * now.steps, epoch=f"{now.epoch}/{now.epochs}",
                    loss=f"{now.loss:.3f}", photos_per_s=round(now.photos_per_s))
        yield Watch(packed, step)
