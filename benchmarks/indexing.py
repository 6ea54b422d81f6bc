"""How fast an index build embeds photos, beside the network's own forward pass on pixels that lie ready in memory.

    python -m benchmarks.indexing [--photos N] [--rounds N] [--json]

The network and the photos are those of the live index in SOLESEARCH_DATA_DIR. `in turns` decodes a batch and then runs
it, `as built` is what `index build` does: it decodes ahead. Rounds alternate; shares are medians over them.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from app.settings import read_settings
from app.wiring import embedder_of, network_of, open_stores
from catalogue.photos import PhotoStore
from index.build import embed_photos
from index.gallery import read_gallery
from vision.embedder import Embedder


def main() -> None:
    """Measure and print, with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stores = open_stores(read_settings())
    index = stores.releases.live("index")
    names = list(dict.fromkeys(map(str, read_gallery(index.folder)[0].photos)))[:options.photos]
    found = measure(embedder_of(stores, network_of(stores, index)), stores.photos, names, options.rounds)
    for way, row in found.items():
        print(f"{way:22} {row['photos_per_s']:8.1f} photos/s   {row['share']:.3f} of the forward pass")
    if options.json:
        print(json.dumps({"photos": len(names), "rows": found}))


def measure(embedder: Embedder, store: PhotoStore, names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Time the three ways in turns, after one round that does not count."""
    pixels = embedder.card.preprocessing.batch([store.image(name) for name in names])
    ways: dict[str, Callable[[], object]] = {
        "forward pass alone": lambda: embedder.in_batches(pixels, embedder.batch),
        "in turns": lambda: embedder.embed(store.image(name) for name in names),
        "as built": lambda: embed_photos(store, embedder, names)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            if turn:
                seconds[way].append(time.perf_counter() - began)
    bare = np.array(seconds["forward pass alone"])
    return {way: {"photos_per_s": float(len(names) / np.median(took)),
                  "share": float(np.median(bare / np.array(took)))} for way, took in seconds.items()}


if __name__ == "__main__":
    main()
