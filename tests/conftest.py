"""What all tests share: fresh stores, pictures made on the spot, a small trained network and index."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, text

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.imports import import_path
from catalogue.products_csv import ProductRow, write_products
from catalogue.tables import Table
from tests.postgres import ASKED, Cluster, missing, running

# The settings of whoever runs the tests are not the tests'.
for stated in list(os.environ):
    if ((stated.startswith("SOLESEARCH_") and "_TEST_" not in stated) or stated in ("HOST", "PORT", "SERVE")
            or stated.lower() in ("http_proxy", "all_proxy")):
        del os.environ[stated]
REAL_PHOTOS = os.environ.get("SOLESEARCH_TEST_PHOTOS", "")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server; the test is skipped where there is none."""
    if reason := missing():
        pytest.skip(reason)
    with running() as made:
        yield made


@pytest.fixture(scope="session")
def wanted_cluster(request: pytest.FixtureRequest) -> Cluster | None:
    """The PostgreSQL server that SOLESEARCH_TEST_POSTGRES=1 asks for; without it tests run on SQLite."""
    return request.getfixturevalue("cluster") if ASKED else None


@pytest.fixture
def new_database(wanted_cluster: Cluster | None) -> Iterator[Callable[[], str]]:
    """A function that gives the URL of a fresh database; an empty one means SQLite in the data folder."""
    made: list[str] = []

    def make() -> str:
        if wanted_cluster is None:
            return ""
        made.append(wanted_cluster.migrated())
        return made[-1]

    yield make
    for url in made:
        assert wanted_cluster is not None
        wanted_cluster.drop(url)


@pytest.fixture
def stores(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Stores]:
    """An empty catalogue in a folder of its own."""
    made = open_stores(Settings(data_dir=tmp_path / "data", threads=2, database_url=new_database()))
    yield made
    made.database.dispose()


@pytest.fixture(autouse=True)
def commands_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that a test runs open the same PostgreSQL database as its fixtures."""
    named = [name for name in ("stores", "trained") if name in request.fixturenames] if ASKED else []
    if named:
        monkeypatch.setenv("SOLESEARCH_DATABASE_URL", request.getfixturevalue(named[0]).settings.database_url)


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """The folder of real photos; the test is skipped where there is none."""
    if not REAL_PHOTOS:
        pytest.skip("SOLESEARCH_TEST_PHOTOS is not set: no real photos to test with")
    return Path(REAL_PHOTOS)


def picture(seed: int = 0, size: tuple[int, int] = (64, 48), shift: int = 0) -> Image.Image:
    """A picture whose colours and blocks follow from the seed; `shift` moves them, like another view."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(np.roll(blocks, shift, axis=1)).resize(size, Image.Resampling.NEAREST)


def encoded(image: Image.Image, file_format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_folder() -> Callable[..., Path]:
    """A function that writes a products.csv folder: `models` models in two colourways, `views` photos each."""

    def make(folder: Path, models: int = 6, views: int = 4, first: int = 0) -> Path:
        rows = []
        for model in range(first, first + models):
            for colour in range(2):
                slug = f"shoe-{model}-{colour}"
                place = folder / "made" / slug
                place.mkdir(parents=True)
                for view in range(views):
                    image = picture(1000 * model + 37 * colour, shift=view)
                    (place / f"{view}.jpg").write_bytes(encoded(image, quality=90))
                rows.append(ProductRow(set="made", slug=slug, brand="Tavero", name=f"Shoe {model}",
                                       price="129000 KRW", colour=f"colour {colour}", sku=f"TV-{model}-{colour}",
                                       model_group=f"m{model}", shoe_type="sneaker", n_images=str(views)))
        write_products(folder / "products.csv", rows)
        return folder

    return make


@pytest.fixture
def stocked(stores: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> Stores:
    """A catalogue of 12 products in 6 models with 4 photos each."""
    import_path(stores.database, stores.photos, make_folder(tmp_path / "folder"))
    return stores


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, make_folder: Callable[..., Path],
            wanted_cluster: Cluster | None) -> Stores:
    """A catalogue with a network trained for a moment and a live index; tests must not change it."""
    from app.commands.indexing import build_with_bar
    from app.commands.releases import promote_gated
    from app.commands.training import train_with_bars
    from catalogue.snapshots import SplitShares, take_snapshot
    from training.recipes import Recipe
    folder = tmp_path_factory.mktemp("trained")
    url = wanted_cluster.migrated() if wanted_cluster else ""
    made = open_stores(Settings(data_dir=folder / "data", threads=2, poll_s=0.1, database_url=url))
    import_path(made.database, made.photos, make_folder(folder / "folder", models=9))
    snapshot = take_snapshot(made.database, made.snapshots, SplitShares(val=0.2, unseen=0.3))
    name = train_with_bars(made, snapshot, Recipe(size=32, epochs=4, views=8, batch=16, precision="fp32", geometry=0.2))
    index = build_with_bar(made, made.releases.open(name))
    promote_gated(made, "index", index, force=False)
    return made


def _copied(stores: Stores, folder: Path, url: str) -> Stores:
    """A copy of a whole data folder, and of its catalogue where that is a database elsewhere, to change."""
    shutil.copytree(stores.settings.data_dir, folder)
    made = open_stores(stores.settings.model_copy(update={"data_dir": folder, "database_url": url}))
    if url:
        with stores.readers.connect() as former, made.database.begin() as new:
            for table in Table.metadata.sorted_tables:
                if rows := [dict(row) for row in former.execute(select(table)).mappings()]:
                    new.execute(table.insert(), rows)
                if "id" in table.c:
                    new.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "
                                     f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name}))"))
    return made


@pytest.fixture
def grown(trained: Stores, tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Stores]:
    """A copy of the trained catalogue with its live index."""
    made = _copied(trained, tmp_path / "data", new_database())
    yield made
    made.database.dispose()
