"""The gate: losses on slices, an emptied catalogue, a network that learned nothing, and one trained on wrong labels."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.commands.indexing import build_with_bar, open_whole
from app.commands.releases import promote_gated
from app.commands.training import train_with_bars
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import GateRefused
from catalogue.imports import import_path
from catalogue.snapshots import Snapshot, SplitShares, _write, take_snapshot
from index.gate import (
    Comparison,
    Named,
    check,
    check_decision,
    check_named,
    check_size,
    check_untrained,
    compare,
    compare_untrained,
)
from training.recipes import Recipe
from vision.untrained import untrained


def test_the_gate_refuses_a_loss() -> None:
    check([Comparison("all", 100, 0.80, 0.81), Comparison("unseen", 30, 0.9, 0.7)])
    check([])
    with pytest.raises(GateRefused, match="'unseen'"):
        check([Comparison("all", 100, 0.9, 0.8), Comparison("unseen", 30, 0.60, 0.70)])
    with pytest.raises(GateRefused, match="'street'"):
        check([Comparison("held_out", 400, 0.9, 0.9), Comparison("street", 300, 0.27, 0.32, worse=30, better=15)])
    check([Comparison("street", 300, 0.27, 0.32, worse=115, better=100)])  # so many changed places: chance
    check([Comparison("held_out", 400, 0.9, 0.9), Comparison("type boot", 20, 0.80, 0.90, worse=2)])


def test_a_candidate_of_half_the_size_is_refused() -> None:
    check_size(50, 100)
    with pytest.raises(GateRefused, match="holds 10 photos"):
        check_size(10, 72)


def test_a_candidate_that_would_call_everything_unknown_is_refused() -> None:
    check_decision({"exact_from": 0.9}, {"exact_from": 0.9})
    check_decision(None, None)
    with pytest.raises(GateRefused, match="every shoe unknown"):
        check_decision(None, {"exact_from": 0.9})


def test_who_learned_nothing_is_refused() -> None:
    check_untrained(Comparison("held_out", 100, 0.60, 0.40))
    check_untrained(Comparison("held_out", 100, 0.97, 0.97))  # so easy that nothing can be told
    with pytest.raises(GateRefused, match=r"random weights has 0\.400"):
        check_untrained(Comparison("held_out", 100, 0.41, 0.40))
    check_named(Named(5, 200, 1000))
    check_named(Named(0, 10, 1000))  # too few to tell
    with pytest.raises(GateRefused, match="no more than guessing"):
        check_named(Named(14, 200, 20))


def test_the_same_network_loses_nothing_and_an_untrained_one_loses(trained: Stores) -> None:
    index = trained.releases.live("index")
    gallery, embedder = open_whole(trained, index), embedder_of(trained, network_of(trained, index))
    assert all(one.lost == 0 for one in compare(gallery, embedder, None, trained.photos))
    twin = compare(gallery, embedder, embedder_of(trained, network_of(trained, index)), trained.photos)
    assert {"held_out", "flipped", "small", "street"} <= {one.slice for one in twin}
    assert all(abs(one.lost) <= 0.05 for one in twin)
    found = compare_untrained(gallery, untrained(embedder.card), trained.photos)
    assert found is not None and found.slice == "held_out" and found.live < found.candidate


def shuffled(snapshot: Snapshot, folder: Path) -> Snapshot:
    """The same photos on the same sides with the labels of others."""
    labels = [(photo.product_id, photo.product_key, photo.model_key) for photo in snapshot.photos]
    random.Random(0).shuffle(labels)
    return _write(folder, [replace(photo, product_id=number, product_key=key, model_key=model)
                           for photo, (number, key, model) in zip(snapshot.photos, labels, strict=True)])


def indexed(stores: Stores, snapshot: Snapshot) -> str:
    recipe = Recipe(size=32, epochs=4, views=8, batch=16, precision="fp32", geometry=0.2)
    return build_with_bar(stores, stores.releases.open(train_with_bars(stores, snapshot, recipe)))


def test_a_network_trained_on_shuffled_labels_is_refused(stores: Stores, make_folder: Callable[..., Path],
                                                         tmp_path: Path) -> None:
    import_path(stores.database, stores.photos, make_folder(tmp_path / "folder", models=12, views=6))
    snapshot = take_snapshot(stores.database, stores.snapshots, SplitShares(val=0.4, unseen=0.0))
    wrong = indexed(stores, shuffled(snapshot, stores.snapshots))
    with pytest.raises(GateRefused):
        promote_gated(stores, "index", wrong, force=False)
    right = indexed(stores, snapshot)
    assert "held-out photos" in promote_gated(stores, "index", right, force=False)
    with pytest.raises(GateRefused):
        promote_gated(stores, "index", wrong, force=False)
    assert stores.releases.live_name("index") == right
    assert f"{wrong} is live" in promote_gated(stores, "index", wrong, force=True)
