"""`task cross-validate`: networks on the same folds, each photo judged by a network that never saw it."""

import hashlib
import io
import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.releases import Releases
from training.classified import class_table, per_class
from training.compare import markdown
from training.drawings import save_drawing
from training.fitting import Plan, fit_rows, overfitting, packed_photos
from training.folds import folds_of, hold_out
from training.loop import NOBODY, Watch
from training.parallel import Team
from training.task_data import TaskData
from training.task_report import draw_confusion_on
from vision.classification import Classification, calibration_error, classification

log = logging.getLogger(__name__)
# Of the photos a fold trains on, the share that chooses its epoch where the recipe keeps the best one.
CHECKED = 0.1


@dataclass(frozen=True)
class Fold:
    """One fold: the rows held out, what a network said of them, its size, and what it cost."""

    rows: np.ndarray
    logits: np.ndarray
    parameters: int
    seconds: float
    train_accuracy: float


@dataclass(frozen=True)
class Crossed:
    """One network over all folds: what each fold found, and all of them pooled."""

    name: str
    classes: tuple[str, ...]
    folds: tuple[Classification, ...]
    pooled: Classification
    ece: float
    parameters: int
    seconds: float
    train_accuracy: float

    def spread(self, measure: str) -> tuple[float, float]:
        """Mean and sample standard deviation of a measure over the folds."""
        values = [float(getattr(fold, measure)) for fold in self.folds]
        return float(np.mean(values)), float(np.std(values, ddof=1))

    @property
    def overfits(self) -> bool:
        """Whether train and held-out accuracy part."""
        return bool(overfitting({"train_accuracy": self.train_accuracy, "accuracy": self.pooled.accuracy,
                                 "accuracy_high": self.pooled.high}))

    def as_dict(self) -> dict[str, Any]:
        """All figures under the names that are printed as JSON."""
        spreads = {f"{name}_{word}": value for name in ("accuracy", "balanced_accuracy", "macro_f1")
                   for word, value in zip(("mean", "sd"), self.spread(name), strict=True)}
        return {"name": self.name, **spreads, **self.pooled.as_dict(), "ece": self.ece,
                "train_accuracy": self.train_accuracy, "overfits": self.overfits,
                "folds": [fold.as_dict() for fold in self.folds],
                "per_class": per_class(self.classes, self.pooled), "confusion": self.pooled.confusion.tolist(),
                "parameters": self.parameters, "seconds": self.seconds}


def cross_validate(name: str, plan: Plan, data: TaskData, folds: int, runs: Path, device: str, releases: Releases,
                   watch: Watch = NOBODY) -> Crossed:
    """Train on all folds but one and measure that one, in turn; folds that are done are not done again.

    Folds keep near-duplicates together and are the same for every plan. Where the recipe keeps the best epoch, a part
    of the photos trained on chooses it, never the fold that is measured.
    """
    smallest = min((len(np.unique(data.groups[data.labels == label])), label) for label in np.unique(data.labels))
    if not 2 <= folds <= smallest[0]:
        raise BadInput(f"{folds} folds cannot be made: they are 2 or more, and {data.classes[smallest[1]]!r} has "
                       f"{smallest[0]} groups of photos; choose fewer folds, or add photos")
    # What is kept of a fold is kept by row, and files that are renamed change the rows' order.
    rows = hashlib.sha256("\n".join(f"{photo.key} {photo.group}" for photo in data.photos).encode()).hexdigest()[:8]
    run = runs / f"cross-{plan.task.name}-{data.digest}-{rows}-{plan.digest}-{folds}"
    place = folds_of(data.labels, data.groups, folds, seed=0)
    with lock(run / "run.lock", "this cross-validation"):
        done = [_fold(plan, data, place, number, run / f"fold-{number}", runs, device, releases, watch)
                for number in range(folds)]
    parts = tuple(classification(data.labels[one.rows], one.logits.argmax(1), len(data.classes)) for one in done)
    truth = data.labels[np.concatenate([one.rows for one in done])]
    logits = np.concatenate([one.logits for one in done])
    return Crossed(name, data.classes, parts, classification(truth, logits.argmax(1), len(data.classes)),
                   calibration_error(logits, truth), done[0].parameters, sum(one.seconds for one in done),
                   float(np.mean([one.train_accuracy for one in done])))


