"""The network: its exits, its saved form, both runtimes to the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from catalogue.errors import BadInput, BadRelease
from tests.conftest import picture
from vision.embedder import open_embedder
from vision.networks import Architecture, Network
from vision.preprocessing import Preprocessing
from vision.publishing import save_network
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


def test_probabilities_use_the_temperature(tmp_path: Path) -> None:
    embedder = open_embedder(save(make(), tmp_path / "net"), "openvino", 1)
    found = embedder.probabilities(np.array([[2.0, 0, 0, 0, 0]]))[0]
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
