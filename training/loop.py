"""The training loop, from packed pixels and labels to a fitted network; a kill loses one epoch at most."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from catalogue.errors import BadInput
from training.augmentation import augment
from training.axes import fit_colours, fit_whitening, imprint
from training.batches import Batch, Labelled, batches, gathered_at, size_at
from training.checkpoints import Row, load_checkpoint, save_checkpoint
from training.distilling import Teacher
from training.losses import Objective, class_weights
from training.mixing import mix
from training.optimizing import Averaged, make_optimizer, set_rate
from training.parallel import Team
from training.probing import probe
from training.recipes import Recipe
from training.sampling import epoch_order, views_of
from vision.networks import CosineHead, Network

log = logging.getLogger(__name__)
SAY_EVERY = 20
# What tells the better of two epochs, the first that is measured: photos that no training saw, of products it did.
BEST_BY = {"auto": ("val_recall1", "val_accuracy", "val_top1", "unseen_recall1"), "loss": ("val_loss",),
           "accuracy": ("val_accuracy", "val_top1"), "macro_f1": ("val_macro_f1",)}


@dataclass(frozen=True)
class Step:
    """Where training stands, for a progress bar: epochs from 1, steps of the epoch from 1, loss, photos a second."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    photos_per_s: float


@dataclass(frozen=True)
class Watch:
    """Who wants to hear how training goes; each may be None. What `epoch` raises ends the training unpublished."""

    packed: Callable[[int], None] | None = None
    step: Callable[[Step], None] | None = None
    epoch: Callable[[Row], None] | None = None


NOBODY = Watch()


def fit(network: Network, recipe: Recipe, data: Labelled, measure: Callable[[Network], Row], checkpoint: Path,
        team: Team, teacher: Teacher | None = None, watch: Callable[[Step], None] | None = None,
        each: Callable[[Row], None] | None = None) -> list[Row]:
    """Train `network` in place and return one row of measures an epoch; resumes from `checkpoint` if it exists.

    `each` hears each epoch's row once its checkpoint is written, and on resuming the rows of the epochs before; what it
    raises ends the training. The photos' accuracy in a row, `train_top1`, is that of augmented photos as they came.
    """
    if not checkpoint.is_file():
        fit_colours(network, data)
    network.to(team.device).to(memory_format=torch.channels_last)
    run = Run(network, recipe, data, team, teacher)
    history, best = load_checkpoint(checkpoint, network, run.optimizer, run.objective, run.averaged, team.device)
    if each is not None:
        for before in history:
            each(before)
    log.info("training %s on %s in %s, from epoch %d of %d", recipe.backbone, team.device,
             "bf16" if run.bf16 else "fp32", len(history) + 1, recipe.epochs)
    probed = 0.0
    if recipe.probe and not checkpoint.is_file():
        began = time.perf_counter()
        run.probe()
        probed = time.perf_counter() - began
        if team.leads:
            save_checkpoint(checkpoint, network, run.optimizer, run.objective, run.averaged, best, history)
    for epoch in range(len(history), recipe.epochs):
        if worn_out(history, recipe):
            log.info("no better epoch in %d: training ends after %d", recipe.patience, len(history))
            break
        row = run.epoch(epoch, watch)
        row["seconds"] += probed if epoch == 0 else 0.0  # the probe is part of what a training takes
        result = run.result()
        history.append({**row, **team.agree(partial(measure, result))})
        if recipe.keep == "best" and saved_epoch(history, recipe) == epoch + 1:
            best = {name: value.clone() for name, value in result.state_dict().items()}
        if team.leads:
            save_checkpoint(checkpoint, network, run.optimizer, run.objective, run.averaged, best, history)
        if each is not None:
            each(history[-1])
    network.load_state_dict(best if best is not None else run.result().state_dict())
    if recipe.loss == "none":
        imprint(network, data, team.device, run.bf16)
    fit_whitening(network, data, recipe.whitening, team.device)
    return history