def _fold(plan: Plan, data: TaskData, place: np.ndarray, number: int, run: Path, runs: Path, device: str,
          releases: Releases, watch: Watch) -> Fold:
    if (run / "fold.npz").is_file():
        with np.load(run / "fold.npz") as kept:
            return Fold(kept["rows"], kept["logits"], int(kept["parameters"]), float(kept["seconds"]),
                        float(kept["train_accuracy"]))
    packed = packed_photos(data, plan.recipe, runs, watch.packed)
    train, val = np.flatnonzero(place != number), np.flatnonzero(place == number)
    check = None
    if plan.recipe.keep == "best" or plan.recipe.patience:
        held = hold_out(data.labels[train], data.groups[train], CHECKED, plan.recipe.seed)
        train, check = train[~held], train[held]
    log.info("fold %d: %d photos to train on, %d held out", number + 1, len(train), len(val))
    fitted = fit_rows(plan, data, packed, train, val, run, Team(torch.device(device)), releases, watch, check)
    found = Fold(val, fitted.logits[val], sum(part.numel() for part in fitted.network.parameters()),
                 sum(row["seconds"] for row in fitted.history),
                 float((fitted.logits[train].argmax(1) == data.labels[train]).mean()))
    buffer = io.BytesIO()
    np.savez(buffer, rows=found.rows, logits=found.logits, parameters=found.parameters, seconds=found.seconds,
             train_accuracy=found.train_accuracy)
    write_file(run / "fold.npz", buffer.getvalue())
    (run / "checkpoint.pt").unlink(missing_ok=True)
    return found


def table(found: Sequence[Crossed]) -> str:
    """The networks side by side, then every class of each, as Markdown tables."""
    head = ["Model", "accuracy (mean ± sd)", "pooled [95 %]", "correct / total", "balanced", "macro F1 (mean ± sd)",
            "train", "ece", "#Params", "seconds"]
    rows = [[one.name, "{:.3f} ± {:.3f}".format(*one.spread("accuracy")),
             f"{one.pooled.accuracy:.3f} [{one.pooled.low:.3f}, {one.pooled.high:.3f}]"
             f"{' overfits' if one.overfits else ''}",
             f"{one.pooled.correct} / {one.pooled.photos}", f"{one.pooled.balanced_accuracy:.3f}",
             "{:.3f} ± {:.3f}".format(*one.spread("macro_f1")), f"{one.train_accuracy:.3f}", f"{one.ece:.3f}",
             f"{one.parameters:,}", f"{one.seconds:.0f}"] for one in found]
    parts = [markdown(head, rows, 1)]
    for one in found:
        parts.append(f"{one.name}\n\n{class_table(one.classes, one.pooled)}")
    return "\n\n".join(parts)


def draw(found: Sequence[Crossed], path: Path) -> None:
    """Draw every fold's accuracy with mean ± sd, and each network's confusion matrix over all folds, at `path`."""
    from matplotlib.figure import Figure
    shown = len(found[0].classes) <= 30
    names = [textwrap.fill(one.name, 34) for one in found]  # a name states all settings that were changed
    lines = max(name.count("\n") for name in names)
    figure = Figure(figsize=(4 + 3.6 * len(found) * shown, 4.2 + 0.4 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 + len(found) * shown))
    for at, one in enumerate(found):
        mean, spread = one.spread("accuracy")
        axes[0].plot([at] * len(one.folds), [fold.accuracy for fold in one.folds], "o", alpha=0.5, color="tab:blue")
        axes[0].errorbar(at + 0.15, mean, spread, fmt="s", color="black", capsize=4)
        axes[0].annotate(f"{mean:.3f} ± {spread:.3f}", (at + 0.2, mean), fontsize=8)
        if shown:
            draw_confusion_on(axes[1 + at], one.classes, one.pooled)
            axes[1 + at].set_title(names[at], fontsize=9)
    axes[0].set(xticks=range(len(found)), xlim=(-0.5, len(found)), ylabel="accuracy",
                title=f"{len(found[0].folds)} folds")
    axes[0].set_xticklabels(names, rotation=20, ha="right", fontsize=8)
    axes[0].grid(alpha=0.3, axis="y")
    save_drawing(figure, path)
