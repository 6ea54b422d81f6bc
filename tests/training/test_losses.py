"""Losses: what they pull together, that the head they train is the one that serves, and soft labels."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training.losses import Objective
from training.recipes import Recipe
from vision.networks import CosineHead

PLAIN = Recipe(margin_warmup=0, metric="none")
APART = torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]])
TOGETHER = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
PAIRS = torch.tensor([0, 0, 1, 1])


def objective(recipe: Recipe, width: int = 2, classes: int = 4) -> Objective:
    torch.manual_seed(0)
    head = (CosineHead(width, classes, recipe.scale, recipe.subcenters) if recipe.head == "cosine"
            else nn.Linear(width, classes))
    return Objective(recipe, head, width, classes)


def test_cosface_is_what_it_was() -> None:
    loss = objective(replace(PLAIN, label_smoothing=0.1))
    features, labels = torch.randn(5, 2), torch.tensor([0, 1, 2, 3, 0])
    logits = loss.head(features)
    logits = logits - 24 * 0.2 * F.one_hot(labels, 4)
    assert torch.allclose(loss(features, labels, 0), F.cross_entropy(logits, labels, label_smoothing=0.1), atol=1e-5)


@pytest.mark.parametrize("changes", [
    {}, {"loss": "arcface"}, {"loss": "subcenter", "subcenters": 2}, {"loss": "proxy-anchor", "margin": 0.1},
    {"loss": "ce"}, {"loss": "ce", "head": "linear"}], ids=str)
def test_what_a_class_loss_trains_is_the_head_that_serves(changes: dict[str, object]) -> None:
    loss = objective(replace(PLAIN, scale=8.0, **changes), width=8)
    centres = F.normalize(torch.randn(4, 8))
    labels = torch.arange(4).repeat(4)
    features = centres[labels] + 0.1 * torch.randn(16, 8)
    optimizer = torch.optim.SGD(loss.head.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        loss(features, labels, 0.5).backward()
        optimizer.step()
    assert (loss.head(features).argmax(1) == labels).all()


def test_without_a_class_loss_the_head_learns_and_teaches_nothing() -> None:
    loss = objective(replace(PLAIN, loss="none", metric="supcon"))
    features = APART.clone().requires_grad_()
    loss.of_classes(features, PAIRS, 0).backward()
    assert features.grad is None and loss.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("metric", ["supcon", "triplet"])
@pytest.mark.parametrize("memory", [0, 8])
def test_metric_losses_fall_as_products_come_together(metric: str, memory: int) -> None:
    def found(features: torch.Tensor, labels: torch.Tensor) -> float:
        return float(objective(Recipe(metric=metric, memory=memory, batch=4)).metric(features, labels))

    assert found(TOGETHER, PAIRS) < found(APART, PAIRS)
    assert found(APART, torch.arange(4)) == 0


def test_a_memory_resumes_where_it_was() -> None:
    recipe = replace(PLAIN, metric="supcon", memory=128)
    first, second = objective(recipe), objective(recipe)
    for _ in range(3):
        first(torch.randn(4, 2), PAIRS, 0)
    second.restore(first.state())
    assert first(APART, PAIRS, 0) == second(APART, PAIRS, 0)
    third = objective(recipe)
    assert first(APART, PAIRS, 0) != third(APART, PAIRS, 0)


def test_mixed_photos_count_by_their_shares() -> None:
    loss = objective(replace(PLAIN, metric="supcon"))
    whole, other = (loss.of_classes(APART, labels, 0) for labels in (PAIRS, PAIRS.flip(0)))
    assert torch.allclose(loss.mixed(APART, PAIRS, PAIRS.flip(0), 0.3, 0), 0.3 * whole + 0.7 * other)
