"""The index: search by product, decision, evaluation, gate, engine, and a build that a kill cannot hurt."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from app.commands.indexing import build_with_bar
from app.commands.training import train_with_bars
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import BadRelease
from catalogue.gallery_items import register
from catalogue.queries import ProductPhotoRow
from catalogue.snapshots import SplitShares, take_snapshot
from index.build import gallery_of
from index.calibration import calibration_rows, fit_decision
from index.decision import EXACT, UNKNOWN, Decision, Evidence, colour_length, evidence_of, read_decision
from index.disturbed import disturbed
from index.engine import Engine
from index.evaluate import Queries, evaluate, evaluate_queries
from index.gallery import Gallery, read_gallery
from index.search import Part
from index.view import View, view_of
from training.recipes import Recipe


def made_gallery(products: int = 40, photos: int = 4, noise: float = 0.15, seed: int = 0, width: int = 32) -> Gallery:
    """Products in pairs of colourways: their photos scatter around a direction of their own near their model's."""
    random = np.random.default_rng(seed)
    models = np.repeat(random.normal(size=(products // 2, width)), 2, axis=0)
    directions = models + 0.7 * random.normal(size=(products, width))
    scatter = noise * width**0.5 * random.normal(size=(products * photos, width))
    vectors = np.repeat(directions, photos, axis=0) + scatter
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    count = products * photos
    return Gallery(
        ids=np.arange(100, 100 + count), products=np.repeat(np.arange(1, products + 1), photos),
        photos=np.array([f"{row:064x}" for row in range(count)]), groups=np.arange(count),
        sides=np.array(["train", "val", "unseen", "new"] * (count // 4)), vectors=vectors,
        places=np.tile(np.arange(photos), products),
        product_ids=np.arange(1, products + 1), keys=np.array([f"k{row}" for row in range(products)]),
        brands=np.array(["A", "A", "B", "B"] * (products // 4)), models=np.repeat(np.arange(products // 2), 2),
        types=np.where(np.arange(products) % 4 < 2, "boot", "sandal"))


def test_a_near_duplicate_of_what_was_trained_on_is_not_held_out() -> None:
    rows = [ProductPhotoRow(1, name, dhash, "one", "one", "", "", 0)
            for name, dhash in (("old", "0" * 16), ("again", "0" * 15 + "3"), ("other", "f" * 16))]
    vectors = dict.fromkeys(("old", "again", "other"), np.ones(4, np.float32) / 2)
    made = gallery_of(rows, {(1, row.sha256): at for at, row in enumerate(rows)}, vectors, {"old": "train"})
    assert made.sides.tolist() == ["train", "train", "new"]


def searcher(gallery: Gallery, folder) -> View:
    gallery.write(folder)
    return view_of((Part("index-made", *read_gallery(folder)),))


def fitted_on_itself(gallery: Gallery) -> Decision | None:
    rows, name = calibration_rows(gallery)
    return fit_decision(gallery, [Queries(gallery.vectors[rows], rows)], name)


def test_a_disturbed_photo_is_the_same_each_time_and_not_the_studio_one() -> None:
    studio = Image.new("RGB", (200, 120), "white")
    studio.paste((200, 30, 30), (50, 40, 150, 90))
    one, same, other = (np.asarray(disturbed(studio, seed), float) for seed in (1, 1, 2))
    assert one.shape == (256, 256, 3) and (one == same).all() and np.abs(one - other).mean() > 5
    assert (one == 255).mean() < 0.1 and ((one[..., 0] > 1.5 * one[..., 1]) & (one[..., 0] > 60)).mean() > 0.02
    assert disturbed(Image.new("RGB", (1, 3)), 0).size == (256, 256)


def test_search_gives_distinct_products_as_a_full_scan_does(tmp_path) -> None:
    gallery = made_gallery()
    found = searcher(gallery, tmp_path)
    query = gallery.vectors[7:9]
    for wanted in (1, 5, 40, 100):
        matches = found.search(query, wanted)
        best = {int(p): (gallery.vectors[gallery.products == p] @ query.T).max() for p in gallery.product_ids}
        expected = sorted(best, key=lambda product: -best[product])[:wanted]
        assert [match.product_id for match in matches] == expected
        assert np.allclose([match.score for match in matches], [best[p] for p in expected], atol=1e-5)


def test_many_photos_of_one_product_crowd_nobody_out(tmp_path) -> None:
    gallery = made_gallery(products=12, photos=4)
    crowd = replace(gallery, products=np.where(np.arange(48) < 37, 1, gallery.products))
    assert len({match.product_id for match in searcher(crowd, tmp_path).search(gallery.vectors[:1], 3)}) == 3


def test_a_gallery_reads_back_or_is_refused(tmp_path) -> None:
    gallery = made_gallery()
    gallery.write(tmp_path)
    again, _ = read_gallery(tmp_path)
    assert np.array_equal(again.vectors, gallery.vectors) and np.array_equal(again.photos, gallery.photos)
    (tmp_path / "index.faiss").write_bytes(b"half")
    with pytest.raises(BadRelease, match="build it again"):
        read_gallery(tmp_path)
    with pytest.raises(ValueError, match="unique"):
        replace(gallery, ids=np.zeros(len(gallery.ids), int))


def test_evaluation_of_easy_and_hopeless_galleries() -> None:
    easy, hopeless = evaluate(made_gallery(noise=0.01)), evaluate(made_gallery(noise=50))
    assert easy["recall@1"] == 1.0 and hopeless["recall@1"] < 0.2
    assert easy["headline"] == "held_out" and easy["queries"] == 120 and easy["slices"]["all"]["queries"] == 160
    gallery = made_gallery(noise=0.01)
    outside = evaluate_queries(gallery, gallery.vectors[::4], gallery.products[::4])
    assert outside["recall@1"] == 1.0 and outside["queries"] == 40


def test_the_decision_knows_what_it_does_not_know() -> None:
    fitted = fitted_on_itself(made_gallery(products=120, noise=0.1))
    assert fitted is not None and fitted.fitted_on == "held-out"
    assert fitted.false_accepts <= 0.06 and fitted.true_accepts >= 0.8 and fitted.calibration_error < 0.05
    other = made_gallery(products=120, noise=0.1, seed=1)
    again = fitted_on_itself(other)
    assert again is not None
    assert Decision(**again.as_dict()) == again
    assert again.false_models is not None and again.false_models <= 0.08 and 0.3 < (again.unknowns or 0) < 0.7
    assert "another colour of a model that is" in str(again) and (again.siblings_named or 0) > 0.3
    assert fitted.decide(Evidence(0.97, 0.4, 0.5, 0.5, 0.35))[0] == EXACT
    verdict, confidence = fitted.decide(Evidence(0.2, 0.01, 0.01, 0.15, -0.01))
    assert verdict == UNKNOWN and confidence < 0.5


def test_the_decision_counts_photos_not_the_looks_they_are_asked_in() -> None:
    def fitted(gallery: Gallery, looks: int) -> Decision | None:
        rows, name = calibration_rows(gallery)
        return fit_decision(gallery, [Queries(gallery.vectors[rows], rows)] * looks, name)

    enough = made_gallery(products=120, noise=0.1)
    once, twice = fitted(enough, 1), fitted(enough, 2)
    assert once is not None and twice is not None and once.queries == twice.queries
    assert fitted(made_gallery(products=4, photos=4), 1) is None, "16 photos are too few to fit on"
    assert fitted(made_gallery(products=4, photos=4), 2) is None, "asked twice they are still 16"


def test_scores_are_judged_by_how_much_the_querys_colours_count() -> None:
    learnt, colours = made_gallery(products=120, noise=0.15), made_gallery(products=120, noise=0.05, seed=1)
    rows, name = calibration_rows(learnt)

    def joined(length: float) -> np.ndarray:
        vectors = np.concatenate([learnt.vectors, length * colours.vectors], 1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    gallery = replace(learnt, vectors=joined(1.0))
    looks = [Queries(joined(length)[rows], rows) for length in (1.0, 0.0)]
    width = colours.vectors.shape[1]
    blind, seeing = fit_decision(gallery, looks, name), fit_decision(gallery, looks, name, width)
    assert blind is not None and seeing is not None
    assert seeing.true_accepts > blind.true_accepts + 0.1 and seeing.false_accepts <= 0.06
    assert colour_length(looks[0].vectors[0], width) == pytest.approx(0.5**0.5) and colour_length(np.ones(4), 0) == 0


def test_no_decision_is_fitted_where_no_shoe_can_be_missing() -> None:
    alike = made_gallery(products=12, photos=4)
    assert fitted_on_itself(replace(alike, models=np.zeros(12, int))) is None


def test_a_photo_of_the_gallery_itself_is_exact_and_one_photo_is_enough() -> None:
    fitted = fitted_on_itself(made_gallery(products=120, noise=0.1))
    assert fitted is not None
    assert fitted.decide(Evidence(1.0, 0.02, 0.3, 0.6, -0.2))[0] == EXACT
    alone, seconded = Evidence(0.97, 0.4, 0.5, 0.5, None), Evidence(0.97, 0.4, 0.5, 0.5, 0.4 - fitted.gap)
    assert fitted.decide(alone) == pytest.approx(fitted.decide(seconded)) and fitted.decide(alone)[0] == EXACT


def test_the_decision_of_a_former_version_is_read_and_goes_by_its_three_features() -> None:
    former = {"product": [-9.0, 8.0, 20.0, 1.0], "model": [-5.0, 8.0, 1.0, 9.0], "exact_from": 0.6, "model_from": 0.5,
              "similar_from": 0.4, "true_accepts": 0.8, "false_accepts": 0.05, "false_accepts_siblings": 0.1,
              "calibration_error": 0.1, "queries": 50, "fitted_on": "held-out"}
    found = read_decision(former)
    assert found is not None and found.decide(Evidence(0.9, 0.3, 0.3, 0.5, None))[0] == EXACT
    assert found.decide(Evidence(0.1, 0.0, 0.0, 0.1, 0.3))[0] == UNKNOWN and read_decision(None) is None


def test_a_gallery_without_queries_measures_nothing_and_is_valid_json() -> None:
    single = made_gallery(products=12, photos=4)
    single = replace(single, groups=single.products.copy())
    found = evaluate(single)
    assert found["queries"] == 0 and found["recall@1"] is None
    json.dumps(found, allow_nan=False)
    assert fitted_on_itself(single) is None


def test_too_few_photos_fit_no_decision() -> None:
    assert fitted_on_itself(made_gallery(products=4)) is None


def test_an_answer_is_judged_by_the_colours_of_its_own_photo(stocked: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(size=32, epochs=1, views=4, batch=16, precision="fp32", colours=8)
    snapshot = take_snapshot(stocked.database, stocked.snapshots, SplitShares())
    network = stocked.releases.open(train_with_bars(stocked, snapshot, recipe))
    index = stocked.releases.open(build_with_bar(stocked, network))
    engine = Engine(index, network, embedder_of(stocked, network))
    engine.decision = Decision((0.0,) * 7, (0.0,) * 7, 0.9, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 20, "unseen")
    seen: list[float] = []
    monkeypatch.setattr("index.engine.evidence_of",
                        lambda *evidence: seen.append(evidence[3]) or evidence_of(*evidence))
    studio = Image.new("RGB", (64, 64), "white")
    studio.paste((200, 30, 30), (16, 20, 48, 40))
    street = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    for photo in (studio, street):
        engine.identify(photo)
    assert seen == pytest.approx([0.5**0.5, 0], abs=0.01)


def test_ids_stay_with_their_photos(stocked: Stores) -> None:
    with Session(stocked.database) as session, session.begin():
        from catalogue.queries import product_photos
        pairs = [(row.product_id, row.sha256) for row in product_photos(session)]
        first = register(session, pairs[:10])
        both = register(session, reversed(pairs))
        assert len(set(both.values())) == len(pairs) and first.items() <= both.items()


def test_the_engine_finds_every_photo_of_its_gallery(trained: Stores) -> None:
    index = trained.releases.live("index")
    network = network_of(trained, index)
    engine = Engine(index, network, embedder_of(trained, network))
    engine.self_check([(name, trained.photos.image(name)) for name in engine.probes()])
    for row in range(0, len(engine.gallery.ids), 7):
        found = engine.identify(trained.photos.image(str(engine.gallery.photos[row])))
        assert found.best.score == pytest.approx(1, abs=1e-4)
        assert found.best.product_id == engine.gallery.products[row]
        shown = [match.product_id for match in found.similar]
        assert len(shown) == len(set(shown)) == 10 and found.best.product_id not in shown
        assert len(found.colourways) == 1 and found.colourways[0].product_id not in shown
        assert 0 < found.probability <= 1 and found.predicted_key in engine.embedder.card.classes


def test_vectors_of_another_network_are_refused(trained: Stores) -> None:
    index = trained.releases.live("index")
    network = network_of(trained, index)
    embedder = embedder_of(trained, network)
    with pytest.raises(BadRelease, match="was built with"):
        Engine(index, replace(network, name="network-other"), embedder)
    engine = Engine(index, network, embedder)
    probe = engine.probes()[0]
    with pytest.raises(BadRelease, match="does not find its own photo"):
        engine.self_check([(probe, trained.photos.image(engine.probes()[-1]))])


PROGRAM = """
import os
import sys
from pathlib import Path
from app.commands.indexing import build_with_bar
from app.settings import Settings
from app.wiring import open_stores
import index.build
stores = open_stores(Settings(data_dir=Path(sys.argv[1])))
photos = stores.photos.image
def slow(name):
    os.write(1, b"photo\\n")  # by several threads
    __import__("time").sleep(0.05)
    return photos(name)
stores.photos.image = slow
build_with_bar(stores, stores.releases.newest("network"))
"""


def test_a_killed_build_leaves_the_live_index_and_the_next_one_finishes(trained: Stores) -> None:
    live = trained.releases.live("index").name
    builder = subprocess.Popen([sys.executable, "-c", PROGRAM, str(trained.settings.data_dir)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert builder.stdout is not None
    for _ in range(5):
        assert builder.stdout.readline() == "photo\n"
    os.kill(builder.pid, signal.SIGKILL)
    builder.wait()
    assert trained.releases.live("index").name == live
    assert build_with_bar(trained, trained.releases.newest("network")) == live
    assert not list((trained.releases.folder / "index").iterdir())
