"""Measures of a network on a snapshot's held-out photos: accuracy, recall, and a temperature."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from catalogue.snapshots import SnapshotPhoto
from vision import measures
from vision.classification import best_temperature
from vision.networks import Network, ServingForm

MOST_QUERIES = 1000


@dataclass(frozen=True)
class Predictions:
    """What the network says of n photos: unit embeddings (n, d) and the five best classes (n, ≤5), best first."""

    vectors: np.ndarray
    best: np.ndarray


def predict(network: Network, packed: np.ndarray, rows: Sequence[int], device: torch.device,
            bf16: bool = False) -> Predictions:
    """Run the network, unaugmented, over these rows of packed pixels (N, s, s, 3 or more), its trunk in bf16 if
    asked."""
    parts = [(vectors, np.argsort(-logits, axis=1)[:, :5])
             for vectors, logits in _run(network, packed, rows, device, bf16=bf16)]
    return Predictions(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def class_logits(network: Network, packed: np.ndarray, rows: Sequence[int], device: torch.device) -> np.ndarray:
    """Return the class logits (n, c) of these rows of packed pixels."""
    parts = [logits for _, logits in _run(network, packed, rows, device)]
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)


def _run(network: Network, packed: np.ndarray, rows: Sequence[int], device: torch.device,
         batch: int = 128, bf16: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    serving = ServingForm(network, bf16)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            pixels = torch.from_numpy(np.ascontiguousarray(packed[rows[start:start + batch], ..., :3])).to(device)
            vectors, logits = serving(pixels)
            yield vectors.float().cpu().numpy(), logits.float().cpu().numpy()
    network.train(was_training)


def train_top1(found: Predictions, photos: Sequence[SnapshotPhoto], classes: Sequence[str]) -> float:
    """Return the accuracy of the class logits on the photos trained on, as they are, unaugmented."""
    number = {key: at for at, key in enumerate(classes)}
    rows = [row for row, photo in enumerate(photos) if photo.split == "train"]
    return float((found.best[rows, 0] == [number[photos[row].product_key] for row in rows]).mean())


def held_out(found: Predictions, photos: Sequence[SnapshotPhoto], classes: Sequence[str]) -> dict[str, float]:
    """Return top-1 and top-5 of `val` photos by class, and recall of the very same and of `unseen` ones by retrieval.

    Retrieval asks among all other photos; a photo of a product that has no other cannot be asked, so that where the
    photos are not all there, fewer are asked than named.
    """
    number = {key: at for at, key in enumerate(classes)}
    products = np.array([photo.product_id for photo in photos])
    groups = np.unique([photo.group for photo in photos], return_inverse=True)[1]
    rows: dict[str, float] = {}
    for side in ("val", "unseen"):
        queries = measures.some([row for row, photo in enumerate(photos) if photo.split == side
                                 and (side == "unseen" or photo.product_key in number)], MOST_QUERIES)
        if side == "val" and len(queries):
            right = found.best[queries] == np.array([[number[photos[row].product_key]] for row in queries])
            rows |= {"val_top1": float(right[:, 0].mean()), "val_top5": float(right.any(1).mean())}
        scores, asked = measures.leave_one_out(found.vectors, products, groups, queries)
        if len(asked):
            hits = measures.ranked_hits(scores, products[asked], products)
            rows |= {f"{side}_recall1": float(hits[:, 0].mean()), f"{side}_recall5": float(hits[:, :5].any(1).mean())}
    return rows


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature that calibrates logits (n, c) of classes truth (n,); 1 without photos to fit on.

    Never below 1, because held-out shop photos are easier than what people send and would make it surer than it may be.
    """
    return best_temperature(logits, truth, least=1.0)
