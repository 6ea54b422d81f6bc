"""The search for settings: trials of a recipe on one snapshot, drawn and pruned by Optuna, kept in a journal on disk.

A search lives in a folder: `trials.log` (Optuna's journal), `search.json` (what is searched, and on which snapshot),
the trials' checkpoints and the photos they share. One process works on it at a time. A trial that a kill interrupted
goes on from its last epoch; no trial publishes a release.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState
from torch import OutOfMemoryError

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.photos import PhotoStore
from catalogue.releases import Releases
from catalogue.snapshots import Snapshot
from training.loop import Step, Watch, saved_epoch
from training.recipes import Recipe
from training.sku import train
from training.space import Choice, Space

PRUNERS = ("median", "hyperband", "none")
OBJECTIVES = ("unseen_recall1", "val_recall1")
# So often a trial may be begun without getting through one epoch; then it is what kills the process.
_MOST_BEGUN = 3
# So many trials may fail from the first on; then it is not their settings.
_MOST_FAILED = 3
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Search:
    """What is searched: settings of `space` around `recipe`, whose epochs are a trial's, on one snapshot, in `folder`.
    """

    recipe: Recipe
    space: Space
    snapshot: Snapshot
    folder: Path
    pruner: str = "median"

    def __post_init__(self) -> None:
        if self.pruner not in PRUNERS:
            raise BadInput(f"there is no pruner {self.pruner!r}; choose one of {', '.join(PRUNERS)}")
        held_back = {(photo.product_id, photo.group) for photo in self.snapshot.photos if photo.split != "train"}
        if len(held_back) == len({product for product, _ in held_back}):
            raise BadInput(f"snapshot {self.snapshot.digest} holds back no product with two photos to measure "
                           "trials on; take one with `solesearch snapshot --unseen 0.2` and name it with --snapshot")

    def recipe_of(self, settings: dict[str, Any]) -> Recipe:
        """The recipe of a trial; `BadInput` if its settings do not go together.

        A trial is as long as all others are: the pruner may end it early, its own patience may not.
        """
        return replace(self.recipe, **settings, patience=0)


@dataclass(frozen=True)
class Means:
    """What trials are run with."""

    store: PhotoStore
    releases: Releases
    device: str
    packed: Callable[[int], None] | None = None
    step: Callable[[int, Step], None] | None = None
    ended: Callable[[FrozenTrial], None] | None = None


class _Stop(Exception):
    """Ends a trial's training before it publishes: state None leaves the trial for another time."""

    def __init__(self, state: TrialState | None, why: str = "") -> None:
        super().__init__(why)
        self.state = state


