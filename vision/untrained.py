"""A network as it was before its first step: what a trained one must beat."""

import numpy as np
import torch

from vision.embedder import Embedder
from vision.networks import Architecture, Network, ServingForm
from vision.saved import NetworkCard


class _Untrained:
    """A runtime of random weights."""

    def __init__(self, card: NetworkCard, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(Architecture(**card.architecture), len(card.classes), card.preprocessing)
        self.serving = ServingForm(network.eval()).eval()

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run one batch."""
        with torch.inference_mode():
            vectors, logits = self.serving(torch.from_numpy(pixels))
        return vectors.float().numpy(), logits.float().numpy()


def untrained(card: NetworkCard, seed: int = 0, batch: int = 32) -> Embedder:
    """The network that a card describes with random weights, the same at every call."""
    return Embedder(card, _Untrained(card, seed), batch)
