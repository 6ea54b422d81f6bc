"""Websites on loopback for the crawler to visit, and a fresh catalogue to crawl into."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from catalogue.database import open_database
from catalogue.tables import Table
from crawler.settings import CrawlSettings
from demo.shop import listen
from tests.crawler.ordeal import Ordeal, shared_peace
from tests.postgres import Cluster

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Website:
    """A website whose `answers` (path to status, headers and body, or a function of the handler) may be changed."""

    answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}{path}"

    def page(self, path: str, body: str | bytes, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body.encode() if isinstance(body, str) else body
        self.answers[path] = (status, {"Content-Type": "text/html; charset=utf-8", **named}, data)

    def settings(self, **changes: object) -> CrawlSettings:
        return CrawlSettings(
            **{
                "delay_s": 0,
                "timeout_s": 20,
                "retries": 1,
                "max_retry_wait_s": 0.05,
                "allow_hosts": frozenset([self.host]),
                **changes,
            }
        )  # type: ignore[arg-type]


@pytest.fixture
def website() -> Iterator[Website]:
    site = Website()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = site.answers.get(self.path, (404, {}, b"nothing here"))
            if callable(answer):
                answer(self)
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serve an app on a free port; returns its `host:port`."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: FastAPI) -> str:
        listener = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


@pytest.fixture
def engine(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Engine]:
    url = new_database()
    opened = open_database(url or f"sqlite:///{tmp_path}/catalogue.db")
    if not url:
        Table.metadata.create_all(opened)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, wanted_cluster: Cluster | None) -> Iterator[Ordeal]:
    """A hostile and a healthy shop, crawled in peace, for all tests of a module."""
    with shared_peace(tmp_path_factory.mktemp("shared"), wanted_cluster) as made:
        yield made


@pytest.fixture
def ordeal(shared: Ordeal) -> Iterator[Ordeal]:
    """Tests whose crawls all come to an end share one catalogue."""
    shared.bad.asked.clear()
    yield shared
    shared.bad.trouble.clear()
    shared.nothing_is_lost()
