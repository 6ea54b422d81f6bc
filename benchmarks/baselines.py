"""What every recall figure stands beside: a plain colour histogram and the network before training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from training.measuring import predict
from training.recipes import Recipe
from training.starting import new_network


def histograms(images: Sequence[Image.Image], bins: int = 8) -> np.ndarray:
    """Return unit 8×8×8 RGB histograms (n, 512) float32 of whole pictures, as roots of the shares: their cosine is the
    Bhattacharyya coefficient, in which the white of a studio does not outweigh all else (Arandjelović and Zisserman
    2012, "Three things everyone should know to improve object retrieval", by Hellinger's kernel).
    """
    found = np.empty((len(images), bins**3), np.float32)
    for row, image in enumerate(images):
        pixels = np.asarray(image.resize((128, 128)), np.uint16) * bins // 256
        codes = (pixels[..., 0] * bins + pixels[..., 1]) * bins + pixels[..., 2]
        found[row] = np.sqrt(np.bincount(codes.ravel(), minlength=bins**3) / codes.size)
    return found


def before_training(images: Sequence[Image.Image], recipe: Recipe) -> np.ndarray:
    """Return unit embeddings (n, d) by the recipe's network as it is before its first step."""
    network = new_network(recipe, 2).eval()
    pixels = recipe.preprocessing.batch(list(images))
    return predict(network, pixels, range(len(pixels)), torch.device("cpu")).vectors


def baselines(images: Sequence[Image.Image], recipe: Recipe) -> dict[str, np.ndarray]:
    """Return what a trained network is to beat: a histogram, its random weights, and the weights it started from."""
    found = {"colour histogram": histograms(images),
             "untrained network": before_training(images, replace(recipe, start="none"))}
    if recipe.start != "none":
        found["start, before training"] = before_training(images, recipe)
    return found


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Recall figures as lines of text, one a way of embedding."""
    lines, width = [], max(34, *map(len, rows))
    for name, row in rows.items():
        low, high = row["ci95"]
        lines.append(f"{name:{width}} recall@1 {row['recall@1']:.3f} [{low:.3f}–{high:.3f}]  @5 {row['recall@5']:.3f}  "
                     f"@10 {row['recall@10']:.3f}  mAP@10 {row['mAP@10']:.3f}  "
                     f"({row['queries']} queries, {row['products']} products)")
    return "\n".join(lines)
