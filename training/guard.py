"""The guard of a task: the probability of a class below which a photo does not show it, fitted on photos that do."""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from catalogue.errors import BadInput, BadPhoto, NotFound
from training.measuring import class_logits
from training.task_file import Guard
from vision.classification import probabilities
from vision.networks import Network
from vision.preprocessing import Preprocessing

log = logging.getLogger(__name__)
MOST_PHOTOS = 3000
AT_ONCE = 128
CHANCE = 0.25  # that a guard refuses more than it may


@dataclass(frozen=True)
class Shown:
    """Photos by name, beside a task's own, that show what its guard must hardly ever deny; `open` decodes one."""

    names: Sequence[str]
    open: Callable[[str], Image.Image]

    @property
    def digest(self) -> str:
        """A short name for exactly these photos."""
        return hashlib.sha256("\n".join(sorted(self.names)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Guarded:
    """A fitted guard: of `photos` of the class `name`, the share `refused` lies below `threshold`.

    `caught` is the share of held-out photos of other classes that lie below it, too: what the guard is good for.
    `shown` is the digest of the photos beside the task's own that it was fitted to.
    """

    name: str
    threshold: float
    refused: float
    photos: int
    caught: float
    refuse_at_most: float
    shown: str


def threshold_for(probability: np.ndarray, refuse_at_most: float) -> float:
    """Return the threshold below which, by three to one, at most such a share of others like these (n,) lies.

    Of all such values, below the k-th smallest of n lies more than a share p with the probability that at most k - 1 of
    n tries of p come true (Vovk 2012, "training-conditional validity of conformal predictors"); k is the largest that
    makes this at most CHANCE. With too few photos to know (fewer than 277 for half a percent) the threshold is 0 and
    refuses none. Photos of another kind than those people send are no help: shops' shoes on white fall below a bound
    that street photos pass. Never above ½: a class that is more likely than all others together is there.
    """
    n, allowed, chance = len(probability), 0, 0.0
    while allowed < n:
        chance += math.exp(math.lgamma(n + 1) - math.lgamma(allowed + 1) - math.lgamma(n - allowed + 1)
                           + allowed * math.log(refuse_at_most) + (n - allowed) * math.log1p(-refuse_at_most))
        if chance > CHANCE:
            break
        allowed += 1
    if not allowed:
        return 0.0
    return float(min(0.5, np.partition(probability, allowed - 1)[allowed - 1]))


def fit_guard(rule: Guard, classes: Sequence[str], logits: np.ndarray, truth: np.ndarray, others: np.ndarray,
              temperature: float = 1.0, shown: str = "") -> Guarded:
    """Fit a guard to held-out photos' logits (n, c) and to others' of its class (m, c), `shown`, at a temperature."""
    number = class_number(rule, classes)
    said, own = probabilities(logits, temperature)[:, number], truth == number
    sure = np.concatenate([said[own], probabilities(others, temperature)[:, number]]) if len(others) else said[own]
    threshold = threshold_for(sure, rule.refuse_at_most)
    return Guarded(rule.name, threshold, float((sure < threshold).mean()) if len(sure) else 0.0, len(sure),
                   float((said[~own] < threshold).mean()) if (~own).any() else 0.0, rule.refuse_at_most, shown)


def class_number(rule: Guard, classes: Sequence[str]) -> int:
    """The number of the class that a guard watches; `BadInput` if there is none of its name."""
    if rule.name not in classes:
        raise BadInput(f"the guard's class {rule.name!r} is none of the classes: {', '.join(classes)}")
    return list(classes).index(rule.name)


def logits_of(network: Network, fit: Preprocessing, photos: Shown, device: torch.device) -> np.ndarray:
    """Return the class logits (n, c) of photos, each opened when its turn comes; those that cannot be are left out."""
    parts: list[np.ndarray] = []
    failed: Counter[str] = Counter()
    for start in range(0, len(photos.names), AT_ONCE):
        opened = []
        for name in photos.names[start:start + AT_ONCE]:
            try:
                opened.append(photos.open(name))
            except (OSError, BadPhoto, NotFound) as error:
                failed[str(error)] += 1
        if opened:
            pixels = fit.batch(opened)
            parts.append(class_logits(network, pixels, list(range(len(pixels))), device))
    if failed:
        log.warning("%d of %d photos cannot be read, the guard is fitted without them: %s", failed.total(),
                    len(photos.names), next(iter(failed)))
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
