"""Between builds: what is added, removed and merged is answered as a fresh build would, and nothing is ever half."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.cli import main
from app.commands.indexing import add_with_bar, build_with_bar
from app.commands.releases import promote_gated
from app.live import LiveIndex
from app.wiring import Stores
from catalogue.errors import BadRelease, Busy, NothingLive
from catalogue.files import lock
from catalogue.gallery_items import GalleryState, ProductFacts, note_changes, read_state
from catalogue.imports import import_path
from catalogue.merging import merge
from catalogue.pruning import prune
from catalogue.queries import product_photos
from catalogue.tables import GalleryItem, Product, ProductPhoto
from index.add import MOST_SEGMENTS, lacking_photos
from index.engine import Engine
from index.gallery import Gallery, read_gallery
from index.search import Match, Part
from index.view import View, view_of
from tests.index.test_index import made_gallery


def take_away(stores: Stores, photos: list[tuple[int, str]]) -> None:
    with Session(stores.database) as session, session.begin():
        for product, sha256 in photos:
            session.execute(delete(ProductPhoto).where(ProductPhoto.product_id == product,
                                                       ProductPhoto.sha256 == sha256))
        note_changes(session, {product for product, _ in photos})


def pairs(stores: Stores) -> list[tuple[int, str]]:
    with Session(stores.readers) as session:
        return [(row.product_id, row.sha256) for row in product_photos(session)]


def serving(stores: Stores) -> Engine:
    live = LiveIndex(stores)
    live.refresh()
    assert not live.problem
    return live.current()


def part_of(gallery: Gallery, folder: Path, name: str) -> Part:
    folder.mkdir()
    gallery.write(folder)
    return Part(name, *read_gallery(folder))


def rows_of(gallery: Gallery, rows: np.ndarray) -> Gallery:
    kept = np.isin(gallery.product_ids, gallery.products[rows])
    products = ("product_ids", "keys", "brands", "models", "types")
    return Gallery(**{name: getattr(gallery, name)[kept if name in products else rows]
                      for name in Gallery.__dataclass_fields__})


def shown(matches: list[Match]) -> list[tuple[int, float, str]]:
    return [(match.product_id, match.score, match.sha256) for match in matches]


@pytest.mark.parametrize("seed", range(40))
def test_a_view_of_parts_answers_as_a_fresh_index(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = made_gallery(products=40, photos=8, seed=seed)
    doubles = random.integers(0, 320, 30)  # equal photos of different products, which must tie alike
    whole = replace(whole, vectors=whole.vectors[np.where(random.random(320) < 0.1, random.choice(doubles, 320),
                                                          np.arange(320))])
    removed = random.random(320) < random.choice([0.0, 0.1, 0.7])
    became = {int(number): 1 + int(number) // 4 for number in random.choice(np.arange(20, 41), 5, replace=False)}
    cut = np.sort(random.choice(np.arange(1, 320), 2, replace=False))
    order = random.permutation(320)
    parts = tuple(part_of(rows_of(whole, np.sort(some)), tmp_path / str(at), f"part-{at}")
                  for at, some in enumerate(np.split(order, cut)))
    facts = {int(number): ProductFacts(str(key), str(brand), f"m{model}") for number, key, brand, model
             in zip(whole.product_ids, whole.keys, whole.brands, whole.models, strict=True)}
    view = view_of(parts, GalleryState(frozenset(whole.ids[removed].tolist()), became, facts))
    now = np.array([became.get(int(number), int(number)) for number in whole.products])
    fresh_gallery = rows_of(replace(whole, products=now), np.flatnonzero(~removed))
    fresh = view_of((part_of(fresh_gallery, tmp_path / "fresh", "fresh"),), GalleryState(frozenset(), {}, facts))
    assert np.array_equal(view.products, fresh.products) and view.items == fresh.items == (~removed).sum()
    assert view.families == fresh.families
    for row in random.choice(320, 8):
        query = whole.vectors[[row, (row + 1) % 320]][:1 + seed % 2]
        for wanted in (1, 10, 60):
            found = view.search(query, wanted)
            assert shown(found) == shown(fresh.search(query, wanted))
            assert [match.product_id for match in found] == full_scan(fresh_gallery, query, wanted)
        assert shown(view.best_of(query, [3, 4, 5])) == shown(fresh.best_of(query, [3, 4, 5]))


def full_scan(gallery: Gallery, query: np.ndarray, wanted: int) -> list[int]:
    scores = np.max([(gallery.vectors * view).sum(1) for view in query], axis=0)
    best = {int(product): scores[gallery.products == product].max() for product in np.unique(gallery.products)}
    return sorted(best, key=lambda product: (-best[product], product))[:wanted]


def test_taking_the_state_anew_leaves_untouched_parts_alone(tmp_path: Path) -> None:
    gallery = made_gallery()
    one, two = (part_of(rows_of(gallery, rows), tmp_path / name, name)
                for name, rows in (("one", np.arange(100)), ("two", np.arange(100, 160))))
    first = view_of((one,))
    both = view_of((one, two), first.state, first)
    assert both.shows[0] is first.shows[0] and both.parts[0] is one
    assert both.now(frozenset({100}), {}).items == both.items - 1
    assert 7 not in both.without([7]).now(frozenset({100}), {}).products


def test_segments_and_removals_answer_as_a_fresh_build(grown: Stores, make_folder: Callable[..., Path],
                                                       tmp_path: Path) -> None:
    base = grown.releases.live("index")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=3, first=20))
    one = add_with_bar(grown, base)
    assert one.added == 24 and one.waiting == 0 and grown.releases.segments(base.name) == [one.segment]
    import_path(grown.database, grown.photos, make_folder(tmp_path / "views", models=2, views=6))
    two = add_with_bar(grown, base)
    assert two.added == 8 and grown.releases.segments(base.name) == [one.segment, two.segment]
    assert add_with_bar(grown, base).segment is None
    every = pairs(grown)
    gone = every[::9] + [pair for pair in every if pair[0] == every[-1][0]]
    take_away(grown, gone)
    with Session(grown.readers) as session:
        source, target = session.scalars(select(Product.id).order_by(Product.id)).all()[4:6]
    merge(grown.database, str(source), str(target))
    assert lacking_photos(grown.database, grown.releases, base) == 0  # merged photos are held under the former product
    live = serving(grown)
    assert live.segments == (one.segment, two.segment)
    fresh_name = build_with_bar(grown, grown.releases.newest("network"))
    with Session(grown.readers) as session:
        fresh = Engine(grown.releases.open(fresh_name), live.network, live.embedder, read_state(session))
    fresh.decision = live.decision
    assert fresh.view.items == live.view.items
    asked = {sha256 for _, sha256 in every}
    for sha256 in sorted(asked):
        assert_same(live, fresh, grown, sha256)


def assert_same(live: Engine, fresh: Engine, stores: Stores, sha256: str) -> None:
    image = stores.photos.image(sha256)
    ours, theirs = live.identify(image), fresh.identify(image)
    assert (ours.verdict, ours.predicted) == (theirs.verdict, theirs.predicted)
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)
    for name in ("similar", "colourways", "other_brands", "evidence"):
        mine, others = getattr(ours, name), getattr(theirs, name)
        assert [match.product_id for match in mine] == [match.product_id for match in others], name
        assert [match.score for match in mine] == pytest.approx([match.score for match in others], abs=1e-5)
        assert [match.sha256 for match in mine] == [match.sha256 for match in others]
    assert ours.best.product_id == theirs.best.product_id


def test_a_photo_that_comes_back_and_a_product_taken_apart_again(grown: Stores) -> None:
    base = grown.releases.live("index")
    (product, sha256), (other, _) = pairs(grown)[0], pairs(grown)[-1]
    whole = serving(grown).view.items
    with Session(grown.database) as session, session.begin():
        kept = {column: getattr(row, column) for row in session.scalars(
            select(ProductPhoto).where(ProductPhoto.product_id == product, ProductPhoto.sha256 == sha256))
            for column in ("product_id", "sha256", "reason", "origin")}
    take_away(grown, [(product, sha256)])
    assert serving(grown).view.items == whole - 1
    with Session(grown.database) as session, session.begin():
        session.add(ProductPhoto(**kept))
        note_changes(session, [product])
    assert serving(grown).view.items == whole
    assert add_with_bar(grown, base).segment is None
    merge(grown.database, str(product), str(other))
    engine = serving(grown)
    assert engine.view.items == whole and product not in engine.view.products
    assert engine.identify(grown.photos.image(sha256)).best.product_id == other
    with Session(grown.database) as session, session.begin():
        session.get_one(Product, product).merged_into_id = None
        note_changes(session, [product, other])  # its photos stay with the other one
    engine = serving(grown)
    assert product not in engine.view.products and engine.view.items == whole - 4
    assert add_with_bar(grown, base).added == 4 and serving(grown).view.items == whole


def test_note_changes_marks_thousands(grown: Stores) -> None:
    every = pairs(grown)
    take_away(grown, every[:20])
    with Session(grown.database) as session, session.begin():
        before = set(session.scalars(select(GalleryItem.id).where(GalleryItem.removed_at.is_not(None))))
        note_changes(session, range(1, 40_001))
        note_changes(session)
        after = set(session.scalars(select(GalleryItem.id).where(GalleryItem.removed_at.is_not(None))))
    assert len(before) == 20 and before == after


def add_one(stores: Stores, make_folder: Callable[..., Path], folder: Path, first: int) -> str:
    import_path(stores.database, stores.photos, make_folder(folder / str(first), models=1, views=1, first=first))
    segment = add_with_bar(stores, stores.releases.live("index")).segment
    assert segment is not None
    return segment


def test_many_segments_are_folded_into_one(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    base = grown.releases.live("index")
    names = [add_one(grown, make_folder, tmp_path, 30 + number) for number in range(MOST_SEGMENTS)]
    assert grown.releases.segments(base.name) == names
    live = LiveIndex(grown)
    live.refresh()
    take_away(grown, [pairs(grown)[-1]])
    whole, kept = live.current().view.items, live.current().view.parts[0]
    folded = add_one(grown, make_folder, tmp_path, 60)
    assert grown.releases.segments(base.name) == [folded]
    live.refresh()
    engine = live.current()
    assert engine.segments == (folded,) and engine.view.items == whole + 2 - 1 and engine.view.parts[0] is kept
    assert grown.releases.open(folded).manifest["items"] == 2 * MOST_SEGMENTS + 2 - 1
    assert set(prune(grown.releases)) == set(names)
    live.refresh()
    assert not live.problem


def test_prune_keeps_the_segments_of_what_it_keeps(grown: Stores, make_folder: Callable[..., Path],
                                                   tmp_path: Path) -> None:
    first = grown.releases.live("index").name
    one = add_one(grown, make_folder, tmp_path, 30)
    second = build_with_bar(grown, grown.releases.newest("network"))
    promote_gated(grown, "index", second, force=True)
    assert serving(grown).segments == () and grown.releases.segments(second) == []
    two = add_one(grown, make_folder, tmp_path, 31)
    assert prune(grown.releases) == []
    grown.releases.roll_back("index")
    engine = serving(grown)
    assert engine.index.name == first and engine.segments == (one,)
    add_with_bar(grown, grown.releases.open(first))
    grown.releases.roll_back("index")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "more", models=1, first=40))
    third = build_with_bar(grown, grown.releases.newest("network"))
    import_path(grown.database, grown.photos, make_folder(tmp_path / "late", models=1, first=41))
    assert "8 photos that came since" in promote_gated(grown, "index", third, force=False)
    gone = prune(grown.releases, keep=1)
    assert {first, one} <= set(gone) and not {second, two} & set(gone)
    assert grown.releases.segments(first) == [] and len(serving(grown).segments) == 1


def test_only_one_adds_at_a_time(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    with lock(grown.releases.folder / "additions.lock", "x"), pytest.raises(Busy, match="adding to an index"):
        add_with_bar(grown, grown.releases.live("index"))


def test_a_photo_that_cannot_be_read_waits_and_blocks_nothing(grown: Stores, make_folder: Callable[..., Path],
                                                              tmp_path: Path) -> None:
    before = set(pairs(grown))
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    lost = sorted(set(pairs(grown)) - before)[0][1]
    grown.photos.path(lost).unlink()
    done = add_with_bar(grown, grown.releases.live("index"))
    assert (done.added, done.waiting) == (7, 1)
    again = add_with_bar(grown, grown.releases.live("index"))
    assert (again.added, again.segment, again.waiting) == (0, None, 1)


def test_a_damaged_segment_is_refused_and_repaired(grown: Stores, make_folder: Callable[..., Path],
                                                   tmp_path: Path) -> None:
    good, bad = (add_one(grown, make_folder, tmp_path, first) for first in (30, 31))
    damaged(grown, bad)
    live = LiveIndex(grown)
    live.refresh()
    assert live.current().segments == (good,) and bad in live.problem and "missing or altered" in live.problem
    live.refresh()
    assert bad in live.problem  # still said, and not tried again at each look
    assert add_with_bar(grown, grown.releases.live("index")).added == 2
    assert serving(grown).segments[0] == good and serving(grown).view.items == 72 + 4


def damaged(stores: Stores, release: str) -> Callable[[], object]:
    """Damage a release; what is returned repairs it."""
    path = stores.releases.folder / release / "index.faiss"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"oops")
    return lambda: path.write_bytes(whole)


def test_what_serves_serves_on_where_what_it_was_folded_into_cannot(
        grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    names = tuple(add_one(grown, make_folder, tmp_path, 30 + number) for number in range(MOST_SEGMENTS))
    live = LiveIndex(grown)
    live.refresh()
    before = live.current().view.items
    folded = add_one(grown, make_folder, tmp_path, 60)
    damaged(grown, folded)
    live.refresh()
    kept = live.current()
    assert kept.segments == names and kept.view.items == before and folded in live.problem
    live.refresh()
    assert live.current() is kept
    again = add_one(grown, make_folder, tmp_path, 61)  # holds what the damaged one held, too
    live.refresh()
    assert live.current().segments == (again,) and live.current().view.items == before + 4


def test_lost_photos_keep_no_index_from_serving(grown: Stores) -> None:
    first, second, third = serving(grown).probes()
    grown.photos.path(first).unlink()
    grown.photos.path(second).write_bytes(b"")
    assert serving(grown).view.items == 72
    grown.photos.path(third).write_bytes(grown.photos.read(pairs(grown)[1][1]))
    live = LiveIndex(grown)
    live.refresh()
    assert f"does not find its own photo {third[:12]}" in live.problem
    for _, sha256 in pairs(grown):
        grown.photos.path(sha256).unlink(missing_ok=True)
    live = LiveIndex(grown)
    live.refresh()
    assert "photos it was to be checked with can be read" in live.problem and "catalogue verify" in live.problem
    with pytest.raises(NothingLive, match="cannot serve"):
        live.current()


@pytest.mark.parametrize("wait_s", [0, 60])
def test_a_base_that_cannot_serve_is_tried_again_after_a_minute(
        grown: Stores, make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        wait_s: int) -> None:
    monkeypatch.setattr("app.watching.RETRY_S", wait_s)
    first = grown.releases.live("index").name
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    second = build_with_bar(grown, grown.releases.newest("network"))
    live, repair = LiveIndex(grown), damaged(grown, first)
    live.refresh()
    assert first in live.problem
    repair()
    live.refresh()
    assert bool(live.problem) is bool(wait_s)
    if wait_s:
        return
    assert live.current().index.name == first
    repair = damaged(grown, second)
    grown.releases.promote("index", second)
    live.refresh()
    assert live.current().index.name == first and second in live.problem
    repair()
    live.refresh()
    assert live.current().index.name == second and not live.problem


def test_a_segment_of_another_base_is_refused(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    segment = grown.releases.open(add_one(grown, make_folder, tmp_path, 30))
    engine = serving(grown)
    with pytest.raises(BadRelease, match="adds to index-other"):
        engine.open_part(replace(segment, manifest={**segment.manifest, "base": "index-other"}))


PROGRAM = """
import os, sys
from pathlib import Path
import app.commands.indexing as indexing
from app.settings import Settings
from app.wiring import open_stores
from catalogue.releases import Releases
stores = open_stores(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[3]))
die = lambda *_: os.kill(os.getpid(), 9)
if sys.argv[2] == "embedding":
    photos, left = stores.photos.image, iter([1, 1, 1])
    stores.photos.image = lambda name: photos(name) if next(left, 0) else die()
