"""The first part of a training: what stands on the trunk is fitted to features of the trunk as it starts.

A head that knows nothing sends the trunk gradients that distort what it knew; fitted first, it does not (Kumar et al.
2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution"). The trunk does not move, so
its features of a few augmented renditions of every photo are computed once, and an epoch costs seconds.
"""

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.augmentation import augment
from training.batches import Labelled, in_order
from training.losses import Objective
from training.optimizing import cosine
from training.recipes import Recipe
from training.sampling import epoch_order
from vision.networks import Network

log = logging.getLogger(__name__)
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Renditions:
    """What the trunk sees: raw features (r, n, d) of n photos, first as they are and then augmented r − 1 times."""

    features: Tensor
    labels: np.ndarray
    families: np.ndarray


def probe(network: Network, recipe: Recipe, data: Labelled, objective: Objective, device: torch.device,
          bf16: bool) -> float:
    """Fit all but the trunk for `recipe.probe` epochs in place; return the last epoch's loss.

    Each of several processes does the same by itself, with the same numbers.
    """
    began = time.perf_counter()
    seen = renditions(network, recipe, data, device, bf16)
    computed = time.perf_counter()
    fitted = [part for name, part in network.named_parameters() if not name.startswith("trunk.") and part.requires_grad]
    optimizer = torch.optim.AdamW([
        {"params": [part for part in fitted if part.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [part for part in fitted if part.ndim < 2], "weight_decay": 0.0}], lr=recipe.probe_lr)
    network.train()
    network.trunk.eval()
    loss = 0.0
    for epoch in range(recipe.probe):
        loss = _epoch(network, recipe, seen, objective, optimizer, epoch)
    log.info("probe: %d renditions in %.0f s, %d epochs in %.0f s, loss %.3f", recipe.renditions, computed - began,
             recipe.probe, time.perf_counter() - computed, loss)
    return loss


def renditions(network: Network, recipe: Recipe, data: Labelled, device: torch.device, bf16: bool) -> Renditions:
    """Run the trunk, as it serves, over every photo of `data` as often as the recipe says."""
    network.eval()
    random = torch.Generator(device).manual_seed(recipe.seed)
    passes = []
    for number in range(recipe.renditions):
        parts = []
        for batch in in_order(data, recipe.size, device):
            pixels = (augment(batch.packed, recipe, random, recipe.size) if number
                      else batch.packed[..., :3].permute(0, 3, 1, 2).float())
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                parts.append(network.stages(pixels.contiguous(memory_format=torch.channels_last)).half())
        passes.append(torch.cat(parts))
    return Renditions(torch.stack(passes), data.labels, data.families)


def _epoch(network: Network, recipe: Recipe, seen: Renditions, objective: Objective,
           optimizer: torch.optim.Optimizer, epoch: int) -> float:
    """Every product `views` times, each photo in a rendition drawn; return the mean loss."""
    # Another stream of draws than that of the epochs which follow.
    order = epoch_order(recipe, seen.labels, seen.families, recipe.seed + 7919, epoch)
    draws = torch.from_numpy(np.random.default_rng([recipe.seed, epoch, 7919]).integers(
        0, len(seen.features), len(order))).to(seen.features.device)
    chosen = torch.from_numpy(order).to(seen.features.device)
    labels = torch.from_numpy(seen.labels).to(seen.features.device)
    starts = range(0, max(1, len(order) - len(order) % recipe.probe_batch), recipe.probe_batch)
    total = 0.0
    for step, start in enumerate(starts):
        progress = (epoch + step / len(starts)) / recipe.probe
        for group in optimizer.param_groups:
            group["lr"] = recipe.probe_lr * cosine(progress)
        rows = chosen[start:start + recipe.probe_batch]
        features = network.finished(network.joined(seen.features[draws[start:start + len(rows)], rows].float()))
        loss = objective(features, labels[rows], progress)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / len(starts)
