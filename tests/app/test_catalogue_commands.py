"""`solesearch catalogue`: what its commands say, and what they leave as exit status."""

import gzip
import json
import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.cli import main
from app.wiring import Stores
from catalogue.tables import Listing, Product, ProductPhoto
from tests.catalogue.test_kills import shot
from tests.conftest import encoded, picture

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command on the stores and returns its exit status and all it said."""
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_DATABASE_URL", stores.settings.database_url)

    def command(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as leave:
            main(["catalogue", *map(str, words)])
        said = capsys.readouterr()
        return int(leave.value.code or 0), said.out + said.err

    return command


def lines(path: Path, count: int, photo: str = "a.jpg") -> Path:
    (path.parent / "a.jpg").write_bytes(encoded(picture(1)))
    text = "".join(json.dumps({"shop": "Runa", "url": f"https://runa.example/{number}", "title": f"Shoe {number}",
                               "brand": "Tavero", "style_code": f"TV-{number}", "photos": [photo]}) + "\n"
                   for number in range(count))
    path.write_text(text)
    return path


def test_push_merge_split_and_export(run: Run, tmp_path: Path) -> None:
    path = lines(tmp_path / "push.jsonl", 3)
    status, said = run("import", path)
    assert status == 0 and "3 products, 3 photos, 0 problems\n" in said
    path.write_text(path.read_text() + "{broken\n")
    status, said = run("import", path)
    assert status == 1 and "line 4: this is no JSON" in said and "3 products" in said
    status, said = run("merge", "TV-0", "TV-2")
    assert status == 0 and "product 1 is now product 3 (1 listings, 1 photos moved)" in said
    assert json.loads(run("stats", "--json")[1])["products"] == 2
    assert run("split", "1")[0] == 0 and json.loads(run("stats", "--json")[1])["products"] == 3
    status, said = run("merge", "TV-0", "TV-7")
    assert status == 1 and "there is no product 'TV-7'; name it by its style code, or by its id as answers" in said
    assert "Traceback" not in said
    assert run("split")[0] == 2 and run("export")[0] == 2
    assert run("export", "--jsonl", tmp_path / "out.jsonl.gz") == (
        0, f"3 lines, 3 photos in {tmp_path / 'out.jsonl.gz'}\n")
    assert len(gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).splitlines()) == 3
    assert len(list((tmp_path / "out-photos").iterdir())) == 1


def test_sweep_and_the_budget(run: Run, stores: Stores) -> None:
    path = stores.photos.path(stores.photos.put(encoded(picture(1))).sha256)
    assert json.loads(run("stats", "--json")[1])["bytes"] == path.stat().st_size
    assert run("sweep", "--max-gb", "1")[0] == 0 and path.is_file()
    status, said = run("sweep", "--max-gb", "0.0000001")
    assert status == 1 and "take more than" in said
    os.utime(path, (0, 0))
    assert "removed 0 photos and 1 orphan files" in run("sweep", "--older-than", "30")[1] and not path.exists()


def test_addresses_are_fetched_as_a_crawl_would(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/a.jpg"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(encoded(picture(3)) if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    path = lines(tmp_path / "push.jsonl", 1, f"http://{host}/a.jpg")
    assert "add --fetch" in run("import", path)[1]
    assert "0 photos, 1 problems" in run("import", "--fetch", path)[1]  # the guard: a private address
    monkeypatch.setenv("SOLESEARCH_ALLOW_HOSTS", host)
    monkeypatch.setenv("SOLESEARCH_CRAWL_DELAY_S", "0")
    status, said = run("import", "--fetch", path)
    assert status == 0 and "1 products, 1 photos, 0 problems\n" in said
    status, said = run("import", "--fetch", lines(path, 1, f"http://{host}/b.jpg"))
    assert status == 1 and "answered 404" in said
    server.shutdown()
    server.server_close()


def test_a_push_killed_again_and_again_ends_like_one_that_was_not(stores: Stores, run: Run, tmp_path: Path) -> None:
    path = lines(tmp_path / "push.jsonl", 150)
    for last in (20, 110):
        shot(stores, "catalogue.listings.add_photos", last, "catalogue", "import", path)
        with Session(stores.database) as session:
            assert session.scalar(select(func.count()).select_from(Listing)) == last - 1
    assert run("import", path)[0] == 0
    with Session(stores.database) as session:
        rows = session.execute(select(Listing.url, Product.key, func.count(ProductPhoto.id)).join(
            Product, Product.id == Listing.product_id).join(ProductPhoto, ProductPhoto.listing_id == Listing.id)
            .group_by(Listing.id, Product.id).order_by(Listing.id)).all()
    assert [tuple(row) for row in rows] == [
        (f"https://runa.example/{number}", f"style:tavero:tv{number}", 1) for number in range(150)]
