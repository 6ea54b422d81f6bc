"""The live engine of one worker: loads what is promoted beside the old one, checks it, swaps one reference."""

import logging
import threading

from app.batching import BatchingRuntime
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import NothingLive
from index.engine import Engine

log = logging.getLogger(__name__)
RETIRE_S = 30


class LiveIndex:
    """Holds the engine in use; `watch` follows the slot in a thread. On any failure the old engine stays."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.problem = ""
        self._engine: Engine | None = None
        self._refused = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> Engine:
        """The engine to answer a whole request with; `NothingLive` if there is none yet."""
        engine = self._engine
        if engine is None:
            raise NothingLive(self.problem or "no index is live yet; build one with `solesearch index build`, then "
                                              "`solesearch promote index`")
        return engine

    def refresh(self) -> None:
        """Follow the slot once: load, self-check, swap. A release that fails beside a working one is not tried again
        until the slot changes; without a working one it is tried again each time."""
        try:
            name = self.stores.releases.live_name("index")
        except Exception as error:
            self.problem = f"the catalogue cannot be asked what is live: {error}"
            log.warning("%s", self.problem)
            return
        former = self._engine
        if name is None or (former is not None and former.index.name == name):
            self.problem = self._refused = ""
            return
        if former is not None and name == self._refused:
            return
        try:
            engine = self._load(name)
        except Exception as error:
            self.problem = f"{name} was promoted but cannot serve: {error}"
            if self._refused != name:
                log.error("%s", self.problem)
            self._refused = name
            return
        self._engine = engine
        self.problem = self._refused = ""
        log.info("%s is live", name)
        if former is not None:
            _retire(former)

    def watch(self) -> None:
        """Load what is live now, and follow the slot until `close`."""
        self.refresh()
        self._thread = threading.Thread(target=self._follow, name="live-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following the slot."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(self.stores.settings.poll_s):
            self.refresh()

    def _load(self, name: str) -> Engine:
        index = self.stores.releases.open(name)
        network = network_of(self.stores, index)
        embedder = embedder_of(self.stores, network)
        engine = Engine(index, network, embedder)
        engine.self_check([(probe, self.stores.photos.image(probe)) for probe in engine.probes()])
        # Only now, so that a release that fails its check leaves no thread behind.
        embedder.runtime = BatchingRuntime(embedder.runtime)
        return engine


def _retire(engine: Engine) -> None:
    """End the batching thread of an engine that was replaced, once requests that hold it have had time to end."""
    runtime = engine.embedder.runtime
    if isinstance(runtime, BatchingRuntime):
        timer = threading.Timer(RETIRE_S, runtime.close)
        timer.daemon = True
        timer.start()
