"""`solesearch task`, as it is run: from a folder of photos to a release, its measures, folds, a table, two files."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from app.cli import main
from app.commands.task_options import kind_of, under_classes
from app.wiring import Stores, embedder_of, open_stores
from catalogue.files import lock
from catalogue.photos import read_image
from demo.pictures import PHOTOS
from tests.conftest import encoded
from training.guard import Shown
from training.labelled import LabelledPhoto
from training.shipped_tasks import install_task, shipped
from training.task_file import find_task
from vision.trunks import build_trunk

NONE = Shown([], Image.open)
QUICK = ("--set", "size=32", "--set", "epochs=2", "--set", "backbone=cnn3", "--set", "batch=8")


def shape(kind: str, random: np.random.Generator) -> Image.Image:
    """A disc, a square or a cross somewhere on a plain ground."""
    image = Image.new("RGB", (48, 40), tuple(int(value) for value in random.integers(180, 255, 3)))
    pen, (x, y), side = ImageDraw.Draw(image), random.integers(4, 16, 2).tolist(), int(random.integers(12, 20))
    if kind == "disc":
        pen.ellipse((x, y, x + side, y + side), fill=(200, 40, 40))
    elif kind == "square":
        pen.rectangle((x, y, x + side, y + side), fill=(40, 60, 220))
    else:
        pen.line((x, y, x + side, y + side), fill=(20, 150, 40), width=5)
    return image


def plain(count: int) -> Shown:
    """As many plain pictures, each of a colour of its own."""
    return Shown([str(value) for value in range(count)],
                 lambda name: Image.new("RGB", (32, 32), (int(name) % 256, int(name) // 256, 9)))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 discs, 12 squares and 9 lines."""
    folder, random = tmp_path_factory.mktemp("shapes"), np.random.default_rng(3)
    for kind, count in (("disc", 16), ("square", 12), ("line", 9)):
        (folder / kind).mkdir()
        for number in range(count):
            (folder / kind / f"{number}.png").write_bytes(encoded(shape(kind, random), "PNG"))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for all tests of this module, and one thread for its commands."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("SOLESEARCH_DATA_DIR", str(folder))
        patch.setenv("SOLESEARCH_THREADS", "1")
        yield folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function that runs a `task` command and returns (exit code, stdout, stderr)."""
    def command(*words: object) -> tuple[int | str | None, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["task", *(str(word) for word in words)])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err
    return command


@pytest.fixture
def stores_of_home(home: Path) -> Iterator[Stores]:
    from app.settings import read_settings
    made = open_stores(read_settings())
    yield made
    made.database.dispose()


@pytest.fixture
def made(run: Callable[..., Any], home: Path, shapes: Path) -> dict[str, Any]:
    """What `task train shapes` said; the same training for all tests."""
    if not (home / "tasks" / "shapes.toml").is_file():
        assert run("new", "shapes", "--data", shapes, "--about", "Which shape it is.")[0] == 0
        with (home / "tasks" / "shapes.toml").open("a") as file:
            file.write('[guard]\nclass = "disc"\n')
        torch.manual_seed(0)
        torch.save(build_trunk("cnn3", 32).state_dict(), home / "start.pt")
    code, out, _ = run("train", "shapes", *QUICK, "--set", f"start={home / 'start.pt'}")
    assert code == 0
    return dict(json.loads(out))


def test_a_folder_becomes_a_release_that_says_all_of_itself(made: dict[str, Any], stores_of_home: Stores, home: Path,
                                                            run: Callable[..., Any]) -> None:
    release = stores_of_home.releases.open(made["release"])
    facts = release.manifest
    assert facts["task"] == "shapes" and facts["classes"] == ["disc", "line", "square"] and facts["about"]
    assert facts["measures"].keys() >= {"accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "macro_f1",
                                        "ece", "photos", "val_loss", "train_accuracy", "parameters", "saved_epoch"}
    assert facts["guard"].keys() >= {"class", "threshold", "refused", "photos", "caught"} and facts["data"]
    report = (release.folder / "report.html").read_text()
    assert "correct / total" in report and report.count("data:image/png") == 2
    again = (*QUICK, "--set", f"start={home / 'start.pt'}")
    assert json.loads(run("train", "shapes", *again)[1])["release"] == made["release"]   # done before
    (release.folder / "weights.pt").write_bytes(b"damaged")
    other = stores_of_home.releases.open(json.loads(run("train", "shapes", *again)[1])["release"])   # made again
    stores_of_home.releases.check(other)
    listed = json.loads(run("list", "--json")[1])["tasks"]
    assert {"garment", "shapes"} <= {row["name"] for row in listed}


def test_a_task_that_another_process_trains_is_a_code_of_its_own(made: dict[str, Any], run: Callable[..., Any],
                                                                 home: Path) -> None:
    place = next(path.parent for path in (home / "runs").glob("task-*/release") if path.read_text() == made["release"])
    with lock(place / "run.lock", "the test"):
        code, _, said = run("train", "shapes", *QUICK, "--set", f"start={home / 'start.pt'}")
    assert code == 75 and "already busy with this training" in said


def test_evaluating_matches_folders_by_name(made: dict[str, Any], run: Callable[..., Any], shapes: Path,
                                            stores_of_home: Stores, tmp_path: Path) -> None:
    (tmp_path / "square").mkdir()
    for path in (shapes / "square").iterdir():
        (tmp_path / "square" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "square" / "bad.jpg").write_bytes(b"x")
    code, out, _ = run("evaluate", "shapes", "--data", tmp_path, "--json")
    said = json.loads(out)
    assert code == 0 and said["photos"] == 12 and len(said["unreadable"]) == 1
    assert said["per_class"].keys() == {"disc", "line", "square"}
    assert said["per_class"]["square"].keys() >= {"precision", "recall", "f1", "support", "correct"}
    embedder = embedder_of(stores_of_home, stores_of_home.releases.open(made["release"]))
    images = [read_image(path.read_bytes()) for path in sorted((shapes / "square").iterdir())]
    served = embedder.embed(images).logits.argmax(1)
    assert said["correct"] == int((served == 2).sum()) and said["accuracy"] == said["correct"] / 12
    assert said["balanced_accuracy"] == said["accuracy"]
    # Those it was trained on are left out.
    _, out, said = run("evaluate", "shapes", "--data", shapes, "--plot", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert "correct / total" in out and "those that its training held out" in said
    assert json.loads(run("evaluate", "shapes", "--data", shapes, "--json")[1])["photos"] < 10
    own = json.loads(run("evaluate", "shapes", "--json")[1])  # without --data: what training held out
    assert own["photos"] == stores_of_home.releases.open(made["release"]).manifest["measures"]["photos"] < 10
    (tmp_path / "star").mkdir()
    (tmp_path / "star" / "0.png").write_bytes(encoded(Image.new("RGB", (20, 20)), "PNG"))
    code, _, said = run("evaluate", "shapes", "--data", tmp_path)
    assert code == 1 and "'star'" in said and "disc, line, square" in said


def test_a_folder_is_read_as_one_whatever_the_task_reads(tmp_path: Path) -> None:
    for kind in ("csv", "aihub", "catalogue", "folders"):
        assert kind_of(kind, tmp_path) == "folders" and kind_of(kind, tmp_path / "x.csv") == kind
    (tmp_path / "1.json").write_text("{}")
    assert kind_of("aihub", tmp_path) == "aihub"
    found = find_task("shoe-type", Path("none"))
    assert found.data.labels["Heels"] == "heels"
    strange = [LabelledPhoto(tmp_path, "heels"), LabelledPhoto(tmp_path, "boats")]
    assert [one.label for one in under_classes(strange, found, tmp_path)] == ["heels", "boats"]
    assert [one.label for one in under_classes(strange, found, None)] == ["heels"]


def test_folds_of_several_networks_in_one_table_and_picture(made: dict[str, Any], run: Callable[..., Any], home: Path,
                                                            tmp_path: Path) -> None:
    words = ("cross-validate", "shapes", "--folds", 3, *QUICK, "--versus", "multiply=copies:line:2 keep=best",
             "--draw", "disc=9", "--plot", tmp_path / "p.png", "--json")
    code, out, said = run(*words)
    assert code == 0, said
    found = json.loads(out)["networks"]
    assert len(found) == 2 and found[0]["photos"] == 9 + 12 + 9 == sum(row["photos"] for row in found[0]["folds"])
    assert found[0]["per_class"]["disc"]["support"] == 9 and found[0]["accuracy_sd"] >= 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(run(*words)[1])["networks"] == found   # nothing is trained again
    starts = json.loads(run("cross-validate", "shapes", "--folds", 2, *QUICK, "--set", "epochs=1", "--versus",
                            f"start={home / 'start.pt'}", "--json")[1])["networks"]
    assert len(starts) == 2 and starts[1]["name"].endswith("start=start.pt")
    assert run("cross-validate", "shapes", "--folds", 30, *QUICK)[0] == 1
    assert "CLASS=COUNT" in run("cross-validate", "shapes", "--draw", "star=2")[2]


def test_a_grid_in_one_table_below_its_baseline(made: dict[str, Any], run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text('[[cells]]\nname = "slow"\nlr = 0.001\n[vary]\nweight_decay = [0.0, 0.01]\n')
    code, out, said = run("compare", "shapes", "--grid", tmp_path / "g.toml", *QUICK, "--set", "epochs=1", "--seeds", 2,
                          "--plot", tmp_path / "p.png", "--out", tmp_path / "t.md")
    lines = out.strip().splitlines()
    assert code == 0 and len(lines) == 6 and (tmp_path / "t.md").read_text() == out
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert head == ["Model", "Hyper-parameters", "Epochs (saved)", "Accuracy train/val", "F1", "Val loss", "#Params",
                    "img/s"]
    assert "linear probe, random weights of cnn3" in lines[2] and "40 of the head" in lines[2]
    assert "slow" in lines[3] and "lr 0.001" in lines[3] and "±" in lines[3]
    assert "--start" in said
    assert run("compare", "shapes")[0] == 1


def test_a_network_is_written_as_a_pair_and_published_from_it(made: dict[str, Any], run: Callable[..., Any],
                                                              stores_of_home: Stores, tmp_path: Path) -> None:
    assert run("export", "shapes", tmp_path, "--attribution", "Pictures made by a test.")[0] == 0
    recipe = json.loads((tmp_path / "shapes.json").read_text())["card"]["recipe"]
    assert recipe["start"] == "start.pt"  # not where it lay on this machine
    name = install_task("shapes", stores_of_home.releases, lambda: NONE, "cpu", tmp_path)
    first, again = stores_of_home.releases.open(made["release"]), stores_of_home.releases.open(name)
    assert again.manifest["task"] == "shapes" and first.manifest["guard"]["class"] == "disc"
    assert again.manifest["guard"]["threshold"] == 0  # no photos of this catalogue: it refuses none
    assert again.manifest["attribution"] and again.manifest["data"] == first.manifest["data"]
    images = [shape("disc", np.random.default_rng(9)), shape("square", np.random.default_rng(9))]
    ours, theirs = (embedder_of(stores_of_home, one).embed(images).logits for one in (first, again))
    assert np.abs(ours - theirs).max() < 0.05
    assert install_task("shapes", stores_of_home.releases, lambda: NONE, "cpu", tmp_path) == name
    code, out, said = run("install", "--from", tmp_path)
    assert (code, out.strip()) == (0, name), said
    assert "lies in" in run("install", "hat", "--from", tmp_path)[2]
    fitted = stores_of_home.releases.open(
        install_task("shapes", stores_of_home.releases, lambda: plain(300), "cpu", tmp_path))
    assert 0 < fitted.manifest["guard"]["threshold"] <= 0.5
    assert fitted.manifest["guard"]["photos"] == 300 and fitted.manifest["guard"]["refused"] <= 0.005


def test_a_grown_catalogue_fits_the_guard_anew_and_trains_nothing(
        made: dict[str, Any], run: Callable[..., Any], stores_of_home: Stores, home: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    first = stores_of_home.releases.open(made["release"])
    again = ("train", "shapes", *QUICK, "--set", f"start={home / 'start.pt'}")
    monkeypatch.setattr("app.commands.tasks.shoes_of", lambda stores: plain(300))
    monkeypatch.setattr("training.fitting.fit", lambda *_: pytest.fail("trained again"))
    code, out, error = run(*again)
    assert code == 0, error
    second = stores_of_home.releases.open(json.loads(out)["release"])
    assert second.name != first.name and second.manifest["files"] == first.manifest["files"]
    assert second.manifest["measures"] == first.manifest["measures"]
    own = first.manifest["guard"]["photos"]
    assert second.manifest["guard"]["photos"] == own + 300 and second.manifest["guard"]["threshold"] > 0
    assert json.loads(run(*again)[1])["release"] == second.name


@pytest.mark.slow
def test_two_processes_train_one_task(shapes: Path, tmp_path: Path) -> None:
    """That two processes end as one does is tested of the loop; here batch norms see halves of a batch each."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "two.toml").write_text(f'name = "two"\n[data]\npath = "{shapes}"\n[guard]\nclass = "disc"\n')
    root, said = Path(__file__).parents[2], []
    for starter in ([], ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]):
        home = {"SOLESEARCH_DATA_DIR": str(tmp_path / str(len(said))), "SOLESEARCH_TASKS_DIR": str(tmp_path / "tasks"),
                "SOLESEARCH_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "-m", *starter, "app.cli", "task", "train", "two", *QUICK, "--set",
                               "precision=fp32"], check=True, cwd=root, env=home, capture_output=True, text=True)
        said.append(json.loads(done.stdout))  # one line: one process speaks for both
    one, two = said
    assert one["val_loss"] == pytest.approx(two["val_loss"], abs=0.1)
    assert (one["photos"], one["train_photos"]) == (two["photos"], two["train_photos"])


