"""`task train`: a task's photos and a recipe become a task release, measured on photos that training never saw."""

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.releases import Published, Releases
from training.batches import Labelled
from training.checkpoints import made_before
from training.classified import per_class
from training.distilling import open_teacher
from training.guard import Guarded, Shown, class_number, fit_guard, logits_of
from training.loop import Row, Step, fit, saved_epoch
from training.measuring import class_logits
from training.multiplying import Multiply, multiplied
from training.parallel import Team
from training.pixels import pack_images, sweep_pixels
from training.recipes import Recipe
from training.starting import new_network
from training.task_data import TaskData
from training.task_file import Task
from training.task_report import write_task_report
from vision.classification import Classification, best_temperature, calibration_error, classification, log_loss
from vision.networks import Network
from vision.publishing import save_network
from vision.saved import NetworkCard, read_card
from vision.weights import load_network

log = logging.getLogger(__name__)
# Train and held-out accuracy that lie further apart are called overfitting.
OVERFITTING = 0.08


@dataclass(frozen=True)
class Watch:
    """Who wants to hear how training goes; each may be None."""

    packed: Callable[[int], None] | None = None
    step: Callable[[Step], None] | None = None


NOBODY = Watch()


@dataclass(frozen=True)
class Plan:
    """What is trained: a task, its recipe, and how its classes are multiplied."""

    task: Task
    recipe: Recipe
    multiply: tuple[Multiply, ...] = ()

    @property
    def digest(self) -> str:
        """A short name for exactly this plan."""
        words = [self.recipe.digest, *map(str, self.multiply), self.task.name, self.task.about, str(self.task.guard),
                 self.task.filled]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Fitted:
    """A network that was fitted to some rows of a task's photos, with its epochs and its logits (n, c) of all photos.

    `train` and `val` are the rows it was fitted to and those held out from it.
    """

    network: Network
    history: list[Row]
    logits: np.ndarray
    train: np.ndarray
    val: np.ndarray


def train_task(plan: Plan, data: TaskData, photos: Callable[[], Shown], releases: Releases, runs: Path,
               device: str, watch: Watch = NOBODY) -> str:
    """Train and publish; return the release's name. The same call again goes on, or returns what it made before.

    `photos` is asked, where the task has a guard, for what that is fitted to beside the photos held out. Where they are
    others than when the same was trained before, that network is published anew with its guard fitted to them.
    """
    if plan.task.guard is not None:
        class_number(plan.task.guard, data.classes)
    if plan.task.filled and plan.task.filled not in data.classes:
        raise BadInput(f"filled {plan.task.filled!r} is none of the classes: {', '.join(data.classes)}")
    shown = photos() if plan.task.guard is not None else None
    run = runs / f"task-{plan.task.name}-{data.digest}-{plan.digest}"
    with lock(run / "run.lock", "this training"):
        if before := made_before(run, "task", releases):
            release = releases.open(before)
            if shown is None or release.manifest["guard"].get("shown") == shown.digest:
                log.info("this task was trained on these photos before: %s", before)
                return before
            packed = packed_photos(data, plan.recipe, runs, watch.packed)
            name = _guarded_anew(plan, data, packed, release, shown, releases, device)
        else:
            packed = packed_photos(data, plan.recipe, runs, watch.packed)
            fitted = fit_rows(plan, data, packed, data.rows("train"), data.rows("val"), run, device, releases, watch)
            name = _publish(plan, data, fitted, shown, releases, device)
        write_file(run / "release", name.encode())
        (run / "checkpoint.pt").unlink(missing_ok=True)
        return name


def packed_photos(data: TaskData, recipe: Recipe, runs: Path, watch: Callable[[int], None] | None = None) -> np.ndarray:
    """Pixels and masks uint8 (n, s, s, 4) of all photos, made once for all trainings that see them alike."""
    names = [photo.key for photo in data.photos]
    look = hashlib.sha256("\n".join([repr(recipe.preprocessing), *names]).encode()).hexdigest()[:16]
    folder = runs / "task-pixels" / f"{look}-{recipe.size}"
    sweep_pixels(folder.parent)
    with lock(folder / "pixels.lock", "preparing these photos", patience_s=1800):
        return pack_images(names, lambda row: data.photos[row].image(), recipe.preprocessing, folder, watch)


def fit_rows(plan: Plan, data: TaskData, packed: np.ndarray, train: np.ndarray, val: np.ndarray, run: Path, device: str,
             releases: Releases, watch: Watch = NOBODY, check: np.ndarray | None = None) -> Fitted:
    """Fit a network to the rows `train`, looking at `check` (by default `val`) after every epoch; resumes in `run`."""
    recipe, team = plan.recipe, Team(torch.device(device))
    pixels, rows, labels = multiplied(packed, train, data.labels[train], data.classes, plan.multiply, recipe.seed)
    looked = val if check is None else check

    def measure(current: Network) -> Row:
        said, truth = class_logits(current, packed, looked.tolist(), team.device), data.labels[looked]
        found = classification(truth, said.argmax(1), len(data.classes))
        return {"val_loss": log_loss(said, truth), "val_accuracy": found.accuracy, "val_macro_f1": found.macro_f1}

    network = new_network(recipe, len(data.classes))
    teacher = open_teacher(recipe, releases, data.classes, network.width)
    history = fit(network, recipe, Labelled(pixels, rows, labels, np.zeros(len(rows), dtype=int)), measure,
                  run / "checkpoint.pt", team, teacher, watch.step)
    logits = class_logits(network, packed, list(range(len(packed))), team.device)
    return Fitted(network, history, logits, train, val)


