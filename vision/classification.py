"""Measures of a classifier as functions of NumPy arrays: accuracy with its interval, by class, and calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vision.measures import expected_calibration_error

Z95 = 1.959964


@dataclass(frozen=True)
class ClassScore:
    """One class: `support` photos are of it, `correct` of them were told; low and high bound the recall (95 %)."""

    precision: float
    recall: float
    f1: float
    support: int
    correct: int
    low: float
    high: float


@dataclass(frozen=True)
class Classification:
    """Measures of n classified photos; `confusion` (c, c) counts true class by found class.

    low and high bound the accuracy (95 %, Wilson). Balanced accuracy is the mean recall of the classes that have
    photos; macro F1 the mean of those that have photos or were found.
    """

    photos: int
    correct: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    macro_f1: float
    confusion: np.ndarray
    classes: tuple[ClassScore, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures of all classes together under the names of a release's measures."""
        return {"photos": self.photos, "correct": self.correct, "accuracy": self.accuracy, "accuracy_low": self.low,
                "accuracy_high": self.high, "balanced_accuracy": self.balanced_accuracy, "macro_f1": self.macro_f1}


def wilson(correct: int, photos: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `photos` (Wilson 1927); (0, 1) without photos."""
    if not photos:
        return 0.0, 1.0
    share, room = correct / photos, Z95**2 / photos
    middle = (share + room / 2) / (1 + room)
    half = Z95 / (1 + room) * float(np.sqrt(share * (1 - share) / photos + room / (4 * photos)))
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_of(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Return how many photos of each true class (rows) were taken for each class (columns): (c, c)."""
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, found), 1)
    return counts


def classification(truth: np.ndarray, found: np.ndarray, classes: int) -> Classification:
    """Measure found classes (n,) against true ones (n,), both numbers below `classes`."""
    counts = confusion_of(truth, found, classes)
    scores = tuple(_class_score(counts, number) for number in range(classes))
    correct, photos = int(np.trace(counts)), int(counts.sum())
    recalls = [score.recall for score in scores if score.support]
    f1 = [score.f1 for number, score in enumerate(scores) if score.support or counts[:, number].sum()]
    return Classification(photos, correct, correct / max(photos, 1), *wilson(correct, photos),
                          float(np.mean(recalls)) if recalls else 0.0, float(np.mean(f1)) if f1 else 0.0, counts,
                          scores)


def _class_score(counts: np.ndarray, number: int) -> ClassScore:
    correct, support, found = int(counts[number, number]), int(counts[number].sum()), int(counts[:, number].sum())
    low, high = wilson(correct, support)
    return ClassScore(correct / max(found, 1), correct / max(support, 1), 2 * correct / max(found + support, 1),
                      support, correct, low, high)


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax (n, c) of logits (n, c) at a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(logits: np.ndarray, truth: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of the true classes (n,) by logits (n, c); 0 without photos."""
    if not len(truth):
        return 0.0
    scaled = logits.astype(np.float64) / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(truth)), truth]).mean())


def best_temperature(logits: np.ndarray, truth: np.ndarray, least: float = 1 / 8) -> float:
    """Return the temperature of the least log loss (Guo et al. 2017), from `least` to 8; 1 without photos to fit on.

    Searched on a grid of twentieths of an octave: one number, so a grid is exact enough.
    """
    if not len(truth):
        return 1.0
    lowest = float(np.log2(least))
    grid = np.exp2(np.linspace(lowest, 3, round(20 * (3 - lowest)) + 1))
    return float(min(grid, key=lambda one: log_loss(logits, truth, float(one))))


def calibration_error(logits: np.ndarray, truth: np.ndarray, seed: int = 0) -> float:
    """Return the expected calibration error of logits (n, c) whose temperature was fitted on other photos.

    Two halves, drawn by the seed, each at the temperature of the other: what was fitted is not measured on itself.
    """
    if len(truth) < 2:
        return 0.0
    half = np.random.default_rng(seed).permutation(len(truth)) % 2 == 0
    sure, right = np.empty(len(truth)), np.empty(len(truth))
    for own in (half, ~half):
        said = probabilities(logits[own], best_temperature(logits[~own], truth[~own]))
        sure[own], right[own] = said.max(1), said.argmax(1) == truth[own]
    return expected_calibration_error(sure, right)
