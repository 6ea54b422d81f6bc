"""The optimizer of a recipe, its learning rate over time, and the moving average of the weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.recipes import Recipe

Tensors = tuple[Tensor, ...] | list[Tensor]


def rate_at(recipe: Recipe, progress: float) -> float:
    """Learning rate at a share of the training in [0, 1): linear warm-up, then as the schedule says."""
    peak = recipe.lr * (recipe.batch / 64 if recipe.scale_lr else 1)
    if progress < recipe.warmup:
        return peak * min(1.0, (progress + 1e-3) / recipe.warmup)
    rest = (progress - recipe.warmup) / (1 - recipe.warmup) if recipe.warmup < 1 else 1.0
    if recipe.schedule == "constant":
        return peak
    if recipe.schedule == "linear":
        return peak * (1 - rest)
    if recipe.schedule == "step":
        return peak * (1.0 if rest < 0.5 else 0.1 if rest < 0.75 else 0.01)
    return peak * cosine(rest)


def cosine(progress: float) -> float:
    """What is left of a learning rate at a share of its way in [0, 1): half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam, AdamW or RMSprop; as a rule without weight decay on biases and norms (He et al.
    2019, "Bag of Tricks")."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("trunk."), parameter.ndim > 1 or recipe.decay_all), []).append(
                parameter)
    settings: list[dict[str, Any]] = [
        {"params": parameters, "share": recipe.trunk_lr if trunk else 1.0,
         "weight_decay": recipe.weight_decay if decays else 0.0} for (trunk, decays), parameters in groups.items()]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(settings, lr=recipe.lr)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(settings, lr=recipe.lr)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(settings, lr=recipe.lr)
    return torch.optim.SGD(settings, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """Set every group's learning rate for a share of the training."""
    for group in optimizer.param_groups:
        group["lr"] = rate_at(recipe, progress) * group["share"]


class Averaged(AveragedModel):
    """The exponential moving average of a network's weights and running statistics; follows fast while it is young."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        super().__init__(network, multi_avg_fn=self._blend, use_buffers=True)

    def _blend(self, means: Tensors, now: Tensors, count: Tensor | int) -> None:
        young = int(self.n_averaged)  # as `count` is, but never on a GPU, which would have to be waited for
        get_ema_multi_avg_fn(min(self.decay, (1 + young) / (10 + young)))(means, now, count)
