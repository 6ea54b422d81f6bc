"""Products added to a live index while it serves: seconds until found, and recall by how many photos they came with.

    python -m benchmarks.adding [--photos DIR --added SET … --among SET … --asked SET …] [--network RELEASE] [--json]

The network is a release of SOLESEARCH_DATA_DIR (by default the live index's). DIR holds a `products.csv` and
`<set>/<slug>/<n>.jpg`; without it the demo's pictures: half of its models are in the index, the others are added with
1, 2, 4 (`--counts`) studio photos and asked with their street photos. Where the added sets are asked themselves, the
photos after the fourth ask. An index is made in a folder of its own and served over HTTP on loopback; then one product
comes with one photo, and all others do. In the same run stand a colour histogram of the same photos and, at the end, an
index built anew, which additions must equal. Intervals are 95 %, by bootstrap over products.
"""

import argparse
import csv
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import requests
import uvicorn
from sqlalchemy.orm import Session

from app.api import create_app
from app.commands.indexing import add_with_bar, build_with_bar, open_whole
from app.commands.serving import free_port
from app.live import LiveIndex
from app.settings import Settings, read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from benchmarks.baselines import histograms
from benchmarks.street import DEMO
from catalogue.imports import import_path, labelled_photos
from catalogue.photos import read_image
from catalogue.products_csv import ProductRow, photo_paths, read_products
from catalogue.releases import Published
from index.evaluate import evaluate_queries

PATIENCE_S = 60


def main() -> None:
    """Measure and print a table, with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=DEMO)
    parser.add_argument("--added", nargs="+", default=["shop"])
    parser.add_argument("--among", nargs="*", default=[])
    parser.add_argument("--asked", nargs="+", default=["street"])
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--network")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    print(f"one product with one photo, among {found['among']} products: found over HTTP {found['found_s']:.1f} s "
          f"after its import began (additions are looked for every {found['poll_s']:.0f} s)")
    for row in found["rows"]:
        low, high = row["ci95"]
        print(f"{row['photos']} photos each, {row['added']} added in {row['added_s']:.1f} s: recall@1 "
              f"{row['recall@1']:.3f} [{low:.3f}–{high:.3f}]  @10 {row['recall@10']:.3f}; served "
              f"{row['served@1']:.3f}, colour histogram {row['histogram@1']:.3f} "
              f"({row['queries']} queries, {row['products']} products)")
    print(f"the same photos in an index built anew: recall@1 {found['rows'][-1]['anew@1']:.3f}")
    if options.json:
        print(json.dumps(found))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Serve an index, add to it photo by photo, and ask after each."""
    given = open_stores(read_settings())
    network = (given.releases.open(options.network) if options.network
               else network_of(given, given.releases.live("index")))
    rows = [row for row in read_products(options.photos) if row.set in options.added]
    there = [] if options.among else list(dict.fromkeys(map(model_of, rows)))[::2]
    new = [row for row in rows if model_of(row) not in there
           and (options.asked != options.added or len(photo_paths(options.photos, row)) > options.counts[-1])]
    with tempfile.TemporaryDirectory() as place:
        stores = open_stores(Settings(data_dir=Path(place) / "data", threads=given.settings.threads))
        network = _copied(network, stores)
        among = [row for row in read_products(options.photos) if row.set in options.among] or [
            row for row in rows if row not in new]
        shown_of(among, options.photos, Path(place) / "among", None)
        import_path(stores.database, stores.photos, Path(place) / "among")
        stores.releases.promote("index", build_with_bar(stores, network))
        with serving(stores) as address:
            first = Path(place) / "first"
            found_s = _found_after(stores, address, shown_of(new[:1], options.photos, first, 1))
            measured = [_added(stores, address, new, options, count, Path(place) / str(count))
                        for count in options.counts]
    return {"network": network.name, "among": len(among), "found_s": found_s, "poll_s": stores.settings.poll_s,
            "rows": measured}


def model_of(row: ProductRow) -> str:
    """What a product shares with its other colours."""
    return row.model_group or row.slug


