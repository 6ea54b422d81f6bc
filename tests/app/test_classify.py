"""The doors of live tasks: many photos, several tasks, bad input, 64 at once, and /identify that sees no shoe."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session

from app.api import create_app
from app.cli import main
from app.live import LiveIndex
from app.live_tasks import LiveTasks
from app.uploads import MOST_PHOTOS
from app.wiring import Stores
from catalogue.queries import product_photos
from tests.app.classifiers import COLOURS, by_colour, publish_colours, publish_network
from tests.conftest import encoded, picture

PAINT = {"red": (220, 20, 30), "green": (20, 220, 30), "blue": (30, 20, 220)}
UPSIDE = ("blue", "green", "red")


def photo(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    return encoded(Image.new("RGB", size, PAINT[colour]), "PNG")


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    """Two tasks are live, and no index; the second calls colours by other names."""
    for name, labels in (("hue", COLOURS), ("mirror", UPSIDE)):
        stores.releases.promote(f"task:{name}", publish_colours(stores, name, labels))
    with TestClient(create_app(stores, LiveIndex(stores), LiveTasks(stores, by_colour)),
                    raise_server_exceptions=False) as made:
        yield made


def test_the_live_tasks_are_listed(client: TestClient) -> None:
    tasks = client.get("/tasks").json()["tasks"]
    assert [task["name"] for task in tasks] == ["hue", "mirror"]
    assert tasks[0]["classes"] == list(COLOURS) and tasks[0]["measures"]["accuracy"] == 0.9
    assert tasks[0]["release"].startswith("task-") and tasks[0]["guard"] is None and tasks[0]["about"]
    health = client.get("/healthz")
    assert health.status_code == 200 and health.json()["index"] is None and set(health.json()["tasks"]) == {
        "hue", "mirror"} and "no index is live" in health.json()["problem"]
    assert client.post("/identify", content=photo("red")).status_code == 503
    assert client.get("/version").json()["tasks"]["hue"] == tasks[0]["release"]


def test_one_photo_as_raw_body_or_form(client: TestClient) -> None:
    timed = {"receive", "decode", "classify", "total"}
    raw = client.post("/classify/hue", content=photo("green")).json()
    form = client.post("/classify/hue", files={"photo": ("g.png", photo("green"))}).json()
    assert raw["task"] == "hue" and raw["release"] == form["release"] and timed <= raw["timings_ms"].keys()
    classes = raw["photos"][0]["classes"]
    assert [one["name"] for one in classes] == ["green", "blue", "red"] and classes == form["photos"][0]["classes"]
    assert form["photos"][0]["photo"] == "g.png"
    assert sum(one["probability"] for one in classes) == pytest.approx(1, abs=1e-5)
    top = client.post("/classify/hue?top=1", content=photo("green")).json()["photos"][0]["classes"]
    assert top == classes[:1]


def test_many_photos_and_several_tasks_in_one_call(client: TestClient) -> None:
    order = ["red", "blue", "green", "blue"] * 10
    files = [("photo", (f"{at}.png", photo(colour))) for at, colour in enumerate(order)]
    answer = client.post("/classify?tasks=mirror,hue&top=1", files=files).json()
    assert [one["task"] for one in answer["tasks"]] == ["mirror", "hue"]
    for one, names in zip(answer["tasks"], (dict(zip(COLOURS, UPSIDE, strict=True)), {}), strict=True):
        best = [found["classes"][0]["name"] for found in one["photos"]]
        assert best == [names.get(colour, colour) for colour in order]
        assert [found["photo"] for found in one["photos"]] == [f"{at}.png" for at in range(40)]
    assert [one["task"] for one in client.post("/classify", content=photo("red")).json()["tasks"]] == ["hue", "mirror"]


@pytest.mark.parametrize(("path", "status", "says"), [
    ("/classify/none", 404, "live are: hue, mirror"), ("/classify?tasks=hue,none", 404, "no task 'none'"),
    ("/classify/hue?top=0", 422, "top"), ("/classify/hue?top=x", 422, "top")])
def test_what_is_asked_for_wrongly(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.post(path, content=photo("red"))
    assert answer.status_code == status and says in answer.json()["error"]


def test_bad_photos_are_named_and_the_next_is_served(client: TestClient) -> None:
    good = ("photo", ("good.png", photo("red")))
    answer = client.post("/classify/hue", files=[good, ("photo", ("bad.png", photo("red")[:60]))])
    assert answer.status_code == 422 and answer.json()["error"].startswith("photo 2 (bad.png): ")
    assert client.post("/classify/hue", content=b"no photo").status_code == 422
    assert client.post("/classify/hue", files=[good] * (MOST_PHOTOS + 1)).status_code == 400
    assert "no file" in client.post("/classify/hue", data={"photo": "text"}, files={"x": (None, "y")}).json()["error"]
    assert client.post("/classify/hue", files=[good] * MOST_PHOTOS).status_code == 200


def test_too_much_is_refused(client: TestClient, stores: Stores) -> None:
    large = b"\xff" * (21 * 2**20)
    assert client.post("/classify/hue", content=large).status_code == 413
    answer = client.post("/classify/hue", files=[("photo", ("a.png", photo("red"))), ("photo", ("b.png", large))])
    assert answer.status_code == 413 and "photo 2 (b.png)" in answer.json()["error"]
    answer = client.post("/classify", files=[("photo", (str(at), large[:17 * 2**20])) for at in range(5)])
    assert answer.status_code == 413 and "80 MB" in answer.json()["error"]


def test_without_tasks_it_says_what_to_do(stores: Stores) -> None:
    with TestClient(create_app(stores, LiveIndex(stores))) as empty:
        assert empty.get("/tasks").json() == {"tasks": []}
        for path, status in (("/classify/hue", 404), ("/classify", 503)):
            answer = empty.post(path, content=photo("red"))
            assert answer.status_code == status and "solesearch task train" in answer.json()["error"]


def test_the_routes_are_documented(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/tasks", "/classify", "/classify/{name}", "/stock"} <= paths.keys()
    assert "multipart/form-data" in paths["/classify/{name}"]["post"]["requestBody"]["content"]


def test_64_at_once_never_get_another_answer(stores: Stores) -> None:
    stores.releases.promote("task:net", publish_network(stores, "net"))
    with TestClient(create_app(stores, LiveIndex(stores))) as client:
        photos = [encoded(picture(seed), "PNG") for seed in range(64)]
        alone = [client.post("/classify/net?top=10", content=data).json()["photos"][0]["classes"] for data in photos]

        def ask(at: int) -> bool:
            found = client.post("/classify/net?top=10", content=photos[at]).json()["photos"][0]["classes"]
            there = {one["name"]: one["probability"] for one in alone[at]}
            return all(abs(there[one["name"]] - one["probability"]) < 1e-4 for one in found)

        spread = np.std([[one["probability"] for one in sorted(row, key=lambda one: one["name"])] for row in alone], 0)
        assert spread.max() > 1e-3, "the photos differ by more than what is allowed"
        with ThreadPoolExecutor(64) as threads:
            assert all(threads.map(ask, [*range(64)] * 2))


def test_identify_says_that_there_is_no_shoe(grown: Stores) -> None:
    """In the stand-in for garments what is blue is a shoe."""
    tasks = LiveTasks(grown, by_colour)
    with Session(grown.readers) as session:
        data = grown.photos.read(product_photos(session)[0].sha256)
    with TestClient(create_app(grown, LiveIndex(grown), tasks)) as client:
        before = client.post("/identify", content=data).json()
        assert before["shoe"] is None and before["verdict"] != "no shoe"
        labels = ("hat", "top", "shoes")
        name = publish_colours(grown, "garment", labels, guard={"class": "shoes", "threshold": 0.2})
        grown.releases.promote("task:garment", name)
        tasks.refresh()
        none = client.post("/identify", content=photo("red")).json()
        assert none["verdict"] == "no shoe" and none["confidence"] is None and none["best"]
        assert not none["shoe"]["present"]
        assert none["shoe"]["release"] == name and none["shoe"]["probability"] < 0.01
        assert none["timings_ms"]["guard"] > 0
        there = client.post("/identify", content=photo("blue")).json()
        assert there["shoe"]["present"] and there["verdict"] != "no shoe"
        grown.releases.promote("task:garment", publish_colours(grown, "garment", labels))
        tasks.refresh()
        assert client.post("/identify", content=data).json()["shoe"] is None, "a release without a guard says nothing"


def test_the_command_line_names_the_shoe_without_a_guard_that_cannot_serve(
        grown: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(grown.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", grown.settings.database_url)
    guard = {"class": "red", "threshold": 0.2}
    grown.releases.promote("task:garment", publish_colours(grown, "garment", guard=guard))  # has no network to run
    with Session(grown.readers) as session:
        path = grown.photos.path(product_photos(session)[0].sha256)
    with pytest.raises(SystemExit) as left:
        main(["identify", str(path), "--json"])
    shown = capsys.readouterr()
    assert not left.value.code and json.loads(shown.out)["shoe"] is None
    assert "Warning: whether there is a shoe at all cannot be said" in shown.err and "publish" in shown.err


def test_photos_from_the_command_line(stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))
    names = [str(tmp_path / f"{seed}.png") for seed in range(2)]
    for seed, name in enumerate(names):
        Path(name).write_bytes(encoded(picture(seed), "PNG"))

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        shown = capsys.readouterr()
        return int(left.value.code or 0), shown.out + shown.err

    code, said = run("classify", "net", names[0])
    assert code == 1 and "solesearch task train" in said
    stores.releases.promote("task:net", publish_network(stores, "net", filled="a"))
    code, said = run("classify", "net", *names, "--top", "2")
    assert code == 0 and len(said.splitlines()) == 2 and said.count("%") == 4 and said.startswith(names[0])
    told = json.loads(run("classify", "net", *names, "--json")[1])
    with TestClient(create_app(stores, LiveIndex(stores))) as client:
        served = client.post("/classify/net", content=Path(names[1]).read_bytes()).json()["photos"][0]["classes"]
    assert [one["name"] for one in served] == [one["name"] for one in told["photos"][1]["classes"]]
    assert run("classify", "net", str(tmp_path / "none.png"))[0] == 1
    drawn = tmp_path / "drawn.png"
    code, said = run("stock", names[0], "--grid", "1x2", "--task", "net", "--products", "net", "--draw", str(drawn))
    assert code == 0 and said.splitlines()[0].startswith("1-1 ") and said.splitlines()[2].endswith("empty")
    assert Image.open(drawn).size == (64, 48)
