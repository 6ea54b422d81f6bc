"""The search for settings: spaces, trials that end early or fail, and a search that a kill cannot hurt."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from app.wiring import Stores
from catalogue.errors import BadInput, Busy
from catalogue.files import lock
from catalogue.snapshots import Snapshot, SnapshotPhoto
from tests.training.test_training import shot_and_begun_again
from training import tune
from training.loop import Step, Watch
from training.recipes import Recipe, read_recipe
from training.space import DEFAULT, Choice, Range, read_space
from training.trials import draw, recipe_text, records, table

QUICK = Recipe(size=32, epochs=3, views=4, batch=16, precision="fp32")
SPACE = {"lr": Range(0.01, 0.1, log=True), "views": Choice((4, 8))}
PHOTOS = tuple(SnapshotPhoto(f"{product}{view}", product, str(product), str(product), "", f"{product}{view}", side)
               for product, side in ((1, "train"), (2, "train"), (3, "unseen")) for view in range(2))


def test_the_default_space_is_one_of_the_recipe() -> None:
    space = read_space(DEFAULT, Recipe())
    assert space["lr"] == Range(0.003, 0.1, log=True) and isinstance(space["embedding"], Choice)


@pytest.mark.parametrize(("text", "says"), [
    ("", "names no setting"), ("lr = ", "cannot be read"), ("speed = {low = 1}", "no setting 'speed'; it has"),
    ("lr = 3", "lr must be {low"), ("lr = {low = 1}", "high must be a number, not None"),
    ("lr = {low = 2, high = 1}", r"low \(2\) must be below"), ("lr = {low = 1, hi = 2}", "there is no 'hi'"),
    ("lr = {low = 0, high = 1, log = true}", "low must be above 0"), ("lr = {low = 'a', high = 1}", "low must be a"),
    ("backbone = {low = 1, high = 2}", "backbone is a str, which has no low"), ("lr = {choices = []}", "one value or"),
    ("backbone = {choices = ['vgg']}", "backbone cannot be 'vgg': recipe: unknown backbone"),
    ("flip = {choices = ['yes']}", "'yes' must be a bool"), ("lr = {choices = [1], low = 2}", "alone, without low"),
    ("size = {low = 32.5, high = 64}", "low must be an int"), ("erase = {low = 0, high = 2}", "erase cannot be 2"),
    ("epochs = {choices = [1]}", "epochs is not searched"),
    ("patience = {choices = [1, 2]}", "patience is not searched"),
])
def test_a_bad_space_is_named_by_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(BadInput, match=says):
        read_space(tmp_path / "space.toml", Recipe())


def test_values_that_only_go_together_may_stand_in_a_space(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text("group = {choices = [2, 4]}\nviews = {choices = [2, 4]}\nlr = {choices = [1, 0.1]}")
    assert read_space(path, Recipe()) == {"group": Choice((2, 4)), "views": Choice((2, 4)), "lr": Choice((1.0, 0.1))}
    path.write_text("views = {choices = [2, 4]}")
    with pytest.raises(BadInput, match="views cannot be 2"):
        read_space(path, Recipe())


def acted(monkeypatch: pytest.MonkeyPatch, recall: Callable[[Recipe, int], float],
          before: Callable[[Recipe, int], None] = lambda recipe, epoch: None) -> list[tuple[float, int]]:
    """Put a training that only tells measures in the place of the real one; returns the (lr, epoch) it goes through."""
    told: list[tuple[float, int]] = []

    def train(snapshot: Snapshot, recipe: Recipe, store: object, releases: object, runs: Path, device: str,
              watch: Watch, pixels: Path | None = None) -> str:
        for epoch in range(1, recipe.epochs + 1):
            told.append((recipe.lr, epoch))
            before(recipe, epoch)
            assert watch.epoch is not None and watch.step is not None
            watch.step(Step(epoch, recipe.epochs, 1, 1, 0.5 if recall(recipe, epoch) >= 0 else float("nan"), 1.0))
            watch.epoch({"epoch": epoch, "loss": 0.5, "val_recall1": 0.1, "unseen_recall1": recall(recipe, epoch)})
        return "network-published"

    monkeypatch.setattr(tune, "train", train)
    return told


def asked(folder: Path, **changes: Any) -> tune.Search:
    return tune.Search(**{"recipe": QUICK, "space": SPACE, "snapshot": Snapshot("s", folder, PHOTOS),
                          "folder": folder / "search", "pruner": "none", **changes})


NO_MEANS = tune.Means(None, None, "cpu")  # type: ignore[arg-type]


def test_the_best_trial_is_told_and_written_as_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acted(monkeypatch, lambda recipe, epoch: min(1.0, recipe.lr * 10) * epoch / 3)
    search = asked(tmp_path)
    found = tune.search(search, NO_MEANS, trials=5)
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 5
    assert found[0].params["lr"] == QUICK.lr  # the recipe as it is comes first
    first = tune.best(found)
    assert first is not None and first.value == max(trial.value for trial in found) > found[0].value
    (tmp_path / "best.toml").write_text(recipe_text(first, replace(QUICK, epochs=7), found))
    assert read_recipe(tmp_path / "best.toml") == replace(QUICK, epochs=7, **first.params)
    lines = table(found, SPACE).splitlines()
    assert len(lines) == 7 and f"| {first.value:15.3f} |" in lines[2] and "recall@1 unseen" in lines[0]
    draw(found, tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000
    assert len(tune.search(search, NO_MEANS, trials=5)) == 5  # there are enough
    assert len(tune.search(search, NO_MEANS, trials=6)) == 6  # it goes on


def test_what_counts_is_the_epoch_that_would_be_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acted(monkeypatch, lambda recipe, epoch: {1: 0.4, 2: 0.9, 3: 0.6}[epoch])
    assert tune.search(asked(tmp_path / "last"), NO_MEANS, trials=1)[0].value == 0.6
    monkeypatch.setattr(tune, "saved_epoch", lambda rows, recipe: 2)
    assert tune.search(asked(tmp_path), NO_MEANS, trials=1)[0].value == 0.9


def test_bad_trials_are_pruned_and_impossible_ones_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def recall(recipe: Recipe, epoch: int) -> float:
        if recipe.lr not in drawn:
            drawn.append(recipe.lr)
        return {3: 0.0, 4: -1.0}.get(drawn.index(recipe.lr), 0.8)  # the fifth loss is no number

    told = acted(monkeypatch, recall)
    search = asked(tmp_path, pruner="median", recipe=replace(QUICK, epochs=8))
    found = tune.search(search, NO_MEANS, trials=5)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 3 + ["PRUNED", "FAIL"]
    assert 1 < max(epoch for lr, epoch in told if lr == drawn[3]) < 8
    assert "loss was no number in epoch 1" in tune.why(found[4])
    assert records(found)[-1]["why"] and "failed: the loss" in table(found, SPACE)


def test_where_all_trials_fail_the_search_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(recipe: Recipe, epoch: int) -> None:
        raise BadInput("no weights file at nowhere.pt")

    acted(monkeypatch, lambda recipe, epoch: 0.5, refuse)
    with pytest.raises(BadInput, match="the first 3 trials all failed, the last one so: no weights"):
        tune.search(asked(tmp_path), NO_MEANS, trials=9)


def test_an_interrupted_trial_goes_on_and_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stops = [2]

    def stop(recipe: Recipe, epoch: int) -> None:
        if epoch in stops:
            stops.clear()
            raise KeyboardInterrupt

    told = acted(monkeypatch, lambda recipe, epoch: 0.5, stop)
    with pytest.raises(KeyboardInterrupt):
        tune.search(asked(tmp_path), NO_MEANS, trials=2)
    with (tmp_path / "search" / "trials.log").open("ab") as journal:
        journal.write(b'{"op_code":')  # a kill may cut a line short
    found = tune.search(asked(tmp_path), NO_MEANS, trials=2)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 2
    assert told[0][0] == told[2][0] == found[0].params["lr"] and told[-1][0] == found[1].params["lr"] != told[0][0]


def test_a_trial_that_kills_its_process_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(recipe: Recipe, epoch: int) -> None:
        if recipe.lr == QUICK.lr:
            raise Killed

    acted(monkeypatch, lambda recipe, epoch: 0.5, kill)
    for _ in range(3):
        with pytest.raises(Killed):
            tune.search(asked(tmp_path), NO_MEANS, trials=2)
    found = tune.search(asked(tmp_path), NO_MEANS, trials=2)
    assert "killed 3 times" in tune.why(found[0]) and found[1].state == TrialState.COMPLETE


def test_patience_is_for_the_last_training_and_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[int] = []
    acted(monkeypatch, lambda recipe, epoch: 0.5, lambda recipe, epoch: patience.append(recipe.patience))
    search = asked(tmp_path, recipe=replace(QUICK, keep="best", patience=1))
    assert [trial.state for trial in tune.search(search, NO_MEANS, trials=1)] == [TrialState.COMPLETE]
    monkeypatch.setattr(tune, "train", lambda _, recipe, *rest: patience.append(recipe.patience))
    tune.train_best(search, {}, 3, NO_MEANS)
    assert patience == [0, 0, 0, 1]


def test_settings_that_made_a_release_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "train", lambda *_: "network-1")
    found = tune.search(asked(tmp_path), NO_MEANS, trials=1)
    assert found[0].state == TrialState.FAIL and "trained in full before: network-1" in tune.why(found[0])


def test_time_is_up_after_a_whole_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = acted(monkeypatch, lambda recipe, epoch: 0.5)
    clock = iter(range(1000))
    monkeypatch.setattr(tune.time, "monotonic", lambda: float(next(clock)))
    found = tune.search(asked(tmp_path), NO_MEANS, trials=50, seconds=10)
    assert found[-1].state == TrialState.RUNNING and len(found) < 10 and told[-1][1] < 3


def test_a_search_is_one_process_work_and_needs_something_held_out(tmp_path: Path) -> None:
    with lock(tmp_path / "search" / "tune.lock", "a test"), pytest.raises(Busy, match="this search for settings"):
        tune.search(asked(tmp_path), NO_MEANS, trials=1)
    with pytest.raises(BadInput, match="holds back no product with two photos"):
        asked(tmp_path, snapshot=Snapshot("s", tmp_path, PHOTOS[:5]))
    with pytest.raises(BadInput, match="no pruner 'x'"):
        asked(tmp_path, pruner="x")


PROGRAM = """
import sys
from pathlib import Path
from app.settings import Settings
from app.wiring import open_stores
from catalogue.snapshots import SplitShares, take_snapshot
from training import tune
from training.recipes import Recipe
from training.space import Choice
stores = open_stores(Settings(data_dir=Path(sys.argv[1])))
snapshot = take_snapshot(stores.database, stores.snapshots, SplitShares(0.2, 0.2))
recipe = Recipe(size=32, epochs=2, views=4, batch=16, precision="fp32")
asked = tune.Search(recipe, {"lr": Choice((0.02, 0.05))}, snapshot, stores.runs / "search", "none")

def step(number, now):
    print(number, now.epoch, flush=True)
    sys.stdin.readline()  # goes on when it is told to, or nobody is there to tell it

means = tune.Means(stores.photos, stores.releases, "cpu", step=step)
found = tune.search(asked, means, 2)
print([trial.state.name for trial in found], stores.releases.names())
print(tune.train_best(asked, tune.best(found).params, 2, means))
"""


def test_shot_in_a_trial_the_search_goes_on_with_it(stocked: Stores) -> None:
    *steps, outcome, release = shot_and_begun_again(PROGRAM, stocked.settings.data_dir, "1 2\n")
    assert steps[0] == "1 2"  # the second trial goes on from its second epoch
    assert outcome == "['COMPLETE', 'COMPLETE'] []"  # and trials publish nothing
    assert release.startswith("network-") and all(line.startswith("1 2") for line in steps)  # nor train twice
    assert not list((stocked.runs / "search").glob("pixels*"))


def test_optuna_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    acted(monkeypatch, lambda recipe, epoch: 0.5)
    optuna.logging.set_verbosity(optuna.logging.INFO)
    tune.search(asked(tmp_path), NO_MEANS, trials=1)
    assert capfd.readouterr().err == ""
