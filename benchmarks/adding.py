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
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from benchmarks.baselines import histograms
from benchmarks.own_stores import own_stores
from benchmarks.street import DEMO
from catalogue.imports import import_path, labelled_photos
from catalogue.photos import read_image
from catalogue.products_csv import ProductRow, photo_paths, read_products, write_products
from catalogue.releases import Published
from index.evaluate import evaluate_queries

PATIENCE_S = 60


@dataclass(frozen=True)
class Asked:
    """The photos that ask (q,), the products that they show, and what embedding and histogram make of them (q, d)."""

    paths: Sequence[Path]
    products: np.ndarray
    vectors: np.ndarray
    histograms: np.ndarray


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
    print(f"the same photos in an index built anew: recall@1 {found['anew@1']:.3f}")
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
    if not new:
        raise SystemExit(f"no product of {', '.join(options.added)} has more than {options.counts[-1]} photos; name "
                         "fewer with --counts")
    with tempfile.TemporaryDirectory() as place:
        stores = own_stores(Path(place) / "data", given.settings.threads)
        network = _copied(network, stores)
        among = [row for row in read_products(options.photos) if row.set in options.among] or [
            row for row in rows if row not in new]
        lay_out(among, options.photos, Path(place) / "among", None)
        import_path(stores.database, stores.photos, Path(place) / "among")
        stores.releases.promote("index", build_with_bar(stores, network))
        with serving(stores) as address:
            lay_out(new[:1], options.photos, Path(place) / "first", 1)
            found_s = _found_after(stores, address, Path(place) / "first")
            measured, asked = [], None
            for count in options.counts:
                folder = Path(place) / str(count)
                lay_out(new, options.photos, folder, count)
                began = time.monotonic()
                added = _add(stores, folder)
                took = time.monotonic() - began
                asked = asked or _asked_with(stores, network, new, options, folder)
                measured.append({"photos": count, "added": added, "added_s": took, **_recall(stores, address, asked)})
        assert asked is not None
        anew = open_whole(stores, stores.releases.open(build_with_bar(stores, network)))
        anew_recall = evaluate_queries(anew, asked.vectors, asked.products)["recall@1"]
    return {"network": network.name, "among": len(among), "found_s": found_s, "poll_s": stores.settings.poll_s,
            "rows": measured, "anew@1": anew_recall}


def model_of(row: ProductRow) -> str:
    """What a product shares with its other colours."""
    return row.model_group or row.slug


def lay_out(rows: Sequence[ProductRow], photos: Path, folder: Path, most: int | None) -> None:
    """Make a folder to import of the first `most` photos of each product, all if it is None."""
    for row in rows:
        (folder / row.set / row.slug).mkdir(parents=True)
        for path in photo_paths(photos, row)[:most]:
            (folder / row.set / row.slug / path.name).symlink_to(path.absolute())
    write_products(folder / "products.csv", rows)


@contextmanager
def serving(stores: Stores) -> Iterator[str]:
    """Serve the stores over HTTP on loopback while the block lasts; yields the address."""
    port = free_port("127.0.0.1", 49152)
    server = uvicorn.Server(uvicorn.Config(create_app(stores, LiveIndex(stores)), "127.0.0.1", port,
                                           log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        _wait(lambda: server.started, "the service did not start; what it said stands above")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _copied(network: Published, stores: Stores) -> Published:
    """Publish a network of other stores in these."""
    with stores.releases.draft("network") as draft:
        draft.copy(network)
        draft.manifest["snapshot"] = ""  # which photos it saw is not known here
    return stores.releases.open(draft.name)


def _wait(happened: Callable[[], bool], else_say: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > until:
            raise SystemExit(else_say)
        time.sleep(0.02)


def _ask(address: str, photo: Path) -> dict[str, Any]:
    with requests.Session() as session:
        session.trust_env = False  # a proxy is for the world outside
        answer = session.post(f"{address}/identify", photo.read_bytes(), timeout=60)
    answer.raise_for_status()
    return dict(answer.json())


def _add(stores: Stores, folder: Path) -> int:
    """Import a folder and add what the live index lacks; return how many photos were added."""
    import_path(stores.database, stores.photos, folder)
    return add_with_bar(stores, stores.releases.live("index")).added


def _found_after(stores: Stores, address: str, folder: Path) -> float:
    """Add the one product of a folder; return the seconds until the service finds it."""
    began = time.monotonic()
    _add(stores, folder)
    with Session(stores.readers) as session:
        [(product, photo)], _ = labelled_photos(session, folder)
    _wait(lambda: _ask(address, photo)["best"]["id"] == product, f"{photo} is not found after {PATIENCE_S} s")
    return time.monotonic() - began


def _asked_with(stores: Stores, network: Published, new: Sequence[ProductRow], options: argparse.Namespace,
                folder: Path) -> Asked:
    """The photos of the new products, which a folder holds and the catalogue knows, that are never added."""
    with Session(stores.readers) as session:
        known, _ = labelled_photos(session, options.photos, options.asked)
        ours = {product for product, _ in labelled_photos(session, folder)[0]}
    added = {path for row in new for path in photo_paths(options.photos, row)[:options.counts[-1]]}
    known = [(product, path) for product, path in known if product in ours and path not in added]
    images = [read_image(path.read_bytes()) for _, path in known]
    return Asked([path for _, path in known], np.array([product for product, _ in known]),
                 embedder_of(stores, network).embed(images).vectors, histograms(images))


def _recall(stores: Stores, address: str, asked: Asked) -> dict[str, Any]:
    """Recall of the live index with its segments, of the service once it has taken up the last one, and of colours."""
    index = stores.releases.live("index")
    gallery, latest = open_whole(stores, index), stores.releases.segments(index.name)[-1]
    _wait(lambda: latest in _ask(address, asked.paths[0])["releases"]["segments"],
          f"{latest} is not served after {PATIENCE_S} s")
    served = [_ask(address, path)["best"]["id"] == product
              for path, product in zip(asked.paths, asked.products.tolist(), strict=True)]
    colours = replace(gallery, vectors=histograms([stores.photos.image(str(name)) for name in gallery.photos]))
    return {**evaluate_queries(gallery, asked.vectors, asked.products), "served@1": float(np.mean(served)),
            "histogram@1": evaluate_queries(colours, asked.histograms, asked.products)["recall@1"]}



if __name__ == "__main__":
    main()
