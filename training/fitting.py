"""Fitting a network to some rows of a task's photos, with what is trained, who watches, and what came of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalogue.files import lock
from catalogue.releases import Releases
from training.batches import Labelled
from training.distilling import open_teacher
from training.loop import NOBODY, Row, Watch, fit, saved_epoch
from training.measuring import class_logits
from training.multiplying import Multiply, multiplied
from training.parallel import Team
from training.pixels import pack_images, sweep_pixels
from training.recipes import Recipe
from training.starting import new_network
from training.task_data import TaskData
from training.task_file import Task
from vision.classification import Classification, calibration_error, classification, log_loss
from vision.networks import Network

# Train and held-out accuracy that lie further apart are called overfitting.
OVERFITTING = 0.08


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


def packed_photos(data: TaskData, recipe: Recipe, runs: Path, watch: Callable[[int], None] | None = None) -> np.ndarray:
    """Pixels and masks uint8 (n, s, s, 4) of all photos, made once for all trainings that see them alike."""
    names = [photo.key for photo in data.photos]
    look = hashlib.sha256("\n".join([repr(recipe.preprocessing), *names]).encode()).hexdigest()[:16]
    folder = runs / "task-pixels" / f"{look}-{recipe.size}"
    with lock(folder / "pixels.lock", "preparing these photos", patience_s=1800):
        packed = pack_images(names, lambda row: data.photos[row].image(), recipe.preprocessing, folder, watch)
    sweep_pixels(folder.parent)  # these photos are in use from now on, however old they are
    return packed


def fit_rows(plan: Plan, data: TaskData, packed: np.ndarray, train: np.ndarray, val: np.ndarray, run: Path, team: Team,
             releases: Releases, watch: Watch = NOBODY, check: np.ndarray | None = None) -> Fitted:
    """Fit a network to the rows `train`, looking at `check` (by default `val`) after every epoch; resumes in `run`."""
    recipe = plan.recipe
    pixels, rows, labels = multiplied(packed, train, data.labels[train], data.classes, plan.multiply, recipe.seed)
    looked = val if check is None else check

    def measure(current: Network) -> Row:
        said, truth = class_logits(current, packed, looked.tolist(), team.device), data.labels[looked]
        found = classification(truth, said.argmax(1), len(data.classes))
        return {"val_loss": log_loss(said, truth), "val_accuracy": found.accuracy, "val_macro_f1": found.macro_f1}

    network = new_network(recipe, len(data.classes))
    teacher = open_teacher(recipe, releases, data.classes, network.width)
    history = fit(network, recipe, Labelled(pixels, rows, labels, np.zeros(len(rows), dtype=int)), measure,
                  run / "checkpoint.pt", team, teacher, watch.step, watch.epoch)
    logits = class_logits(network, packed, list(range(len(packed))), team.device)
    return Fitted(network, history, logits, train, val)


def measures_of(plan: Plan, data: TaskData, fitted: Fitted) -> dict[str, Any]:
    """What a release says of itself: accuracy on held-out photos with its interval, and what training cost.

    `val_loss` is what the curves show, too: at temperature 1, not at that of the release, which is fitted to the very
    photos it would be measured on.
    """
    found, truth = scored(data, fitted, fitted.val), data.labels[fitted.val]
    logits, train = fitted.logits[fitted.val], scored(data, fitted, fitted.train)
    saved = saved_epoch(fitted.history, plan.recipe)
    return {**found.as_dict(), "ece": calibration_error(logits, truth),
            "val_loss": log_loss(logits, truth),
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
