"""`solesearch serve`: the HTTP service."""

import socket
from contextlib import closing

import click
from fastapi import FastAPI

from app.api import create_app
from app.live import LiveIndex
from app.live_tasks import LiveTasks
from app.logs import log_from, service_level
from app.settings import read_settings
from app.wiring import open_stores
from catalogue.errors import BadInput


@click.command()
@click.option("--host", envvar="HOST", default="127.0.0.1", show_default=True,
              help="Address to listen on (or HOST); 0.0.0.0 for other machines, a phone say.")
@click.option("--port", envvar="PORT", type=click.IntRange(0, 65535), help="Port to listen on (or PORT); without it "
              "8000, or the next free one.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def serve(host: str, port: int | None, workers: int) -> None:
    """Serve the web page and the HTTP API until Ctrl-C."""
    import uvicorn
    service_level()  # fail here, with a sentence, rather than in a worker
    open_stores(read_settings())
    chosen = free_port(host, 8000) if port is None else port
    if port == 0:
        chosen = free_port(host, 49152)
    elif port is not None and (why := why_not(host, port)):
        raise BadInput(f"cannot listen on port {port} of {host} ({why}); choose another with PORT=… or --port")
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
    click.echo(f"SoleSearch listens on http://{shown}:{chosen}/")
    uvicorn.run("app.commands.serving:application", factory=True, host=host, port=chosen, workers=workers,
                log_level="warning", timeout_graceful_shutdown=10)


def application() -> FastAPI:
    """The application of one worker process, from the environment."""
    log_from(service_level())
    stores = open_stores(read_settings())
    return create_app(stores, LiveIndex(stores), LiveTasks(stores))


def why_not(host: str, port: int) -> str:
    """Why a server could not listen there now; empty if it could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def free_port(host: str, first: int) -> int:
    """The first free port from `first` on; `BadInput` after a hundred taken ones."""
    for port in range(first, first + 100):
        if not why_not(host, port):
            return port
    raise BadInput(f"ports {first} to {first + 99} on {host} are all taken; choose one with PORT=…")
