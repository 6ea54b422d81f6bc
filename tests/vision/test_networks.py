"""The network: its exits, its saved form, both runtimes to the same numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from catalogue.errors import BadInput, BadRelease
from tests.conftest import picture
from vision.classification import probabilities
from vision.embedder import open_embedder
from vision.networks import Architecture, CosineHead, Network, generalized_mean
from vision.preprocessing import Preprocessing
from vision.publishing import save_network
from vision.runtimes import OpenVINORuntime
from vision.saved import NetworkCard, read_card
from vision.weights import load_network, load_start, read_weights

FIT = Preprocessing(32)


def make(head: str = "cosine", embedding: int = 0, classes: int = 5) -> Network:
    torch.manual_seed(0)
    return Network(Architecture(head=head, embedding=embedding), classes, FIT)


def save(network: Network, folder: Path) -> Path:
    folder.mkdir()
    card = NetworkCard(vars(network.architecture), FIT, tuple("abcde"), network.width, temperature=2.0)
    save_network(network, card, folder)
    return folder


@pytest.mark.parametrize(("head", "embedding"), [("cosine", 0), ("linear", 64)])
def test_both_runtimes_give_the_same_numbers(tmp_path: Path, head: str, embedding: int) -> None:
    folder = save(make(head, embedding), tmp_path / "net")
    images = [picture(seed) for seed in range(5)]
    ours, theirs = (open_embedder(folder, name, 1, batch=3).embed(images) for name in ("openvino", "cpu"))
    assert ours.vectors.shape == (5, embedding or 512) and ours.logits.shape == (5, 5)
    assert np.abs(ours.vectors - theirs.vectors).max() < 1e-4 and np.abs(ours.logits - theirs.logits).max() < 1e-2
    assert np.allclose(np.linalg.norm(ours.vectors, axis=1), 1, atol=1e-5)


def test_an_export_whose_logits_are_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(OpenVINORuntime):
        def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            vectors, logits = super().run(pixels)
            return vectors, 1.1 * logits

    monkeypatch.setattr("vision.publishing.OpenVINORuntime", Off)
    with pytest.raises(BadRelease, match="the logits of the OpenVINO export differ"):
        save(make(), tmp_path / "net")


@pytest.mark.parametrize("architecture", [
    Architecture("resnet18", levels=4, pooling="gem"),
    Architecture("resnet18d", embedding=32, subcenters=3),
    Architecture("resnet18", embedding=32, levels=2, colours=4, colours_by_ground=True, whitened=True,
                 pooling="moments"),
    Architecture("resnet18", colours=4, whitened=True),
    pytest.param(Architecture("mobilenet_v2", levels=2, embedding=32), marks=pytest.mark.slow),
    pytest.param(Architecture("resnet50d", levels=4), marks=pytest.mark.slow),
    pytest.param(Architecture("mobilenet_v3_large", pooling="gem"), marks=pytest.mark.slow),
    pytest.param(Architecture("convnext_tiny", levels=4), marks=pytest.mark.slow),
    pytest.param(Architecture("vit_b_16", pooling="token"), marks=pytest.mark.slow),
    Architecture("timm:test_resnet", levels=3), Architecture("timm:test_vit", levels=2)], ids=lambda a: a.backbone)
def test_every_backbone_is_trained_saved_exported_and_loaded(tmp_path: Path, architecture: Architecture) -> None:
    if architecture.backbone.startswith("timm:"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    network = Network(architecture, 5, FIT)
    network(torch.rand(4, 3, 32, 32) * 255).sum().backward()
    if network.colours is not None:
        network.colours.axes.normal_()
    folder = save(network, tmp_path / "net")  # checks the export against torch
    studio = Image.new("RGB", (64, 64), "white")
    studio.paste(picture(5, (32, 32)), (16, 16))
    images = [studio, *(picture(seed) for seed in range(2))]
    ours, theirs = (open_embedder(folder, name, 1).embed(images) for name in ("openvino", "cpu"))
    assert ours.vectors.shape == (3, network.width) and np.abs(ours.vectors - theirs.vectors).max() < 1e-3
    if architecture.colours:
        assert np.linalg.norm(ours.vectors[0, -architecture.colours:]) > 0.1
    assert not load_network(folder).training


def test_levels_stand_side_by_side_and_gem_lies_between_mean_and_greatest() -> None:
    assert Network(Architecture(levels=4), 3, FIT).width == 64 + 128 + 256 + 512
    maps = torch.rand(2, 4, 3, 3)
    mean, greatest = maps.mean((2, 3)), maps.amax((2, 3))
    found = generalized_mean(maps, torch.tensor(3.0))
    assert (mean < found).all() and (found < greatest).all()
    assert torch.allclose(generalized_mean(maps, torch.tensor(1.0)), mean)


def test_of_several_directions_the_nearest_one_speaks() -> None:
    head = CosineHead(2, 2, scale=1.0, subcenters=2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]))
    assert torch.equal(head(torch.tensor([[0.0, 2], [-3, 0]])).detach(), torch.tensor([[1.0, 0], [0, 1]]))


def test_a_card_of_former_days_is_loaded(tmp_path: Path) -> None:
    folder = save(make(), tmp_path / "net")
    card = json.loads((folder / "model.json").read_text())
    card["architecture"] = {name: card["architecture"][name] for name in ("backbone", "embedding", "head", "scale")}
    (folder / "model.json").write_text(json.dumps(card))
    assert load_network(folder).architecture == Architecture()


@pytest.mark.parametrize(("name", "wrong"), [("vgg", {}), ("resnet18", {"levels": 5}), ("resnet18", {"pooling": "max"}),
                                             ("resnet18", {"pooling": "token"}), ("resnet18", {"subcenters": 0}),
                                             ("resnet18", {"subcenters": 2, "head": "linear"})])
def test_impossible_architectures_are_refused(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Architecture(name, **wrong)


def test_backbones_that_cannot_be_built_say_why() -> None:
    with pytest.raises(BadInput, match="multiples of 16"):
        Network(Architecture("vit_b_16"), 3, Preprocessing(40))
    pytest.importorskip("timm")
    with pytest.raises(BadInput, match="no model 'nothing'"):
        Network(Architecture("timm:nothing"), 3, FIT)


def test_weights_of_a_plain_resnet_are_no_start_for_a_resnet_d() -> None:
    with pytest.raises(BadInput, match="its stem and shortcuts are others"):
        load_start(Network(Architecture("resnet18d"), 3, FIT), make().trunk.state_dict(), "x")
    plain = torchvision.models.mobilenet_v2(weights=None).state_dict()
    assert not any(name.startswith("trunk.") for name in load_start(
        Network(Architecture("mobilenet_v2"), 3, FIT), plain, "x"))


def test_probabilities_use_the_temperature(tmp_path: Path) -> None:
    embedder = open_embedder(save(make(), tmp_path / "net"), "openvino", 1)
    logits = np.array([[2.0, 0, 0, 0, 0]], np.float32)
    found = embedder.probabilities(logits)[0]
    assert (found == probabilities(logits, 2.0)[0]).all()  # a guard is fitted to these and asked with those
    assert found.sum() == pytest.approx(1) and found[0] == pytest.approx(np.e / (np.e + 4))


def test_the_embedding_is_what_the_head_sees() -> None:
    network = make("linear").eval()
    pixels = torch.rand(2, 3, 32, 32) * 255
    with torch.no_grad():
        assert torch.allclose(network(pixels), network.head(network.features(pixels)))
        assert torch.allclose(network.embed(pixels).norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_card_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = save(make(), tmp_path / "net")
    assert read_card(folder).classes == tuple("abcde")
    torch.save({"x": torch.zeros(1)}, folder / "weights.pt")
    with pytest.raises(BadRelease, match="do not fit"):
        load_network(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(BadRelease, match="no network card"):
        read_card(folder)


def test_starting_weights_fit_or_are_refused() -> None:
    source, target = make(classes=5), make(classes=9)
    fresh = load_start(target, source.state_dict(), "x")
    assert fresh == ["head.weight"]
    plain = {name.removeprefix("trunk."): value for name, value in source.state_dict().items()
             if name.startswith("trunk.")}
    assert "head.weight" in load_start(make(), plain, "x")
    with pytest.raises(BadInput, match="holds no resnet18 weights"):
        load_start(make(), {"conv1.weight": torch.zeros(3)}, "x")


def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"not torch")
    for path in (tmp_path / "x.pt", tmp_path / "none.pt"):
        with pytest.raises(BadInput):
            read_weights(path)
