"""The catalogue on PostgreSQL: the same import, snapshot, releases and answers, by two processes' worth of stores.

With SOLESEARCH_TEST_POSTGRES=1 all tests that take their database from a fixture run on PostgreSQL too.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import open_stores
from catalogue.imports import import_path
from catalogue.queries import product_cards, stats
from catalogue.snapshots import SplitShares, take_snapshot
from tests.postgres import Cluster


def test_the_catalogue_works_on_postgresql(cluster: Cluster, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    url = cluster.empty()
    stores = open_stores(Settings(data_dir=tmp_path / "data", database_url=url))
    again = open_stores(Settings(data_dir=tmp_path / "data", database_url=url))
    folder = make_folder(tmp_path / "folder")
    import_path(stores.database, stores.photos, folder)
    import_path(again.database, again.photos, folder)
    with Session(stores.readers) as session:
        assert stats(session)["photos"] == 48 and len(product_cards(session, range(1, 13))) == 12
    one = take_snapshot(stores.database, stores.snapshots, SplitShares(0.3, 0.3))
    assert one == take_snapshot(again.database, again.snapshots, SplitShares(0.3, 0.3))
    with stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("x")
    stores.releases.promote("index", draft.name)
    assert again.releases.live("index").name == draft.name
