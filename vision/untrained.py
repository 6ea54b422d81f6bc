"""A network as it was before its first step: what a trained one must beat."""

import torch

from vision.embedder import Embedder
from vision.networks import Architecture, Network
from vision.runtimes import TorchRuntime
from vision.saved import NetworkCard


def untrained(card: NetworkCard, seed: int = 0, batch: int = 32) -> Embedder:
    """The network that a card describes with random weights, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(Architecture(**card.architecture), len(card.classes), card.preprocessing)
    return Embedder(card, TorchRuntime(network), batch)
