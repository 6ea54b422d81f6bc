"""The network shipped to start from: small, half precision, and of shoes that share no model with the demo."""

import json

import torch

from demo.collection import DEMO_SEEDS
from training.recipes import SHIPPED, Recipe, read_recipe
from training.starting import new_network
from vision.weights import read_weights

ABOUT = json.loads((SHIPPED / "resnet18.json").read_text(encoding="utf-8"))


def test_its_seeds_share_no_model_with_the_demo() -> None:
    seeds = range(ABOUT["first_seed"], ABOUT["first_seed"] + ABOUT["models"])
    assert len(seeds) >= 500 and not DEMO_SEEDS.intersection(seeds)
    makefile = (SHIPPED.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert f"--models {ABOUT['models']} --first-seed {ABOUT['first_seed']}" in makefile  # what is said is what is run


def test_it_is_small_and_half_precision() -> None:
    path = SHIPPED / "resnet18.pt"
    assert path.stat().st_size <= 25e6
    assert {value.dtype for value in read_weights(path).values() if value.is_floating_point()} == {torch.float16}


def test_a_training_starts_from_it_and_from_nothing_when_told() -> None:
    shipped, nothing = (new_network(Recipe(start=start), 5) for start in ("shipped", "none"))
    assert torch.equal(shipped.trunk.conv1.weight, read_weights(SHIPPED / "resnet18.pt")["trunk.conv1.weight"].float())
    assert not torch.equal(nothing.trunk.conv1.weight, shipped.trunk.conv1.weight)
    assert all(read_recipe(SHIPPED / name).backbone == "resnet18" for name in ("first.toml", "second.toml"))


def test_the_recipe_for_shops_photos_is_one() -> None:
    recipe = read_recipe(SHIPPED.parent / "studio.toml")
    assert recipe.colours and recipe.colours_by_ground and recipe.whitening and recipe.start == "shipped"
