"""`solesearch index`: build, add and evaluate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from sqlalchemy.orm import Session

from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from catalogue.errors import BadInput, NotFound
from catalogue.releases import Published
from catalogue.snapshots import open_snapshot

if TYPE_CHECKING:
    from index.add import Added
    from index.gallery import Gallery


@click.group()
def index() -> None:
    """Build, add to and evaluate the search index."""


@index.command()
@click.option("--network", "name", help="The network release; without it the newest.")
def build(name: str | None) -> None:
    """Embed every product photo into a new index release; makes nothing live."""
    stores = open_stores(read_settings())
    network = stores.releases.open(name) if name else stores.releases.newest("network")
    click.echo(build_with_bar(stores, network))


@index.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add(as_json: bool) -> None:
    """Add the product photos that came since to the live index, as a segment; serving workers take it up.

    The decision (what is exact, what unknown) stays the base's own until the next `index build`.
    """
    stores = open_stores(read_settings())
    live = stores.releases.live("index")
    done = add_with_bar(stores, live)
    if as_json:
        click.echo(json.dumps({"added": done.added, "segment": done.segment, "waiting": done.waiting}))
        return
    if done.waiting:
        click.echo(f"{done.waiting} photos cannot be read and wait; `solesearch catalogue verify` names them", err=True)
    click.echo(f"{done.added} photos added to {live.name} by {done.segment}" if done.segment
               else f"nothing to add: {live.name} holds every photo that can be read")


@index.command()
@click.option("--release", help="The index release; without it the live one, else the newest.")
@click.option("--queries", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Ask with photos from outside: a folder with a products.csv and <set>/<slug>/<n>.jpg.")
@click.option("--set", "sets", multiple=True, help="Only these sets of the queries' products.csv.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(release: str | None, queries: Path | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Measure recall: each photo of the gallery against the others, or a folder of other photos."""
    from index.evaluate import evaluate as leave_one_out
    from index.gallery import read_gallery
    stores = open_stores(read_settings())
    opened = _index(stores, release)
    gallery, _ = read_gallery(opened.folder)
    found = leave_one_out(gallery) if queries is None else _ask(stores, opened, gallery, queries, sets)
    found = {"release": opened.name, **found}
    click.echo(json.dumps(found) if as_json else table(found))


def build_with_bar(stores: Stores, network: Published) -> str:
    """Build an index with a progress bar; return its release's name."""
    from index.build import build as build_index
    with counting("index") as move:
        return build_index(stores.database, stores.photos, stores.releases, network, embedder_of(stores, network),
                           _sides(stores, network), move)


def add_with_bar(stores: Stores, opened: Published) -> "Added":
    """Add to an index what the catalogue has and it lacks, with a progress bar where photos must be embedded."""
    from index.add import add as add_to_index
    network = network_of(stores, opened)
    with counting("index add") as move:
        return add_to_index(stores.database, stores.photos, stores.releases, opened,
                            lambda: embedder_of(stores, network), _sides(stores, network), move)


def table(found: dict[str, Any]) -> str:
    """Measures as lines of text."""
    slices = found.get("slices") or {"queries": found}
    lines = [f"{'slice':10} {'queries':>8} {'products':>9} {'recall@1':>9} {'95 % interval':>16} {'@5':>6} {'@10':>6} "
             f"{'mAP@10':>7}"]
    for name, row in slices.items():
        if row["queries"]:
            low, high = row["ci95"]
            interval = f"{low:.3f} – {high:.3f}"
            lines.append(f"{name:10} {row['queries']:8d} {row['products']:9d} {row['recall@1']:9.3f} {interval:>16} "
                         f"{row['recall@5']:6.3f} {row['recall@10']:6.3f} {row['mAP@10']:7.3f}")
    return "\n".join([str(found["release"]), *lines])


def _sides(stores: Stores, network: Published) -> dict[str, str]:
    """Each photo's side in the snapshot that the network was trained on."""
    digest = str(network.manifest.get("snapshot", ""))
    return {photo.sha256: photo.split for photo in open_snapshot(stores.snapshots, digest).photos} if digest else {}


def _index(stores: Stores, name: str | None) -> Published:
    if name:
        return stores.releases.open(name)
    live = stores.releases.live_name("index")
    return stores.releases.open(live) if live else stores.releases.newest("index")


def _ask(stores: Stores, opened: Published, gallery: "Gallery", folder: Path, sets: tuple[str, ...]) -> dict[str, Any]:
    from catalogue.imports import labelled_photos
    from catalogue.photos import read_image
    from index.evaluate import evaluate_queries
    with Session(stores.readers) as session:
        found, strangers = labelled_photos(session, folder, sets)
    known = [(product, path) for product, path in found if product in gallery.product_row]
    if not known:
        raise NotFound(f"none of the {len(found) + strangers} photos in {folder} shows a product of {opened.name}; "
                       "brand and sku in its products.csv must be those of the catalogue")
    try:
        vectors = embedder_of(stores, network_of(stores, opened)).embed(
            read_image(path.read_bytes()) for _, path in known).vectors
    except OSError as error:
        raise BadInput(f"a query photo cannot be read: {error}") from error
    measured = evaluate_queries(gallery, vectors, np.array([product for product, _ in known]))
    return {**measured, "left_out": len(found) + strangers - len(known)}
