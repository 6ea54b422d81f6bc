"""Task releases for tests: a network that nobody trained, and a stand-in that tells red, green and blue apart."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app.wiring import Stores
from catalogue.releases import Published
from vision.embedder import Embedder
from vision.preprocessing import Preprocessing
from vision.saved import NetworkCard, read_card

TEN = tuple("abcdefghij")
COLOURS = ("red", "green", "blue")


class ByColour:
    """A runtime whose three logits are the means of the three channels: it names a photo's strongest colour."""

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = pixels.reshape(len(pixels), -1, 3).mean(1, dtype=np.float64).astype(np.float32) / 20
        return np.ones((len(pixels), 1), np.float32), logits


def by_colour(_: Stores, release: Published) -> Embedder:
    """Opens a release of `publish_colours`."""
    return Embedder(read_card(release.folder), ByColour(), 16)


def publish_colours(stores: Stores, name: str, labels: tuple[str, ...] = COLOURS, **manifest: Any) -> str:
    """Publish a task whose classes are the strongest colour's names."""
    with stores.releases.draft("task") as draft:
        NetworkCard({}, Preprocessing(16), labels, 1).write(draft.folder)
        draft.manifest.update({"task": name, "classes": list(labels), "about": "Which colour is strongest?",
                               "measures": {"accuracy": 0.9, "balanced_accuracy": 0.9, "photos": 1000}, "data": "d1",
                               **manifest})
    return draft.name


def publish_network(stores: Stores, name: str, **manifest: Any) -> str:
    """Publish a task with a real network of random weights and ten classes, saved and exported as training does it."""
    saved = random_network()
    with stores.releases.draft("task") as draft:
        shutil.copytree(saved, draft.folder, dirs_exist_ok=True)
        draft.manifest.update({"task": name, "classes": list(TEN), "about": "made by chance",
                               "measures": {"accuracy": 0.9, "balanced_accuracy": 0.9, "photos": 1000}, "data": "d1",
                               **manifest})
    return draft.name


@cache
def random_network() -> Path:
    """The folder of a network of random weights, made once."""
    import torch

    from vision.networks import Architecture, Network
    from vision.publishing import save_network
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(0)
    preprocessing = Preprocessing(32)
    network = Network(Architecture("resnet18", head="linear"), len(TEN), preprocessing)
    save_network(network, NetworkCard({"backbone": "resnet18", "head": "linear"}, preprocessing, TEN, network.width),
                 folder)
    return folder
