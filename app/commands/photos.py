"""`solesearch identify` and `solesearch embed`: photos from the command line."""

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


@click.command()
@click.argument("photo", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the HTTP API gives it.")
def identify(photo: Path, as_json: bool) -> None:
    """Name the shoe in PHOTO (`-` for standard input), with the engine that serves."""
    from app.answers import answer_photo
    from app.live import LiveIndex
    from catalogue.photos import read_image
    stores = open_stores(read_settings())
    stores.releases.live("index")
    image = read_image(_read(photo))
    live = LiveIndex(stores)
    live.refresh()
    answer = answer_photo(stores.readers, live.current(), image)
    if live.problem:
        click.echo(f"Warning: {live.problem}", err=True)
    if as_json:
        click.echo(answer.model_dump_json(indent=1))
        return
    sure = "" if answer.confidence is None else f" ({100 * answer.confidence:.0f} % sure)"
    click.echo(f"{answer.verdict}{sure}: {answer.best.brand} {answer.best.name}, {answer.best.colour}  "
               f"score {answer.best.score:.3f}")
    for match in answer.similar:
        click.echo(f"  {match.score:.3f}  {match.brand} {match.name}, {match.colour}")


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


def _network(stores: Stores, release: str | None) -> Published:
    found = stores.releases.open(release) if release else stores.releases.live("index")
    return found if found.kind == "network" else network_of(stores, found)


def _pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES)