@pytest.mark.parametrize("name", shipped())
def test_networks_that_come_along_can_be_published(name: str, run: Callable[..., Any],
                                                   stores_of_home: Stores) -> None:
    code, out, error = run("install", name)
    assert code == 0, error
    release = stores_of_home.releases.open(out.strip())
    assert release.manifest["attribution"] and release.manifest["measures"]["photos"] > 200
    task = find_task(name, Path("none"))
    assert not task.classes or release.manifest["classes"] == list(task.classes)
    said = embedder_of(stores_of_home, release).embed([Image.new("RGB", (40, 30), "red")]).logits
    assert said.shape == (1, len(release.manifest["classes"]))


def test_the_garments_that_come_along_know_a_shoe(run: Callable[..., Any], stores_of_home: Stores) -> None:
    """Shoes that the project rendered are no photos that this network ever saw."""
    release = stores_of_home.releases.open(run("install", "garment")[1].strip())
    embedder = embedder_of(stores_of_home, release)
    photos = sorted((PHOTOS / "shop").glob("*/*.jpg"))[::5]
    said = embedder.embed([read_image(photo.read_bytes()) for photo in photos]).logits.argmax(1)
    assert len(photos) > 50 and (said == release.manifest["classes"].index("shoes")).mean() > 0.6


def test_what_cannot_be_done_is_said(run: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    assert "there is no task 'nothing'" in run("train", "nothing")[2]
    assert "--data" in run("train", "grocery")[2]
    assert run("new", "garment", "--data", tmp_path)[0] == 1
    assert run("new", "Bad Name", "--data", tmp_path)[0] == 1 and not (home / "tasks" / "Bad Name.toml").exists()
    assert "no release of the task" in run("evaluate", "shelf", "--data", tmp_path)[2]