def saved_epoch(history: list[Row], recipe: Recipe) -> int:
    """The epoch, from 1, whose weights are those that a training ends with."""
    if recipe.keep == "last":
        return len(history)
    merits = _merits(history, recipe)
    return 1 + max(range(len(history)), key=lambda at: (merits[at], at))


def worn_out(history: list[Row], recipe: Recipe) -> bool:
    """Whether as many epochs as the recipe has patience for brought nothing better."""
    if not recipe.patience or not history:
        return False
    merits = _merits(history, recipe)
    return bool(any(merits) and len(history) - 1 - merits.index(max(merits)) >= recipe.patience)


def _merits(history: list[Row], recipe: Recipe) -> list[float]:
    """How good each epoch was, by what the recipe says; all the same where no held-out photos tell."""
    wanted = BEST_BY[recipe.keep_by]
    name = next((name for name in wanted if name in history[-1]), "")
    if not name and recipe.keep_by != "auto":
        raise BadInput(f"keep_by={recipe.keep_by} needs {wanted[0]}, which this training does not measure: it measures "
                       f"{', '.join(history[-1])}; hold photos out, or set keep_by=auto")
    worst = math.inf if recipe.keep_by == "loss" else -math.inf
    found = [row.get(name, worst) if name else 0.0 for row in history]
    sign = -1 if recipe.keep_by == "loss" else 1
    return [sign * (worst if math.isnan(value) else value) for value in found]


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as asked, or where that is faster: on GPUs that know it, on CPUs with matrix units
    (AMX), and on AMD's with vector instructions for it (AVX-512 BF16). Intel's with those alone are slower by it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    by_vectors = can.get("avx512_bf16") and str(can.get("cpu_name", "")).startswith("AMD")
    return device.type == "cpu" and bool(can.get("amx_bf16") or by_vectors)


