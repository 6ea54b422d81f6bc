"""Recall of the live index on photos from outside, the demo's street pictures by default, beside named baselines.

    python -m benchmarks.street [--queries DIR] [--set NAME] [--json]

The gallery is that of the live index in SOLESEARCH_DATA_DIR; the same queries ask a plain colour histogram of the same
gallery photos, the network before any training, and the weights that its training started from.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from app.commands.indexing import open_whole
from app.settings import read_settings
from app.wiring import embedder_of, network_of, open_stores
from benchmarks.baselines import before_training, histograms, table
from catalogue.imports import labelled_photos
from catalogue.photos import read_image
from index.evaluate import evaluate_queries
from training.recipes import Recipe

DEMO = Path(__file__).parents[1] / "demo" / "photos"


def main() -> None:
    """Measure and print a table, with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, default=DEMO)
    parser.add_argument("--set", dest="sets", action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.queries, options.sets or ["street"])
    print(table(found["rows"]))
    if options.json:
        print(json.dumps(found))


def measure(folder: Path, sets: list[str]) -> dict[str, Any]:
    """Embed queries and gallery four ways and measure each."""
    stores = open_stores(read_settings())
    index = stores.releases.live("index")
    embedder = embedder_of(stores, network_of(stores, index))
    gallery = open_whole(stores, index)
    with Session(stores.readers) as session:
        labelled, _ = labelled_photos(session, folder, sets)
    known = [(product, path) for product, path in labelled if product in gallery.product_row]
    queries = [read_image(path.read_bytes()) for _, path in known]
    shown = [stores.photos.image(str(name)) for name in gallery.photos]
    products = np.array([product for product, _ in known])
    recipe = Recipe(**embedder.card.recipe)
    ways = {"colour histogram": (histograms(shown), histograms(queries)),
            "untrained network": tuple(before_training(images, replace(recipe, start="none"))
                                       for images in (shown, queries)),
            "start, before training": tuple(before_training(images, recipe) for images in (shown, queries)),
            "live index": (gallery.vectors, embedder.embed(queries).vectors)}
    rows = {name: evaluate_queries(replace(gallery, vectors=ours), theirs, products)
            for name, (ours, theirs) in ways.items()}
    return {"index": index.name, "gallery": len(gallery.ids), "rows": rows}


if __name__ == "__main__":
    main()
