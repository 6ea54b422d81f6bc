"""How many shoes a guard denies, and how many other garments it finds out, beside asking for the likeliest class.

    python -m benchmarks.no_shoe --release RELEASE [--photos DIR] [--others DIR] [--json]

RELEASE is one of the task `garment`, in SOLESEARCH_DATA_DIR. DIR holds a `products.csv`; without it
SOLESEARCH_TEST_PHOTOS/shoes is used. Of each set of shoes (`sideviews` and `farfetch`; where there is neither, all of
them) the threshold is fitted to one half of the photos, as `task install` fits it to a catalogue, and the other half is
asked, five times; and it is fitted to the demo's studio pictures and asked about its street pictures. `--others` is a
folder of garments that training did not see, one subfolder a class; without it `garment/val` beside DIR. Intervals are
95 % (Wilson), of the photos asked once.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.live_tasks import LiveTask, open_task
from app.settings import read_settings
from app.wiring import open_stores
from benchmarks.command_line import photo_folder
from benchmarks.street import DEMO
from catalogue.photos import read_image
from catalogue.products_csv import photo_paths, read_products
from training.guard import threshold_for
from vision.classification import wilson

SETS = ("sideviews", "farfetch")
STUDIO, STREET = "shop", "street"
DRAWS = 5


def main() -> None:
    """Measure and print a table, with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--others", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = options.photos or photo_folder(parser)
    others = options.others or photos.parent / "garment" / "val"
    if not others.is_dir():
        parser.error(f"{others} is no folder; name one of garments, a subfolder a class, with --others")
    found = measure(options.release, photos, others)
    for row in found:
        print(f"{row['shoes']:24} {row['rule']:16} shoes denied {row['denied']:.4f} "
              f"[{row['low']:.4f}–{row['high']:.4f}] of {row['photos']}; "
              f"others found out {row['caught']:.3f} of {row['others']}")
    if options.json:
        print(json.dumps(found))


def measure(release: str, photos: Path, others: Path) -> list[dict[str, Any]]:
    """Ask the guard about every set of shoes, and about what is no shoe."""
    stores = open_stores(read_settings())
    task = open_task(stores, stores.releases.open(release))
    if task.guard is None:
        raise SystemExit(f"{release} has no guard; name a release of the task `garment`")
    label, allowed = task.guard.label, float(task.release.manifest["guard"]["refuse_at_most"])
    shoe = task.classes.index(label)
    strange = chances(task, [path for folder in sorted(others.iterdir()) if folder.name != label
                             for path in sorted(folder.iterdir())])
    rows = []
    for name in sets_of(photos):
        said = chances(task, paths_of(photos, name))
        orders = [np.random.default_rng(seed).permutation(said) for seed in range(DRAWS)]
        halves = [(order[:len(said) // 2, shoe], order[len(said) // 2:, shoe]) for order in orders]
        rows += [_by_threshold(name, halves, strange[:, shoe], allowed), _likeliest(name, said, strange, shoe)]
    studio, street = (chances(task, paths_of(DEMO, name)) for name in (STUDIO, STREET))
    rows += [_by_threshold("demo, studio → street", [(studio[:, shoe], street[:, shoe])], strange[:, shoe], allowed),
             _likeliest("demo street", street, strange, shoe)]
    return rows


def sets_of(folder: Path) -> list[str]:
    """The sets of shoes to ask about: those of the published figures, or whichever the folder has."""
    found = dict.fromkeys(row.set for row in read_products(folder))
    return [name for name in SETS if name in found] or list(found)


def paths_of(folder: Path, name: str) -> list[Path]:
    """The photos of one set of a folder with a `products.csv`."""
    return [path for row in read_products(folder) if row.set == name for path in photo_paths(folder, row)]


def chances(task: LiveTask, paths: Sequence[Path]) -> np.ndarray:
    """Return class probabilities (n, c) of these photos, as the service computes them."""
    return task.embedder.probabilities(task.embedder.embed(read_image(path.read_bytes()) for path in paths).logits)


def _by_threshold(name: str, halves: Sequence[tuple[np.ndarray, np.ndarray]], strange: np.ndarray,
                  allowed: float) -> dict[str, Any]:
    """The mean over pairs of probabilities, of shoes that the threshold is fitted to and of shoes that are asked."""
    thresholds = [threshold_for(fitted, allowed) for fitted, _ in halves]
    denied = [(asked < threshold).mean() for (_, asked), threshold in zip(halves, thresholds, strict=True)]
    caught = [(strange < threshold).mean() for threshold in thresholds]
    return _row(name, "threshold", float(np.mean(denied)), len(halves[0][1]), float(np.mean(caught)), len(strange))


def _likeliest(name: str, said: np.ndarray, strange: np.ndarray, shoe: int) -> dict[str, Any]:
    """The baseline: a photo shows no shoe where another class is likelier."""
    return _row(name, "likeliest class", float((said.argmax(1) != shoe).mean()), len(said),
                float((strange.argmax(1) != shoe).mean()), len(strange))


def _row(shoes: str, rule: str, denied: float, photos: int, caught: float, others: int) -> dict[str, Any]:
    low, high = wilson(round(denied * photos), photos)
    return {"shoes": shoes, "rule": rule, "denied": denied, "low": low, "high": high, "photos": photos,
            "caught": caught, "others": others}


if __name__ == "__main__":
    main()
