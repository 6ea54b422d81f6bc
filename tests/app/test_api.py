"""The HTTP door: answers, bad input, many at once, promotion, additions and removals while serving."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from app.api import create_app
from app.batching import BatchingRuntime
from app.commands.indexing import add_with_bar
from app.live import LiveIndex
from app.settings import Settings
from app.wiring import Stores, open_stores
from catalogue.imports import import_path
from catalogue.merging import merge
from catalogue.queries import ProductPhotoRow, product_photos
from tests.conftest import encoded, picture
from tests.index.test_segments import take_away
from tests.postgres import Cluster
from vision.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def client(trained: Stores) -> Iterator[TestClient]:
    with TestClient(create_app(trained, LiveIndex(trained)), raise_server_exceptions=False) as made:
        yield made


def stored_photos(stores: Stores) -> list[tuple[int, bytes]]:
    with Session(stores.readers) as session:
        return [(row.product_id, stores.photos.read(row.sha256)) for row in product_photos(session)]


def test_multipart_and_raw_give_the_same_answer(client: TestClient, trained: Stores) -> None:
    product, data = stored_photos(trained)[0]
    raw = client.post("/identify", content=data, headers={"content-type": "image/jpeg"}).json()
    form = client.post("/identify", files={"photo": ("x.jpg", data)}).json()
    assert raw.pop("timings_ms") and form.pop("timings_ms")
    assert raw == form and raw["best"]["id"] == product
    assert raw["verdict"] in ("exact", "same model, other colour", "similar", "unknown")
    assert raw["best"]["brand"] == "Tavero" and len(raw["similar"]) == 10
    assert raw["releases"]["index"].startswith("index-") and raw["releases"]["snapshot"]
    shown = client.get(raw["best"]["nearest_photo"])
    assert shown.status_code == 200 and shown.content == data and shown.headers["content-type"] == "image/jpeg"
    assert client.get(f"/products/{product}").json()["photos"] == raw["best"]["photos"]


@pytest.mark.parametrize(("body", "status", "says"), [
    (b"", 422, "empty"), (b"text in a .jpg", 422, "no picture"), (encoded(picture(1, (200, 200)))[:1500], 422, "cut"),
    (b"\xff" * (21 * 2**20), 413, "larger than 20 MB")])
def test_bad_bodies_get_a_sentence_and_the_next_is_served(client: TestClient, trained: Stores, body: bytes, status: int,
                                                          says: str) -> None:
    for answer in (client.post("/identify", content=body),
                   client.post("/identify", files={"photo": ("a.jpg", body)})):
        assert answer.status_code == status and says in answer.json()["error"]
    assert client.post("/identify", content=stored_photos(trained)[0][1]).status_code == 200


def test_a_photo_just_within_the_limit_fits_into_a_form(client: TestClient) -> None:
    junk = b"\xff" * (20 * 2**20)
    for answer in (client.post("/identify", content=junk), client.post("/identify", files={"photo": ("a.jpg", junk)})):
        assert answer.status_code == 422 and "no picture" in answer.json()["error"]


def test_only_so_many_pictures_are_in_memory_at_once(client: TestClient, trained: Stores,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    held, most = [0], [0]
    batch = Preprocessing.pixels

    def counted(self: Preprocessing, image: Image.Image) -> np.ndarray:
        held[0] += 1
        most[0] = max(most[0], held[0])
        time.sleep(0.05)
        try:
            return batch(self, image)
        finally:
            held[0] -= 1

    monkeypatch.setattr(Preprocessing, "pixels", counted)
    data = stored_photos(trained)[0][1]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post("/identify", content=data).status_code, range(24)))
    assert answers == [200] * 24 and 1 < most[0] <= 4


def test_a_body_without_a_length_is_stopped_too(client: TestClient) -> None:
    answer = client.post("/identify", content=(b"x" * 2**20 for _ in range(22)))
    assert answer.status_code == 413


@pytest.mark.parametrize(("path", "status"), [
    ("/products/999", 404), ("/products/abc", 422), ("/products/99999999999999999999", 422),
    ("/photos/%00", 404), ("/photos/abc", 404), ("/photos/..%2f..%2fx", 404), ("/none", 404)])
def test_unknown_things_are_one_sentence(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status and isinstance(answer.json()["error"], str)


def test_a_form_without_a_file_says_so(client: TestClient) -> None:
    answer = client.post("/identify", data={"photo": "text"}, files={"other": (None, "more")})
    assert answer.status_code == 422 and "no file" in answer.json()["error"]


def test_several_files_are_not_answered_for_one(client: TestClient, trained: Stores) -> None:
    files = [("photo", ("one.jpg", stored_photos(trained)[at][1])) for at in (0, 9)]
    answer = client.post("/identify", files=files)
    assert answer.status_code == 400 and "2 files; send one photo" in answer.json()["error"]


def test_an_upload_that_breaks_off_is_no_fault_of_the_service(trained: Stores) -> None:
    sent: list[Any] = []
    came = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(came)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/identify",
             "raw_path": b"/identify", "query_string": b"", "root_path": "", "scheme": "http", "headers": [],
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    asyncio.run(create_app(trained, LiveIndex(trained))(scope, receive, send))
    assert sent[0]["status"] == 400


def test_state_and_pages(client: TestClient) -> None:
    assert client.get("/healthz").json()["ok"] is True
    assert client.get("/version").json()["index"].startswith("index-")
    assert "drop" in client.get("/").text
    assert "/identify" in client.get("/openapi.json").json()["paths"]


def test_without_an_index_the_answer_is_503(stores: Stores) -> None:
    with TestClient(create_app(stores, LiveIndex(stores))) as empty:
        assert empty.get("/healthz").status_code == 503
        answer = empty.post("/identify", content=encoded(picture(1)))
        assert answer.status_code == 503 and "solesearch" in answer.json()["error"]


def test_answers_are_never_mixed(client: TestClient, trained: Stores) -> None:
    photos = stored_photos(trained) * 3

    def ask(item: tuple[int, bytes]) -> bool:
        answer = client.post("/identify", content=item[1]).json()["best"]
        return answer["id"] == item[0] and answer["score"] > 0.999

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(ask, photos))


def test_batching_hands_each_caller_its_own_rows() -> None:
    class Echo:
        """Answers with what it was asked, the first time once more wait, and remembers how many came together."""

        sizes: list[int] = []

        def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if not self.sizes:
                wait_for(lambda: batching._waiting.qsize() >= 8)
            self.sizes.append(len(pixels))
            if pixels.max() == 255:
                raise RuntimeError("bad batch")
            return pixels.reshape(len(pixels), -1).astype(np.float32), pixels[:, 0, 0].astype(np.float32)

    batching = BatchingRuntime(Echo(), most=8)

    def ask(number: int) -> bool:
        rows = 1 + number % 3
        vectors, _ = batching.run(np.full((rows, 2, 2, 3), number, np.uint8))
        return len(vectors) == rows and bool((vectors == number).all())

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(200)))
    with pytest.raises(RuntimeError, match="bad batch"):
        batching.run(np.full((1, 2, 2, 3), 255, np.uint8))
    assert ask(7) and 8 <= max(Echo.sizes) <= 8 + 2
    batching.close()
    assert ask(9)  # a request that comes after its engine was retired


def test_promotion_while_serving_and_a_broken_release(trained: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveIndex(trained)
    live.refresh()
    first = live.current()
    broken = trained.releases.open(first.index.name)
    with trained.releases.draft("index") as draft:
        for path in broken.folder.iterdir():
            if path.name != "manifest.json":
                (draft.folder / path.name).write_bytes(path.read_bytes())
        (draft.folder / "index.faiss").write_bytes(b"broken")
        draft.manifest.update({name: value for name, value in broken.manifest.items() if name not in ("files", "kind")})
    trained.releases.promote("index", draft.name)
    try:
        live.refresh()
        assert live.current() is first and "cannot serve" in live.problem
        with TestClient(create_app(trained, live)) as client:
            health = client.get("/healthz").json()
            assert health["ok"] and draft.name in health["problem"]
    finally:
        trained.releases.promote("index", first.index.name)
    live.refresh()
    assert live.current().index.name == first.index.name


def test_while_the_database_is_away_the_answer_is_503(stores: Stores, tmp_path: Path) -> None:
    away = replace(stores, database=create_engine(f"sqlite:///{tmp_path}/none/catalogue.db"))
    with TestClient(create_app(away, LiveIndex(stores)), raise_server_exceptions=False) as client:
        assert client.get("/healthz").status_code == 503
        for path in ("/products/1", f"/photos/{64 * 'a'}"):
            answer = client.get(path)
            assert answer.status_code == 503 and "database does not answer" in answer.json()["error"]


def test_where_no_connection_is_free_the_answer_is_503(stores: Stores, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    narrow = replace(stores, database=create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0,
                                                    pool_timeout=0.1))
    with TestClient(create_app(narrow, LiveIndex(stores)), raise_server_exceptions=False) as client:
        with narrow.database.connect():
            answer = client.get("/products/1")
        assert answer.status_code == 503 and "database does not answer" in answer.json()["error"]


def test_a_connection_that_postgresql_ended_is_503_and_a_wrong_statement_500(cluster: Cluster, tmp_path: Path) -> None:
    url = cluster.migrated()
    stores = open_stores(Settings(data_dir=tmp_path / "data", database_url=url))
    with TestClient(create_app(stores, LiveIndex(stores)), raise_server_exceptions=False) as client:
        assert client.get("/products/1").status_code == 404
        other = create_engine(url, isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"))
            assert client.get("/products/1").status_code in (404, 503)
            wait_for(lambda: client.get("/products/1").status_code == 404)
            connection.execute(text("ALTER TABLE products RENAME TO others"))
        answer = client.get("/products/1")
        assert answer.status_code == 500 and "its log says why" in answer.json()["error"]
    stores.database.dispose()
    other.dispose()
    cluster.drop(url)


def test_an_unexpected_error_shows_no_traceback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = encoded(picture(1, (1, 1)), "PNG")
    assert client.post("/identify", content=photo).status_code == 200

    def broken(*_: object) -> np.ndarray:
        raise ArithmeticError("a secret")

    monkeypatch.setattr(Preprocessing, "pixels", broken)
    answer = client.post("/identify", content=photo)
    assert answer.status_code == 500 and "its log says why" in answer.json()["error"]
    assert "Traceback" not in answer.text and "secret" not in answer.text


def best_of(client: TestClient, data: bytes) -> dict[str, Any]:
    answer = client.post("/identify", content=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def products_of(answer: dict[str, Any]) -> set[int]:
    return {match["id"] for match in (answer["best"], *answer["similar"], *answer["colourways"],
                                      *answer["other_brands"])}


@contextmanager
def opened(stores: Stores) -> Iterator[TestClient]:
    with TestClient(create_app(stores, LiveIndex(stores)), raise_server_exceptions=False) as client:
        yield client


def test_what_is_removed_is_gone_from_the_very_next_answer(grown: Stores) -> None:
    late = open_stores(grown.settings.model_copy(update={"poll_s": 3600}))
    with opened(late) as client:  # this worker does not look for changes for an hour
        product, data = stored_photos(grown)[0]
        before = best_of(client, data)
        assert before["best"]["id"] == product and len(before["similar"]) == 10
        mine = [(row.product_id, row.sha256) for row in photo_rows(grown) if row.product_id == product]
        take_away(grown, mine[:1])
        one_photo_less = best_of(client, data)["best"]
        assert one_photo_less["id"] != product or one_photo_less["nearest_photo"] != f"/photos/{mine[0][1]}"
        take_away(grown, mine)
        after = best_of(client, data)
        assert product not in products_of(after) and len(after["similar"]) == 10
        assert len({match["id"] for match in after["similar"]}) == 10
        take_away(grown, [(row.product_id, row.sha256) for row in photo_rows(grown)])
        answer = client.post("/identify", content=data)
        assert answer.status_code == 503 and "left the catalogue" in answer.json()["error"]


def test_a_merged_product_answers_as_what_it_became_at_once(grown: Stores) -> None:
    late = open_stores(grown.settings.model_copy(update={"poll_s": 3600}))
    with opened(late) as client:
        photos = stored_photos(grown)
        (product, data), other = photos[0], photos[-1][0]
        merge(grown.database, str(product), str(other))
        answer = best_of(client, data)
        assert answer["best"]["id"] == other and answer["best"]["score"] > 0.999
        assert product not in products_of(answer) and len({match["id"] for match in answer["similar"]}) == 10


def test_additions_are_served_within_a_poll(grown: Stores, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    with opened(grown) as client:
        base = client.get("/version").json()["index"]
        import_path(grown.database, grown.photos, make_folder(tmp_path / "new", models=1, first=30))
        segment = add_with_bar(grown, grown.releases.live("index")).segment
        product, data = stored_photos(grown)[-1]
        wait_for(lambda: best_of(client, data)["releases"]["segments"] == [segment])
        answer = best_of(client, data)
        assert answer["best"]["id"] == product and answer["best"]["score"] > 0.999
        assert answer["best"]["name"] == "Shoe 30" and len(answer["colourways"]) == 1
        assert answer["releases"]["index"] == base and client.get("/healthz").json()["problem"] is None


def test_requests_while_the_index_grows_and_shrinks(grown: Stores, make_folder: Callable[..., Path],
                                                    tmp_path: Path) -> None:
    photos = stored_photos(grown)
    names = {hashlib.sha256(data).hexdigest(): product for product, data in photos}
    removed: set[int] = set()  # products whose removal was committed
    stop = threading.Event()

    def ask(number: int) -> int:
        asked = 0
        while not stop.is_set():
            product, data = photos[(7 * asked + 13 * number) % len(photos)]
            gone = set(removed)
            answer = best_of(client, data)
            shown = products_of(answer)
            assert not shown & gone and len({match["id"] for match in answer["similar"]}) == 10
            if product not in gone and product not in removed:
                assert answer["best"]["id"] == product and answer["best"]["score"] > 0.999  # never another's answer
            assert answer["best"]["id"] == names.get(answer["best"]["nearest_photo"][8:], answer["best"]["id"])
            asked += 1
        return asked

    with opened(grown) as client, ThreadPoolExecutor(6) as threads:
        asking = [threads.submit(ask, number) for number in range(6)]
        try:
            for step in range(5):
                folder = make_folder(tmp_path / str(step), models=1, views=2, first=30 + step)
                import_path(grown.database, grown.photos, folder)
                add_with_bar(grown, grown.releases.live("index"))
                victim = photos[8 * step][0]
                take_away(grown, [(row.product_id, row.sha256) for row in photo_rows(grown)
                                  if row.product_id == victim])
                removed.add(victim)
                time.sleep(0.2)
            wait_for(lambda: len(best_of(client, photos[-1][1])["releases"]["segments"]) == 5)
        finally:
            stop.set()
        assert sum(future.result() for future in asking) > 20


def photo_rows(stores: Stores) -> list[ProductPhotoRow]:
    with Session(stores.readers) as session:
        return product_photos(session)


def wait_for(happened: Callable[[], bool], patience_s: float = 20) -> None:
    until = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
