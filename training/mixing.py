"""Photos of a batch mixed with one another: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019)."""

import math

import numpy as np
import torch
from torch import Tensor

from training.recipes import Recipe


def mix(pixels: Tensor, recipe: Recipe, random: np.random.Generator) -> tuple[Tensor, Tensor, float] | None:
    """Return (mixed pixels, each photo's partner (n,), the share of itself it keeps); None: leave the batch as it is.

    pixels: (n, 3, h, w). Draws on the CPU, so that a GPU need not be waited for.
    """
    drawn, share = random.random(), float(random.beta(recipe.mix_alpha, recipe.mix_alpha))
    if drawn >= recipe.mixup + recipe.cutmix:
        return None
    partner = torch.from_numpy(random.permutation(len(pixels))).to(pixels.device)
    if drawn < recipe.mixup:
        return torch.lerp(pixels[partner], pixels, share), partner, share
    height, width = pixels.shape[2:]
    high, wide = (int(side * math.sqrt(1 - share)) for side in (height, width))
    top, left = int(random.integers(0, height - high + 1)), int(random.integers(0, width - wide + 1))
    mixed = pixels.clone()
    mixed[:, :, top:top + high, left:left + wide] = pixels[partner, :, top:top + high, left:left + wide]
    return mixed, partner, 1 - high * wide / (height * width)
