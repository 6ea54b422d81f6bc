"""What the recall benchmarks train on: every product they were given, named by it, and no epoch chosen by a query."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from app.wiring import Stores
from benchmarks.baselines import before_training, histograms
from benchmarks.own_stores import own_stores
from benchmarks.snapshots import blind, snapshot_of
from benchmarks.unseen import gathered, measured, without
from catalogue.imports import import_path
from catalogue.queries import product_photos
from catalogue.snapshots import SnapshotPhoto
from tests.conftest import picture
from training.recipes import Recipe


def photos(*sides: str) -> list[SnapshotPhoto]:
    return [SnapshotPhoto(f"{at}", at, f"p{at}", "m", "", f"{at}", side) for at, side in enumerate(sides)]


def test_an_import_that_was_killed_half_way_ends_the_same(stores: Stores, make_folder: Callable[..., Path],
                                                          tmp_path: Path) -> None:
    tested = make_folder(tmp_path / "tested", models=1)
    others = [make_folder(tmp_path / name / "extra", models=1, first=first) for name, first in (("a", 10), ("b", 20))]
    import_path(stores.database, stores.photos, tested)  # as far as it came
    found = gathered(stores, Namespace(photos=tested, test=["made"], among=[], train=[], also=others, half=False,
                                       hold_out=0))
    with Session(stores.readers) as session:
        assert list(found.rows) == product_photos(session)
    keys = np.array([row.model_key for row in found.rows])
    assert len(set(keys[found.test])) == 1 and found.test.sum() == 8
    assert len(set(keys[found.trained])) == 2 and (found.trained == ~found.test).all()  # two folders of one name


def test_each_recipe_is_trained_and_asked_with_its_colours_and_without(stores: Stores, tmp_path: Path,
                                                                       make_folder: Callable[..., Path]) -> None:
    tested = make_folder(tmp_path / "tested", models=2)
    others = [make_folder(tmp_path / "other" / "extra", models=2, first=10)]
    asked = gathered(stores, Namespace(photos=tested, test=["made"], among=[], train=[], also=others, half=False,
                                       hold_out=0))
    plain = replace(Recipe(), backbone="cnn3", size=16, epochs=1, views=4, batch=8)
    found, trainings = measured(stores, asked, {"plain": plain, "coloured": replace(plain, colours=4)})
    assert list(trainings) == ["plain", "coloured"]
    ways = ("colour histogram", "untrained network", "plain", "coloured", "coloured, without its colours")
    assert list(found) == [name for way in ways for name in (way, f"{way}, disturbed")]
    assert all(row["queries"] == asked.test.sum() for row in found.values())


def test_colours_are_left_out_at_unit_length() -> None:
    assert np.allclose(without(np.array([[0.48, 0.64, 0.6], [0.0, 1.0, 0.0]]), 1), [[0.6, 0.8], [0.0, 1.0]])


def test_other_photos_are_another_snapshot(tmp_path: Path) -> None:
    one, other = photos("train", "unseen"), photos("unseen", "train")
    assert snapshot_of(one, tmp_path) == snapshot_of(tuple(one), tmp_path)
    assert snapshot_of(one, tmp_path).digest != snapshot_of(other, tmp_path).digest


def test_queries_choose_no_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (replace(Recipe(), keep="best"), replace(Recipe(), patience=3)):
        assert blind(asked) == Recipe() and "keep=last patience=0" in capsys.readouterr().err
    assert blind(Recipe()) == Recipe() and capsys.readouterr().err == ""


def test_a_benchmark_leaves_the_users_catalogue_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", f"sqlite:///{tmp_path}/the-users.db")
    stores = own_stores(tmp_path / "own")
    assert stores.settings.database == f"sqlite:///{tmp_path}/own/catalogue.db"
    assert not (tmp_path / "the-users.db").exists()


def test_the_white_of_a_studio_does_not_outweigh_the_shoe() -> None:
    def studio(colour: tuple[int, int, int], width: int) -> Image.Image:
        image = Image.new("RGB", (128, 128), "white")
        image.paste(colour, (0, 0, width, 40))
        return image

    red, other_red, blue = histograms([studio((200, 0, 0), 60), studio((200, 0, 0), 50), studio((0, 0, 200), 60)])
    assert red @ other_red > 0.98 and red @ blue < 0.9 and np.allclose(np.linalg.norm(red), 1)


def test_a_baseline_sees_photos_as_the_recipe_does() -> None:
    recipe, wide = Recipe(backbone="cnn3", size=16), [picture(1, (96, 24))]
    padded, stretched = (before_training(wide, replace(recipe, fit=fit)) for fit in ("pad", "stretch"))
    assert not np.allclose(padded, stretched)
