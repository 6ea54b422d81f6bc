"""`solesearch train compare` and `solesearch tune`, as they are run: what is printed, written and refused."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.wiring import Stores
from catalogue.files import lock
from catalogue.snapshots import SplitShares, take_snapshot
from training.recipes import Recipe
from vision.preprocessing import Preprocessing
from vision.saved import NetworkCard, read_card

FULL = {"parameters": 11_200_000, "epochs": 9, "saved_epoch": 7, "train_top1": 0.999, "val_top1": 0.8125,
        "val_top5": 0.9, "val_recall1": 0.75, "unseen_recall1": 0.6, "loss": 1.25, "photos_per_s": 123.4,
        "seconds": 61.0}


@pytest.fixture
def run(stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function that runs a command on the stores' folder and returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_THREADS", "1")

    def command(*words: object) -> tuple[int | str | None, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err
    return command


def published(stores: Stores, measures: dict[str, Any], recipe: dict[str, Any], snapshot: str = "s1") -> str:
    """A network release of which only the card is real."""
    card = NetworkCard({"backbone": recipe.get("backbone", "resnet18")}, Preprocessing(32), ("a", "b"), 8,
                       snapshot=snapshot, recipe=recipe, measures=measures)
    with stores.releases.draft("network") as draft:
        card.write(draft.folder)
        draft.manifest.update(measures=measures)
    return draft.name


def rows_of(table: str) -> tuple[list[str], list[dict[str, str]]]:
    """Heading and rows of a Markdown table."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().splitlines()]
    return lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_runs_stand_in_one_table_with_the_settings_in_which_they_differ(stores: Stores, run: Callable[..., Any],
                                                                       tmp_path: Path) -> None:
    first = published(stores, FULL, asdict(Recipe()))
    second = published(stores, {"unseen_recall1": 0.7, "loss": 1.0}, {"lr": 0.5, "backbone": "resnet34"})  # an old card
    code, out, _ = run("train", "compare", "--out", tmp_path / "t.md", "--plot", tmp_path / "t.png")
    assert code == 0 and (tmp_path / "t.md").read_text() == out
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    head, rows = rows_of(out)
    assert [row["release"] for row in rows] == [first, second]
    assert "lr" in head and "margin" not in head and "snapshot" not in head
    assert rows[0]["epochs (saved)"] == "9 (7)" and rows[0]["parameters"] == "11,200,000"
    assert rows[0]["val top-1"] == "0.812" and rows[0]["img/s"] == "123" and rows[0]["lr"] == "0.02"
    assert rows[1]["backbone"] == "resnet34" and rows[1]["lr"] == "0.5"
    assert rows[1]["train top-1"] == rows[1]["parameters"] == rows[1]["seconds"] == "–"
    assert rows[1]["recall@1 unseen"] == "0.700" and rows[1]["epochs (saved)"] == f"{Recipe().epochs} (–)"


def test_chosen_runs_as_json_and_two_snapshots_apart(stores: Stores, run: Callable[..., Any]) -> None:
    first = published(stores, FULL, asdict(Recipe()))
    second = published(stores, FULL, asdict(Recipe()), snapshot="s2")
    code, out, _ = run("train", "compare", second, first, "--json")
    found = json.loads(out)["runs"]
    assert code == 0 and [row["release"] for row in found] == [second, first]
    assert found[0]["val_top1"] == 0.8125 and found[0]["settings"] == {} and found[0]["saved_epoch"] == 7
    assert rows_of(run("train", "compare")[1])[1][1]["snapshot"] == "s2"
    assert "snapshot" not in rows_of(run("train", "compare", first)[1])[0]


def test_what_cannot_be_compared_is_said(stores: Stores, run: Callable[..., Any], tmp_path: Path) -> None:
    code, _, err = run("train", "compare")
    assert code == 1 and "no network release yet" in err
    name = published(stores, FULL, asdict(Recipe()))
    with stores.releases.draft("index") as draft:
        (draft.folder / "x").write_text("x")
    for words, says in (([draft.name], "is of kind index"), (["network-0"], "no release 'network-0'"),
                        ([name, "--plot", tmp_path / "t.docx"], "cannot be written")):
        code, _, err = run("train", "compare", *words)
        assert code == 1 and says in err


def test_a_training_that_another_process_is_at_is_a_code_of_its_own(stocked: Stores, run: Callable[..., Any]) -> None:
    taken = take_snapshot(stocked.database, stocked.snapshots, SplitShares(0.2, 0.2))
    recipe = Recipe(size=32, epochs=1)
    with lock(stocked.runs / f"sku-{taken.digest}-{recipe.digest}" / "run.lock", "the test"):
        code, _, err = run("train", "sku", "--snapshot", taken.digest, "--set", "size=32", "--set", "epochs=1")
    assert code == 75 and "already busy with this training" in err


def test_a_search_from_the_command_line(stocked: Stores, run: Callable[..., Any], tmp_path: Path) -> None:
    space, best = tmp_path / "space.toml", tmp_path / "best.toml"
    space.write_text("lr = {low = 0.01, high = 0.05, log = true}\nflip = {choices = [true, false]}\n")
    words = ["tune", "--space", space, "--epochs", 1, "--out", best, "--unseen", 0.4]
    for change in ("size=32", "epochs=2", "views=4", "batch=16", "precision=fp32"):
        words += ["--set", change]
    code, out, err = run(*words, "--trials", 2)
    assert code == 0 and "trial 1 complete" in err
    head, rows = rows_of("\n".join(out.splitlines()[:-1]))
    assert {"lr", "flip", "recall@1 unseen"} <= set(head) and {row["trial"] for row in rows} == {"0", "1"}
    said = json.loads(out.splitlines()[-1])
    assert Path(said["plot"]).is_file() and f"{said['unseen_recall1']:.3f}" == rows[0]["recall@1 unseen"]
    assert stocked.releases.names() == []  # trials publish nothing
    code, out, err = run(*words, "--trials", 2, "--train", "--json")
    found = json.loads(out.splitlines()[-1])
    assert code == 0 and "going on with the search" in err and len(found["trials"]) == 2
    assert stocked.releases.names() == [found["release"]] and found["loss"] > 0
    card = read_card(stocked.releases.open(found["release"]).folder)
    assert card.recipe["epochs"] == 2 and card.recipe["lr"] == found["trials"][0]["settings"]["lr"]
    code, out, _ = run("train", "sku", "--recipe", best, "--set", "epochs=1", "--unseen", 0.4)
    assert code == 0


def test_a_search_that_cannot_be_is_refused(stocked: Stores, run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("speed = {low = 1, high = 2}\n")
    code, _, err = run("tune", "--space", tmp_path / "space.toml")
    assert code == 1 and "no setting 'speed'" in err
    code, _, err = run("tune", "--unseen", 0, "--val", 0)
    assert code == 1 and "holds back no product with two photos" in err
