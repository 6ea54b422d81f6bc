"""The live engine of one worker: loads what is promoted beside the old one, checks it, swaps one reference."""

import logging
import threading

from app.batching import BatchingRuntime
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import NothingLive
from index.engine import Engine

log = logging.getLogger(__name__)


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
        """Follow the slot once: load, self-check, swap; a release that fails is not tried again until it changes."""
        try:
            name = self.stores.releases.live_name("index")
        except Exception as error:
            self.problem = f"the catalogue cannot be asked what is live: {error}"
            log.warning("%s", self.problem)
            return
        if name is None or name == self._refused or (self._engine and self._engine.index.name == name):
            return
        try:
            engine = self._load(name)
        except Exception as error:
            self.problem = f"{name} was promoted but cannot serve: {error}"
            self._refused = name
            log.error("%s", self.problem)
            return
        former, self._engine = self._engine, engine
        self.problem = self._refused = ""
        log.info("%s is live", name)
        if former is not None:
            close = getattr(former.embedder.runtime, "close", None)
            # Requests that took the former engine may still be on their way into its queue.
            threading.Timer(30, close or (lambda: None)).start()

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
        embedder.runtime = BatchingRuntime(embedder.runtime)
        engine = Engine(index, network, embedder)
        engine.self_check([(probe, self.stores.photos.image(probe)) for probe in engine.probes()])
        return engine
