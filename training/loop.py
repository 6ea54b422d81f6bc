"""The training loop, from packed pixels and labels to a fitted network; a kill loses one epoch at most."""

import io
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from catalogue.errors import BadInput
from catalogue.files import write_file
from training.augmentation import augment
from training.losses import contrastive, margin_cross_entropy
from training.recipes import Recipe
from training.sampling import balanced_epoch
from vision.networks import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """What to train on: `rows` (n,) of packed pixels and masks uint8 (N, s, s, 4), each row's class and model (n,)."""

    packed: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    families: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.labels) == len(self.families):
            raise ValueError("as many labels as photos")


@dataclass(frozen=True)
class Step:
    """Where training stands, for a progress bar: epochs from 1, steps of the epoch from 1, loss, photos a second."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    photos_per_s: float


def fit(network: Network, recipe: Recipe, data: Labelled, measure: Callable[[Network], dict[str, float]],
        checkpoint: Path, device: torch.device, watch: Callable[[Step], None] | None = None,
        each: Callable[[dict[str, float]], None] | None = None) -> list[dict[str, float]]:
    """Train `network` in place and return one row of measures an epoch; resumes from `checkpoint` if it exists.

    `each` hears each epoch's row once its checkpoint is written, and on resuming the rows of the epochs before; what it
    raises ends the training.
    """
    network.to(device).to(memory_format=torch.channels_last)
    optimizer = _optimizer(network, recipe)
    history: list[dict[str, float]] = _resume(checkpoint, network, optimizer, device)
    if each is not None:
        for before in history:
            each(before)
    per_epoch = math.ceil(len(np.unique(data.labels)) * recipe.views / recipe.batch)
    bf16 = use_bf16(recipe.precision, device)
    log.info("training %s on %s in %s, from epoch %d of %d", recipe.backbone, device,
             "bf16" if bf16 else "fp32", len(history) + 1, recipe.epochs)
    for epoch in range(len(history), recipe.epochs):
        network.train()
        random = torch.Generator(device).manual_seed(recipe.seed * 100_003 + epoch)
        order = balanced_epoch(data.labels, data.families, recipe.views, recipe.group, recipe.seed, epoch)
        started, seen, losses = time.perf_counter(), 0, 0.0
        for step, batch in enumerate(np.split(order, range(recipe.batch, len(order) - 1, recipe.batch))):
            progress = (epoch * per_epoch + step) / (recipe.epochs * per_epoch)
            _set_rate(optimizer, recipe, progress)
            packed = torch.from_numpy(data.packed[data.rows[batch]]).to(device, non_blocking=True)
            labels = torch.from_numpy(data.labels[batch]).to(device, non_blocking=True)
            pixels = augment(packed, recipe, random).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                features = network.features(pixels)
                logits = network.head(features)
            loss = margin_cross_entropy(logits, labels, margin_at(recipe, progress), recipe.label_smoothing)
            if recipe.contrastive:
                loss = loss + recipe.contrastive * contrastive(features, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses, seen = losses + loss.item() * len(batch), seen + len(batch)
            if watch is not None:
                watch(Step(epoch + 1, recipe.epochs, step + 1, per_epoch, losses / seen,
                           seen / (time.perf_counter() - started)))
        row = {"epoch": epoch + 1, "loss": losses / seen, "photos_per_s": seen / (time.perf_counter() - started)}
        history.append({**row, **measure(network)})
        _save(checkpoint, network, optimizer, history)
        if each is not None:
            each(history[-1])
    return history


def margin_at(recipe: Recipe, progress: float) -> float:
    """The margin in units of the logits: CosFace's, growing at first, for a cosine head; none for a linear one."""
    grown = min(1.0, progress / recipe.margin_warmup) if recipe.margin_warmup else 1.0
    return recipe.margin * recipe.scale * grown if recipe.head == "cosine" else 0.0


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as asked, or where the device multiplies in bf16 natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16"))


def rate_at(recipe: Recipe, progress: float) -> float:
    """Learning rate at a share of the training in [0, 1): linear warm-up, then a cosine to zero."""
    peak = recipe.lr * recipe.batch / 64
    if progress < recipe.warmup:
        return peak * (progress + 1e-3) / recipe.warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum; no weight decay on biases and norms (He et al. 2019, "Bag of Tricks")."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("trunk."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.SGD([
        {"params": parameters, "share": recipe.trunk_lr if trunk else 1.0,
         "weight_decay": recipe.weight_decay if decays else 0.0}
        for (trunk, decays), parameters in groups.items()], lr=recipe.lr, momentum=recipe.momentum,
        nesterov=recipe.momentum > 0)


def _set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate_at(recipe, progress) * group["share"]


def _save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict[str, float]]) -> None:
    buffer = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, buffer)
    write_file(path, buffer.getvalue())


def _resume(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer,
            device: torch.device) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, EOFError) as error:
        raise BadInput(f"the checkpoint {path} does not fit this recipe ({error}); delete it to start again") from error
    history: list[dict[str, float]] = state["history"]
    return history
