"""`task train`: a task's photos and a recipe become a task release, measured on photos that training never saw."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.releases import Published, Releases
from training.checkpoints import made_before
from training.classified import per_class
from training.fitting import Fitted, Plan, fit_rows, measures_of, overfitting, packed_photos, scored
from training.guard import Guarded, Shown, class_number, fit_guard, logits_of
from training.loop import NOBODY, Watch
from training.measuring import class_logits
from training.parallel import join
from training.task_data import TaskData
from training.task_file import Guard, Task
from training.task_report import write_task_report
from vision.classification import best_temperature
from vision.networks import Network
from vision.publishing import save_network
from vision.saved import NetworkCard, read_card
from vision.weights import load_network

log = logging.getLogger(__name__)


def train_task(plan: Plan, data: TaskData, photos: Callable[[], Shown], releases: Releases, runs: Path,
               device: str, watch: Watch = NOBODY) -> str:
    """Train and publish; return the release's name. The same call again goes on, or returns what it made before.

    Started by `torchrun`, the processes train together, each on its share of every batch. `photos` is asked, where the
    task has a guard, for what that is fitted to beside the photos held out. Where they are others than when the same
    was trained before, that network is published anew with its guard fitted to them.
    """
    if plan.task.guard is not None:
        class_number(plan.task.guard, data.classes)
    if plan.task.filled and plan.task.filled not in data.classes:
        raise BadInput(f"filled {plan.task.filled!r} is none of the classes: {', '.join(data.classes)}")
    team = join(device, plan.recipe)
    run = runs / f"task-{plan.task.name}-{data.digest}-{plan.digest}"
    publishing = _Publishing(plan, data, photos, releases, run, team.device)
    with lock(run / "run.lock", "this training") if team.leads else nullcontext():
        packing = partial(packed_photos, data, plan.recipe, runs, watch.packed)
        if before := team.agree(partial(made_before, run, "task", releases)):
            return team.agree(lambda: publishing.as_shown(releases.open(before), packing))
        fitted = fit_rows(plan, data, team.in_turn(packing), data.rows("train"), data.rows("val"), run, team, releases,
                          watch if team.leads else NOBODY)
        return team.agree(lambda: publishing.publish(fitted))


@dataclass(frozen=True)
class _Publishing:
    """What a task's training becomes a release with."""

    plan: Plan
    data: TaskData
    photos: Callable[[], Shown]
    releases: Releases
    run: Path
    device: torch.device

    def publish(self, fitted: Fitted) -> str:
        """The release of what was fitted, with its measures, report and guard."""
        plan, data, val = self.plan, self.data, fitted.val
        recipe = plan.recipe
        temperature = best_temperature(fitted.logits[val], data.labels[val])
        measures = measures_of(plan, data, fitted)
        settings = {**asdict(recipe), "multiply": "+".join(map(str, plan.multiply)) or "none"}
        card = NetworkCard(asdict(fitted.network.architecture), recipe.preprocessing, data.classes,
                           fitted.network.width, temperature, data.digest, settings, measures)
        guard = None
        if plan.task.guard is not None:
            guard = self._guard(plan.task.guard, fitted.network, card, fitted.logits[val], self.photos())
        with self.releases.draft("task") as draft:
            save_network(fitted.network, card, draft.folder)
            write_task_report(draft.folder / "report.html", plan.task, card, fitted.history, data, fitted.logits, val,
                              overfitting(measures))
            draft.manifest.update(manifest(plan.task, card, measured_on(data, val), guard),
                                  per_class=per_class(data.classes, scored(data, fitted, val)))
        return self._noted(draft.name)

    def as_shown(self, release: Published, packing: Callable[[], np.ndarray]) -> str:
        """The release that this training made before; published once more if its guard was fitted to other photos."""
        log.info("this task was trained on these photos before: %s", release.name)
        rule = self.plan.task.guard
        if rule is None or (shown := self.photos()).digest == release.manifest["guard"].get("shown"):
            return release.name
        network, card = load_network(release.folder).to(self.device), read_card(release.folder)
        held_out = class_logits(network, packing(), self.data.rows("val").tolist(), self.device)
        guard = self._guard(rule, network, card, held_out, shown)
        with self.releases.draft("task") as draft:
            draft.copy(release)
            draft.manifest.update(guard_facts(guard))
        return self._noted(draft.name)

    def _guard(self, rule: Guard, network: Network, card: NetworkCard, held_out: np.ndarray, shown: Shown) -> Guarded:
        """A guard fitted to the logits of the photos held out and to photos shown."""
        others = logits_of(network, card.preprocessing, shown, self.device)
        return fit_guard(rule, self.data.classes, held_out, self.data.labels[self.data.rows("val")], others,
                         card.temperature, shown.digest)

    def _noted(self, release: str) -> str:
        """The release that a training made, remembered; nothing is left of the way there."""
        write_file(self.run / "release", release.encode())
        (self.run / "checkpoint.pt").unlink(missing_ok=True)
        return release


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
