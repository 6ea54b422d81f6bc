"""Training: recipes, sampling, augmentation, and a loop that a kill cannot hurt."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.wiring import Stores
from catalogue.errors import BadInput
from catalogue.snapshots import SnapshotPhoto, SplitShares, take_snapshot
from tests.conftest import encoded, picture
from training.augmentation import augment
from training.losses import margin_at
from training.measuring import Predictions, fit_temperature, held_out, predict, train_top1
from training.optimizing import rate_at
from training.pixels import pack_readable
from training.recipes import Recipe, read_recipe
from training.report import write_report
from training.sampling import balanced_epoch
from training.sku import train
from training.starting import new_network
from vision.networks import Network
from vision.preprocessing import Preprocessing, foreground
from vision.saved import NetworkCard, read_card

QUICK = Recipe(size=32, epochs=3, views=4, batch=16, precision="fp32")


def test_a_recipe_is_changed_by_file_and_words(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("epochs = 7\nflip = false\n")
    found = read_recipe(tmp_path / "r.toml", ["lr=0.5", "epochs=9"])
    assert (found.epochs, found.flip, found.lr) == (9, False, 0.5)
    assert found.digest != Recipe().digest == read_recipe(None).digest
    for bad in ("nothing=1", "epochs=0", "epochs=x", "flip=maybe", "lr", "precision=fp8", "erase=2", "backbone=vgg",
                "size=5000", "batch=1", "lr=-1", "head=x", "scale=0", "views=5", "head=linear", "loss=x",
                "subcenters=3", "levels=5", "pooling=token", "size_from=200", "train_size=300", "memory=3", "frozen=30",
                "mixup=1.5", "ema=1", "compile=x"):
        with pytest.raises(BadInput):
            read_recipe(None, [bad])


def test_an_epoch_is_balanced_and_repeatable() -> None:
    labels = np.array([0] * 10 + [1] + [2] * 3)
    families = labels // 2
    rows = balanced_epoch(labels, families, views=6, group=2, seed=1, epoch=2)
    assert np.bincount(labels[rows]).tolist() == [6, 6, 6]
    assert len(set(rows[labels[rows] == 0])) == 6  # different photos before any comes twice
    assert (labels[rows].reshape(-1, 2)[:, 0] == labels[rows].reshape(-1, 2)[:, 1]).all()
    same = balanced_epoch(labels, families, 6, 2, 1, 2)
    assert (rows == same).all() and (rows != balanced_epoch(labels, families, 6, 2, 1, 3)).any()


def test_augmentation_at_zero_strength_changes_nothing() -> None:
    packed = torch.randint(0, 256, (3, 16, 16, 4), dtype=torch.uint8)
    off = replace(Recipe(), background=0, geometry=0, light=0, blur=0, erase=0, flip=False)
    assert torch.equal(augment(packed, off, torch.Generator(), 16), packed[..., :3].permute(0, 3, 1, 2).float())


def test_augmentation_keeps_hue_apart() -> None:
    red, blue = (np.full((8, 32, 32, 4), 255, np.uint8) for _ in range(2))
    red[..., :3], blue[..., :3] = (200, 30, 30), (30, 30, 200)
    strong = replace(Recipe(), background=0, geometry=0, light=1, blur=1, erase=0)
    random = torch.Generator().manual_seed(0)
    for packed, main, other in ((red, 0, 2), (blue, 2, 0)):
        found = augment(torch.from_numpy(packed), strong, random, packed.shape[1]).mean((2, 3))
        assert (found[:, main] > found[:, other]).all()


def test_only_the_ground_is_replaced() -> None:
    shoe = np.full((1, 32, 32, 4), 255, np.uint8)
    shoe[:, 10:20, 8:24, :3] = (200, 40, 40)
    shoe[..., 3] = foreground(shoe[0, ..., :3])
    assert (shoe[0, 10:20, 8:24, 3] == 255).all() and (shoe[0, :5, :, 3] == 0).all()
    only = replace(Recipe(), background=1, geometry=0, light=0, blur=0, erase=0, flip=False)
    found = augment(torch.from_numpy(shoe), only, torch.Generator().manual_seed(3), shoe.shape[1])[0]
    assert torch.equal(found[:, 12:18, 10:22], torch.tensor([200.0, 40, 40]).view(3, 1, 1).expand(3, 6, 12))
    assert (found[:, :5] - 255).abs().mean() > 5


def test_a_photo_without_plain_ground_is_all_foreground() -> None:
    assert (foreground(np.asarray(picture(4, (32, 32)))) == 255).all()


def test_schedule() -> None:
    recipe = Recipe(lr=0.1, batch=128, warmup=0.1, margin=0.2, scale=10, margin_warmup=0.5)
    assert rate_at(recipe, 0.1) == pytest.approx(0.2) and rate_at(recipe, 0.05) < 0.2 > rate_at(recipe, 0.5)
    assert rate_at(recipe, 0.999) < 0.001
    assert margin_at(recipe, 0.25) == pytest.approx(0.1) and margin_at(recipe, 0.9) == pytest.approx(0.2)
    assert margin_at(replace(recipe, margin_warmup=0), 0) == 0.2


def test_temperature_softens_what_was_too_sure() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 400)
    said = np.where(random.random(400) < 0.7, truth, random.integers(0, 3, 400))
    assert fit_temperature(12.0 * np.eye(3)[said], truth) > 2
    assert fit_temperature(np.empty((0, 3)), np.empty(0, int)) == 1.0


def run(stores: Stores, recipe: Recipe, **options: object) -> str:
    snapshot = take_snapshot(stores.database, stores.snapshots, SplitShares(0.2, 0.2))
    return train(snapshot, recipe, stores.photos, stores.releases, stores.runs, "cpu", **options)


def test_a_release_carries_what_it_was_made_of(stocked: Stores) -> None:
    name = run(stocked, QUICK)
    folder = stocked.releases.open(name).folder
    card = read_card(folder)
    assert card.snapshot and card.recipe["epochs"] == 3
    assert card.measures.keys() >= {"parameters", "epochs", "saved_epoch", "train_top1", "val_top1", "val_top5",
                                    "val_recall1", "val_recall5", "unseen_recall1", "loss", "photos_per_s", "seconds"}
    assert "Worst confusions" in (folder / "report.html").read_text()
    assert run(stocked, QUICK) == name  # the same call again returns what it made


def test_a_student_learns_from_a_release_and_from_none_that_cannot_teach_it(stocked: Stores) -> None:
    teacher = run(stocked, replace(QUICK, epochs=1))
    for by in ("logits", "embedding"):
        name = run(stocked, replace(QUICK, epochs=1, teacher=teacher, distill_by=by))
        assert read_card(stocked.releases.open(name).folder).recipe["teacher"] == teacher
    with pytest.raises(BadInput, match="set embedding=512"):
        run(stocked, replace(QUICK, epochs=1, teacher=teacher, distill_by="embedding", embedding=32))


def test_naming_and_retrieval_are_asked_the_same_photos() -> None:
    photos = [SnapshotPhoto(str(at), product, f"p{product}", "m", "", str(at), split)
              for at, (product, split) in enumerate([(0, "train"), (0, "val"), (1, "train"), (1, "val"), (2, "val")])]
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    best = np.array([[0, 1], [1, 0], [1, 0], [1, 0], [0, 1]])
    found = held_out(Predictions(vectors, best), photos, ("p0", "p1"))  # p2 has no class: nobody asks for it
    assert found == {"val_top1": 0.5, "val_top5": 1.0, "val_recall1": 0.5, "val_recall5": 1.0}
    assert train_top1(Predictions(vectors, best), photos, ("p0", "p1")) == 1.0


def test_a_photo_that_nothing_else_shows_is_no_confusion(stores: Stores, tmp_path: Path) -> None:
    names = [stores.photos.put(encoded(picture(at))).sha256 for at in range(4)]
    photos = [SnapshotPhoto(name, product, f"p{product}", "m", "", name, split) for name, product, split in
              zip(names, (0, 1, 1, 1), ("unseen", "train", "train", "val"), strict=True)]
    found = Predictions(np.eye(2, dtype=np.float32)[[0, 1, 1, 1]], np.zeros((4, 1), int))
    card = NetworkCard({}, Preprocessing(16), ("p1",), 2)
    write_report(tmp_path / "report.html", card, [{"epoch": 1, "loss": 0.5}], found, photos, stores.photos)
    assert "None among the held-out photos" in (tmp_path / "report.html").read_text()


def test_with_nothing_held_out_no_epoch_is_measured(stocked: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(network: Network, packed: np.ndarray, rows: Sequence[int], *rest: Any) -> Predictions:
        asked.append(len(rows))
        return predict(network, packed, rows, *rest)

    monkeypatch.setattr("training.sku.predict", counted)
    snapshot = take_snapshot(stocked.database, stocked.snapshots, SplitShares(0.0, 0.0))
    train(snapshot, replace(QUICK, epochs=2), stocked.photos, stocked.releases, stocked.runs, "cpu")
    assert asked == [len(snapshot.photos)]  # when it is published


def test_a_recipe_that_is_refused_leaves_no_photos_behind(stocked: Stores) -> None:
    for wrong in (replace(QUICK, start="shipped", backbone="resnet50"),
                  replace(QUICK, backbone="alexnet", size=227, size_from=16)):
        with pytest.raises(BadInput):
            run(stocked, wrong)
    assert not list(stocked.runs.rglob("pixels.u8"))


def test_killed_while_it_tidies_up_it_can_be_trained_again(stocked: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink, recipe = Path.unlink, replace(QUICK, epochs=1)

    def die(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path.name.startswith("pixels.") and (path.parent / "release").is_file():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", die)
        run(stocked, recipe)
    next(stocked.runs.glob("sku-*/release")).unlink()
    assert run(stocked, recipe) in stocked.releases.names()


def test_an_embedding_of_another_width(stocked: Stores) -> None:
    name = run(stocked, replace(QUICK, embedding=48, epochs=1))
    assert stocked.releases.open(name).manifest["width"] == 48


PROGRAM = """
import sys
from pathlib import Path
from app.settings import Settings
from app.wiring import open_stores
from catalogue.snapshots import SnapshotPhoto, SplitShares, take_snapshot
from training.recipes import Recipe
from training.loop import Watch
from training.sku import train
stores = open_stores(Settings(data_dir=Path(sys.argv[1])))
snapshot = take_snapshot(stores.database, stores.snapshots, SplitShares(0.2, 0.2))
recipe = Recipe(size=32, epochs=3, views=4, batch=16, precision="fp32")

