"""Tasks go live, are replaced and rolled back while a worker follows; what cannot serve never replaces what does."""

import logging
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine

from app import watching
from app.api import create_app
from app.cli import main
from app.live import LiveIndex
from app.live_tasks import LiveTasks, open_task
from app.wiring import Stores
from catalogue.errors import BadInput, BadRelease, GateRefused, NotFound, NothingLive
from catalogue.releases import Releases
from tests.app.classifiers import by_colour, publish_colours, publish_network
from training.task_gate import check_first, check_next

GOOD = {"accuracy": 0.95, "accuracy_low": 0.93, "accuracy_high": 0.97, "balanced_accuracy": 0.9, "photos": 500}


def following(stores: Stores) -> LiveTasks:
    return LiveTasks(stores, by_colour)


def test_a_worker_follows_every_slot(stores: Stores) -> None:
    tasks = following(stores)
    tasks.refresh()
    assert not tasks.current()
    with pytest.raises(NotFound, match="solesearch task train"):
        tasks.named("hue")
    one, two = publish_colours(stores, "hue", about="1"), publish_colours(stores, "hue", about="2")
    other = publish_colours(stores, "tone")
    stores.releases.promote("task:hue", one)
    stores.releases.promote("task:tone", other)
    tasks.refresh()
    held = tasks.current()
    assert {name: task.release.name for name, task in held.items()} == {"hue": one, "tone": other}
    stores.releases.promote("task:hue", two)
    tasks.refresh()
    assert tasks.named("hue").release.name == two and held["hue"].release.name == one
    assert tasks.named("tone") is held["tone"], "what did not change is not loaded again"
    assert stores.releases.roll_back("task:hue") == one
    tasks.refresh()
    assert tasks.named("hue").about == "1" and not tasks.problem
    with pytest.raises(NotFound, match="live are: hue, tone"):
        tasks.named("none")
    assert stores.releases.demote("task:hue") == one
    tasks.refresh()
    assert list(tasks.current()) == ["tone"] and held["hue"].about == "1", "who holds it still may"


