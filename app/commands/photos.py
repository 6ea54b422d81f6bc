"""`solesearch identify`, `classify`, `stock` and `embed`: photos from the command line."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from catalogue.errors import BadInput
from catalogue.files import write_file
from catalogue.products_csv import PICTURES
from catalogue.releases import Published

if TYPE_CHECKING:
    from PIL.Image import Image

    from app.live_tasks import LiveTask


@click.command()
@click.argument("photo", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the HTTP API gives it.")
def identify(photo: Path, as_json: bool) -> None:
    """Name the shoe in PHOTO (`-` for standard input), with the engine that serves."""
    from app.answers import answer_photo
    from app.live import LiveIndex
    from app.uploads import Upload
    stores = open_stores(read_settings())
    stores.releases.live("index")
    sent = Upload(str(photo), _read(photo))
    live = LiveIndex(stores)
    live.refresh()
    answer = answer_photo(stores.readers, live.current(), sent, _guard(stores))
    if live.problem:
        click.echo(f"Warning: {live.problem}", err=True)
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
        return
    sure = "" if answer.confidence is None else f" ({100 * answer.confidence:.0f} % that it is this very shoe)"
    if answer.shoe is not None and not answer.shoe.present:
        click.echo(f"There is no shoe in this photo (probability {answer.shoe.probability:.4f}). What lies nearest:")
    click.echo(f"{answer.verdict}{sure}: {answer.best.brand} {answer.best.name}, {answer.best.colour}  "
               f"score {answer.best.score:.3f}")
    for match in answer.similar:
        click.echo(f"  {match.score:.3f}  {match.brand} {match.name}, {match.colour}")


@click.command()
@click.argument("task")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...",
                type=click.Path(path_type=Path, allow_dash=True))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many classes to name.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the HTTP API gives it.")
def classify(task: str, photos: tuple[Path, ...], top: int, as_json: bool) -> None:
    """Say what is in each PHOTO (`-` for standard input) with the live TASK, or several with commas between."""
    from app.classify import classify as classified
    from app.live_tasks import open_live
    from app.uploads import Upload
    stores = open_stores(read_settings())
    tasks = [open_live(stores, name.strip()) for name in task.split(",") if name.strip()]
    if not tasks:
        raise BadInput("no task was named; `solesearch releases` lists what is live")
    answer = classified(tasks, [Upload(str(photo), _read(photo)) for photo in photos], top)
    if as_json:
        click.echo((answer.tasks[0] if len(tasks) == 1 else answer).model_dump_json(indent=1))
        return
    for one in answer.tasks:
        for photo in one.photos:
            said = ", ".join(f"{label.name} {100 * label.probability:.1f} %" for label in photo.classes)
            click.echo(f"{photo.photo}  {f'{one.task}: ' if len(tasks) > 1 else ''}{said}")


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...",
                type=click.Path(path_type=Path, allow_dash=True))
@click.option("--slots", default="", help="JSON of name → [left, top, right, bottom], for one photo of a whole shelf.")
@click.option("--grid", default="", help="Or its slots as rows x columns, such as \"2 x 5\".")
@click.option("--expected", default="", help="JSON of slot → product.")
@click.option("--task", default="shelf", show_default=True, help="The live task that tells filled from empty.")
@click.option("--products", default="", help="What names products: a live task, or `index`.")
@click.option("--draw", type=click.Path(dir_okay=False, path_type=Path), help="Write the slots drawn as a PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the HTTP API gives it.")
def stock(photos: tuple[Path, ...], slots: str, grid: str, expected: str, task: str, products: str,
          draw: Path | None, as_json: bool) -> None:
    """Say which slots of a shelf are empty: each PHOTO is one slot, or one PHOTO a shelf with --slots or --grid."""
    from app.live import LiveIndex
    from app.live_tasks import LiveTasks
    from app.stock import INDEX, Question, states, take_stock
    from app.stock_drawing import draw_stock
    from app.uploads import Upload
    stores = open_stores(read_settings())
    tasks, live = LiveTasks(stores), LiveIndex(stores)
    tasks.refresh()
    if products == INDEX:
        live.refresh()
    question = Question(tuple(Upload(str(photo), _read(photo)) for photo in photos), slots, grid, expected, task,
                        products)
    answer = take_stock(question, tasks, live, stores.readers)
    if draw is not None:
        write_file(draw, draw_stock(question, answer))
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
        return
    found = states(answer)
    for one in answer.slots:
        seen = f"  {one.name} {100 * (one.probability or 0):.0f} %" if one.name else ""
        there = "" if one.expected_present is None else f"  {one.expected} is there: {100 * one.expected_present:.1f} %"
        click.echo(f"{one.slot:10} {found[one.slot]:7} filled {100 * one.filled:5.1f} %{seen}{there}")
    click.echo(f"{answer.filled} filled ({answer.wrong} with another product than expected), {answer.empty} empty")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .npz file to write.")
@click.option("--release", help="A network or index release; without it the live index's network.")
def embed(paths: tuple[Path, ...], out: Path, release: str | None) -> None:
    """Embed photos (files, or folders searched for pictures) into OUT: paths, vectors (float32, unit rows), release."""
    from catalogue.errors import BadPhoto
    from catalogue.photos import read_image
    stores = open_stores(read_settings())
    network = _network(stores, release)
    files = [file for path in paths for file in _pictures(path)]
    if not files:
        raise BadInput(f"no pictures found in {', '.join(map(str, paths))}")
    kept: list[str] = []

    def images() -> Iterator["Image"]:
        for file in files:
            try:
                yield read_image(file.read_bytes())
                kept.append(str(file))
            except (BadPhoto, OSError) as error:
                click.echo(f"skipped {file}: {error}", err=True)

    parts = [part.vectors for part in embedder_of(stores, network).stream(images())]
    if not kept:
        raise BadInput("none of the files is a picture that can be read")
    vectors = np.concatenate(parts)
    buffer = io.BytesIO()
    np.savez(buffer, paths=np.array(kept), vectors=vectors, release=np.array(network.name))
    write_file(out, buffer.getvalue())
    click.echo(f"{len(kept)} embeddings of width {vectors.shape[1]} by {network.name} in {out}; "
               f"{len(files) - len(kept)} skipped")


def _read(photo: Path) -> bytes:
    if str(photo) == "-":
        return sys.stdin.buffer.read()
    try:
        return photo.read_bytes()
    except OSError as error:
        raise BadInput(f"{photo} cannot be read: {error.strerror}") from error


def _guard(stores: Stores) -> "LiveTask | None":
    """The task that may say that there is no shoe; as in the service, one that cannot serve is only warned of."""
    from app.live_tasks import GUARD, open_live
    if f"task:{GUARD}" not in stores.releases.live_names("task"):
        return None
    try:
        return open_live(stores, GUARD)
    except Exception as error:
        click.echo(f"Warning: whether there is a shoe at all cannot be said: {error}", err=True)
        return None


def _network(stores: Stores, release: str | None) -> Published:
    found = stores.releases.open(release) if release else stores.releases.live("index")
    if found.kind not in ("network", "index"):
        raise BadInput(f"{found.name} does not embed photos; name a network or an index release")
    return found if found.kind == "network" else network_of(stores, found)


def _pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES)
