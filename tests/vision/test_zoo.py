"""The zoo: every backbone has the stages and weights of its paper, takes torchvision's, and serves what it learnt."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from catalogue.errors import BadInput
from tests.conftest import picture
from vision import zoo
from vision.embedder import open_embedder
from vision.networks import Architecture, Network
from vision.preprocessing import Preprocessing
from vision.publishing import save_network
from vision.saved import BACKBONES, NetworkCard
from vision.trunks import stage_maps
from vision.weights import load_network, load_start

# Millions of weights with a classifier of a thousand classes, as published (without auxiliary classifiers).
PUBLISHED = {"alexnet": 62.4, "vgg11": 132.86, "vgg16": 138.36, "vgg19": 143.67, "googlenet": 6.62,
             "inception_v3": 23.83, "resnet34": 21.8, "resnet50": 25.56, "resnet50d": 25.58, "seresnet50": 28.09,
             "resnext50": 25.03, "densenet121": 7.98, "densenet201": 20.01, "mobilenet_v2": 3.5,
             "efficientnet_b0": 5.29}


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_a_backbone_is_as_large_as_it_was_published(backbone: str) -> None:
    with torch.device("meta"):
        trunk = zoo.build(backbone).eval()
        size = {"alexnet": 227, "inception_v3": 299}.get(backbone, 224)  # those of the papers
        maps = stage_maps(trunk, backbone, torch.zeros(1, 3, size, size), 4)
    weights = sum(part.numel() for part in trunk.parameters()) + 1000 * (maps[-1].shape[1] + 1)
    assert weights / 1e6 == pytest.approx(PUBLISHED[backbone], abs=0.03)
    assert len(maps) == 4 and maps[-1].shape[-1] == (1 if zoo.has_connected(trunk) else 8 if size == 299 else 7)


def test_vgg_8_and_10_are_told_by_their_convolutions() -> None:
    for backbone, count in (("cnn3", 3), ("vgg8", 8), ("vgg10", 10)):
        with torch.device("meta"):
            trunk = zoo.build(backbone)
        assert sum(isinstance(part, nn.Conv2d) for part in trunk.modules()) == count


@pytest.mark.parametrize("size", [64, 75])
def test_padding_behind_is_padding_before_in_a_mirror(size: int) -> None:
    """TensorFlow pads even sizes at the bottom and right, PyTorch at the top and left; odd ones both pad all around."""
    torch.manual_seed(0)
    plain, behind = zoo.build("mobilenet_v2").eval(), zoo.build("mobilenet_v2_same").eval()
    behind.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, size, size)
    same = behind.features(x)  # type: ignore[operator]
    for part in plain.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.flip(2, 3)
    mirrored = plain.features(x.flip(2, 3)).flip(2, 3)  # type: ignore[operator]
    torch.testing.assert_close(same, mirrored, rtol=1e-3, atol=1e-5)


def network(backbone: str, size: int, dropout: float = 0.0) -> Network:
    torch.manual_seed(0)
    return Network(Architecture(backbone, head="linear", neck=False, dropout=dropout), 3, Preprocessing(size))


SLOW = ("vgg11_bn", "vgg16", "inception_v3", "seresnet50", "resnext50", "resnet50a", "resnet50c", "densenet121",
        "densenet201", "mobilenet_v2_same", "mobilenet_v3_small", "efficientnet_b0")


@pytest.mark.parametrize("backbone", ["cnn3", "vgg8", "googlenet", "seresnet18",
                                      *(pytest.param(name, marks=pytest.mark.slow) for name in ("alexnet", *SLOW))])
def test_it_is_trained_a_step_exported_and_loaded(tmp_path: Path, backbone: str) -> None:
    size = {"alexnet": 64, "inception_v3": 75}.get(backbone, 32)
    fresh = network(backbone, size, dropout=0.2)
    fresh(torch.rand(3, 3, size, size) * 255).sum().backward()
    assert all(part.grad is not None for part in fresh.parameters())
    card = NetworkCard(vars(fresh.architecture), Preprocessing(size), tuple("abc"), fresh.width)
    save_network(fresh, card, tmp_path)  # checks the export against torch
    images = [picture(seed) for seed in range(3)]
    ours, theirs = (open_embedder(tmp_path, name, 1).embed(images) for name in ("openvino", "cpu"))
    assert np.abs(ours.logits - theirs.logits).max() < 1e-3 * max(1, np.abs(theirs.logits).max())
    assert load_network(tmp_path).architecture == fresh.architecture


@pytest.mark.parametrize(("backbone", "size", "theirs"), [
    ("googlenet", 32, {"aux_logits": False, "transform_input": True, "init_weights": False}),
    ("densenet121", 32, {}), ("mobilenet_v3_small", 32, {}),
    pytest.param("inception_v3", 75, {"transform_input": True, "init_weights": False}, marks=pytest.mark.slow),
    pytest.param("vgg11", 32, {}, marks=pytest.mark.slow), pytest.param("resnext50", 32, {}, marks=pytest.mark.slow)])
def test_torchvisions_weights_make_it_see_what_torchvision_sees(backbone: str, size: int,
                                                                theirs: dict[str, bool]) -> None:
    ours = network(backbone, size).eval()
    model = getattr(torchvision.models, zoo.NAMES.get(backbone, backbone))(weights=None, **theirs).eval()
    # As in torchvision's files: they are older than these counts, and than these names in a DenseNet.
    file = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): value
            for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    fresh = load_start(ours, file, "x")
    assert not any(name.startswith("trunk.") for name in fresh)
    if hasattr(model, "fc"):
        model.fc = nn.Identity()
    else:
        model.classifier = model.classifier[:5] if backbone.startswith("vgg") else nn.Identity()
    pixels = torch.rand(2, 3, size, size) * 255
    with torch.no_grad():
        assert torch.allclose(ours.pooled(pixels), model((pixels - ours.mean) / ours.std), atol=1e-4)


def test_photos_too_small_are_refused_with_the_size_that_is_not() -> None:
    with pytest.raises(BadInput, match="alexnet cannot take photos of 32 px; the smallest it takes are 63 px"):
        network("alexnet", 32)
    with pytest.raises(BadInput, match="cnn3 has 3 stages"):
        Network(Architecture("cnn3", levels=4), 3, Preprocessing(32))


def test_the_tweaks_of_a_resnet() -> None:
    trunks = {}
    for tweak in ("", "a", "b", "c", "d"):
        with torch.device("meta"):
            trunks[tweak] = zoo.build(f"resnet50{tweak}")
    strides = {tweak: (trunk.layer2[0].conv1.stride, trunk.layer2[0].conv2.stride) for tweak, trunk in trunks.items()}
    assert strides["a"] == ((2, 2), (1, 1)) and {*strides.values()} == {((2, 2), (1, 1)), ((1, 1), (2, 2))}
    assert strides["b"] == strides[""] == strides["d"]
    assert len(trunks["c"].conv1) == len(trunks["d"].conv1) == 7
    assert (len(trunks["c"].layer2[0].downsample), len(trunks["d"].layer2[0].downsample)) == (2, 3)


def test_dropout_stands_between_fully_connected_layers_too() -> None:
    shares = [part.p for part in network("alexnet", 64, dropout=0.4).modules() if isinstance(part, nn.Dropout)]
    assert shares == [0.4, 0.4, 0.4]


def test_each_name_is_there_once() -> None:
    assert len(BACKBONES) == len(set(BACKBONES)) and set(zoo.NAMES) <= set(BACKBONES)