def test_a_broken_release_leaves_the_former_in_use(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    good, broken = publish_colours(stores, "hue"), publish_colours(stores, "hue", about="broken")
    card = stores.releases.folder / broken / "model.json"
    whole = card.read_text()
    tasks = following(stores)
    stores.releases.promote("task:hue", good)
    tasks.refresh()
    card.write_text(whole[:-5])
    stores.releases.promote("task:hue", broken)
    for _ in range(2):
        tasks.refresh()
        assert tasks.named("hue").release.name == good and f"{broken} was promoted" in tasks.problem
    health = TestClient(create_app(stores, LiveIndex(stores), tasks)).get("/healthz")
    assert health.status_code == 200 and health.json()["tasks"] == {"hue": good}
    assert f"{broken} was promoted to task:hue but cannot serve" in health.json()["problem"]
    card.write_text(whole)
    monkeypatch.setattr(watching, "RETRY_S", 0.0)
    stores.releases.promote("task:hue", good)
    tasks.refresh()
    assert not tasks.problem
    stores.releases.promote("task:hue", broken)
    tasks.refresh()
    assert tasks.named("hue").release.name == broken and not tasks.problem


def test_a_task_that_cannot_serve_says_why_rather_than_that_there_is_none(stores: Stores) -> None:
    broken = publish_colours(stores, "hue", about="broken")
    (stores.releases.folder / broken / "model.json").write_text("{")
    stores.releases.promote("task:hue", broken)
    tasks = following(stores)
    tasks.refresh()
    with pytest.raises(NothingLive, match=r"model\.json of .* is missing or altered"):
        tasks.named("hue")
    with pytest.raises(NotFound, match="no task 'tone'"):
        tasks.named("tone")
    with TestClient(create_app(stores, LiveIndex(stores), tasks)) as client:
        for answer in (client.post("/classify/hue", content=b"x"), client.post("/classify?tasks=hue", content=b"x"),
                       client.post("/stock", data={"task": "hue"}, files={"photo": ("a.png", b"x")})):
            assert answer.status_code == 503 and f"{broken} was promoted" in answer.json()["error"]


def test_while_the_catalogue_is_away_nobody_can_say_that_a_task_is_not_live(stores: Stores, tmp_path: Path) -> None:
    away = create_engine(f"sqlite:///{tmp_path}/none/catalogue.db")
    tasks = following(replace(stores, releases=Releases(away, stores.releases.folder)))
    tasks.refresh()
    with pytest.raises(NothingLive, match="cannot be asked"):
        tasks.named("hue")


@pytest.mark.parametrize("kind", ["tasks", "segments"])
def test_what_is_wrong_may_be_asked_while_it_changes(stores: Stores, kind: str, caplog: pytest.LogCaptureFixture
                                                     ) -> None:
    caplog.set_level(logging.CRITICAL, "app.watching")
    tasks, live, stop = following(stores), LiveIndex(stores), threading.Event()
    followed: LiveTasks | LiveIndex = tasks if kind == "tasks" else live
    refusals = tasks._refused if kind == "tasks" else live._refused_segments
    for number in range(20_000):
        refusals.add(number, "why")

    def change() -> None:
        while not stop.is_set():
            refusals.add("late", "why")
            refusals.forget("late")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert all("why" in followed.problem for _ in range(50))
    finally:
        stop.set()
        changing.join()
        sys.setswitchinterval(before)


@pytest.mark.parametrize(("manifest", "says"), [
    ({"classes": ["red", "blue", "green"]}, "not its network's"), ({"filled": "full"}, "'full'"),
    ({"guard": {"class": "shoes", "threshold": 0.1}}, "'shoes'")])
def test_a_manifest_that_does_not_fit_is_refused(stores: Stores, manifest: dict[str, object], says: str) -> None:
    release = stores.releases.open(publish_colours(stores, "hue", **manifest))
    with pytest.raises(BadRelease, match=says):
        open_task(stores, release, by_colour)


def test_the_watch_takes_up_what_is_promoted(stores: Stores) -> None:
    stores.settings.poll_s = 0.05
    tasks = following(stores)
    tasks.watch()
    stores.releases.promote("task:hue", publish_colours(stores, "hue"))
    until = time.monotonic() + 20
    while not tasks.current() and time.monotonic() < until:
        time.sleep(0.05)
    tasks.close()
    assert tasks.named("hue").classes == ("red", "green", "blue")


def test_the_gate_compares_only_what_can_be_compared() -> None:
    live = {"data": "d1", "measures": GOOD}
    assert "nothing could be compared" in check_next({"data": "d2", "measures": GOOD}, live)[0]
    assert "nothing could be compared" in check_next({"measures": GOOD}, {"measures": GOOD})[0]
    with pytest.raises(GateRefused, match="learned nothing"):  # whatever else it was measured on
        check_next({"data": "d2", "classes": ["a", "b"], "measures": {**GOOD, "balanced_accuracy": 0.5}}, live)
    assert check_next({"data": "d1", "measures": {**GOOD, "accuracy": 0.941}}, live)[0].startswith("accuracy 0.941 [")
    for worse in ({"accuracy": 0.93}, {"balanced_accuracy": 0.88}):
        with pytest.raises(GateRefused, match=r"2\.0 points"):
            check_next({"data": "d1", "measures": {**GOOD, **worse}}, live)
    few = {"accuracy": 0.90, "balanced_accuracy": 0.9, "photos": 20}
    assert check_next({"data": "d1", "measures": {**few, "accuracy": 0.85}}, {"data": "d1", "measures": few})
    rare = {"per_class": {"a": {"support": 420}, "b": {"support": 14}}, "data": "d1"}
    one_less = {**GOOD, "balanced_accuracy": GOOD["balanced_accuracy"] - 1 / 28, "photos": 434}
    assert check_next({**rare, "measures": one_less}, {**live, "measures": {**GOOD, "photos": 434}})


def test_the_first_must_beat_the_most_frequent_class() -> None:
    with pytest.raises(GateRefused, match="learned nothing"):
        check_first({"classes": ["a", "b"], "measures": {"accuracy": 0.95, "balanced_accuracy": 0.5}})
    assert "0.900" in check_first({"classes": ["a", "b"], "measures": {"balanced_accuracy": 0.9}})[0]
    assert "nothing was measured" in check_first({"classes": ["a", "b"]})[0]


def test_promote_and_roll_back_from_the_command_line(stores: Stores, monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        shown = capsys.readouterr()
        return int(left.value.code or 0), shown.out + shown.err

    first = publish_network(stores, "hue")
    code, said = run("promote", "task:hue")
    assert code == 0 and f"{first} is live in task:hue" in said and "most frequent" in said
    worse = publish_network(stores, "hue", about="worse", measures={**GOOD, "accuracy": 0.8, "balanced_accuracy": 0.9})
    publish_network(stores, "tone")
    code, said = run("promote", "task:hue")
    assert code == 1 and "loses 10.0 points" in said
    code, said = run("promote", "task:tone", worse)
    assert code == 1 and "task:hue" in said
    assert run("promote", "task:hue", worse, "--force")[0] == 0
    card = stores.releases.folder / first / "model.json"
    whole = card.read_bytes()
    card.write_bytes(whole[:-1])
    code, said = run("rollback", "task:hue")
    assert code == 1 and f"model.json of {first} is missing or altered" in said
    assert stores.releases.live_name("task:hue") == worse
    card.write_bytes(whole)
    assert run("rollback", "task:hue") == (0, f"{first} is live in task:hue again\n")
    assert run("rollback", "task:tone") == (1, "Error: nothing is live in slot 'task:tone'; live are: task:hue\n")
    assert run("demote", "task:tone") == (1, "Error: nothing is live in slot 'task:tone'; live are: task:hue\n")
    assert run("demote", "index")[0] == 1
    code, said = run("releases")
    assert f"{first}      hue accuracy 0.900 live in task:hue" in said
    assert run("promote", "garment") == (1, "Error: there is no slot 'garment'; the slots that can be promoted are: "
                                            "index, task:NAME\n")
    assert run("promote", "task:none")[0] == 1


def test_a_task_release_that_cannot_serve_is_not_promoted(stores: Stores) -> None:
    from app.commands.releases import promote_gated
    name = publish_colours(stores, "hue")  # has no network to run
    with pytest.raises(BadRelease):
        promote_gated(stores, "task:hue", name, force=True)
    with pytest.raises(BadInput, match="for slot 'task:hue'"):
        stores.releases.promote("task:tone", name)


def test_the_real_network_answers_alone_as_among_others(stores: Stores, tmp_path: Path) -> None:
    task = open_task(stores, stores.releases.open(publish_network(stores, "hue")))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    many = task.probabilities(pixels)
    assert many.shape == (40, 10) and np.allclose(many.sum(1), 1, atol=1e-5)
    assert np.allclose(many[17], task.probabilities(pixels[17:18])[0], atol=1e-4)
