"""The stock report: slots by boxes, grid or crops, what is expected, the picture, and every way to ask wrongly."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session

from app.api import create_app
from app.live import LiveIndex
from app.live_tasks import LiveTasks
from app.stock import Question, SlotAnswer, StockAnswer
from app.stock_drawing import COLOURS, _lettered, draw_stock
from app.stock_slots import grid_slots, read_expected, read_slots
from app.uploads import Upload
from app.wiring import Stores
from catalogue.errors import BadInput
from catalogue.queries import product_photos
from tests.app.classifiers import by_colour, publish_colours
from tests.app.test_classify import PAINT, photo
from tests.conftest import encoded

BOXES = {"A1": [0, 0, 50, 40], "A2": [50, 0, 100, 40], "A3": [100, 0, 150, 40]}


def shelf(*colours: str) -> bytes:
    """A shelf of slots of 50 × 40 pixels; what is red is empty."""
    image = Image.new("RGB", (50 * len(colours), 40))
    for at, colour in enumerate(colours):
        image.paste(PAINT[colour], (50 * at, 0, 50 * at + 50, 40))
    return encoded(image, "PNG")


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    """`shelf` takes green for filled and all else for empty; `goods` names milk (blue), tea (green) and soap (red);
    `other` takes blue for filled."""
    for name, labels, filled in (("shelf", ("empty", "product", "gap"), "product"),
                                 ("other", ("empty", "gap", "product"), "product"),
                                 ("goods", ("soap", "tea", "milk"), None)):
        more = {"filled": filled} if filled else {}
        stores.releases.promote(f"task:{name}", publish_colours(stores, name, labels, **more))
    with TestClient(create_app(stores, LiveIndex(stores), LiveTasks(stores, by_colour)),
                    raise_server_exceptions=False) as made:
        yield made


def ask(client: TestClient, data: bytes | list[bytes], **fields: Any) -> Any:
    files = [("photo", (f"{at}.png", one)) for at, one in enumerate([data] if isinstance(data, bytes) else data)]
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return client.post("/stock", files=files, data=fields)


def test_slots_of_a_shelf_and_what_is_expected_in_them(client: TestClient) -> None:
    answer = ask(client, shelf("green", "green", "red"), slots=BOXES, products="goods",
                 expected={"A1": "tea", "A2": "milk", "A3": "tea"}).json()
    first, second, third = answer["slots"]
    assert (answer["filled"], answer["empty"], answer["wrong"]) == (2, 1, 1)
    assert first["slot"] == "A1" and first["box"] == BOXES["A1"] and first["state"] == "filled"
    assert first["product"] == "tea" and first["as_expected"] and first["expected_present"] > 0.99
    assert second["product"] == "tea" and second["as_expected"] is False and second["expected_present"] < 0.01
    assert third["state"] == "empty" and third["product"] is None and third["expected_present"] < 0.01
    assert answer["releases"]["task"].startswith("task-") and answer["timings_ms"]["total"] > 0
    assert first["expected_present"] == pytest.approx(first["filled"] * first["probability"], abs=1e-5)


def test_a_grid_a_list_of_boxes_and_crops_say_the_same(client: TestClient) -> None:
    colours = ("green", "red", "green", "blue")
    expected = ["filled", "empty", "filled", "empty"]
    grid = ask(client, shelf(*colours), grid="1 x 4").json()
    assert [one["slot"] for one in grid["slots"]] == ["1-1", "1-2", "1-3", "1-4"]
    boxes = ask(client, shelf(*colours), slots=[one["box"] for one in grid["slots"]]).json()
    crops = ask(client, [photo(colour) for colour in colours]).json()
    for answer in (grid, boxes, crops):
        assert [one["state"] for one in answer["slots"]] == expected
        assert all(one["product"] is None and one["expected_present"] is None for one in answer["slots"])
    assert [one["slot"] for one in crops["slots"]] == ["1", "2", "3", "4"] and crops["slots"][0]["box"] is None
    other = ask(client, shelf(*colours), grid="1 x 4", task="other").json()
    assert [one["state"] for one in other["slots"]] == ["empty", "empty", "empty", "filled"]


def test_the_picture_shows_each_state(client: TestClient) -> None:
    fields = {"grid": "1x3", "products": "goods", "expected": ["tea", "milk", None]}
    big = encoded(Image.open(io.BytesIO(shelf("green", "green", "red"))).resize((600, 160)), "PNG")
    drawn = ask(client, big, draw="1", **fields)
    assert drawn.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(drawn.content))
    assert picture.size == (600, 160)
    for left, state in ((0, "filled"), (200, "wrong"), (400, "empty")):
        assert picture.getpixel((left + 2, 100)) == COLOURS[state]
    crops = client.post("/stock", files=[("photo", (str(at), photo("red"))) for at in range(10)],
                        headers={"accept": "image/png"})
    assert Image.open(io.BytesIO(crops.content)).size[0] > 8 * 200


@pytest.mark.parametrize(("fields", "status", "says"), [
    ({"slots": {"A": [0, 0, 200, 40]}}, 400, "outside the photo, which is 150 x 40"),
    ({"slots": {"A": [30, 0, 30, 40]}}, 400, "empty or lies outside"),
    ({"slots": {"A": [0, 0, 3]}}, 400, "four numbers"), ({"slots": {"A": [0, 0, 10**400, 2]}}, 400, "four numbers"),
    ({"slots": "{"}, 400, "no JSON"), ({"slots": "[" * 100000}, 400, "no JSON"), ({"slots": "7"}, 400, "JSON object"),
    ({"slots": {}}, 400, "1 to 500"), ({"slots": {"A": [0, 0, float("inf"), 2]}}, 400, "four numbers"),
    ({"slots": {"": [0, 0, 9, 9]}}, 400, "1 to 80"), ({"slots": {"long" * 21: [0, 0, 9, 9]}}, 400, "1 to 80"),
    ({"slots": {"two\nlines": [0, 0, 9, 9]}}, 400, "a line of"),
    ({"slots": '{"\\ud800": [0, 0, 9, 9]}'}, 400, "a line"),
    ({"slots": [[0, 0, 150, 40]] * 5}, 400, "more than 4 times"),
    ({"slots": BOXES, "grid": "1x3"}, 400, "both"), ({"grid": "three"}, 400, "rows x columns"),
    ({"grid": "0x3"}, 400, "rows x columns"), ({"grid": "99x99"}, 400, "500"), ({"grid": "41x1"}, 400, "pixels"),
    ({"grid": "1x3", "expected": {"1-1": "tea"}}, 400, "needs `products`"),
    ({"grid": "1x3", "products": "goods", "expected": {"1-1": "beer"}}, 400, "soap, tea, milk"),
    ({"grid": "1x3", "products": "goods", "expected": {"9-9": "tea"}}, 400, "the slots are 1-1, 1-2, 1-3"),
    ({"grid": "1x3", "products": "goods", "expected": ["tea"]}, 400, "1 products for 3 slots"),
    ({"grid": "1x3", "products": "goods", "expected": {"1-1": ["tea"]}}, 400, "name of a product"),
    ({"grid": "1x3", "task": "goods"}, 400, "which class means filled"),
    ({"grid": "1x3", "task": "x"}, 404, "live are"),
    ({"grid": "1x3", "products": "x"}, 404, "live are"), ({"grid": "1x3", "products": "index"}, 503, "index"),
    ({"gird": "1x3"}, 400, "no field 'gird'")])
def test_asked_wrongly(client: TestClient, fields: dict[str, Any], status: int, says: str) -> None:
    answer = ask(client, shelf("green", "green", "red"), **fields)
    assert answer.status_code == status and says in answer.json()["error"], answer.text


def test_words_on_the_picture_are_one_line_that_fits() -> None:
    one = SlotAnswer(slot="A", box=None, state="filled", filled=1.0, product="1", name="Two\nlines " * 10000,
                     probability=1.0, expected=None, expected_present=None, as_expected=None)
    answer = StockAnswer(slots=[one], filled=1, empty=0, wrong=0, releases={}, timings_ms={})
    question = Question((Upload("crop", photo("green")),))
    assert Image.open(io.BytesIO(draw_stock(question, answer))).size[0] > 200


def test_bad_photos(client: TestClient) -> None:
    assert ask(client, b"none", grid="1x3").status_code == 422
    answer = ask(client, [photo("red"), b"none"])
    assert answer.status_code == 422 and "photo 2 (1.png)" in answer.json()["error"]
    assert ask(client, [photo("red")] * 2, grid="1x3").status_code == 400
    assert client.post("/stock", data={"grid": "1x3"}, files={"x": (None, "y")}).status_code == 422


def test_products_by_retrieval(grown: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.stock.FILLED_FROM", 0)
    grown.releases.promote("task:shelf", publish_colours(grown, "shelf", ("a", "b", "c"), filled="a"))
    with Session(grown.readers) as session:
        rows = product_photos(session)[:2]
    crops = [grown.photos.read(row.sha256) for row in rows]
    with TestClient(create_app(grown, LiveIndex(grown), LiveTasks(grown, by_colour))) as client:
        answer = ask(client, crops, products="index", expected=[str(row.product_id) for row in rows]).json()
        for one, row in zip(answer["slots"], rows, strict=True):
            assert one["product"] == str(row.product_id) and one["name"].startswith("Tavero") and one["as_expected"]
            assert 0 < one["expected_present"] <= one["filled"]
        assert answer["releases"]["products"].startswith("index-")
        wrong = ask(client, crops, products="index", expected=["999999", None])
        assert wrong.status_code == 400 and "live index" in wrong.json()["error"]


def test_slots_are_parsed_without_a_photo() -> None:
    boxes = [slot.box for slot in grid_slots("2 × 2", (5, 4))]
    assert boxes == [(0, 0, 2, 2), (2, 0, 5, 2), (0, 2, 2, 4), (2, 2, 5, 4)]
    assert read_slots('{"x": [0.4, 0, 9.6, 5]}', (10, 10))[0].box == (0, 0, 10, 5)
    assert read_expected('{"a": "tea", "b": null}', ["a", "b"]) == {"a": "tea"} and not read_expected("", ["a"])
    assert read_expected("[7, null]", ["a", "b"]) == {"a": "7"}
    with pytest.raises(BadInput, match="no JSON"):
        read_expected("tea", ["a"])


def test_letters_that_no_font_has_are_question_marks_and_others_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.stock_drawing.OTHER_FONTS", ("none.ttf",))
    assert [_lettered(line, 14)[1] for line in ("A1: empty 5 %", "A1: 솔잎 a")] == ["A1: empty 5 %", "A1: ?? a"]