def measures_of(plan: Plan, data: TaskData, fitted: Fitted) -> dict[str, Any]:
    """What a release says of itself: accuracy on held-out photos with its interval, and what training cost."""
    found, truth = scored(data, fitted, fitted.val), data.labels[fitted.val]
    logits, train = fitted.logits[fitted.val], scored(data, fitted, fitted.train)
    saved = saved_epoch(fitted.history, plan.recipe)
    return {**found.as_dict(), "ece": calibration_error(logits, truth),
            "val_loss": log_loss(logits, truth, best_temperature(logits, truth)),
            "train_accuracy": train.accuracy, "train_photos": len(fitted.train),
            "unreadable": len(data.unreadable), "leaked": data.leaked, "loss": fitted.history[saved - 1]["loss"],
            "parameters": sum(part.numel() for part in fitted.network.parameters()),
            "epochs": len(fitted.history), "saved_epoch": saved,
            "photos_per_s": float(np.median([row["photos_per_s"] for row in fitted.history])),
            "seconds": sum(row["seconds"] for row in fitted.history)}


def scored(data: TaskData, fitted: Fitted, rows: np.ndarray) -> Classification:
    """How well a network tells these rows' photos, unaugmented."""
    return classification(data.labels[rows], fitted.logits[rows].argmax(1), len(data.classes))


def overfitting(measures: dict[str, Any]) -> str:
    """A sentence where train and held-out accuracy part; empty where they do not."""
    gap = measures["train_accuracy"] - measures["accuracy"]
    if gap <= OVERFITTING or measures["train_accuracy"] <= measures["accuracy_high"]:
        return ""
    return (f"overfitting: {measures['train_accuracy']:.3f} of the photos trained on are told right, but "
            f"{measures['accuracy']:.3f} of those held out; more photos, stronger augmentation, weight_decay, dropout, "
            "a smaller network or fewer epochs help")


def _publish(plan: Plan, data: TaskData, fitted: Fitted, shown: Shown | None, releases: Releases,
             device: str) -> str:
    task, recipe = plan.task, plan.recipe
    val = fitted.val
    temperature = best_temperature(fitted.logits[val], data.labels[val])
    measures = measures_of(plan, data, fitted)
    guard = _guard(plan, data, fitted.network, fitted.logits[val] / temperature, temperature, shown, device)
    settings = {**asdict(recipe), "multiply": "+".join(map(str, plan.multiply)) or "none"}
    card = NetworkCard(asdict(fitted.network.architecture), recipe.preprocessing, data.classes, fitted.network.width,
                       temperature, data.digest, settings, measures)
    with releases.draft("task") as draft:
        save_network(fitted.network, card, draft.folder)
        write_task_report(draft.folder / "report.html", task, card, fitted.history, data, fitted.logits, val,
                          overfitting(measures))
        draft.manifest.update(manifest(task, card, measured_on(data, val), guard),
                              per_class=per_class(data.classes, scored(data, fitted, val)))
    return draft.name


def _guard(plan: Plan, data: TaskData, network: Network, held_out: np.ndarray, temperature: float, shown: Shown | None,
           device: str) -> Guarded | None:
    """The task's guard fitted to the photos held out, as these logits at their temperature, and to those shown."""
    if plan.task.guard is None or shown is None:
        return None
    others = logits_of(network, plan.recipe.preprocessing, shown, torch.device(device))
    return fit_guard(plan.task.guard, data.classes, held_out, data.labels[data.rows("val")], others / temperature,
                     shown.digest)


def _guarded_anew(plan: Plan, data: TaskData, packed: np.ndarray, release: Published, shown: Shown, releases: Releases,
                  device: str) -> str:
    """Publish a release's network once more, its guard fitted to other photos; return the new release's name."""
    network, temperature = load_network(release.folder).to(device), read_card(release.folder).temperature
    held_out = class_logits(network, packed, data.rows("val").tolist(), torch.device(device)) / temperature
    guard = _guard(plan, data, network, held_out, temperature, shown, device)
    with releases.draft("task") as draft:
        for name in release.manifest["files"]:
            shutil.copy2(release.folder / name, draft.folder / name)
        draft.manifest.update({**release.manifest, **guard_facts(guard)})
    return draft.name


def measured_on(data: TaskData, rows: np.ndarray) -> str:
    """A short name for the photos that a release was measured on: releases measured on the same can be compared."""
    lines = sorted(f"{data.photos[row].key} {data.photos[row].label}" for row in rows)
    return hashlib.sha256("\n".join([*data.classes, *lines]).encode()).hexdigest()[:16]


def manifest(task: Task, card: NetworkCard, measured: str, guard: Guarded | None) -> dict[str, Any]:
    """The facts of a task's release."""
    facts: dict[str, Any] = {"task": task.name, "about": task.about, "classes": list(card.classes),
                             "measures": card.measures, "data": measured, "photos": card.snapshot,
                             "architecture": card.architecture, "width": card.width}
    if task.filled:
        facts["filled"] = task.filled
    return facts | guard_facts(guard)


def guard_facts(guard: Guarded | None) -> dict[str, Any]:
    """What a release says of its guard, if it has one."""
    if guard is None:
        return {}
    facts = asdict(guard)
    return {"guard": {"class": facts.pop("name"), **facts}}
