"""The live tasks of one worker: classifiers loaded beside the old ones when promoted, checked, swapped one by one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.batching import BatchingRuntime, retire
from app.watching import Refusals, Watch
from app.wiring import Stores, embedder_of
from catalogue.errors import BadRelease, NotFound, NothingLive
from catalogue.releases import Published, slot_of
from vision.embedder import Embedder

log = logging.getLogger(__name__)
BATCH = 16
GUARD = "garment"  # the task that says whether there is a shoe at all
Opening = Callable[[Stores, Published], Embedder]


@dataclass(frozen=True)
class Guard:
    """The class of a task that means a shoe, and the probability below which there is none."""

    label: str
    threshold: float


@dataclass(frozen=True, eq=False)
class LiveTask:
    """A task release with the embedder that runs it: whoever holds one answers with one release throughout."""

    release: Published
    embedder: Embedder

    @property
    def name(self) -> str:
        """The task's name, `garment` say."""
        return str(self.release.manifest["task"])

    @property
    def about(self) -> str:
        """One sentence about the task."""
        return str(self.release.manifest.get("about", ""))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes, in the order of the logits."""
        return self.embedder.card.classes

    @property
    def measures(self) -> Mapping[str, Any]:
        """What was measured of it on photos that training never saw."""
        return self.release.manifest.get("measures", {})

    @property
    def filled(self) -> str | None:
        """The class that means that a place on a shelf is filled, where the task says so."""
        found = self.release.manifest.get("filled")
        return None if found is None else str(found)

    @property
    def guard(self) -> Guard | None:
        """How it says that there is no shoe in a photo, where it can."""
        found = self.release.manifest.get("guard")
        return None if found is None else Guard(str(found["class"]), float(found["threshold"]))

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return calibrated class probabilities (n, c) of preprocessed pixels uint8 (n, size, size, 3)."""
        return self.embedder.probabilities(self.embedder.in_batches(pixels, BATCH).logits)


def open_task(stores: Stores, release: Published, opening: Opening = embedder_of) -> LiveTask:
    """Open and check a task release; `BadRelease` says why it cannot serve."""
    stores.releases.check(release)
    task = LiveTask(release, opening(stores, release))
    if list(task.classes) != list(release.manifest.get("classes", [])):
        raise BadRelease(f"the classes in the manifest of {release.name} are not its network's; train it again")
    named = {"guard": task.guard.label if task.guard else None, "filled": task.filled}
    for what, label in named.items():
        if label is not None and label not in task.classes:
            raise BadRelease(f"{what} of {release.name} names the class {label!r}; its classes are "
                             f"{', '.join(task.classes)}")
    size = task.embedder.card.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    together, alone = task.embedder.run(pixels).logits, task.embedder.run(pixels[1:]).logits
    if together.shape != (2, len(task.classes)) or not np.isfinite(together).all():
        raise BadRelease(f"{release.name} does not give one finite number a class; train it again")
    if np.abs(together[1] - alone[0]).max() > 1e-2 * max(1.0, float(np.abs(alone).max())):
        raise BadRelease(f"{release.name} answers a photo differently beside another one; train it again")
    return task


def open_live(stores: Stores, name: str, opening: Opening = embedder_of) -> LiveTask:
    """Open what is live for one task, to be used once; `NotFound` names the live ones."""
    live = stores.releases.live_names("task")
    if f"task:{name}" not in live:
        raise _unknown(name, [slot.partition(":")[2] for slot in live])
    return open_task(stores, stores.releases.open(live[f"task:{name}"]), opening)


def _unknown(name: str, live: Sequence[str]) -> NotFound:
    return NotFound(f"no task {name[:60]!r} is live; " + (
        f"live are: {', '.join(live)}" if live else "none is; train one with `solesearch task train NAME`, then "
                                                    "`solesearch promote task:NAME`"))


class LiveTasks:
    """Holds the tasks in use by name; `watch` follows all slots `task:…` in a thread. A release that cannot serve
    leaves the former in use, is named in `problem`, and is tried again after a minute."""

    def __init__(self, stores: Stores, opening: Opening = embedder_of) -> None:
        self.stores, self.opening = stores, opening
        self._tasks: dict[str, LiveTask] = {}
        self._refused = Refusals()  # by slot and release
        self._wanted: Mapping[str, str] = {}  # slot → release
        self._problem = ""
        self._watch = Watch(self.refresh, stores.settings.poll_s, "live-tasks")

    @property
    def problem(self) -> str:
        """What is wrong now, in sentences; empty where all is well."""
        return "; ".join(filter(None, [self._problem, *self._refused.reasons()]))

    def current(self) -> Mapping[str, LiveTask]:
        """The live tasks by name; what is handed out never changes."""
        return self._tasks

    def named(self, name: str) -> LiveTask:
        """The live task of that name; `NotFound` names those there are, `NothingLive` says why it cannot serve."""
        tasks = self._tasks
        if name in tasks:
            return tasks[name]
        slot = f"task:{name}"
        why = self._refused.why((slot, self._wanted.get(slot, "")))
        if why or self._problem:
            raise NothingLive(why or self._problem)
        raise _unknown(name, list(tasks))

    def guard(self) -> LiveTask | None:
        """The task that can say that there is no shoe in a photo; None where none is live."""
        task = self._tasks.get(GUARD)
        return task if task is not None and task.guard is not None else None

    def refresh(self) -> None:
        """Follow the slots once: what was promoted is loaded, checked and swapped in; what cannot serve is left out."""
        try:
            wanted = self.stores.releases.live_names("task")
        except Exception as error:
            self._problem = f"the catalogue cannot be asked which tasks are live: {error}"
            log.warning("%s", self._problem)
            return
        self._problem, self._wanted = "", wanted
        self._refused.keep(wanted.items())
        former, found = self._tasks, {}
        for slot, release in wanted.items():
            name = slot.partition(":")[2]
            task = former.get(name)
            if task is None or task.release.name != release:
                task = self._load(slot, release) or task
            if task is not None:
                found[name] = task
        self._tasks = found
        for name, task in former.items():
            if found.get(name) is not task:
                retire(task.embedder.runtime)

    def watch(self) -> None:
        """Load what is live now, and follow the slots until `close`."""
        self._watch.begin()

    def close(self) -> None:
        """Stop following the slots."""
        self._watch.end()

    def _load(self, slot: str, name: str) -> LiveTask | None:
        if self._refused.waits((slot, name)):
            return None
        try:
            release = self.stores.releases.open(name)
            if slot_of(release) != slot:
                raise BadRelease(f"it is a release for slot {slot_of(release)!r}")
            task = open_task(self.stores, release, self.opening)
        except Exception as error:
            self._refused.add((slot, name), f"{name} was promoted to {slot} but cannot serve: {error}")
            return None
        self._refused.forget((slot, name))
        # Only now, so that a release that fails its check leaves no thread behind.
        task.embedder.runtime = BatchingRuntime(task.embedder.runtime)
        log.info("%s is live in %s", name, slot)
        return task
