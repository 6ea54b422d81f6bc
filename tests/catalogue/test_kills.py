"""Commands that are killed half way leave nothing half done, and run again they end as if they never were."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.gallery_items import register
from catalogue.imports import import_path
from catalogue.integrity import faults
from catalogue.queries import stats
from catalogue.removal import remove_shop
from catalogue.sweeping import disk_use, sweep
from catalogue.tables import Listing, Shop, now
from tests.catalogue.shelf import age, found, save, shop, shown, stored
from tests.crawler.test_kills import rows

PROGRAM = """
import os, signal, sys
from pkgutil import resolve_name
from unittest.mock import patch
from app.cli import main
place, last, *words = sys.argv[1:]
real, calls = resolve_name(place), []

def step(*given, **named):
    calls.append(given)
    if len(calls) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

with patch(place, step):
    main(words)
"""


def shot(stores: Stores, place: str, last: int, *words: object) -> set[str]:
    """Run a command that is killed as it calls what is at `place` for the `last` time; the kinds of fault it leaves."""
    environment = {**os.environ, "SOLESEARCH_DATA_DIR": str(stores.settings.data_dir),
                   "SOLESEARCH_DATABASE_URL": stores.settings.database_url}
    done = subprocess.run([sys.executable, "-c", PROGRAM, place, str(last), *map(str, words)], env=environment,
                          capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return {fault.kind for fault in faults(stores.database, stores.photos, stores.releases)}


def same(one: Stores, other: Stores) -> bool:
    """Whether two catalogues hold the same rows and files, and neither has a fault."""
    assert not [*faults(one.database, one.photos, one.releases), *faults(other.database, other.photos, other.releases)]
    return rows(one.database) == rows(other.database) and disk_use(one.photos) == disk_use(other.photos)


@pytest.fixture
def whole(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Stores]:
    """A second catalogue, for what nobody kills."""
    made = open_stores(Settings(data_dir=tmp_path / "whole", database_url=new_database()))
    yield made
    made.database.dispose()


def fill(stores: Stores) -> None:
    """Five old photos in a shop's listings, of which four left it long ago and one shows in another shop, too."""
    runa, kolo = shop(stores.database), shop(stores.database, "Kolo")
    photos = [stored(stores.photos, seed) for seed in range(5)]
    for number, photo in enumerate(photos):
        save(stores.database, runa, found(str(number), style_code=f"TV-{number}"), photo)
    save(stores.database, kolo, found("https://kolo.example/4", style_code="TV-4"), photos[4])
    with Session(stores.database) as session, session.begin():
        register(session, sorted(shown(stores.database))[:2])
        for listing in session.scalars(select(Listing).where(Listing.shop_id == runa).order_by(Listing.id).limit(4)):
            listing.gone_at = now() - timedelta(days=40)
    age(stores.photos, *(photo.facts.sha256 for photo in photos))


def test_a_shop_whose_removal_is_killed_is_there_or_gone(stores: Stores, whole: Stores) -> None:
    for one in (stores, whole):
        fill(one)
    before = rows(stores.database)
    remove_shop(whole.database, whole.photos, 1, whole.settings.data_dir / "locks")
    removal = ("shop", "remove", "1", "--yes")
    assert shot(stores, "catalogue.removal.note_changes", 1, *removal) == set() and rows(stores.database) == before
    assert shot(stores, "pathlib.Path.unlink", 3, *removal) == {"orphan"}
    with Session(stores.readers) as session:
        assert session.get(Shop, 1) is None and stats(session)["listings"] == 1
    assert disk_use(stores.photos).files == 3
    sweep(stores.database, stores.photos)
    assert same(stores, whole)


def test_a_sweep_that_is_killed_goes_on(stores: Stores, whole: Stores) -> None:
    for one in (stores, whole):
        fill(one)
        for orphan in [stored(one.photos, seed) for seed in (7, 8)]:
            age(one.photos, orphan.facts.sha256)
    before = rows(stores.database)
    sweep(whole.database, whole.photos, gone_days=30)
    sweeping = ("catalogue", "sweep", "--older-than", 30)
    assert shot(stores, "catalogue.sweeping.note_changes", 1, *sweeping) == {"orphan"}
    assert rows(stores.database) == before and disk_use(stores.photos).files == 7
    for last, left in ((2, 6), (3, 4)):  # at the second file that nothing names, at the second photo
        assert shot(stores, "pathlib.Path.unlink", last, *sweeping) == {"orphan"}
        assert disk_use(stores.photos).files == left
    sweep(stores.database, stores.photos, gone_days=30)
    assert same(stores, whole) and disk_use(stores.photos).files == 1


@pytest.mark.parametrize("by", ["folder", "csv"])
def test_an_import_that_is_killed_leaves_whole_products(stores: Stores, whole: Stores, tmp_path: Path, by: str,
                                                        make_folder: Callable[..., Path]) -> None:
    path = make_folder(tmp_path / "goods", models=4, views=2)
    if by == "csv":
        photos = sorted(path.rglob("*.jpg"))
        path = path / "goods.csv"
        path.write_text("\n".join(["sku,photo", *(f"{at // 2},{photo}" for at, photo in enumerate(photos))]))
    import_path(whole.database, whole.photos, path)
    # At the second photo of the third product; then in the transaction of the fifth.
    for place, last, products, left in (("catalogue.imports.read_photo", 6, 2, {"orphan"}),
                                        ("catalogue.imports.add_photos", 5, 4, {"orphan"})):
        assert shot(stores, place, last, "catalogue", "import", path) == left
        with Session(stores.readers) as session:
            counted = stats(session)
        assert (counted["products"], counted["photos"]) == (products, 2 * products)
    import_path(stores.database, stores.photos, path)
    assert same(stores, whole)
    before = shown(stores.database)
    assert shot(stores, "catalogue.imports.add_photos", 3, "catalogue", "import", path) == set()
    assert shown(stores.database) == before  # what was to be replaced is shown still
