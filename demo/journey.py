"""`make demo`: the whole journey, from an empty folder to an answer, by the same commands a user would type."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogue.errors import BadInput, SoleSearchError
from catalogue.files import write_file
from demo.pictures import PHOTOS
from demo.shop import listen

# A proxy is for the world outside.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
RECIPE = Path(__file__).parent / "recipe.toml"
HOST, EVERYWHERE = "127.0.0.1", ("0.0.0.0", "::")
FIRST_PORT, SHOP_PORT = 8000, 8100


class Failed(SoleSearchError):
    """Raised when a step's command failed; it has said why itself."""


class Journal:
    """Which steps are done, kept in the data folder, so that a second `make demo` skips them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "demo.steps"
        self.done = self.path.read_text().split("\n") if self.path.is_file() else []

    def record(self, step: str) -> None:
        """Remember a step across runs."""
        self.done.append(step)
        write_file(self.path, "\n".join(self.done).encode())

    def shop_port(self) -> int | None:
        """The port the shop was crawled on: its listings' addresses name it."""
        ports = [int(step.removeprefix("shop ")) for step in self.done if step.startswith("shop ")]
        return ports[0] if ports else None


def main() -> int:
    """Run the journey; 0 when it got there and was stopped by Ctrl-C, 1 when a step failed, 130 if stopped before."""
    os.environ.setdefault("SOLESEARCH_DATA_DIR", "data")
    # Being ended, or interrupted from a script (where SIGINT may come ignored), closes shop and service as Ctrl-C does;
    # so does closing the terminal, unless `nohup` says otherwise.
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if kind != signal.SIGHUP or signal.getsignal(kind) != signal.SIG_IGN:
            signal.signal(kind, signal.default_int_handler)
    try:
        journey(Journal(Path(os.environ["SOLESEARCH_DATA_DIR"])))
    except Failed as error:
        print(f"make demo stopped: {error}. Run it again to go on from here.", file=sys.stderr)
        return 1
    except SoleSearchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. `make demo` goes on from here.", file=sys.stderr)
        return 130
    return 0


def journey(journal: Journal) -> None:
    """Shop, crawl, train, index, promote, measure, serve."""
    serving = os.environ.get("SERVE", "1") != "0"
    port = _serving_port() if serving else 0
    with shop(journal) as address:
        os.environ["SOLESEARCH_ALLOW_HOSTS"] = address.removeprefix("http://").rstrip("/")
        os.environ["SOLESEARCH_CRAWL_DELAY_S"] = "0"
        began = time.monotonic()
        step(journal, "1/7  add the shop", "shop", "add", address, "--yes")
        step(journal, "2/7  crawl it", "crawl")
        step(journal, "3/7  train, build an index, pass the gate, promote", "retrain", "--recipe", str(RECIPE))
        step(journal, "4/7  ask with street pictures that nothing was trained on", "index", "evaluate",
             "--queries", str(PHOTOS), "--set", "street")
        step(journal, "5/7  install the network that tells garments, shoes among them", "task", "install", "garment")
        step(journal, "6/7  make it live, so that a photo without a shoe is told", "promote", "task:garment")
        print(f"\n===== 7/7  serve (ready after {time.monotonic() - began:.0f} s)", flush=True)
        if serving:
            serve(port, address)
        else:
            print("SERVE=0: not serving. `.venv/bin/solesearch serve` does.")


def step(journal: Journal, title: str, *command: str) -> None:
    """Run one solesearch command unless it was done before, saying what is run."""
    print(f"\n===== {title}\n$ solesearch {shlex.join(command)}", flush=True)
    if title in journal.done:
        print("done before", flush=True)
        return
    began = time.monotonic()
    code = subprocess.call([solesearch(), *command])
    if code == 130:
        raise KeyboardInterrupt
    if code != 0:
        raise Failed(f"`solesearch {shlex.join(command)}` failed")
    print(f"took {time.monotonic() - began:.0f} s", flush=True)
    journal.record(title)


@contextmanager
def shop(journal: Journal) -> Iterator[str]:
    """Open the demo shop beside us and yield its address; its port is the one it was crawled on before."""
    known = journal.shop_port()
    port = known or _first_free(SHOP_PORT)
    if known and not _is_free(known):
        raise BadInput(f"port {known}, on which the demo shop was crawled, is taken by another program, perhaps by a "
                       f"demo shop left from before (`pkill -f demo.shop` ends that); stop it, or start afresh by "
                       f"deleting {journal.path.parent}")
    process = subprocess.Popen([sys.executable, "-m", "demo.shop", "--port", str(port)], stdout=subprocess.DEVNULL,
                               start_new_session=True)  # Ctrl-C is ours to pass on, once the service has ended
    try:
        _wait_until_up(process, f"http://{HOST}:{port}/robots.txt", "the demo shop")
        if not known:
            journal.record(f"shop {port}")
        print(f"A small shoe shop is open at http://{HOST}:{port}/", flush=True)
        yield f"http://{HOST}:{port}/"
    finally:
        _end(process)


def serve(port: int, shop_address: str) -> None:
    """Run the service until Ctrl-C; say how to ask it once it answers."""
    host = os.environ.get("HOST", HOST)
    process = subprocess.Popen([solesearch(), "serve", "--host", host, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        asked = HOST if host in EVERYWHERE else host
        _wait_until_up(process, f"http://{asked}:{port}/healthz", "the service")
        sample = sorted((PHOTOS / "street").glob("*/*.jpg"))[0]
        name = socket.gethostname() if host in EVERYWHERE else "localhost" if host == HOST else host
        print(f"\nReady.\n  web page    http://{name}:{port}/\n  shop        {shop_address}\n"
              f"  pictures    {os.path.relpath(PHOTOS / 'street')}  (street photos it has never seen)\n"
              f"  or          curl -F photo=@{os.path.relpath(sample)} http://{name}:{port}/identify\n"
              "Ctrl-C stops it.", flush=True)
        if process.wait() not in (0, -signal.SIGINT, 130):
            raise Failed("the service ended")
    except KeyboardInterrupt:
        print("\nStopped. `make demo` serves again.", flush=True)
    finally:
        _end(process)


def solesearch() -> str:
    """The command installed beside the running Python."""
    return shutil.which("solesearch", path=str(Path(sys.executable).parent)) or "solesearch"


def _serving_port() -> int:
    """PORT if it is free, else an error; without PORT the first free one."""
    asked = os.environ.pop("PORT", "")
    if not asked:
        return _first_free(FIRST_PORT)
    if not asked.isdigit() or not 0 < int(asked) < 65536:
        raise BadInput(f"PORT={asked} is no port; use a number from 1 to 65535")
    if not _is_free(int(asked)):
        raise BadInput(f"port {asked} is taken by another program; choose another: PORT={int(asked) + 1} make demo")
    return int(asked)


def _first_free(first: int) -> int:
    for port in range(first, first + 100):
        if _is_free(port):
            return port
    raise BadInput(f"ports {first} to {first + 99} are all taken; free one of them")


def _is_free(port: int) -> bool:
    try:
        listen(HOST, port).close()
    except SoleSearchError:
        return False
    return True


def _wait_until_up(process: subprocess.Popen[bytes], address: str, what: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise Failed(f"{what} did not start")
        try:
            with LOOPBACK.open(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Failed(f"{what} did not answer at {address} within a minute")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