if sys.argv[2] == "placing":
    Releases._place = die
if sys.argv[2] == "recording":
    Releases._record = die
indexing.add_with_bar(stores, stores.releases.live("index"))
"""


@pytest.mark.parametrize("moment", ["embedding", "placing", "recording"])
def test_a_killed_addition_leaves_nothing_half(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path,
                                               moment: str) -> None:
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    base = grown.releases.live("index").name
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(grown.settings.data_dir), moment,
                            grown.settings.database_url], stderr=subprocess.DEVNULL, cwd=os.getcwd())
    assert ended.returncode == -signal.SIGKILL
    assert grown.releases.segments(base) == [] and serving(grown).view.items == 72
    done = add_with_bar(grown, grown.releases.live("index"))
    assert done.added == 8 and grown.releases.segments(base) == [done.segment]
    assert serving(grown).view.items == 80
    assert not list((grown.releases.folder / "segment").iterdir())


def test_the_command_says_what_it_added(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(grown.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", grown.settings.database_url)

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as leave:
            main(list(words))
        assert not leave.value.code
        return capsys.readouterr().out

    assert json.loads(run("index", "add", "--json")) == {"added": 0, "segment": None, "waiting": 0}
    assert "nothing to add" in run("index", "add")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
    done = json.loads(run("index", "add", "--json"))
    assert done == {"added": 8, "segment": grown.releases.newest("segment").name, "waiting": 0}
    assert f"8 photos  adds to {grown.releases.live('index').name}" in run("releases")
    product, sha256 = pairs(grown)[-1]
    answer = json.loads(run("identify", "--json", str(grown.photos.path(sha256))))
    assert answer["best"]["id"] == product and answer["releases"]["segments"] == [done["segment"]]


def test_a_view_without_items_finds_nothing(tmp_path: Path) -> None:
    gallery = made_gallery()
    view: View = view_of((part_of(gallery, tmp_path / "x", "x"),)).now(frozenset(gallery.ids.tolist()), {})
    assert view.items == 0 and view.search(gallery.vectors[:1], 10) == []
