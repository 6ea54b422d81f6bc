"""Promoting and rolling back an index: a damaged one is left, none that is damaged is taken, nothing goes missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.commands.indexing import build_with_bar
from app.commands.releases import promote_gated, rolled_back
from app.wiring import Stores, network_of
from catalogue.errors import BadRelease, NotFound
from catalogue.imports import import_path
from catalogue.releases import Published
from index.add import lacking_photos


def twin_of(stores: Stores, network: Published) -> Published:
    """Publish the same network under another name."""
    with stores.releases.draft("network") as draft:
        draft.copy(network)
        draft.manifest["note"] = "twin"
    return stores.releases.open(draft.name)


def alter(release: Published) -> None:
    path = release.folder / next(iter(release.manifest["files"]))
    path.write_bytes(path.read_bytes()[:-1])


def test_promoting_is_the_way_out_of_a_live_index_that_is_lost(grown: Stores, make_folder: Callable[..., Path],
                                                               tmp_path: Path) -> None:
    live = grown.releases.live("index")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    other = build_with_bar(grown, network_of(grown, live))
    shutil.rmtree(live.folder)
    said = promote_gated(grown, "index", other, force=False)
    assert f"nothing could be compared with {live.name}" in said and "untrained" in said
    assert grown.releases.live_name("index") == other


@pytest.mark.parametrize("damage", [lambda network: shutil.rmtree(network.folder), alter])
def test_promoting_is_the_way_out_of_a_live_network_that_is_lost(
        grown: Stores, damage: Callable[[Published], object]) -> None:
    whole = grown.releases.live("index")
    network = twin_of(grown, network_of(grown, whole))
    other = build_with_bar(grown, network)
    promote_gated(grown, "index", other, force=True)
    damage(network)
    assert "nothing could be compared" in promote_gated(grown, "index", whole.name, force=False)
    with pytest.raises((BadRelease, NotFound), match=network.name):
        rolled_back(grown, "index")  # to what could not serve
    assert grown.releases.live_name("index") == whole.name


def test_rolling_back_takes_what_is_whole_and_brings_it_up_to_date(grown: Stores, make_folder: Callable[..., Path],
                                                                   tmp_path: Path) -> None:
    first = grown.releases.live("index")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    second = build_with_bar(grown, network_of(grown, first))
    promote_gated(grown, "index", second, force=True)
    said = rolled_back(grown, "index")
    assert "8 photos that came since" in said and said.endswith(f"{first.name} is live in index again")
    assert lacking_photos(grown.database, grown.releases, first) == 0
    alter(grown.releases.open(second))
    with pytest.raises(BadRelease, match="missing or altered"):
        rolled_back(grown, "index")
    assert grown.releases.live_name("index") == first.name
