"""Evaluation by slice: against plain loops, over a live index with additions and removals, and as a report."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.commands.indexing import add_with_bar, build_with_bar, open_whole
from app.wiring import Stores, embedder_of, network_of
from catalogue.imports import import_path
from index.again import asked_again
from index.evaluate import PHOTO_COUNTS, SHORT, Queries, ask, evaluate, held_out_rows, unseen_products
from index.gallery import read_gallery
from index.report import mistakes, write_report
from tests.index.test_index import made_gallery
from tests.index.test_segments import pairs, take_away
from vision.measures import hits_at, ranked_hits, ranks_of


def test_ranks_against_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    best = random.integers(0, 4, (50, 6)).astype(np.float32)  # many ties
    best[random.random(best.shape) < 0.2] = -np.inf
    labels, asked = np.array([2, 3, 5, 7, 8, 9]), random.integers(1, 11, 50)
    for scores, label, rank in zip(best, asked, ranks_of(best, labels, asked), strict=True):
        order = [int(labels[at]) for at in np.lexsort((labels, -scores)) if np.isfinite(scores[at])]
        assert rank == (order.index(label) if label in order else -1)
    assert hits_at(np.array([0, 2, -1]), 3).tolist() == [[True, False, False], [False, False, True], [False] * 3]
    assert not ranked_hits(np.array([[-np.inf, 1.0]], np.float32), np.array([1]), np.array([1, 2]), k=5).any()


def test_fewer_photos_of_the_right_product_are_found_less() -> None:
    gallery = made_gallery(products=80, photos=12, noise=0.35)
    found = evaluate(gallery)["slices"]
    recalls = [found[name]["recall@1"] for name in ("1 photo", "2 photos", "4 photos", "8 photos")]
    assert recalls == sorted(recalls) and recalls[0] < recalls[-1] - 0.1
    assert found["type boot"]["queries"] == found["type sandal"]["queries"] == found["held_out"]["queries"] / 2
    views = {name: row["queries"] for name, row in found.items() if name.startswith("view ")}
    assert views == {f"view {place}": 80 for place in range(1, 13) if place % 4 != 1}  # every fourth was trained on
    same = made_gallery(products=8, photos=4)
    asked = ask(same, Queries(same.vectors, np.arange(32)))
    assert (asked.ranks_with[8] == SHORT).all() and (asked.ranks_with[4] == SHORT).all()
    with_two = asked.ranks_with[2]
    assert (with_two >= asked.ranks).all() and set(asked.ranks_with) == set(PHOTO_COUNTS)


def test_photos_asked_again_are_slices_of_their_own(trained: Stores) -> None:
    index = trained.releases.live("index")
    gallery, _ = read_gallery(index.folder)
    embedder = embedder_of(trained, network_of(trained, index))
    rows = held_out_rows(gallery, 12)
    again = asked_again(trained.photos, embedder, gallery, rows)
    assert set(again) == {"flipped", "small", "street"}
    # A mirrored network looks at both sides anyway.
    assert np.allclose(again["flipped"].vectors, gallery.vectors[rows], atol=1e-3)
    assert evaluate(gallery, again)["slices"]["street"]["queries"] == 12
    assert {"flipped", "small", "street", "type sneaker", "1 photo"} <= index.manifest["measures"]["slices"].keys()


def test_evaluation_sees_what_was_added_and_not_what_was_removed(
        grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    base = grown.releases.live("index")
    import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=2, first=20))
    add_with_bar(grown, base)
    take_away(grown, pairs(grown)[:3])
    whole = open_whole(grown, base)
    fresh, _ = read_gallery(grown.releases.open(build_with_bar(grown, grown.releases.newest("network"))).folder)
    order, other = (np.lexsort((one.photos, one.products)) for one in (whole, fresh))
    for name in ("ids", "products", "photos", "sides", "places", "item_types"):
        assert getattr(whole, name)[order].tolist() == getattr(fresh, name)[other].tolist(), name
    assert np.allclose(whole.vectors[order], fresh.vectors[other], atol=1e-5)
    assert evaluate(whole)["queries"] == evaluate(fresh)["queries"]


def test_a_product_that_was_photographed_anew_is_not_one_that_training_never_saw(
        grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    import_path(grown.database, grown.photos, make_folder(tmp_path / "more", models=9, views=6))
    network = grown.releases.newest("network")
    gallery, _ = read_gallery(grown.releases.open(build_with_bar(grown, network)).folder)
    keys = gallery.keys[np.searchsorted(gallery.product_ids, gallery.products)]
    known = np.isin(keys, embedder_of(grown, network).card.classes)
    since = gallery.only(known & (gallery.sides != "train"))  # as if the photos trained on were gone from the shop
    assert len(since.ids) > 10 and set(since.sides.tolist()) == {"val"} and not unseen_products(since).any()
    assert unseen_products(gallery.only(~known)).all()


def test_the_worst_errors_are_shown(trained: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    gallery, _ = read_gallery(trained.releases.live("index").folder)
    noise = np.random.default_rng(0).normal(size=gallery.vectors.shape).astype(np.float32)
    bad = replace(gallery, vectors=noise / np.linalg.norm(noise, axis=1, keepdims=True))
    found, asked = mistakes(bad, most=5)
    assert len(found) == 5 and asked == len(held_out_rows(bad, 4000))
    leads = [one.answer_score - one.right_score for one in found]
    assert leads == sorted(leads, reverse=True) and leads[-1] >= 0
    for one in found:
        assert bad.products[one.right] == bad.products[one.query] != bad.products[one.answer]
    write_report(tmp_path / "bad.html", "Bad", evaluate(bad), bad, trained.photos)
    assert (tmp_path / "bad.html").read_text().count("data:image/jpeg") == 3 * min(60, len(mistakes(bad)[0]))
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(trained.settings.data_dir))
    with pytest.raises(SystemExit) as leave:
        main(["index", "evaluate", "--quick", "--json", "--report", str(tmp_path / "report.html")])
    assert not leave.value.code and "street" not in json.loads(capsys.readouterr().out)["slices"]
    assert "Worst errors" in (tmp_path / "report.html").read_text()
