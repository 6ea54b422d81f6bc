"""Renders folders of shoe pictures: the demo shop's own, or a training collection (python -m demo.pictures)."""

from __future__ import annotations

import argparse
import io
import multiprocessing
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue.errors import BadInput
from catalogue.products_csv import ProductRow, write_products
from demo.collection import Article, demo_articles, training_articles

if TYPE_CHECKING:
    from demo.exposure import Photo

PHOTOS = Path(__file__).parent / "photos"
SHOP_VIEWS = 6
STREET_VIEWS = 5
PHOTO_SIZE = 256


@dataclass(frozen=True)
class Job:
    """The pictures of one model: its articles, and for each set how many pictures of which sort to write."""

    articles: tuple[Article, ...]
    sets: tuple[tuple[str, int, int], ...]  # name, studio pictures, street pictures
    size: int
    out: Path
    device: str = "cpu"


def render_job(job: Job) -> list[ProductRow]:
    """Writes the pictures of one model that are not there yet; returns its rows of products.csv."""
    missing = [
        (article, name, studio, street)
        for article in job.articles for name, studio, street in job.sets
        if not (job.out / name / article.slug).is_dir()
    ]
    if missing:
        _render(job, missing)
    return [a.row(name, studio + street) for name, studio, street in job.sets for a in job.articles]


def _render(job: Job, missing: list[tuple[Article, str, int, int]]) -> None:
    import torch

    from demo.render import Renderer
    from demo.street import street
    from demo.studio import studio
    from demo.subjects import subject_of

    torch.set_num_threads(1)
    renderer = Renderer(job.device)
    cloud = None
    for article, name, studios, streets in missing:
        subject = subject_of(article.model, article.colourway, job.size, cloud)
        cloud = subject.cloud
        photos = [studio(subject, view, job.size, renderer) for view in range(studios)]
        photos += [street(subject, number, job.size, renderer) for number in range(streets)]
        write_folder(job.out / name / article.slug, photos)


def write_folder(folder: Path, photos: list[Photo]) -> None:
    """Writes photos as 1.jpg, 2.jpg ... into a new folder that appears only when it is complete."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for number, photo in enumerate(photos, 1):
        (part / f"{number}.jpg").write_bytes(jpeg(photo))
    part.rename(folder)


def jpeg(photo: Photo) -> bytes:
    """The JPEG bytes of a photo at the quality it asks for."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(photo.pixels).save(out, "JPEG", quality=photo.quality, optimize=True)
    return out.getvalue()


def demo_jobs(out: Path) -> list[Job]:
    """The demo's own pictures: every product in the shop, and again in the street."""
    sets = (("shop", SHOP_VIEWS, 0), ("street", 0, STREET_VIEWS))
    return [Job(tuple(articles), sets, PHOTO_SIZE, out) for articles in demo_articles()]


def training_jobs(
    first_seed: int, models: int, views: int, size: int, street_share: float, out: Path, device: str
) -> Iterator[Job]:
    """The jobs of a training collection; each product gets `views` pictures, `street_share` of them in the street."""
    streets = round(views * street_share)
    for articles in training_articles(first_seed, models):
        yield Job(tuple(articles), (("rendered", views - streets, streets),), size, out, device)


def render_all(jobs: Iterable[Job], workers: int) -> Iterator[list[ProductRow]]:
    """Runs the jobs in order, in `workers` processes; yields each job's rows."""
    if workers <= 1:
        yield from map(render_job, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(render_job, jobs)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns 0, or 2 for numbers that make no sense."""
    parser = argparse.ArgumentParser(prog="python -m demo.pictures", description=__doc__)
    parser.add_argument("--models", type=int, default=0, help="render a training collection of this many models")
    parser.add_argument("--first-seed", type=int, default=100000, help="seed of its first model")
    parser.add_argument("--views", type=int, default=8, help="pictures of each product")
    parser.add_argument("--size", type=int, default=128, help="longer side in pixels")
    parser.add_argument("--street-share", type=float, default=0.5, help="share of the views taken in the street")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--device", default="cpu", help="torch device of the z-buffer, such as cpu or cuda")
    parser.add_argument("--out", type=Path, default=None, help=f"folder; the demo's own goes to {PHOTOS}")
    args = parser.parse_args(argv)
    if args.models and args.out is None:
        parser.error("a training collection needs --out DIR")
    out = args.out or PHOTOS
    try:
        if args.models:
            jobs = list(training_jobs(args.first_seed, args.models, args.views, args.size, args.street_share, out,
                                      args.device))
        else:
            jobs = demo_jobs(out)
    except BadInput as error:
        parser.error(str(error))
    return _run(jobs, out, args.workers)


def _run(jobs: list[Job], out: Path, workers: int) -> int:
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    started, before = time.monotonic(), sum(1 for _ in out.glob("*/*/*.jpg"))
    rows: list[ProductRow] = []
    for made in tqdm(render_all(jobs, workers), total=len(jobs), unit="model", file=sys.stderr):
        rows += made
    rows.sort(key=lambda row: row.set)
    part = out / "products.csv.part"
    write_products(part, rows)
    part.replace(out / "products.csv")
    images = sum(int(row.n_images) for row in rows)
    seconds = time.monotonic() - started
    fresh = images - before
    print(f"{images} pictures of {len({row.sku for row in rows})} products in {out}; "
          f"{fresh} new, {fresh / max(seconds, 1e-9):.1f} pictures/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