class _Unlocked(JournalFileOpenLock):
    """No lock of the journal's own: whoever writes holds the search's, which the kernel lets go however it ends."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def search_folder(runs: Path, recipe: Recipe, space: Space, asked: str) -> Path:
    """Where the search of a space around a recipe lives; `asked` tells searches apart that were asked for otherwise."""
    stated = json.dumps([recipe.identity, {name: asdict(entry) for name, entry in space.items()}, asked],
                        sort_keys=True)
    return runs / f"tune-{hashlib.sha256(stated.encode()).hexdigest()[:12]}"


def snapshot_of(folder: Path) -> str | None:
    """The digest of the snapshot that a search was begun on; None if there is no search in the folder."""
    path = folder / "search.json"
    return str(json.loads(path.read_text())["snapshot"]) if path.is_file() else None


def search(asked: Search, means: Means, trials: int, seconds: float = math.inf) -> list[FrozenTrial]:
    """Run trials until `trials` have ended, this time and before, or time is up; return all of them.

    `Busy` if another process works on the same search.
    """
    until = time.monotonic() + seconds
    with lock(asked.folder / "tune.lock", "this search for settings"):
        if snapshot_of(asked.folder) != asked.snapshot.digest:
            write_file(asked.folder / "search.json", json.dumps({
                "snapshot": asked.snapshot.digest, "recipe": asdict(asked.recipe),
                "space": {name: asdict(entry) for name, entry in asked.space.items()}}, indent=1).encode())
        study = _study(asked)
        while time.monotonic() < until:
            trial = _next(study, trials)
            if trial is None:
                shutil.rmtree(asked.folder / "pixels", ignore_errors=True)
                break
            _run(study, trial, asked, means, until)
        return study.get_trials()


def best(found: list[FrozenTrial]) -> FrozenTrial | None:
    """The complete trial that measured best, the earlier of two alike; None if none is complete."""
    complete = [trial for trial in found if trial.state == TrialState.COMPLETE]
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)


def train_best(asked: Search, settings: dict[str, Any], epochs: int, means: Means) -> str:
    """Train the best settings for `epochs`, with the recipe's patience, and publish; without patience, a trial as long
    goes on from where it ended."""
    recipe = replace(asked.recipe_of(settings), epochs=epochs, patience=asked.recipe.patience)
    with lock(asked.folder / "tune.lock", "this search for settings"):
        name = train(asked.snapshot, recipe, means.store, means.releases, asked.folder / "trials", means.device,
                     Watch(means.packed, None if means.step is None else lambda now: _heard(means, -1, now)),
                     asked.folder / "pixels")
        shutil.rmtree(asked.folder / "pixels", ignore_errors=True)
        return name


def _heard(means: Means, number: int, now: Step) -> None:
    if means.step is not None:
        means.step(number, now)


def _study(asked: Search) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = asked.folder / "trials.log"
    _mend(journal)
    epochs = asked.recipe.epochs
    pruner: optuna.pruners.BasePruner = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=max(1, epochs // 4)),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs),
        "none": optuna.pruners.NopPruner}[asked.pruner]()
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=_Unlocked(str(journal))))
    study = optuna.create_study(storage=storage, study_name="settings", direction="maximize", load_if_exists=True,
                                pruner=pruner)
    # A seed that moves with the trials: a search that is taken up again does not draw what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=asked.recipe.seed + len(study.trials), n_startup_trials=6)
    if not study.trials:
        # The recipe as it is comes first: what is found must beat it.
        study.enqueue_trial({name: getattr(asked.recipe, name) for name, entry in asked.space.items()
                             if entry.holds(getattr(asked.recipe, name))})
    return study


def _mend(journal: Path) -> None:
    """Take off the line that a killed writer left unfinished: the next would be written behind it."""
    if journal.is_file() and not (data := journal.read_bytes()).endswith(b"\n") and data:
        write_file(journal, data[:data.rfind(b"\n") + 1])


def _next(study: optuna.Study, trials: int) -> optuna.Trial | None:
    """A trial that was interrupted, else a new one, else None if there are enough."""
    found = study.get_trials(deepcopy=False)
    for trial in found:
        if trial.state == TrialState.RUNNING:
            return optuna.Trial(study, trial._trial_id)
    ended = [trial for trial in found if trial.state in _ENDED]
    if len(ended) >= _MOST_FAILED and all(trial.state == TrialState.FAIL for trial in ended):
        raise BadInput(f"the first {len(ended)} trials all failed, the last one so: {why(ended[-1])}")
    return study.ask() if len(ended) < trials else None


def why(trial: FrozenTrial) -> str:
    """Why a trial failed; empty if it did not."""
    return str(trial.user_attrs.get("why", ""))


def _run(study: optuna.Study, trial: optuna.Trial, asked: Search, means: Means, until: float) -> None:
    state, reason = _train(trial, asked, means, until)
    if state is None:
        return
    values = study.get_trials(deepcopy=False)[trial.number].intermediate_values
    if reason:
        trial.set_user_attr("why", reason)
    kept = int(trial.user_attrs.get("kept", 0))
    study.tell(trial, values[kept] if state == TrialState.COMPLETE else None, state)
    found = study.get_trials(deepcopy=False)
    if means.ended is not None:
        means.ended(found[trial.number])
    _tidy(asked, found)


def _train(trial: optuna.Trial, asked: Search, means: Means, until: float) -> tuple[TrialState | None, str]:
    """Train a trial, from where it was if it was begun before; return how it ended and, where it failed, why."""
    begun = trial.user_attrs.get("begun", 0)
    if begun >= _MOST_BEGUN:
        return TrialState.FAIL, f"the process was killed {begun} times before an epoch of it was done"
    trial.set_user_attr("begun", begun + 1)
    try:
        recipe = asked.recipe_of(_settings(trial, asked.space))
        watch = Watch(means.packed, _careful(trial.number, means), _Judge(trial, recipe, until))
        before = train(asked.snapshot, recipe, means.store, means.releases, asked.folder / "trials", means.device,
                       watch, asked.folder / "pixels")
    except _Stop as stop:
        return stop.state, str(stop)
    except (BadInput, OutOfMemoryError) as error:
        return TrialState.FAIL, str(error)
    except KeyboardInterrupt:
        trial.set_user_attr("begun", begun)
        raise
    # Only what `train_best` published earlier comes to this end: its epochs are not told again.
    return TrialState.FAIL, f"these settings were trained in full before: {before}"


def _settings(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for name, entry in space.items():
        if isinstance(entry, Choice):
            drawn[name] = trial.suggest_categorical(name, entry.options)
        elif entry.whole:
            drawn[name] = trial.suggest_int(name, int(entry.low), int(entry.high), log=entry.log)
        else:
            drawn[name] = trial.suggest_float(name, entry.low, entry.high, log=entry.log)
    return drawn


def _careful(number: int, means: Means) -> Callable[[Step], None]:
    """Hear of each step, and end the trial at once if its loss is no number any more."""
    def step(now: Step) -> None:
        if not math.isfinite(now.loss):
            raise _Stop(TrialState.FAIL, f"the loss was no number in epoch {now.epoch}; a lower lr may help")
        _heard(means, number, now)
    return step


class _Judge:
    """Hears a trial's epochs, tells Optuna what they measured, and ends the trial when it is time."""

    def __init__(self, trial: optuna.Trial, recipe: Recipe, until: float) -> None:
        self.trial, self.recipe, self.epochs, self.until = trial, recipe, recipe.epochs, until
        self.known = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self.before = float(trial.user_attrs.get("seconds", 0.0))
        self.started = time.perf_counter()
        self.rows: list[dict[str, float]] = []

    def __call__(self, row: dict[str, float]) -> None:
        epoch = int(row["epoch"])
        self.rows.append(row)
        if epoch not in self.known:
            name = next(name for name in OBJECTIVES if name in row)
            self.trial.report(row[name], epoch)
            for key, value in (("seconds", self.before + time.perf_counter() - self.started), ("begun", 0),
                               ("objective", name)):
                self.trial.set_user_attr(key, value)
        if epoch >= self.epochs:
            # What counts is the epoch whose weights a training with this recipe would publish.
            self.trial.set_user_attr("kept", saved_epoch(self.rows, self.recipe))
            raise _Stop(TrialState.COMPLETE)
        if epoch not in self.known and self.trial.should_prune():
            raise _Stop(TrialState.PRUNED)
        if time.monotonic() >= self.until:
            raise _Stop(None)


def _tidy(asked: Search, found: list[FrozenTrial]) -> None:
    """Remove the checkpoints of all trials but the best, whose training `train_best` may go on with."""
    first = best(found)
    kept = None if first is None else asked.recipe_of(first.params).digest
    for folder in (asked.folder / "trials").glob("sku-*"):
        if kept is None or not folder.name.endswith(f"-{kept}"):
            shutil.rmtree(folder, ignore_errors=True)
