"""The live engine of one worker: loads what is promoted or added beside the old one, checks it, swaps one reference."""

import logging
import time

from sqlalchemy.orm import Session

from app.batching import BatchingRuntime, retire
from app.watching import Watch
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import NothingLive
from catalogue.gallery_items import GalleryState, StateMark, read_state, state_mark
from index.engine import Engine
from index.search import Part

log = logging.getLogger(__name__)
RETRY_S = 60


class LiveIndex:
    """Holds the engine in use; `watch` follows slot, segments and removals in a thread. On any failure the old engine
    stays; a segment that cannot serve is left out, and the rest serves."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._engine: Engine | None = None
        self._mark: StateMark | None = None
        self._base_problem = self._change_problem = ""
        self._refused = ""
        self._refused_segments: dict[str, tuple[float, str]] = {}
        self._watch = Watch(self.refresh, stores.settings.poll_s, "live-index")

    @property
    def problem(self) -> str:
        """What is wrong now, in sentences; empty where all is well."""
        segments = (f"{name} was added but cannot serve: {why}" for name, (_, why) in self._refused_segments.items())
        return "; ".join(filter(None, (self._base_problem, self._change_problem, *segments)))

    def current(self) -> Engine:
        """The engine to answer a whole request with; `NothingLive` if there is none yet."""
        engine = self._engine
        if engine is None:
            raise NothingLive(self.problem or "no index is live yet; build one with `solesearch index build`, then "
                                              "`solesearch promote index`")
        return engine

    def refresh(self) -> None:
        """Follow slot, segments and catalogue once: load, self-check, swap. A base that fails beside a working one is
        not tried again until the slot changes, a segment not before a minute; without a working base it is tried again
        each time."""
        try:
            name = self.stores.releases.live_name("index")
        except Exception as error:
            self._base_problem = f"the catalogue cannot be asked what is live: {error}"
            log.warning("%s", self._base_problem)
            return
        former = self._engine
        if name is None or (former is not None and former.index.name == name):
            self._base_problem = self._refused = ""
        elif former is None or name != self._refused:
            self._swap_base(name)
        if self._engine is not None:
            self._follow_changes(self._engine)

    def watch(self) -> None:
        """Load what is live now, and follow the slot until `close`."""
        self._watch.begin()

    def close(self) -> None:
        """Stop following the slot."""
        self._watch.end()

    def _swap_base(self, name: str) -> None:
        former = self._engine
        try:
            engine = self._load(name)
            # With its segments at once: what was added to it must not be missing for a moment.
            parts = self._segments(engine)
            mark, state = self._state()
            engine = engine.extended(parts, state)
        except Exception as error:
            self._base_problem = f"{name} was promoted but cannot serve: {error}"
            if self._refused != name:
                log.error("%s", self._base_problem)
            self._refused = name
            return
        # Only now, so that a release that fails its check leaves no thread behind.
        engine.embedder.runtime = BatchingRuntime(engine.embedder.runtime)
        self._engine, self._mark = engine, mark
        self._base_problem = self._refused = ""
        log.info("%s is live", name)
        if former is not None:
            retire(former.embedder.runtime)

    def _follow_changes(self, engine: Engine) -> None:
        """Take up new segments, removals and merges; the base and all parts that serve already are kept as they are."""
        try:
            parts = self._segments(engine)
            with Session(self.stores.readers) as session:
                same = state_mark(session) == self._mark
            if same and tuple(part.name for part in parts) == engine.segments:
                self._change_problem = ""
                return
            mark, state = (self._mark, engine.view.state) if same else self._state()
            extended = engine.extended(parts, state)
        except Exception as error:
            self._change_problem = f"what changed since {engine.index.name} was built cannot be followed: {error}"
            log.warning("%s", self._change_problem)
            return
        self._engine, self._mark, self._change_problem = extended, mark, ""

    def _segments(self, engine: Engine) -> list[Part]:
        """The segments of the engine's base that can serve: those in use as they are, new ones opened and checked."""
        names = self.stores.releases.segments(engine.index.name)
        used = {part.name: part for part in engine.view.parts[1:]}
        self._refused_segments = {name: refused for name, refused in self._refused_segments.items() if name in names}
        parts = []
        for name in names:
            until, why = self._refused_segments.get(name, (0.0, ""))
            if name in used or time.monotonic() < until:
                parts += [used[name]] if name in used else []
                continue
            try:
                parts.append(self._open_segment(engine, name))
                self._refused_segments.pop(name, None)
            except Exception as error:
                if str(error) != why:
                    log.error("%s was added but cannot serve: %s", name, error)
                self._refused_segments[name] = (time.monotonic() + RETRY_S, str(error))
        return parts

    def _open_segment(self, engine: Engine, name: str) -> Part:
        release = self.stores.releases.open(name)
        self.stores.releases.check(release)
        part = engine.open_part(release)
        alone = engine.extended([part], self._state()[1])
        alone.self_check([(probe, self.stores.photos.image(probe)) for probe in alone.probes(1)])
        return part

    def _state(self) -> tuple[StateMark, GalleryState]:
        with Session(self.stores.readers) as session:
            mark = state_mark(session)  # first: what changes between the two is read again at the next look
            return mark, read_state(session)

    def _load(self, name: str) -> Engine:
        index = self.stores.releases.open(name)
        network = network_of(self.stores, index)
        engine = Engine(index, network, embedder_of(self.stores, network), self._state()[1])
        engine.self_check([(probe, self.stores.photos.image(probe)) for probe in engine.probes()])
        return engine
