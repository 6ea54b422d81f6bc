"""The page in a real browser: on a phone and on a desktop, the answer is there and nothing sticks out."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.queries import product_photos

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def address(trained: Stores) -> Iterator[str]:
    """A real server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
                              env={**os.environ, "SOLESEARCH_DATA_DIR": str(trained.settings.data_dir),
                                   "SOLESEARCH_DATABASE_URL": trained.settings.database_url},
                              stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(15)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page is not tried in a browser")
@pytest.mark.parametrize("size", ["390,844", "1280,900"])
def test_a_browser_shows_the_answer(address: str, trained: Stores, tmp_path: Path, size: str) -> None:
    with Session(trained.readers) as session:
        sha256 = product_photos(session)[0].sha256
    browser = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--user-data-dir={tmp_path}", f"--window-size={size}", "--virtual-time-budget=15000", "--dump-dom"]
    page = subprocess.run([*browser, f"{address}/?photo={sha256}"], capture_output=True, text=True, timeout=120).stdout
    assert re.search(r'class="verdict[^>]*>(exact|same model, other colour|similar|unknown)<', page), page[-3000:]
    assert page.count('class="card"') >= 11 and "Tavero" in page and "Similar shoes" in page
    gone = subprocess.run([*browser, f"{address}/?photo={'0' * 64}"], capture_output=True, text=True, timeout=120)
    assert "not here any more" in gone.stdout
