"""Losses of the class logits."""

import torch
from torch import Tensor
from torch.nn import functional as F


def margin_cross_entropy(logits: Tensor, labels: Tensor, margin: float, smoothing: float) -> Tensor:
    """Return the mean cross-entropy with `margin` taken off the right class's logit (Wang et al. 2018, "CosFace").

    logits: (n, c), for a cosine head already multiplied by its scale, as the margin must be; labels: (n,).
    """
    logits = logits.float()
    if margin:
        rows = torch.arange(len(labels), device=logits.device)
        logits = logits.index_put((rows, labels), logits[rows, labels] - margin)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)
