"""What a recipe can say beside the defaults of `train sku`: each setting does what it is called."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from catalogue.errors import BadInput
from training.augmentation import augment
from training.batches import Labelled, shrunk
from training.loop import Row, fit, saved_epoch, worn_out
from training.losses import Objective, class_weights
from training.optimizing import make_optimizer, rate_at
from training.parallel import Team
from training.recipes import Recipe, read_recipe
from training.sampling import natural_epoch
from training.starting import new_network
from training.tune import search_folder
from vision.preprocessing import Preprocessing
from vision.saved import NetworkCard, read_card

PLAIN = Recipe(backbone="cnn3", size=16, epochs=6, batch=4, lr=0.01, precision="fp32", head="linear", loss="ce",
               metric="none", sampling="natural")
STILL = replace(PLAIN, background=0, geometry=0, light=0, blur=0, erase=0, flip=False)
ALONE = Team(torch.device("cpu"))


def data() -> Labelled:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 4), dtype=np.uint8)
    labels = np.array([0] * 6 + [2] * 3)  # nothing of class 1, as in a fold that lacks it
    return Labelled(pixels, np.arange(9), labels, labels)


@pytest.mark.parametrize("wrong", ["optimizer=lion", "schedule=x", "sampling=x", "fit=crop", "keep_by=x", "dropout=1",
                                   "class_weights=0.5", "rotation=181", "crop=0", "patience=-1", "seed=-1", "hue=2",
                                   "saturation=-1", "memory=64", "probe=5 memory=128", "zero_gamma=true start=shipped"])
def test_settings_that_make_no_sense_are_refused(wrong: str) -> None:
    with pytest.raises(BadInput, match="recipe: "):
        read_recipe(None, wrong.split())


@pytest.mark.parametrize("wrong", ["epochs = 2.9", "epochs = true", "flip = 1", "lr = true", "start = 3"])
def test_a_file_says_each_setting_in_its_own_kind(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "r.toml").write_text(wrong)
    with pytest.raises(BadInput, match=r"recipe: \w+ must be a"):
        read_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_text('lr = 1\nflip = false\nepochs = "3"')
    assert read_recipe(tmp_path / "r.toml") == replace(Recipe(), lr=1.0, flip=False, mirrored=False, epochs=3)


def test_other_weights_under_the_same_path_are_another_training(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    recipe = replace(PLAIN, start=str(first))
    before, searched = recipe.digest, search_folder(tmp_path, recipe, {}, "")
    assert before == replace(recipe, start=str(second)).digest != PLAIN.digest
    first.write_bytes(b"two")
    assert recipe.digest != before and search_folder(tmp_path, recipe, {}, "") != searched
    first.unlink()
    with pytest.raises(BadInput, match="the weights to start from cannot be read"):
        assert recipe.digest
    for start in ("none", "torchvision:ResNet18_Weights.IMAGENET1K_V1", "timm:test_resnet"):
        assert replace(PLAIN, start=start).identity == asdict(replace(PLAIN, start=start))


def test_a_shipped_start_that_was_made_anew_is_another_training(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.recipes.SHIPPED", tmp_path)
    recipe, digests = replace(PLAIN, backbone="resnet18", start="shipped"), set()
    for weights in (b"one", b"two"):
        (tmp_path / "resnet18.pt").write_bytes(weights)
        digests.add(recipe.digest)
    assert len(digests) == 2
    with pytest.raises(BadInput, match="shipped are resnet18"):
        assert replace(recipe, backbone="vgg8").digest


def test_what_has_no_residual_blocks_has_no_zero_gamma() -> None:
    with pytest.raises(BadInput, match="zero_gamma does nothing for cnn3"):
        new_network(replace(PLAIN, zero_gamma=True), 3)
    trunk = new_network(replace(PLAIN, backbone="resnet18", size=32, zero_gamma=True), 3).trunk
    assert not trunk.layer1[0].bn2.weight.any()


def test_schedules_begin_at_the_top_and_end_as_called() -> None:
    def rates(schedule: str) -> list[float]:
        return [rate_at(replace(PLAIN, warmup=0.0, batch=64, lr=1.0, schedule=schedule), at) for at in (0, 0.6, 0.8, 1)]

    assert rates("constant") == [1, 1, 1, 1]
    assert rates("linear") == pytest.approx([1, 0.4, 0.2, 0])
    assert rates("step") == pytest.approx([1, 0.1, 0.01, 0.01])
    assert rates("cosine") == pytest.approx([1, 0.3455, 0.0955, 0], abs=1e-4)
    doubled = replace(PLAIN, warmup=0.0, batch=128, lr=1.0)
    assert rate_at(doubled, 0) == 2 and rate_at(replace(doubled, scale_lr=False), 0) == 1
    assert rate_at(replace(doubled, warmup=0.0005), 0) == 2  # a warm-up of less than a step


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam),
                                            ("adamw", torch.optim.AdamW), ("rmsprop", torch.optim.RMSprop)])
def test_each_optimizer_trains_and_decays_what_it_is_told(tmp_path: Path, name: str, kind: type) -> None:
    recipe = replace(STILL, optimizer=name, lr=0.002, epochs=8, scale_lr=False)
    network = new_network(recipe, 3)
    assert isinstance(make_optimizer(network, recipe), kind)
    history = fit(network, recipe, data(), lambda _: {}, tmp_path / "run.pt", ALONE)
    assert history[-1]["loss"] < history[0]["loss"]
    for whole, decays in ((False, {0.0, 5e-4}), (True, {5e-4})):
        groups = make_optimizer(network, replace(recipe, decay_all=whole)).param_groups
        assert {group["weight_decay"] for group in groups} == decays


def test_a_natural_epoch_is_each_photo_once() -> None:
    first = natural_epoch(9, 1, 2)
    assert sorted(first) == list(range(9)) and (first == natural_epoch(9, 1, 2)).all()
    assert (first != natural_epoch(9, 1, 3)).any()


def test_rare_classes_weigh_more_and_photos_one_in_the_mean() -> None:
    labels = data().labels
    assert class_weights(PLAIN, labels, 3) is None
    recipe = replace(PLAIN, class_weights=1.0)
    weights = class_weights(recipe, labels, 3)
    assert weights is not None and weights[2] == pytest.approx(2 * weights[0].item())
    assert weights[labels].mean().item() == pytest.approx(1)
    half = class_weights(replace(PLAIN, class_weights=0.5), labels, 3)
    assert half is not None and half[2] == pytest.approx(2**0.5 * half[0].item())
    head = nn.Linear(2, 3)
    features, some = torch.randn(5, 2), torch.tensor([0, 0, 0, 0, 2])
    plain, weighed = (Objective(recipe, head, 2, 3, given).of_classes(features, some, 0) for given in (None, weights))
    losses = nn.functional.cross_entropy(head(features), some, reduction="none")
    assert plain.item() == pytest.approx(losses.mean().item())
    assert weighed.item() == pytest.approx(((losses[:4].sum() + 2 * losses[4]) / 6).item(), rel=1e-4)


def rows(name: str, values: list[float]) -> list[Row]:
    return [{"epoch": at, name: value} for at, value in enumerate(values, 1)]


@pytest.mark.parametrize(("by", "name", "values", "best"), [
    ("loss", "val_loss", [0.9, 0.3, float("nan"), 0.5], 2), ("accuracy", "val_accuracy", [0.5, 0.9, 0.9, 0.1], 3),
    ("macro_f1", "val_macro_f1", [0.1, 0.2, 0.3, 0.2], 3), ("auto", "val_top1", [0.9, 0.2, 0.3, 0.2], 1)])
def test_the_best_epoch_is_told_by_what_the_recipe_says(by: str, name: str, values: list[float], best: int) -> None:
    recipe = replace(PLAIN, keep="best", keep_by=by)
    assert saved_epoch(rows(name, values), recipe) == best
    assert saved_epoch(rows(name, values), replace(recipe, keep="last")) == 4


def test_what_is_not_measured_cannot_tell_the_best_epoch() -> None:
    with pytest.raises(BadInput, match="keep_by=macro_f1 needs val_macro_f1"):
        saved_epoch(rows("val_top1", [0.5]), replace(PLAIN, keep="best", keep_by="macro_f1"))


def test_patience_ends_a_training_and_a_resumed_one_stays_ended(tmp_path: Path) -> None:
    recipe = replace(PLAIN, keep="best", keep_by="loss", patience=2)
    told = iter([0.5, 0.4, 0.4, 0.6, 0.1])
    for _ in range(2):
        network = new_network(recipe, 3)
        history = fit(network, recipe, data(), lambda _: {"val_loss": next(told)}, tmp_path / "run.pt", ALONE)
        assert [row["val_loss"] for row in history] == [0.5, 0.4, 0.4, 0.6] and saved_epoch(history, recipe) == 3
    assert not worn_out([], recipe) and not worn_out(rows("loss", [1, 1, 1, 1]), replace(recipe, keep_by="auto"))


def test_dropout_and_neck_stand_before_the_head() -> None:
    pixels = torch.rand(4, 3, 16, 16) * 255
    for neck in (True, False):
        network = new_network(replace(PLAIN, dropout=0.5, neck=neck), 3)
        assert ("neck.weight" in network.state_dict()) == neck
        assert 0.2 < (network.features(pixels) == 0).float().mean() < 0.9
        network.eval()
        assert torch.equal(network.features(pixels), network.features(pixels))
    assert torch.equal(network.features(pixels), network.pooled(pixels))


def test_a_size_of_0_is_that_which_the_network_was_made_for() -> None:
    sizes = [read_recipe(None, [f"backbone={name}", "size=0"]).size for name in ("alexnet", "inception_v3", "resnet50")]
    assert sizes == [227, 299, 224]


def test_colours_turn_and_fade_but_keep_their_brightness() -> None:
    packed = torch.full((32, 4, 4, 4), 255, dtype=torch.uint8)
    packed[..., :3] = torch.tensor([150, 100, 90])
    random = torch.Generator().manual_seed(0)
    brightness = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    for changes in ({"saturation": 1.0}, {"hue": 1.0}):
        found = augment(packed, replace(STILL, **changes), random, packed.shape[1])
        assert torch.allclose((found * brightness).sum(1), torch.tensor(113.81), atol=1.5)
        red_most = found[:, 0].mean((1, 2)) >= found[:, 2].mean((1, 2)) - 0.5
        assert red_most.all() == ("saturation" in changes)


def test_rotation_turns_without_any_other_geometry() -> None:
    packed = torch.randint(0, 256, (8, 16, 16, 4), dtype=torch.uint8)
    same, turned = (augment(packed, replace(STILL, rotation=degrees), torch.Generator().manual_seed(0), 16)
                    for degrees in (0, 30))
    assert not torch.equal(same, turned)
    middle = torch.zeros(8, 17, 17, 4, dtype=torch.uint8)
    middle[:, 8, 8] = 255
    found = augment(middle, replace(STILL, rotation=30), torch.Generator().manual_seed(0), 17)
    assert (found[:, :, 8, 8] > 250).all()


def test_parts_of_larger_photos_stay_sharp() -> None:
    stripes = torch.zeros(64, 64, 64, 4, dtype=torch.uint8)
    stripes[:, :, torch.arange(64) // 2 % 2 == 1] = 255
    contrast = [augment(packed, replace(STILL, crop=0.5), torch.Generator().manual_seed(0), 48)[:, 0].std(2).mean()
                for packed in (stripes, shrunk(stripes, 48))]
    assert contrast[0] > 1.1 * contrast[1]
    assert augment(stripes, STILL, torch.Generator(), 48).shape == (64, 3, 48, 48)  # whole ones are shrunk


@pytest.mark.parametrize("least", [0.25, 0.9])
def test_crops_show_upright_parts_of_a_photo_and_no_less_than_stated(least: float) -> None:
    ramp = torch.arange(64, dtype=torch.float32) * 4
    packed = torch.zeros(200, 64, 64, 4)
    packed[..., 0], packed[..., 1] = ramp, ramp[:, None]
    found = augment(packed.to(torch.uint8), replace(STILL, crop=least), torch.Generator().manual_seed(0), 64)
    across, down = found[:, 0, 32], found[:, 1, :, 32]           # what stands along a line of each
    assert (found[:, 0].std(1) < 0.01).all() and (found[:, 1].std(2) < 0.01).all()
    width, height = (across[:, -1] - across[:, 0]) / 252, (down[:, -1] - down[:, 0]) / 252
    shown = width * height
    assert shown.min() > least - 0.01 and (shown < least + 0.05).any() and (shown > 0.95).any()
    assert (width / height).min() > 0.74 and (width / height).max() < 1.35
    free, middles = 1 - width, (across[:, 0] + across[:, -1]) / 504
    assert (across[:, 0] / 252 < 0.2 * free).any() and (across[:, -1] / 252 > 1 - 0.2 * free).any()
    assert abs(middles.mean() - 0.5) < 0.05


def test_a_photo_may_be_stretched_and_a_card_says_so(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 100), (10, 200, 30))
    image.paste((250, 0, 0), (0, 0, 200, 10))
    recipe = replace(PLAIN, fit="stretch", size=64, mirrored=False)
    assert (recipe.preprocessing.pixels(image)[0, :, 0] > 150).all()
    assert not (replace(recipe, fit="pad").preprocessing.pixels(image)[0, :, 0] > 150).all()
    NetworkCard({}, recipe.preprocessing, ("a",), 8).write(tmp_path)
    assert read_card(tmp_path).preprocessing == recipe.preprocessing
    card = json.loads((tmp_path / "model.json").read_text())
    del card["preprocessing"]["fit"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    assert read_card(tmp_path).preprocessing == Preprocessing(64, mirrored=False)
    with pytest.raises(ValueError, match="pad or stretch"):
        Preprocessing(64, fit="crop")
