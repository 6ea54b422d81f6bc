"""Recall on public sets by their standard protocols, beside a colour histogram, to compare with what is published.

    python -m benchmarks.public --set sop|inshop|zappos --folder DIR --network RELEASE [--data DIR] [--json]
    python -m benchmarks.public --set sop|inshop|zappos --folder DIR [--recipe FILE] [--change NAME=VALUE …]
        [--data DIR] [--json]

DIR is the set as its authors hand it out, unpacked. The first form measures a network release of SOLESEARCH_DATA_DIR
or --data, the second trains one on the set's train side before, in a folder of its own: --data, or public-SET there. A
query is right at k if one of the k nearest *photos* shows its product; itself never counts. Of a tie, the right photo
comes last. UT-Zappos50K has no retrieval protocol and mostly one photo a product: there, photos of one model in several
colours are to find each other. Intervals are 95 %, by bootstrap over products.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.settings import read_settings
from app.wiring import Stores, embedder_of, open_stores, training_device
from benchmarks.baselines import histograms
from benchmarks.command_line import say_epochs
from benchmarks.own_stores import own_stores
from benchmarks.snapshots import snapshot_of
from catalogue.errors import BadInput, BadPhoto, SoleSearchError
from catalogue.photos import read_image
from catalogue.public_sets import LAYOUTS, PublicPhoto, read_public
from catalogue.snapshots import SnapshotPhoto
from training.loop import Watch
from training.recipes import Recipe, read_recipe
from training.sku import train
from vision.embedder import Embedder
from vision.measures import cluster_interval

RANKS = {"sop": (1, 10, 100, 1000), "inshop": (1, 10, 20, 30), "zappos": (1, 10, 100)}
# Of the train side's models, one in so many is kept out to watch training by.
WATCHED = 50
_BLOCK = 512


def main() -> None:
    """Run the benchmark and print a table, with --json one object as the last line."""
    options = _options()
    try:
        _measured(options)
    except SoleSearchError as error:
        sys.exit(f"Error: {error}")


def _measured(options: argparse.Namespace) -> None:
    photos = read_public(options.layout, options.folder)
    settings = read_settings()
    stores = open_stores(settings) if options.network and not options.data else own_stores(
        options.data or settings.data_dir / f"public-{options.layout}", settings.threads)
    name = options.network or trained(stores, photos, read_recipe(options.recipe, options.changes), options.layout)
    found = measure(embedder_of(stores, stores.releases.open(name)), photos, RANKS[options.layout],
                    by_model=options.layout == "zappos")
    print("\n".join(_line(way, row) for way, row in found.items()))
    if options.json:
        print(json.dumps({"set": options.layout, "network": name, "rows": found}))


def measure(embedder: Embedder, photos: Sequence[PublicPhoto], ranks: Sequence[int],
            by_model: bool = False) -> dict[str, dict[str, Any]]:
    """Embed the test side in both ways, each photo decoded once, and measure recall at `ranks`."""
    tested = [photo for photo in photos if photo.side != "train"]
    ours, plain = [], []
    for images in _decoded(tested):
        ours.append(embedder.embed(images).vectors)
        plain.append(histograms(images))
    labels = np.unique([photo.model if by_model else photo.product for photo in tested], return_inverse=True)[1]
    asks = np.array([photo.side in ("query", "both") for photo in tested])
    shown = np.array([photo.side in ("gallery", "both") for photo in tested])
    return {way: recall(np.concatenate(vectors), labels, asks, shown, ranks)
            for way, vectors in (("colour histogram", plain), ("network", ours))}


def recall(vectors: np.ndarray, labels: np.ndarray, asks: np.ndarray, shown: np.ndarray,
           ranks: Sequence[int]) -> dict[str, Any]:
    """Return recall@k of unit vectors (n, d) with product labels (n,); `asks` and `shown` (n,) bool say who is what."""
    at, asked = ranks_of_right(vectors, labels, np.flatnonzero(asks), np.flatnonzero(shown))
    if not len(asked):
        raise BadInput("no query has another photo of its product to find; the set's test side is not whole")
    return {**{f"recall@{k}": float((at < k).mean()) for k in ranks},
            "ci95": list(cluster_interval((at < 1).astype(float), labels[asked])), "queries": len(asked),
            "products": len(np.unique(labels[asked])), "gallery": int(shown.sum()),
            "without an answer": int(asks.sum()) - len(asked)}


def ranks_of_right(vectors: np.ndarray, labels: np.ndarray, queries: np.ndarray,
                   gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many wrong photos are as near as the nearest right one or nearer (q,), and which rows asked (q,).

    Queries without any right photo in the gallery but themselves are left out.
    """
    ranks, asked = [], []
    shown = vectors[gallery].T
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start:start + _BLOCK]
        scores = vectors[rows] @ shown                                      # (block, gallery)
        same = labels[rows][:, None] == labels[gallery][None, :]
        itself = rows[:, None] == gallery[None, :]
        right = same & ~itself
        nearest = np.where(right, scores, -np.inf).max(axis=1)
        wrong = (scores >= nearest[:, None]) & ~same
        answered = right.any(axis=1)
        ranks.append(wrong.sum(axis=1)[answered])
        asked.append(rows[answered])
    return np.concatenate(ranks), np.concatenate(asked)


def trained(stores: Stores, photos: Sequence[PublicPhoto], recipe: Recipe, layout: str) -> str:
    """Train on the set's train side alone; return the release. The same call again goes on, or finds what it made."""
    shown = [photo for photo in photos if photo.side == "train"]
    number = {product: at for at, product in enumerate(sorted({photo.product for photo in shown}))}
    rows = []
    for photo in shown:
        name = stores.photos.put(photo.path.read_bytes()).sha256
        watched = int.from_bytes(hashlib.sha256(photo.model.encode()).digest()[1:5], "big") % WATCHED == 0
        rows.append(SnapshotPhoto(name, number[photo.product], f"{layout}:{photo.product}", f"{layout}:{photo.model}",
                                  photo.kind, name, "unseen" if watched else "train"))
    return train(snapshot_of(rows, stores.snapshots), recipe, stores.photos, stores.releases, stores.runs,
                 training_device(stores.settings), Watch(step=say_epochs()))


def _decoded(photos: Sequence[PublicPhoto], at_once: int = 256) -> Iterator[list[Image.Image]]:
    for start in range(0, len(photos), at_once):
        images = []
        for photo in photos[start:start + at_once]:
            try:
                images.append(read_image(photo.path.read_bytes()))
            except BadPhoto as error:
                raise BadPhoto(f"{photo.path}: {error}") from error
        yield images


def _line(way: str, row: dict[str, Any]) -> str:
    low, high = row["ci95"]
    shares = "  ".join(f"{name} {value:.3f}" + (f" [{low:.3f}–{high:.3f}]" if name == "recall@1" else "")
                       for name, value in row.items() if name.startswith("recall@"))
    return (f"{way:18} {shares}  ({row['queries']} queries, {row['products']} products, gallery of {row['gallery']}, "
            f"{row['without an answer']} queries left out that have no answer)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="layout", choices=list(LAYOUTS), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--network", metavar="RELEASE")
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--change", dest="changes", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.network and (options.recipe or options.changes):
        parser.error("a recipe is for training: leave it out with --network")
    return options


if __name__ == "__main__":
    main()
