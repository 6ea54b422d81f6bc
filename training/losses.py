"""Losses of the class logits and of the embeddings, by pytorch-metric-learning, tied to the network's own head."""

from typing import Any

import numpy as np
import torch
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor, nn
from torch.nn import functional as F

from training.recipes import Recipe
from vision.networks import CosineHead


class Objective:
    """What a recipe minimises: `loss` of the classes by the head's directions plus `metric` of the embeddings."""

    def __init__(self, recipe: Recipe, head: nn.Module, width: int, classes: int,
                 weights: Tensor | None = None) -> None:
        self.recipe = recipe
        self.head = head
        self.weights = weights  # of the classes (c,), in cross-entropy
        self.proxies = _proxy_loss(recipe, head, width, classes) if isinstance(head, CosineHead) else None
        # Where colours tell two shoes apart already, nothing would be left to learn: what is learnt is judged alone.
        self.learnt = width - recipe.colours
        self.metric = _metric_loss(recipe, self.learnt)

    def __call__(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the loss of a batch: features (n, d), not yet of unit length, and labels (n,)."""
        features = features.float()
        loss = self.of_classes(features, labels, progress)
        if self.metric is not None:
            loss = loss + self.recipe.contrastive * self.metric(features[:, :self.learnt], labels)
        return loss

    def of_classes(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the loss of the classes alone, at a share of the training in [0, 1)."""
        features = features.float()
        if self.recipe.loss == "none":  # so that the epochs' curves tell of classes; in the end they are imprinted
            return F.cross_entropy(self.head(features.detach()), labels)
        if self.proxies is None:
            loss = F.cross_entropy(self.head(features), labels, self.weights,
                                   label_smoothing=self.recipe.label_smoothing)
        else:
            assert isinstance(self.head, CosineHead)
            weight = self.head.weight
            if self.recipe.loss == "proxy-anchor":
                self.proxies.proxies = weight
            else:
                self.proxies.W = weight.t()
            self.proxies.margin = margin_at(self.recipe, progress)
            loss = self.proxies(features, labels)
        return self.recipe.loss_weight * loss

    def mixed(self, features: Tensor, labels: Tensor, others: Tensor, share: float, progress: float) -> Tensor:
        """Return the class loss of photos that are by `share` of labels (n,), for the rest of others (n,)."""
        return (share * self.of_classes(features, labels, progress)
                + (1 - share) * self.of_classes(features, others, progress))

    def state(self) -> dict[str, Any]:
        """What a resumed training needs to compute the same losses: the memory of former batches."""
        memory = self.metric
        if not isinstance(memory, losses.CrossBatchMemory):
            return {}
        return {"embeddings": memory.embedding_memory, "labels": memory.label_memory, "at": memory.queue_idx,
                "full": memory.has_been_filled}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        if state and isinstance(self.metric, losses.CrossBatchMemory):
            self.metric.embedding_memory, self.metric.label_memory = state["embeddings"], state["labels"]
            self.metric.queue_idx, self.metric.has_been_filled = state["at"], state["full"]


def class_weights(recipe: Recipe, labels: np.ndarray, classes: int) -> Tensor | None:
    """Return what a photo of each class counts (c,): by inverse frequency to the recipe's power, 1 in the mean of the
    photos `labels` (n,); None where all count the same."""
    if not recipe.class_weights:
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.maximum(counts, 1) ** -recipe.class_weights
    return torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float()


def margin_at(recipe: Recipe, progress: float) -> float:
    """The margin at a share of the training in [0, 1): it grows at first, while classes are still anywhere."""
    return recipe.margin * (min(1.0, progress / recipe.margin_warmup) if recipe.margin_warmup else 1.0)


def _proxy_loss(recipe: Recipe, head: CosineHead, width: int, classes: int) -> Any:
    """Return the loss whose class directions are the head's, so that what is trained is what serves; None for ce."""
    if recipe.loss in ("ce", "none"):
        return None
    if recipe.loss == "proxy-anchor":       # Kim et al. 2020
        loss = losses.ProxyAnchorLoss(classes, width, margin=recipe.margin, alpha=recipe.scale)
        del loss.proxies
        return loss
    if recipe.loss == "cosface":            # Wang et al. 2018
        loss = losses.CosFaceLoss(classes, width, margin=recipe.margin, scale=recipe.scale)
    elif recipe.loss == "arcface":          # Deng et al. 2019
        loss = losses.ArcFaceLoss(classes, width, scale=recipe.scale)
    else:                                   # Deng et al. 2020
        loss = losses.SubCenterArcFaceLoss(num_classes=classes, embedding_size=width, scale=recipe.scale,
                                           sub_centers=recipe.subcenters)
    del loss.W  # its own directions; the head's take their place at each step
    loss.cross_entropy = nn.CrossEntropyLoss(reduction="none", label_smoothing=recipe.label_smoothing)
    return loss


def _metric_loss(recipe: Recipe, width: int) -> Any:
    if recipe.metric == "none" or not recipe.contrastive:
        return None
    if recipe.metric == "supcon":           # Khosla et al. 2020
        loss, miner = losses.SupConLoss(recipe.temperature), None
    else:                                   # Hermans et al. 2017
        cosine = distances.CosineSimilarity()
        loss, miner = losses.TripletMarginLoss(recipe.triplet_margin, distance=cosine), miners.BatchHardMiner(
            distance=cosine)
    if recipe.memory:                       # Wang et al. 2020, "Cross-Batch Memory"
        return losses.CrossBatchMemory(loss, width, recipe.memory, miner)
    return loss if miner is None else _Mined(loss, miner)


class _Mined(nn.Module):
    """A loss of the triplets a miner finds in the batch."""

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = self.loss(features, labels, self.miner(features, labels))
        return found
