"""Recall on products that training never saw, leave one photo out, among thousands of others.

    python -m benchmarks.unseen --test SET … --among SET … [--photos DIR] [--train SET …] [--also DIR …]
                                [--half] [--hold-out N] [--data DIR] [--recipe FILE] [--set NAME=VALUE …]
                                [--grid FILE] [--json]

DIR holds a `products.csv` and `<set>/<slug>/<n>.jpg`; without it SOLESEARCH_TEST_PHOTOS/shoes is used. Each photo of
the `--test` sets asks the others of its product among all those of the `--among` sets. Trained on is every set that is
not a test set, or those named by `--train`, and every folder given by `--also` (rendered shoes, say); `--half` keeps
half of the products asked among out of training. `--hold-out` keeps one photo out of each of N trained products that
have three or more: the class head names it and the index finds it, side by side. `--data` keeps the data folder, so
that a killed run goes on. `--grid` trains once for each of a file's `[[cells]]`, its settings on top of the recipe's.
In the same run stand a colour histogram, the network untrained and, if the recipe starts from weights, as it started;
each asked with the photos as they are, and with the same ones disturbed, as careless people photograph
(`index.disturbed`). A network with colours is measured without them, too. Intervals are 95 %, by bootstrap over
products.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from app.wiring import Stores, embedder_of, training_device
from benchmarks.baselines import baselines, table
from benchmarks.command_line import add_training, photo_folder, say_epochs
from benchmarks.own_stores import own_stores
from benchmarks.recall import hits_of
from benchmarks.snapshots import blind, snapshot_of
from catalogue.errors import BadInput
from catalogue.imports import import_path, labelled_photos
from catalogue.products_csv import read_products
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.snapshots import Snapshot, SnapshotPhoto, near_duplicate_groups
from index.disturbed import disturbed
from training.grid import read_grid
from training.loop import Watch
from training.pixels import pack_images
from training.recipes import Recipe, read_recipe
from training.sku import train
from vision.measures import retrieval

CHUNK = 2000


@dataclass(frozen=True)
class Photos:
    """All photos, their near-duplicate groups by sha256, and which of them (n,) are asked, are asked among, are trained
    on, are new photos of what is."""

    rows: Sequence[ProductPhotoRow]
    groups: dict[str, str]
    test: np.ndarray
    among: np.ndarray
    trained: np.ndarray
    held_out: np.ndarray

    @property
    def gallery(self) -> np.ndarray:
        """The rows of what is asked and asked among."""
        return np.flatnonzero(self.test | self.among)


def main() -> None:
    """Run the benchmark and print a table, with --json one object as the last line."""
    options = _options()
    recipes = {"trained": read_recipe(options.recipe, options.changes)}
    if options.grid:
        cells = read_grid(options.grid, ())
        recipes = {cell.name or " ".join(cell.changes): read_recipe(options.recipe, (*options.changes, *cell.changes))
                   for cell in cells}
        if len(recipes) < len(cells):
            raise BadInput(f"two cells of {options.grid} have one name; each is a row of the table: name them apart")
    with tempfile.TemporaryDirectory() as folder:
        stores = own_stores(options.data or Path(folder) / "data", options.threads)
        photos = gathered(stores, options)
        found, trainings = measured(stores, photos, recipes)
    facts = counts(photos)
    print(table(found))
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for way, measures in trainings.items():
        print(f"{way}: " + ", ".join(f"{name} {value}" for name, value in measures.items()))
    if options.json:
        print(json.dumps({**facts, "trainings": trainings, "rows": found}))


def gathered(stores: Stores, options: argparse.Namespace) -> Photos:
    """Import every set and every other folder, and say what each photo is for."""
    trained_sets = options.train or [name for name in sets_of(options.photos) if name not in options.test]
    for name in dict.fromkeys([*options.test, *options.among, *trained_sets]):
        import_path(stores.database, stores.photos, options.photos, sets=[name])
    for folder in options.also:
        import_path(stores.database, stores.photos, folder)
    with Session(stores.readers) as session:
        rows = product_photos(session)
        of_row = np.array([row.product_id for row in rows])

        def shows(folder: Path, sets: Sequence[str]) -> np.ndarray:
            # Asked of the catalogue, not noted while importing: a run that was killed in between ends the same.
            known = labelled_photos(session, folder, sets)[0] if sets else []
            return np.isin(of_row, [product for product, _ in known])

        test, among = shows(options.photos, options.test), shows(options.photos, options.among)
        trained = shows(options.photos, trained_sets)
        for folder in options.also:
            trained |= shows(folder, sets_of(folder))
    trained &= ~test
    if options.half:
        distractors = np.unique(of_row[among & ~test])
        trained &= ~np.isin(of_row, np.random.default_rng(0).permutation(distractors)[::2])
    groups = near_duplicate_groups(rows)
    held_out = held_out_of(rows, groups, trained, options.hold_out)
    return Photos(rows, groups, test, among & ~test, trained & ~held_out, held_out)


def sets_of(folder: Path) -> list[str]:
    """The names of the sets in a folder, in the order of its `products.csv`."""
    return list(dict.fromkeys(row.set for row in read_products(folder)))


def held_out_of(rows: Sequence[ProductPhotoRow], groups: dict[str, str], trained: np.ndarray,
                count: int) -> np.ndarray:
    """Mark one photo (n,) of each of `count` products with three trained photos or more; none has a near-duplicate."""
    _, of_group, shown = np.unique([groups[row.sha256] for row in rows], return_inverse=True, return_counts=True)
    _, of_row = np.unique([row.product_id for row in rows], return_inverse=True)
    alone = trained & (shown[of_group] == 1) & (np.bincount(of_row, trained)[of_row] >= 3)
    random = np.random.default_rng(0)
    candidates = random.permutation(np.flatnonzero(alone))
    one_each = candidates[np.unique(of_row[candidates], return_index=True)[1]]
    marked = np.zeros(len(rows), bool)
    marked[random.permutation(one_each)[:count]] = True
    return marked


def counts(photos: Photos) -> dict[str, int]:
    """How many photos there are of each kind."""
    return {"gallery": len(photos.gallery), "distractors": int(photos.among.sum()),
            "distractors trained on": int((photos.trained & photos.among).sum()),
            "photos trained on": int(photos.trained.sum()), "held out": int(photos.held_out.sum())}


def measured(stores: Stores, photos: Photos, recipes: Mapping[str, Recipe]) -> tuple[dict[str, dict], dict[str, dict]]:
    """Train by each recipe, and measure the baselines and the trained networks on the same queries and gallery; what
    the trainings say of themselves stands beside. The baselines are those of the first recipe."""
    rows = [photos.rows[at] for at in photos.gallery]
    asked = np.flatnonzero(photos.test[photos.gallery])
    careless = [disturbed(stores.photos.image(rows[row].sha256), at) for at, row in enumerate(asked)]
    products = np.array([row.product_id for row in rows])
    group_of = np.unique([photos.groups[row.sha256] for row in rows], return_inverse=True)[1]
    first = next(iter(recipes.values()))
    ways, looks = _baselines(stores, rows, first), baselines(careless, first)
    snapshot, trainings = _snapshot(photos, stores.snapshots), {}
    names = [row.sha256 for row in rows]
    for way, recipe in recipes.items():
        began = time.perf_counter()
        release = stores.releases.open(
            train(snapshot, blind(recipe), stores.photos, stores.releases, stores.runs,
                  training_device(stores.settings), Watch(step=say_epochs(f"{way}: ")), stores.runs / "pixels"))
        took = time.perf_counter() - began
        embedder = embedder_of(stores, release)
        packed = pack_images(names, lambda row: stores.photos.image(names[row]), recipe.preprocessing,
                             stores.runs / "pixels" / f"gallery-{recipe.size}-{recipe.fit}")
        ways[way] = embedder.in_batches(np.ascontiguousarray(packed[..., :3]), embedder.batch).vectors
        looks[way] = embedder.embed(careless).vectors
        if colours := embedder.card.colours:
            alone = f"{way}, without its colours"
            ways[alone], looks[alone] = without(ways[way], colours), without(looks[way], colours)
        said = release.manifest["measures"]
        trainings[way] = {"classes": len(embedder.card.classes),
                          **{name: round(value, 3) for name, value in said.items() if name.startswith("val_")},
                          "training seconds": round(said["seconds"]), "with packing": round(took)}
    found = {name: retrieval(*hits_of(vectors, products, group_of, asked, look)).as_dict()
             for way, vectors in ways.items()
             for name, look in ((way, None), (f"{way}, disturbed", looks[way]))}
    return found, trainings


def without(vectors: np.ndarray, colours: int) -> np.ndarray:
    """Unit vectors (n, d) without the last `colours` numbers, of unit length again: what was learnt alone."""
    learnt = vectors[:, :-colours]
    return learnt / np.linalg.norm(learnt, axis=1, keepdims=True)


def _baselines(stores: Stores, rows: Sequence[ProductPhotoRow], recipe: Recipe) -> dict[str, np.ndarray]:
    """The baselines' vectors, of some photos at a time: thousands of decoded ones would not fit."""
    parts = [baselines([stores.photos.image(row.sha256) for row in rows[start:start + CHUNK]], recipe)
             for start in range(0, len(rows), CHUNK)]
    return {way: np.concatenate([part[way] for part in parts]) for way in parts[0]}


def _snapshot(photos: Photos, folder: Path) -> Snapshot:
    """What is trained on, with the queries as `unseen`, so that the curves show them; nothing is chosen by them."""
    return snapshot_of([SnapshotPhoto(row.sha256, row.product_id, row.product_key, row.model_key, row.shoe_type,
                                      photos.groups[row.sha256], "train" if trained else "unseen" if test else "val")
                        for row, trained, test, held_out in zip(photos.rows, photos.trained, photos.test,
                                                                photos.held_out, strict=True)
                        if trained or test or held_out], folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_training(parser)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--among", nargs="*", default=[])
    parser.add_argument("--train", nargs="*", default=[])
    parser.add_argument("--also", nargs="*", type=Path, default=[])
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--hold-out", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--grid", type=Path)
    options = parser.parse_args()
    if options.photos is None:
        options.photos = photo_folder(parser)
    return options


if __name__ == "__main__":
    main()