def step(now):
    print("step", now.epoch, now.step, flush=True)
    sys.stdin.readline()  # goes on when it is told to, or nobody is there to tell it

print(train(snapshot, recipe, stores.photos, stores.releases, stores.runs, "cpu", Watch(step=step)))
"""


def shot_and_begun_again(program: str, folder: Path, at: str) -> list[str]:
    """What a program says that was killed when it had said the line `at`, and is run again: it is told to go on after
    each line."""
    runner = [sys.executable, "-c", program, str(folder)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(runner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                             env=surroundings)
    assert first.stdout is not None and first.stdin is not None
    while first.stdout.readline() != at:
        first.stdin.write("on\n")
    first.kill()
    assert first.wait() == -signal.SIGKILL
    return subprocess.run(runner, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
                          env=surroundings).stdout.splitlines()


def test_killed_and_started_again_it_ends_as_if_it_never_was(stocked: Stores) -> None:
    *steps, name = shot_and_begun_again(PROGRAM, stocked.settings.data_dir, "step 3 1\n")
    assert steps[0] == "step 3 1"  # at most one epoch was lost
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums depend on it
    whole = run(replace(stocked, runs=stocked.runs / "whole"), QUICK)
    torch.set_num_threads(threads)
    weights = [stocked.releases.open(one).manifest["files"]["weights.pt"] for one in (name, whole)]
    assert name != whole and weights[0] == weights[1]


def test_photos_that_are_gone_or_damaged_are_left_out_of_training(stocked: Stores, monkeypatch: pytest.MonkeyPatch,
                                                                  caplog: pytest.LogCaptureFixture) -> None:
    snapshot = take_snapshot(stocked.database, stocked.snapshots, SplitShares(0.2, 0.2))
    gone, damaged, *_ = (photo.sha256 for photo in snapshot.side("train"))
    stocked.photos.path(gone).unlink()
    stocked.photos.path(damaged).write_bytes(stocked.photos.path(damaged).read_bytes()[:300])
    quick = replace(QUICK, epochs=1)
    made = train(snapshot, quick, stocked.photos, stocked.releases, stocked.runs, "cpu")
    measures = stocked.releases.open(made).manifest["measures"]
    assert measures["photos"] == len(snapshot.side("train")) - 2 and caplog.text.count("left out of training") == 2
    folder = stocked.runs / "again"
    names = [photo.sha256 for photo in snapshot.photos]
    packed, rows = pack_readable(stocked.photos, names, quick.preprocessing, folder)
    assert len(packed) == len(rows) == len(names) - 2
    monkeypatch.setattr("training.pixels.foreground", pytest.fail)  # what lies ready is not packed again
    assert pack_readable(stocked.photos, names, quick.preprocessing, folder)[1] == rows


def test_training_refuses_what_it_cannot_use(stocked: Stores) -> None:
    for start, says in (("nowhere.pt", "no weights file"), ("torchvision:None", "knows no weights")):
        with pytest.raises(BadInput, match=says):
            new_network(replace(QUICK, start=start), 3)
    snapshot = take_snapshot(stocked.database, stocked.snapshots, SplitShares(0.0, 0.89))
    few = replace_side(snapshot)
    with pytest.raises(BadInput, match="at least two"):
        train(few, QUICK, stocked.photos, stocked.releases, stocked.runs, "cpu")


def replace_side(snapshot):
    return replace(snapshot, photos=tuple(replace(photo, split="unseen") for photo in snapshot.photos))
