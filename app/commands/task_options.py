"""What the commands of `solesearch task` share: their options, and a task's photos and plan made ready."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.progress import counting, stepping
from app.wiring import Stores
from catalogue.errors import BadInput

if TYPE_CHECKING:
    from catalogue.releases import Published
    from training.fitting import Plan
    from training.guard import Shown
    from training.labelled import LabelledPhoto
    from training.loop import Watch
    from training.task_data import TaskData
    from training.task_file import Task

DATA = click.option("--data", type=click.Path(path_type=Path), help="Where the photos lie: a folder or a CSV.")
RECIPE = click.option("--recipe", "recipe_file", type=click.Path(exists=True, path_type=Path),
                      help="TOML file of settings.")
CHANGES = click.option("--set", "changes", multiple=True, metavar="NAME=VALUE",
                       help="Change one setting of the recipe, or multiply=how:class:times; may be repeated.")
PLOT = click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path),
                    help="Draw what was found (.png, .svg).")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all figures unrounded.")


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


def labelled(stores: Stores, found: "Task", data: Path | None) -> "list[LabelledPhoto]":
    """The labelled photos of a task, as their source names them."""
    from training.classified import data_path
    from training.labelled import load
    source = found.data
    path = data_path(data, source.path, stores.settings.tasks)
    if path is None and source.kind != "catalogue":
        raise BadInput(f"the task {found.name!r} does not say where its photos lie; say it with --data")
    if path is not None:
        source = replace(source, kind=kind_of(source.kind, path))
    return load(source, path, catalogue_rows(stores) if path is None else (), stores.photos)


def kind_of(kind: str, path: Path) -> str:
    """The kind of what lies at a path: that of the task, or plain folders where nothing of that kind is there."""
    if not path.is_dir():
        return kind
    there = {"csv": lambda: (path / "labels.csv").is_file(), "catalogue": lambda: (path / "products.csv").is_file(),
             "aihub": lambda: any(any(path.rglob(ending)) for ending in ("*.json", "*.xml"))}
    return kind if kind not in there or there[kind]() else "folders"


def under_classes(entries: "list[LabelledPhoto]", found: "Task", data: Path | None) -> "list[LabelledPhoto]":
    """The photos of a task's classes; those of other labels are left out if its file says so, but never a folder: one
    that no class is called after is a mistake."""
    source = found.data
    if source.others != "skip" or not found.classes or (data and kind_of(source.kind, data) == "folders"):
        return entries
    return [one for one in entries if one.label in found.classes]


def to_measure(stores: Stores, found: "Task", release: "Published", data: Path | None) -> "list[LabelledPhoto]":
    """The photos to measure a release on: those held out by their source, those that its training held out of its own
    photos, and all of another folder that parts none."""
    from training.classify import measured_on
    from training.labelled import LabelledPhoto
    entries = labelled(stores, found, data)
    held = [one for one in entries if one.side == "val"]
    if held:
        return under_classes(held, found, data)
    try:
        photos = _read(stores, found, entries)
    except BadInput:  # not as photos to train on must be
        if data is None:
            raise
        return under_classes(entries, found, data)
    own = measured_on(photos, photos.rows("val")) == release.manifest.get("data")
    if data is not None and not own:
        return under_classes(entries, found, data)
    if data is not None:
        click.echo(f"{release.name} was trained on these photos: only those that its training held out are measured.",
                   err=True)
    elif not own:
        click.echo(f"The photos of the task {found.name} are not those that {release.name} was trained with: some that "
                   "are held out now may have been trained on.", err=True)
    chosen = [photos.photos[row] for row in photos.rows("val")]
    return [LabelledPhoto(one.path, photos.classes[one.label], one.side, one.box) for one in chosen]


def catalogue_rows(stores: Stores) -> Any:
    """Every photo of the catalogue with its product's attributes."""
    from sqlalchemy.orm import Session

    from catalogue.queries import product_photos
    with Session(stores.readers) as session:
        return product_photos(session)


def prepared(stores: Stores, name: str, data: Path | None, recipe_file: Path | None,
             changes: tuple[str, ...]) -> "tuple[Plan, TaskData]":
    """What to train and on which photos, read and checked."""
    from training.fitting import Plan
    from training.task_file import find_task, parted, recipe_of
    found = find_task(name, stores.settings.tasks)
    words, multiply = parted(changes)
    plan = Plan(found, recipe_of(found, recipe_file, words), found.multiply if multiply is None else multiply)
    return plan, _read(stores, found, labelled(stores, found, data))


def _read(stores: Stores, found: "Task", entries: "list[LabelledPhoto]") -> "TaskData":
    """The photos of a task read and parted, with a bar."""
    from training.task_data import read_data
    with counting("read photos", len(entries)) as moved:
        return read_data(entries, found.data, found.classes, stores.runs / "task-photos", moved)


def shoes_of(stores: Stores) -> "Shown":
    """Photos of the catalogue, which all show shoes, for a guard that must hardly ever deny them."""
    from numpy.random import default_rng

    from training.guard import MOST_PHOTOS, Shown
    names = sorted({row.sha256 for row in catalogue_rows(stores)})
    chosen = default_rng(0).permutation(len(names))[:MOST_PHOTOS]
    return Shown([names[at] for at in chosen], stores.photos.image)


def say_if_off(release: "Published") -> None:
    """Say on stderr that a release's guard refuses nothing, where it does not."""
    guard = release.manifest.get("guard")
    if guard is not None and not guard["threshold"]:
        click.echo(f"{release.name} will find {guard['class']} in every photo: {guard['photos']} photos of them are "
                   f"too few to refuse at most {guard['refuse_at_most']:.1%}; crawl more, then do this again", err=True)


@contextmanager
def watching() -> "Iterator[Watch]":
    """Progress bars for one training after the other."""
    from training.loop import Watch
    with counting("prepare photos") as packed, counting("train", unit="step") as stepped:
        yield Watch(packed, stepping(stepped))