class Run:
    """One training under way: everything that changes with a step."""

    def __init__(self, network: Network, recipe: Recipe, data: Labelled, team: Team, teacher: Teacher | None) -> None:
        self.network, self.recipe, self.data, self.team, self.teacher = network, recipe, data, team, teacher
        self.optimizer = make_optimizer(network, recipe)
        classes = len(np.unique(data.labels))
        weights = class_weights(recipe, data.labels, _classes(network.head))
        self.objective = Objective(recipe, network.head, network.width, classes,
                                   None if weights is None else weights.to(team.device))
        self.averaged = Averaged(network, recipe.ema) if recipe.ema else None
        self.bf16 = use_bf16(recipe.precision, team.device)
        photos = len(data.rows) if recipe.sampling == "natural" else classes * views_of(recipe, data.labels)
        self.steps = math.ceil(photos / recipe.batch)
        self.pooled = compiled(network.pooled, recipe.compile, team.device)
        if teacher is not None:
            teacher.to(team.device)

    def result(self) -> Network:
        """The network to measure and save: the moving average's where there is one."""
        if self.averaged is None:
            return self.network
        return cast(Network, self.averaged.module)

    def probe(self) -> None:
        """Fit what stands on the trunk, before anything else."""
        probe(self.network, self.recipe, self.data, self.objective, self.team.device, self.bf16)
        if self.averaged is not None:
            self.averaged = Averaged(self.network, self.recipe.ema)

    def epoch(self, epoch: int, watch: Callable[[Step], None] | None) -> Row:
        """Train for one epoch; return its loss, accuracy and pace. What it draws depends on seed and epoch alone."""
        recipe, device = self.recipe, self.team.device
        seed = (recipe.seed * 100_003 + epoch) * self.team.size + self.team.rank
        random = torch.Generator(device).manual_seed(seed)
        torch.manual_seed(seed)
        set_mode(self.network, recipe, epoch)
        chosen = self._chosen(epoch)
        own = (batch[self.team.own(len(batch))] for batch in chosen)
        shown = size_at(recipe, epoch)
        started, seen = time.perf_counter(), 0
        losses, right = torch.zeros(2, device=device)
        for step, batch in enumerate(batches(self.data, own, gathered_at(recipe, shown), device)):
            loss, hits = self.step(batch, epoch, step, random, shown)
            count = len(chosen[step])
            seen, losses, right = seen + count, losses + loss * count, right + hits
            # Reading the loss makes a GPU wait.
            if watch is not None and (device.type == "cpu" or step % SAY_EVERY == 0 or step + 1 == len(chosen)):
                watch(Step(epoch + 1, recipe.epochs, step + 1, len(chosen), float(losses) / seen,
                           seen / (time.perf_counter() - started)))
        loss_of_all, accuracy = float(losses) / seen, float(right) / seen
        if not math.isfinite(loss_of_all):
            raise BadInput(f"training diverged: the loss of epoch {epoch + 1} is no number; set a lower lr, a longer "
                           "warmup, or clip=1")
        seconds = time.perf_counter() - started
        return {"epoch": epoch + 1, "loss": loss_of_all, "train_top1": accuracy, "photos_per_s": seen / seconds,
                "seconds": seconds}

    def _chosen(self, epoch: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch; several processes leave out what does not share out evenly."""
        recipe, team = self.recipe, self.team
        order = epoch_order(recipe, self.data.labels, self.data.families, recipe.seed, epoch)
        if team.size > 1:
            order = order[:len(order) - len(order) % team.portion(recipe)]
        chosen = np.split(order, range(recipe.batch, len(order) - 1, recipe.batch))
        if len(chosen) > 1 and len(chosen[-1]) < 2 * team.size:  # batch norm has nothing to norm one photo by
            chosen.pop()
        return chosen

    def step(self, batch: Batch, epoch: int, step: int, random: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Take one step on photos `size` pixels wide; return the loss and how many photos' classes were right, both
        still on the device."""
        recipe, team = self.recipe, self.team
        progress = (epoch * self.steps + step) / (recipe.epochs * self.steps)
        set_rate(self.optimizer, recipe, min(progress, 1.0))
        pixels = augment(batch.packed, recipe, random, size)
        draws = np.random.default_rng([recipe.seed, epoch, step])
        mixed = mix(pixels, recipe, draws) if recipe.mixup + recipe.cutmix else None
        pixels = (pixels if mixed is None else mixed[0]).contiguous(memory_format=torch.channels_last)
        with torch.autocast(team.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.network.finished(team.gather(self.pooled(pixels)))
        features, labels = features.float(), team.gather(batch.labels)
        if mixed is None:
            loss = self.objective(features, labels, progress)
        else:
            loss = self.objective.mixed(features, labels, team.gather(batch.labels[mixed[1]]), mixed[2], progress)
        if self.teacher is not None:
            with torch.autocast(team.device.type, torch.bfloat16, enabled=self.bf16):
                said = self.teacher.says(pixels)
            loss = loss + recipe.distill * self.teacher.loss(team.gather(said), features, self.network.head(features))
        self.descend(loss)
        with torch.no_grad():
            return loss.detach(), (self.network.head(features).argmax(1) == labels).sum()

    def descend(self, loss: Tensor) -> None:
        """Take a step down the gradient of a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.team.share_gradients(self.network)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)


def _classes(head: nn.Module) -> int:
    """How many classes a head tells apart, whether or not there are photos of each."""
    if isinstance(head, CosineHead):
        return len(head.weight) // head.subcenters
    return cast(nn.Linear, head).out_features


def set_mode(network: Network, recipe: Recipe, epoch: int) -> None:
    """Ready the network for an epoch: what is frozen neither learns nor gathers statistics."""
    network.train()
    frozen = epoch < recipe.frozen
    network.trunk.requires_grad_(not frozen)
    if frozen:
        network.trunk.eval()
    if recipe.freeze_norms:
        for part in network.trunk.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()


def compiled(function: Callable[[Tensor], Tensor], mode: str, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the function compiled as a recipe says; `auto` compiles for GPUs alone, where it pays."""
    if mode == "off" or (mode == "auto" and device.type != "cuda"):
        return function
    return torch.compile(function, mode="default" if mode == "auto" else mode, dynamic=False)
