"""What is fitted without a gradient: axes of colour and the whitening, in training, saved and loaded again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.wiring import Stores
from catalogue.snapshots import SplitShares, take_snapshot
from training.axes import fit_colours, fit_whitening, imprint, spread
from training.batches import Labelled
from training.measuring import class_logits
from training.recipes import Recipe
from training.sku import train
from training.starting import new_network
from vision.networks import Whitening
from vision.weights import load_network, load_start

COLOURED = Recipe(size=32, epochs=1, views=4, batch=16, precision="fp32", embedding=16, colours=8, whitening=0.2)
BLACK = Labelled(np.zeros((8, 32, 32, 4), np.uint8), np.arange(2, 8), np.array([0, 0, 0, 1, 1, 2]), np.zeros(6, int))


def test_whitening_centres_and_evens_out() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(500, 6)) * (5, 3, 1, 1, 0.5, 0.5) + 2
    unit = torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).float()
    whitening = Whitening(6)
    assert torch.allclose(whitening(unit), unit, atol=1e-6)  # nothing fitted yet
    whitening.fit(unit, -0.5)
    flat = (unit - whitening.mean) @ whitening.axes
    assert torch.allclose(flat.T @ flat / len(flat), torch.eye(6), atol=1e-3)
    assert torch.allclose(whitening(unit).norm(dim=1), torch.ones(500), atol=1e-5)


def test_what_is_learnt_is_whitened_apart_from_colours_whose_length_changes() -> None:
    network = new_network(COLOURED, 3).eval()
    assert network.whitening is not None and network.whitening.width == 16
    features = torch.randn(40, 24, generator=torch.Generator().manual_seed(0)) + 2
    plain = network.placed(features)
    network.whitening.fit(torch.nn.functional.normalize(plain[:, :16]), -0.5)
    found = network.placed(features)
    assert torch.allclose(found[:, 16:], plain[:, 16:], atol=1e-5)
    assert torch.allclose(found[:, :16].norm(dim=1), plain[:, :16].norm(dim=1), atol=1e-5)
    assert found[:, :16].mean(0).abs().max() < 0.1 < plain[:, :16].mean(0).abs().min()


def test_colours_that_always_count_the_same_are_whitened_along() -> None:
    joint = new_network(replace(COLOURED, colours_by_ground=False), 3)
    assert joint.whitening is not None and joint.whitening.width == 24


def test_a_start_that_brings_axes_keeps_them() -> None:
    network = new_network(COLOURED, 3)
    assert network.colours is not None
    network.colours.axes.fill_(0.5)
    fit_colours(network, BLACK)
    assert float(network.colours.axes.mean()) == pytest.approx(0.5)


def test_a_whitening_that_a_start_brings_is_left_behind() -> None:
    former, network = new_network(COLOURED, 3), new_network(COLOURED, 3)
    for part in (former.whitening, former.colours):
        assert part is not None
        part.axes.fill_(0.5)
    fresh = load_start(network, former.state_dict(), "x")
    assert network.whitening is not None and torch.equal(network.whitening.axes, torch.eye(16))
    assert {"whitening.mean", "whitening.axes"} <= set(fresh) and network.colours is not None
    assert float(network.colours.axes.mean()) == pytest.approx(0.5)


def test_colours_and_whitening_are_fitted_saved_and_loaded(stocked: Stores) -> None:
    stores = stocked
    taken = take_snapshot(stores.database, stores.snapshots, SplitShares())
    name = train(taken, COLOURED, stores.photos, stores.releases, stores.runs, "cpu")
    network = load_network(stores.releases.open(name).folder)
    assert network.colours is not None and network.whitening is not None
    assert network.colours.axes.any() and network.whitening.mean.any()
    assert network.width == 24
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 3, 32, 32)).astype(np.float32))
    assert torch.allclose(network.embed(pixels).norm(dim=1), torch.ones(3), atol=1e-5)


def test_without_whitening_nothing_is_fitted() -> None:
    network = new_network(replace(COLOURED, whitening=0.0), 3)
    fit_whitening(network, BLACK, 0.0, torch.device("cpu"))
    assert network.whitening is None


def test_each_product_bends_the_axes_once() -> None:
    assert spread(BLACK) == [2, 5, 7]


def test_an_imprinted_head_names_what_a_photo_is_nearest_to() -> None:
    hues = np.random.default_rng(0).integers(0, 256, (3, 1, 1, 4))
    labels = np.array([0, 0, 1, 1, 2, 2])
    photos = (hues[labels] + np.random.default_rng(1).integers(-5, 5, (6, 32, 32, 4))).clip(0, 255).astype(np.uint8)
    network = new_network(replace(COLOURED, colours=0, whitening=0.0), 3).eval()
    imprint(network, Labelled(photos, np.arange(6), labels, labels), torch.device("cpu"), False)
    logits = class_logits(network, photos, range(6), torch.device("cpu"))
    assert logits.argmax(1).tolist() == labels.tolist()
    assert torch.allclose(network.head.weight.norm(dim=1), torch.ones(3))
