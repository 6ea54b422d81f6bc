"""Recall on real photos, leave one photo out, in folds by product: a queried product is never trained on.

    python -m benchmarks.recall --photos DIR [--set NAME=VALUE …] [--json]

DIR holds a `products.csv` and `<set>/<slug>/<n>.jpg`; without it SOLESEARCH_TEST_PHOTOS/shoes is used. Beside the
trained network stand a colour histogram, the untrained network and, if the recipe starts from weights, those weights
before training. Intervals are 95 %, by bootstrap over products.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from app.wiring import Stores, embedder_of, training_device
from benchmarks.baselines import baselines, table
from benchmarks.command_line import add_training, photo_folder, say_epochs
from benchmarks.own_stores import own_stores
from benchmarks.snapshots import blind, snapshot_of
from catalogue.imports import import_path
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.snapshots import Snapshot, SnapshotPhoto, near_duplicate_groups
from index.build import embed_photos
from training.loop import Watch
from training.recipes import Recipe, read_recipe
from training.sku import train
from vision.measures import leave_one_out, ranked_hits, retrieval

ANGLES = ("angles-a", "angles-b", "angles-c", "angles-d")


def main() -> None:
    """Run the benchmark and print a table, with --json one object as the last line."""
    options = _options()
    recipe = read_recipe(options.recipe, options.changes)
    with tempfile.TemporaryDirectory() as folder:
        stores = own_stores(Path(folder) / "data", options.threads)
        import_path(stores.database, stores.photos, options.photos, sets=options.sets or ())
        with Session(stores.readers) as session:
            rows = product_photos(session)
        found = compare(stores, rows, recipe, options.folds)
    print(table(found))
    if options.json:
        print(json.dumps({"photos": len(rows), "folds": options.folds, "rows": found}))


def compare(stores: Stores, rows: Sequence[ProductPhotoRow], recipe: Recipe, folds: int) -> dict[str, dict]:
    """Measure the baselines and the trained network on the same queries and gallery."""
    products = np.array([row.product_id for row in rows])
    by_sha = near_duplicate_groups(rows)
    groups = np.unique([by_sha[row.sha256] for row in rows], return_inverse=True)[1]
    images = [stores.photos.image(row.sha256) for row in rows]
    hits = {name: hits_of(found, products, groups, np.arange(len(rows)))
            for name, found in baselines(images, recipe).items()}
    parts = []
    for fold, asked in enumerate(product_folds(products, folds)):
        snapshot = _fold_snapshot(rows, by_sha, asked, stores.snapshots)
        name = train(snapshot, blind(recipe), stores.photos, stores.releases, stores.runs,
                     training_device(stores.settings), Watch(step=say_epochs(f"fold {fold + 1}/{folds} ")))
        embedder = embedder_of(stores, stores.releases.open(name))
        vectors = embed_photos(stores.photos, embedder, [row.sha256 for row in rows])
        trained = np.stack([vectors[row.sha256] for row in rows])
        parts.append(hits_of(trained, products, groups, asked))
    hits["trained, unseen products"] = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return {name: retrieval(found, labels).as_dict() for name, (found, labels) in hits.items()}


def product_folds(products: np.ndarray, folds: int, seed: int = 0) -> list[np.ndarray]:
    """Split rows (n,) with product ids into folds that share no product."""
    shuffled = np.random.default_rng(seed).permutation(np.unique(products))
    return [np.flatnonzero(np.isin(products, part)) for part in np.array_split(shuffled, folds)]


def hits_of(vectors: np.ndarray, products: np.ndarray, groups: np.ndarray, rows: np.ndarray,
            look: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Leave one photo out for each of `rows`: are its ten best products its own (q, 10), and which it is (q,).

    `look` are those photos' vectors (len(rows), d) in another look.
    """
    scores, asked = leave_one_out(vectors, products, groups, rows, look)
    return ranked_hits(scores, products[asked], products), products[asked]


def _fold_snapshot(rows: Sequence[ProductPhotoRow], groups: dict[str, str], asked: np.ndarray,
                   folder: Path) -> Snapshot:
    held = set(asked.tolist())
    return snapshot_of([SnapshotPhoto(row.sha256, row.product_id, row.product_key, row.model_key, row.shoe_type,
                                      groups[row.sha256], "unseen" if at in held else "train")
                        for at, row in enumerate(rows)], folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_training(parser)
    parser.add_argument("--sets", nargs="*", default=None)
    parser.add_argument("--folds", type=int, default=4)
    options = parser.parse_args()
    if options.photos is None:
        options.photos = photo_folder(parser)
        options.sets = options.sets or ANGLES
    return options


if __name__ == "__main__":
    main()
