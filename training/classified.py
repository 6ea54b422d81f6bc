"""`task evaluate`: a published classifier measured on labelled photos, matched to its classes by name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from catalogue.errors import BadInput, BadPhoto, NotFound
from catalogue.photos import read_image
from catalogue.releases import Published, Releases
from training.compare import markdown
from training.labelled import LabelledPhoto, whole_box
from vision.classification import Classification, classification, log_loss, probabilities
from vision.embedder import Embedder
from vision.measures import expected_calibration_error

MOST_MISTAKES = 20


@dataclass(frozen=True)
class Evaluation:
    """What was measured: `found` over n photos, calibration, the surest mistakes, and photos that cannot be read."""

    classes: tuple[str, ...]
    found: Classification
    ece: float
    loss: float
    mistakes: tuple[dict[str, Any], ...]
    unreadable: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All figures under the names that are printed as JSON."""
        return {**self.found.as_dict(), "ece": self.ece, "log_loss": self.loss,
                "per_class": per_class(self.classes, self.found), "confusion": self.found.confusion.tolist(),
                "classes": list(self.classes), "mistakes": list(self.mistakes), "unreadable": list(self.unreadable)}


def per_class(classes: Sequence[str], found: Classification) -> dict[str, dict[str, float]]:
    """The measures of each class by its name."""
    return {name: {"precision": one.precision, "recall": one.recall, "f1": one.f1, "support": one.support,
                   "correct": one.correct, "recall_low": one.low, "recall_high": one.high}
            for name, one in zip(classes, found.classes, strict=True)}


def release_of(releases: Releases, task: str, name: str | None = None) -> Published:
    """The release of a task: the one named, else the live one, else the newest; `NotFound` if there is none."""
    if name:
        release = releases.open(name)
        if release.kind != "task" or release.manifest.get("task") != task:
            raise BadInput(f"{name} is no release of the task {task!r}; `solesearch releases` lists them")
        return release
    if live := releases.live_name(f"task:{task}"):
        return releases.open(live)
    found = [one for one in releases.all("task") if one.manifest.get("task") == task]
    if not found:
        raise NotFound(f"no release of the task {task!r} was published yet; `solesearch task train {task}` does")
    return found[0]


def evaluate(embedder: Embedder, photos: Sequence[LabelledPhoto], crop: bool = True) -> Evaluation:
    """Classify the photos as the service does; labels are classes' names. `BadInput` lists the classes if one is none.

    Photos that cannot be read are named and not counted.
    """
    classes = embedder.card.classes
    strange = sorted({photo.label for photo in photos} - set(classes))
    if strange:
        raise BadInput(f"{', '.join(map(repr, strange[:5]))} is no class of this task; its classes are "
                       f"{', '.join(classes)}: name the folders as these are")
    truth: list[int] = []
    kept: list[LabelledPhoto] = []
    unreadable: list[str] = []

    def images() -> Iterator[Image.Image]:
        for photo in photos:
            try:
                image = read_image(photo.path.read_bytes())
                box = whole_box(photo.box if crop else None, *image.size)
            except (OSError, BadPhoto) as error:
                unreadable.append(f"{photo.path}: {error}")
                continue
            truth.append(classes.index(photo.label))
            kept.append(photo)
            yield image if box is None else image.crop(box)

    logits = embedder.embed(images()).logits
    if not kept:
        raise BadInput(f"none of the {len(photos)} photos can be read: {unreadable[0]}")
    return _evaluation(classes, np.array(truth), logits, embedder.card.temperature, kept, tuple(unreadable))


def _evaluation(classes: tuple[str, ...], truth: np.ndarray, logits: np.ndarray, temperature: float,
                kept: Sequence[LabelledPhoto], unreadable: tuple[str, ...]) -> Evaluation:
    said = probabilities(logits, temperature)
    sure, best = said.max(1), said.argmax(1)
    wrong = np.flatnonzero(best != truth)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISTAKES]
    mistakes = tuple({"photo": str(kept[at].path), "is": classes[truth[at]], "taken_for": classes[best[at]],
                      "probability": float(sure[at])} for at in worst)
    return Evaluation(classes, classification(truth, best, len(classes)),
                      expected_calibration_error(sure, (best == truth).astype(float)),
                      log_loss(logits, truth, temperature), mistakes, unreadable)


def class_table(classes: Sequence[str], found: Classification) -> str:
    """The measures of each class as a Markdown table, one line a class."""
    rows = [[name, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.low:.3f}–{one.high:.3f}", f"{one.f1:.3f}",
             f"{one.support}", f"{one.correct} / {one.support}"]
            for name, one in zip(classes, found.classes, strict=True)]
    return markdown(["class", "precision", "recall", "95 %", "F1", "support", "correct / total"], rows, 1)


def data_path(given: Path | None, stated: str, folder: Path) -> Path | None:
    """Where a task's photos lie: as given on the command line, else as its file states it, relative to the folder of
    tasks; None where neither says."""
    return given if given is not None else folder / stated if stated else None
