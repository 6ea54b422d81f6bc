"""The command line: exit codes, sentences, and the contracts scripts rely on."""

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import requests
from sqlalchemy.orm import Session

from app import unfinished
from app.cli import main
from app.commands.serving import free_port
from app.commands.shops import shop_id
from app.settings import read_settings
from app.wiring import Stores
from catalogue.errors import BadInput, NotFound
from catalogue.files import lock
from catalogue.snapshots import SplitShares, take_snapshot
from catalogue.tables import Shop
from tests.app.test_api import wait_for
from tests.catalogue.test_releases import publish
from tests.conftest import encoded, picture


@pytest.fixture
def at(trained: Stores, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(trained.settings.data_dir))
    return trained


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(list(words))
    return int(leave.value.code or 0)


def test_stats_as_json(at: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("catalogue", "stats", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["products"] == 18 and found["photos"] == 72 and {"shops", "listings"} <= found.keys()


def test_evaluate_as_json(at: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", "evaluate", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"recall@1", "ci95", "queries"} <= found.keys() and found["queries"] > 0


def test_evaluate_with_queries_from_outside(at: Stores, make_folder, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    own = make_folder(tmp_path / "own", models=3, views=1)
    assert run("index", "evaluate", "--queries", str(own)) == 1  # what the gallery holds proves nothing
    assert "are the gallery's own" in capsys.readouterr().err
    folder = make_folder(tmp_path / "q", models=3, views=8)
    assert run("index", "evaluate", "--json", "--queries", str(folder)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["queries"] > 6 and found["copies"] >= 24 and found["queries"] + found["copies"] == 48
    assert run("index", "evaluate", "--queries", str(make_folder(tmp_path / "other", models=1, first=50))) == 1
    damaged = next(folder.rglob("*.jpg"))
    damaged.write_bytes(damaged.read_bytes()[:500])
    assert run("index", "evaluate", "--queries", str(folder)) == 1
    assert f"the query photo {damaged} cannot be read" in capsys.readouterr().err


def test_embed_writes_unit_rows(at: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(picture(number)))
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    assert run("embed", str(tmp_path), "--out", str(tmp_path / "v.npz")) == 0
    with np.load(tmp_path / "v.npz") as found:
        assert found["vectors"].shape == (3, 512) and found["vectors"].dtype == np.float32
        assert np.allclose(np.linalg.norm(found["vectors"], axis=1), 1, atol=1e-5)
        assert len(found["paths"]) == 3 and str(found["release"]).startswith("network-")
    assert "bad.jpg" in capsys.readouterr().err


def test_identify_walks_the_route_of_the_service(at: Stores, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.jpg").write_bytes(encoded(picture(0, shift=1), quality=90))
    assert run("identify", str(tmp_path / "q.jpg"), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["best"]["style_code"] == "TV-0-0" and len(answer["similar"]) == 10
    assert run("identify", str(tmp_path / "q.jpg")) == 0
    assert "Tavero" in capsys.readouterr().out


def test_errors_are_one_sentence_and_exit_1(at: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jpg").write_bytes(b"text")
    for words in (["identify", str(tmp_path / "x.jpg")], ["identify", str(tmp_path / "none.jpg")],
                  ["index", "evaluate", "--release", "index-none"], ["crawl"], ["crawl", "nobody"],
                  ["promote", "index", "network-none"], ["promote", "wrong"],
                  ["train", "sku", "--set", "epochs=none"], ["train", "sku", "--snapshot", "none"],
                  ["embed", str(tmp_path / "x.jpg"), "--out", str(tmp_path / "o.npz")]):
        assert run(*words) == 1, words
        said = capsys.readouterr().err
        assert "Error: " in said and "Traceback" not in said, words


def test_usage_errors_exit_2(at: Stores) -> None:
    for words in (["none"], ["embed"], ["serve", "--port", "x"], ["catalogue", "import", "/nowhere"]):
        assert run(*words) == 2, words


def test_settings_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESEARCH_MAX_UPLOAD_MB", "plenty")
    with pytest.raises(BadInput, match="SOLESEARCH_MAX_UPLOAD_MB"):
        read_settings()


def test_a_taken_port_is_a_sentence(at: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run("serve", "--port", str(taken.getsockname()[1])) == 1
    assert "cannot listen on port" in capsys.readouterr().err


def test_a_service_of_two_workers_answers_and_ends_with_both(stores: Stores) -> None:
    port = free_port("127.0.0.1", 20_000)
    service = subprocess.Popen([sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--workers", "2"],
                               env={**os.environ, "SOLESEARCH_DATA_DIR": str(stores.settings.data_dir)})

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20).status_code == 503
        return False

    wait_for(answers, 60)
    begun = [Path("/proc", number) for number in Path(f"/proc/{service.pid}/task/{service.pid}/children")
             .read_text().split()]
    workers = [place for place in begun if b"spawn_main" in (place / "cmdline").read_bytes()]
    service.terminate()
    assert service.wait() == 0 and len(workers) == 2 and not any(place.exists() for place in workers)


def test_the_service_logs_its_own_lines_and_those_of_libraries_that_warn(tmp_path: Path) -> None:
    def said(level: str) -> str:
        folder = tmp_path / (level or "unset")
        return subprocess.run(
            [sys.executable, "-c", "from app.commands.serving import application; application(); import logging; "
             "logging.getLogger('app.live').info('own'); logging.getLogger('faiss.loader').info('theirs'); "
             "logging.getLogger('faiss.loader').warning('trouble')"], capture_output=True, text=True, check=True,
            env={**os.environ, "SOLESEARCH_DATA_DIR": str(folder), "SOLESEARCH_LOG": level}).stderr

    for level in ("", "info"):
        assert said(level) == "INFO app.live: own\nWARNING faiss.loader: trouble\n"
    assert "own" in said("DEBUG") and "theirs" in said("DEBUG") and "alembic" in said("DEBUG")
    assert said("ERROR") == ""


def test_a_level_of_logging_that_is_none_is_a_sentence(at: Stores, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_LOG", "loud")
    assert run("serve") == 1
    assert "SOLESEARCH_LOG" in capsys.readouterr().err


def test_a_database_of_the_future_is_refused(tmp_path: Path) -> None:
    import sqlite3
    with sqlite3.connect(tmp_path / "catalogue.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    done = subprocess.run([sys.executable, "-m", "app.cli", "catalogue", "stats"], capture_output=True, text=True,
                          env={**os.environ, "SOLESEARCH_DATA_DIR": str(tmp_path)})
    assert done.returncode == 1 and "newer version" in done.stderr and "Traceback" not in done.stderr


def test_a_killed_retraining_goes_on_while_it_is_the_same_and_not_stale(
        stocked: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    shares = SplitShares(0.1, 0.3)
    taken = take_snapshot(stocked.database, stocked.snapshots, shares)
    unfinished.remember(stocked, taken, shares)
    assert unfinished.begun(stocked, shares) == taken and "going on with" in capsys.readouterr().err
    assert unfinished.begun(stocked, SplitShares(0.1, 0.2)) is None and "other shares" in capsys.readouterr().err
    os.utime(unfinished.place(stocked), (0, 0))
    assert unfinished.begun(stocked, shares) is None and "7 days ago" in capsys.readouterr().err


def test_a_build_says_how_it_decides_and_what_its_kind_of_search_loses(
        grown: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(grown.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", grown.settings.database_url)
    for kind in ("flat", "sq8"):
        assert run("index", "build", "--kind", kind) == 0
        said = capsys.readouterr().err
        assert "calibrated" in said and ("sq8: its own search finds" in said) == (kind == "sq8")
        assert "its own search" not in said or kind == "sq8"


def test_a_retraining_s_own_settings_come_after_those_of_the_environment(
        at: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("SOLESEARCH_RETRAIN_OPTIONS", "--set backbone=nothing --set size=1")
    assert run("retrain", "--set", "backbone=resnet18") == 1 and "size lies between" in capsys.readouterr().err
    (tmp_path / "mine.toml").write_text("size = 2\n")
    assert run("retrain", "--recipe", str(tmp_path / "mine.toml")) == 1 and "not 2" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_a_sentence(at: Stores, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name, words in (("SOLESEARCH_DEVICE", ("train", "sku")), ("SOLESEARCH_RUNTIME", ("index", "build"))):
        with monkeypatch.context() as patch:
            patch.setenv(name, "cuda")
            assert run(*words) == 1 and f"{name} asks for a GPU" in capsys.readouterr().err


def test_a_training_outlives_a_photo_that_is_gone_when_the_index_is_built(
        stocked: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stocked.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", stocked.settings.database_url)
    monkeypatch.setattr("training.report.thumbnail_uri", missing)
    monkeypatch.setattr("index.build.calibrate", missing)
    quick = ("retrain", "--set", "start=none", "--set", "size=32", "--set", "epochs=1", "--set", "colours=0",
             "--set", "precision=fp32", "--force")
    assert run(*quick) == 1 and "there is no photo" in capsys.readouterr().err
    network = stocked.releases.newest("network").name
    next(path for path in stocked.photos.folder.rglob("*") if path.is_file()).unlink()
    monkeypatch.undo()
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stocked.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", stocked.settings.database_url)
    assert run(*quick) == 0 and network in capsys.readouterr().out
    assert stocked.releases.live("index").manifest["items"] == 47


def missing(*_: object) -> NoReturn:
    raise NotFound("there is no photo")


def test_a_new_task_whose_name_is_none_leaves_other_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_TASKS_DIR", str(tmp_path / "tasks"))
    notes = tmp_path / "notes.toml"
    notes.write_text("mine")
    assert run("task", "new", "../notes", "--data", str(tmp_path)) == 1
    assert "a–z" in capsys.readouterr().err and notes.read_text() == "mine"


def test_a_number_means_the_shop_of_that_number(stores: Stores) -> None:
    with Session(stores.database) as session, session.begin():
        session.add_all([Shop(name="2", url="http://one.example/"), Shop(name="two", url="http://two.example/")])
    assert shop_id(stores, "2") == 2 and shop_id(stores, "two") == 2 and shop_id(stores, "http://one.example/") == 1


def test_old_releases_are_deleted_when_that_is_asked_for(stores: Stores, monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))
    old, *kept = [publish(stores, text) for text in "abc"]
    assert run("releases", "--prune", "--json") == 0
    said = capsys.readouterr()
    assert said.err == f"deleted {old}\n" and json.loads(said.out)["releases"] == kept[::-1]


def test_retrain_changes_the_width_and_the_gate_guards_it(grown: Stores, monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(grown.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", grown.settings.database_url)
    monkeypatch.setenv("SOLESEARCH_RETRAIN_OPTIONS", "")
    quick = ["--set", "size=32", "--set", "views=4", "--set", "batch=16", "--set", "geometry=0.2", "--unseen", "0.3",
             "--set", "precision=fp32"]
    first, old, _ = grown.releases.live("index").name, publish(grown, "a"), publish(grown, "b")
    bad = ["retrain", *quick, "--set", "epochs=1", "--set", "lr=1e-9", "--set", "embedding=16", "--prune"]
    assert run(*bad) == 1 and "the candidate loses" in capsys.readouterr().err
    assert grown.releases.live("index").name == first and old in grown.releases.names()
    assert not (grown.runs / "retrain.snapshot").exists()
    assert run(*bad, "--force") == 0 and f"deleted {old}" in capsys.readouterr().out
    second = grown.releases.live("index")
    assert second.name != first and second.manifest["width"] == 16
    assert run("rollback", "index") == 0 and grown.releases.live("index").name == first
    assert run("retrain", *quick, "--set", "epochs=1", "--set", "start=nowhere.pt") == 1
    assert not (grown.runs / "retrain.snapshot").exists()  # refused is not interrupted
    with lock(grown.releases.folder / "index.lock", "the test"):
        assert run("retrain", *quick, "--set", "epochs=1") == 1  # and neither are hours lost to somebody's build
    assert (grown.runs / "retrain.snapshot").exists()
    assert run("releases", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["slots"]["index"]["live"] == first
