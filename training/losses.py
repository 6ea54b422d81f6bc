"""Losses of the class logits and of the embeddings."""

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


def contrastive(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the supervised contrastive loss (Khosla et al. 2020) of one batch; 0 if no product comes twice in it.

    features: (n, d), not yet of unit length; labels: (n,). Photos of one product attract, all others repel.
    """
    unit = F.normalize(features.float())
    scores = unit @ unit.T / temperature                                # (n, n)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = (labels[:, None] == labels[None, :]) & ~itself
    shares = F.log_softmax(scores.masked_fill(itself, -torch.inf), dim=1).masked_fill(~same, 0)
    counts = same.sum(1)
    return -(shares.sum(1) / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)
