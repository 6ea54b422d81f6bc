"""`solesearch index`: build, add and evaluate."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np
from sqlalchemy.orm import Session

from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from catalogue.errors import BadInput, BadPhoto, NotFound
from catalogue.gallery_items import read_state
from catalogue.queries import product_photos
from catalogue.releases import Published
from catalogue.snapshots import open_snapshot

if TYPE_CHECKING:
    from index.add import Added
    from index.gallery import Gallery


T = TypeVar("T")


@click.group()
def index() -> None:
    """Build, add to and evaluate the search index."""


@index.command()
@click.option("--network", "name", help="The network release; without it the newest.")
@click.option("--kind", default="auto", show_default=True, type=click.Choice(("auto", "flat", "fp16", "sq8", "ivf",
                                                                             "hnsw")),
              help="How vectors are kept: flat, fp16 and sq8 answer exactly, ivf and hnsw nearly.")
@click.option("--exact-to", default=1_000_000, show_default=True, help="Most photos for which auto is exact (flat).")
def build(name: str | None, kind: str, exact_to: int) -> None:
    """Embed every product photo into a new index release; makes nothing live."""
    stores = open_stores(read_settings())
    network = stores.releases.open(name) if name else stores.releases.newest("network")
    made = stores.releases.open(build_with_bar(stores, network, kind, exact_to))
    if made.manifest["search"] != "flat":
        click.echo(f"{made.manifest['search']}: its own search finds {made.manifest['recall_against_exact']:.4f} of "
                   "the ten nearest that exact search finds", err=True)
    click.echo(made.name)


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
@click.option("--quick", is_flag=True, help="Leave out the slices for which photos must be embedded again.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the worst errors with their pictures into this HTML file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(release: str | None, queries: Path | None, sets: tuple[str, ...], quick: bool, report: Path | None,
             as_json: bool) -> None:
    """Measure recall of all that can be found, additions included: each photo against the others, or other photos."""
    if report and queries:
        raise click.UsageError("--report shows errors among the gallery's own photos; leave --queries out")
    stores = open_stores(read_settings())
    opened = _index(stores, release)
    gallery = open_whole(stores, opened)
    found = {"release": opened.name, **(_leave_one_out(stores, opened, gallery, quick) if queries is None
                                        else _ask(stores, opened, gallery, queries, sets))}
    if report:
        from index.report import write_report
        write_report(report, f"Evaluation of {opened.name}", found, gallery, stores.photos)
    click.echo(json.dumps(found) if as_json else table(found))


def build_with_bar(stores: Stores, network: Published, kind: str = "auto", exact_to: int = 1_000_000) -> str:
    """Build an index with a progress bar, and say on stderr how it decides; return its release's name."""
    from index.build import build as build_index
    from index.decision import read_decision
    with counting("index") as move:
        made = build_index(stores.database, stores.photos, stores.releases, network, embedder_of(stores, network),
                           _sides(stores, network), move, kind, exact_to)
    decision = read_decision(stores.releases.open(made).manifest["decision"])
    click.echo("not calibrated, all answers will be unknown: too few products have a second photo" if decision is None
               else str(decision), err=True)
    return made


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
    lines = [f"{'slice':18} {'queries':>8} {'products':>9} {'recall@1':>9} {'95 % interval':>16} {'@5':>6} {'@10':>6} "
             f"{'mAP@10':>7}"]
    for name, row in slices.items():
        if row["queries"]:
            low, high = row["ci95"]
            interval = f"{low:.3f} – {high:.3f}"
            lines.append(f"{name:18} {row['queries']:8d} {row['products']:9d} {row['recall@1']:9.3f} {interval:>16} "
                         f"{row['recall@5']:6.3f} {row['recall@10']:6.3f} {row['mAP@10']:7.3f}")
    return "\n".join([str(found["release"]), *lines])


def open_whole(stores: Stores, opened: Published) -> "Gallery":
    """All that can be found in an index of the catalogue as it is now, as one gallery."""
    from index.whole import open_view, whole_gallery
    with Session(stores.readers) as session:
        state, rows = read_state(session), product_photos(session)
    return whole_gallery(open_view(stores.releases, opened, state), rows)


def _leave_one_out(stores: Stores, opened: Published, gallery: "Gallery", quick: bool) -> dict[str, Any]:
    from index.again import MOST_AGAIN, asked_again
    from index.evaluate import evaluate, held_out_rows
    again = {} if quick else asked_again(stores.photos, embedder_of(stores, network_of(stores, opened)), gallery,
                                         held_out_rows(gallery, MOST_AGAIN))
    return evaluate(gallery, again)


def _sides(stores: Stores, network: Published) -> dict[str, str]:
    """Each photo's side in the snapshot that the network was trained on; one that came since of a product it was
    trained on is held out, but not of a product that training never saw."""
    digest = str(network.manifest.get("snapshot", ""))
    if not digest:
        return {}
    try:
        photos = open_snapshot(stores.snapshots, digest).photos
    except NotFound as error:
        raise NotFound(f"the snapshot {digest}, which {network.name} was trained on, is gone, and with it what that "
                       f"saw; restore {stores.snapshots / digest} from a backup, or `solesearch retrain`") from error
    trained = {photo.product_key for photo in photos if photo.split == "train"}
    with Session(stores.readers) as session:
        since = {row.sha256: "val" for row in product_photos(session) if row.product_key in trained}
    return since | {photo.sha256: photo.split for photo in photos}


def _index(stores: Stores, name: str | None) -> Published:
    if name:
        return stores.releases.open(name)
    live = stores.releases.live_name("index")
    return stores.releases.open(live) if live else stores.releases.newest("index")


def _ask(stores: Stores, opened: Published, gallery: "Gallery", folder: Path, sets: tuple[str, ...]) -> dict[str, Any]:
    from catalogue.imports import labelled_photos
    from catalogue.photos import read_image
    from catalogue.snapshots import Copies
    from index.evaluate import evaluate_queries
    with Session(stores.readers) as session:
        found, strangers = labelled_photos(session, folder, sets)
    known = [(product, path) for product, path in found if product in gallery.product_row]
    if not known:
        raise NotFound(f"none of the {len(found) + strangers} photos in {folder} shows a product of {opened.name}; "
                       "brand and sku in its products.csv must be those of the catalogue")

    def read(path: Path, how: Callable[[bytes], T]) -> T:
        try:
            return how(path.read_bytes())
        except (BadPhoto, OSError) as error:
            raise BadInput(f"the query photo {path} cannot be read: {error}") from error

    with Session(stores.readers) as session:
        shown = Copies(product_photos(session))
    asked = [(product, path) for product, path in known if not read(path, partial(shown.has, product))]
    if len(asked) < len(known):
        click.echo(f"{len(known) - len(asked)} photos are the gallery's own, or near-duplicates of them: not asked",
                   err=True)
    if not asked:
        raise BadInput(f"all photos in {folder} are the gallery's own; ask with others, or leave --queries out")
    vectors = embedder_of(stores, network_of(stores, opened)).embed(
        read(path, read_image) for _, path in asked).vectors
    measured = evaluate_queries(gallery, vectors, np.array([product for product, _ in asked]))
    return {**measured, "left_out": len(found) + strangers - len(known), "copies": len(known) - len(asked)}
