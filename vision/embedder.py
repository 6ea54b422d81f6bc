"""The one place where photos become embeddings: index build, evaluation and serving all come through here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from vision.classification import probabilities
from vision.runtimes import Runtime, open_runtime
from vision.saved import NetworkCard, read_card


@dataclass(frozen=True)
class Embedded:
    """What the network says of n photos: unit embeddings (n, d) float32 and class logits (n, c) float32."""

    vectors: np.ndarray
    logits: np.ndarray

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.logits) or not np.isfinite(self.vectors).all():
            raise ValueError("embeddings and logits must be finite and as many as the photos")


class Embedder:
    """A saved network with its preprocessing and a runtime."""

    def __init__(self, card: NetworkCard, runtime: Runtime, batch: int = 32) -> None:
        self.card = card
        self.runtime = runtime
        self.batch = batch

    def embed(self, images: Iterable[Image.Image]) -> Embedded:
        """Embed upright RGB images, in their order."""
        parts = list(self.stream(images))
        if not parts:
            return Embedded(np.empty((0, self.card.width), np.float32),
                            np.empty((0, len(self.card.classes)), np.float32))
        return Embedded(np.concatenate([part.vectors for part in parts]),
                        np.concatenate([part.logits for part in parts]))

    def stream(self, images: Iterable[Image.Image]) -> Iterator[Embedded]:
        """Embed as the images come, a batch at a time: memory stays flat however many there are."""
        waiting = iter(images)
        while group := list(islice(waiting, self.batch)):
            yield self.run(self.card.preprocessing.batch(group))

    def run(self, pixels: np.ndarray) -> Embedded:
        """Embed preprocessed pixels uint8 (n, size, size, 3)."""
        vectors, logits = self.runtime.run(pixels)
        return Embedded(vectors, logits)

    def in_batches(self, pixels: np.ndarray, most: int) -> Embedded:
        """Embed preprocessed pixels uint8 (n, size, size, 3), n ≥ 1, at most so many at once."""
        parts = [self.run(pixels[start:start + most]) for start in range(0, len(pixels), most)]
        return Embedded(np.concatenate([part.vectors for part in parts]),
                        np.concatenate([part.logits for part in parts]))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, c): softmax of the logits at the network's calibrated temperature."""
        return probabilities(logits, self.card.temperature)


def open_embedder(folder: Path, runtime: str, threads: int = 0, batch: int = 32) -> Embedder:
    """Open the network release in `folder` with the runtime called `runtime`."""
    return Embedder(read_card(folder), open_runtime(folder, runtime, threads), batch)