def shown_of(rows: Sequence[ProductRow], photos: Path, folder: Path, most: int | None) -> list[Path]:
    """Lay out a folder to import of the first `most` photos of each product; return the photos."""
    folder.mkdir()
    chosen = []
    for row in rows:
        (folder / row.set / row.slug).mkdir(parents=True)
        for path in photo_paths(photos, row)[:most]:
            chosen.append(folder / row.set / row.slug / path.name)
            chosen[-1].symlink_to(path.absolute())
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(asdict(rows[0])))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    return chosen


@contextmanager
def serving(stores: Stores) -> Iterator[str]:
    """Serve the stores over HTTP on loopback while the block lasts; yields the address."""
    port = free_port("127.0.0.1", 49152)
    server = uvicorn.Server(uvicorn.Config(create_app(stores, LiveIndex(stores)), "127.0.0.1", port,
                                           log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise SystemExit("the service did not start; what it said stands above")
            time.sleep(0.02)
        yield address
    finally:
        server.should_exit = True
        thread.join()


def _copied(network: Published, stores: Stores) -> Published:
    """Publish a network of other stores in these."""
    with stores.releases.draft("network") as draft:
        draft.copy(network)
        draft.manifest["snapshot"] = ""  # which photos it saw is not known here
    return stores.releases.open(draft.name)


def _asked(address: str, photo: Path) -> dict[str, Any]:
    answer = requests.post(f"{address}/identify", photo.read_bytes(), timeout=60)
    answer.raise_for_status()
    return dict(answer.json())


def _found_after(stores: Stores, address: str, photos: Sequence[Path]) -> float:
    """Add what a folder holds, one product; return the seconds until the service finds it."""
    folder, began = photos[0].parents[2], time.monotonic()
    import_path(stores.database, stores.photos, folder)
    _add(stores)
    with Session(stores.readers) as session:
        (product, _), *_ = labelled_photos(session, folder)[0]
    while _asked(address, photos[0])["best"]["id"] != product:
        if time.monotonic() - began > PATIENCE_S:
            raise SystemExit(f"{photos[0]} is not found after {PATIENCE_S} s")
        time.sleep(0.02)
    return time.monotonic() - began


def _add(stores: Stores) -> int:
    return add_with_bar(stores, stores.releases.live("index")).added


def _added(stores: Stores, address: str, new: Sequence[ProductRow], options: argparse.Namespace, count: int,
           folder: Path) -> dict[str, Any]:
    """Let the new products have `count` photos each, and ask the service, the index and an index built anew."""
    shown_of(new, options.photos, folder, count)
    began = time.monotonic()
    import_path(stores.database, stores.photos, folder)
    added = _add(stores)
    took = time.monotonic() - began
    index = stores.releases.live("index")
    network = network_of(stores, index)
    with Session(stores.readers) as session:
        known, _ = labelled_photos(session, options.photos, options.asked)
        ours = {product for product, _ in labelled_photos(session, folder)[0]}
    early = {path for row in new for path in photo_paths(options.photos, row)[:options.counts[-1]]}
    known = [(product, path) for product, path in known if product in ours and path not in early]
    products = np.array([product for product, _ in known])
    images = [read_image(path.read_bytes()) for _, path in known]
    vectors = embedder_of(stores, network).embed(images).vectors
    gallery = open_whole(stores, index)
    photos = histograms([stores.photos.image(str(name)) for name in gallery.photos])
    latest = stores.releases.segments(index.name)[-1]
    until = time.monotonic() + PATIENCE_S
    while latest not in _asked(address, known[0][1])["releases"]["segments"] and time.monotonic() < until:
        time.sleep(0.05)
    served = [_asked(address, path)["best"]["id"] == product for product, path in known]
    found = {"photos": count, "added": added, "added_s": took, **evaluate_queries(gallery, vectors, products),
             "served@1": float(np.mean(served)),
             "histogram@1": evaluate_queries(replace(gallery, vectors=photos), histograms(images),
                                             products)["recall@1"]}
    if count == options.counts[-1]:
        anew = open_whole(stores, stores.releases.open(build_with_bar(stores, network)))
        found["anew@1"] = evaluate_queries(anew, vectors, products)["recall@1"]
    return found


if __name__ == "__main__":
    main()
