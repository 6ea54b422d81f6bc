"""The live engine of one worker: loads what is promoted or added beside the old one, checks it, swaps one reference."""

import logging
from collections.abc import Iterable, Iterator

import numpy as np
from PIL.Image import Image
from sqlalchemy.orm import Session

from app.batching import BatchingRuntime, retire
from app.watching import Refusals, Watch
from app.wiring import Stores, embedder_of, network_of
from catalogue.errors import BadPhoto, BadRelease, NotFound, NothingLive
from catalogue.gallery_items import GalleryState, StateMark, read_state, state_mark
from index.engine import PROBES, Engine
from index.search import Part
from index.view import GONE, View

log = logging.getLogger(__name__)


class LiveIndex:
    """Holds the engine in use; `watch` follows slot, segments and removals in a thread. On any failure the old engine
    stays; a segment that cannot serve is left out, and the rest serves. Either is tried again after a minute."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._engine: Engine | None = None
        self._mark: StateMark | None = None
        self._problem = self._change_problem = ""
        self._refused, self._refused_segments = Refusals(), Refusals()
        self._watch = Watch(self.refresh, stores.settings.poll_s, "live-index")

    @property
    def problem(self) -> str:
        """What is wrong now, in sentences; empty where all is well."""
        return "; ".join(filter(None, (self._problem, *self._refused.reasons(), self._change_problem,
                                       *self._refused_segments.reasons())))

    def current(self) -> Engine:
        """The engine to answer a whole request with; `NothingLive` if there is none yet."""
        engine = self._engine
        if engine is None:
            raise NothingLive(self.problem or "no index is live yet; build one with `solesearch index build`, then "
                                              "`solesearch promote index`")
        return engine

    def refresh(self) -> None:
        """Follow slot, segments and catalogue once: load, self-check, swap."""
        try:
            name = self.stores.releases.live_name("index")
        except Exception as error:
            self._problem = f"the catalogue cannot be asked what is live: {error}"
            log.warning("%s", self._problem)
            return
        self._problem, former = "", self._engine
        wanted = None if former is not None and former.index.name == name else name
        self._refused.keep([wanted] if wanted else [])
        if wanted and not self._refused.waits(wanted):
            self._swap_base(wanted)
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
            self._refused.add(name, f"{name} was promoted but cannot serve: {error}")
            return
        # Only now, so that a release that fails its check leaves no thread behind.
        engine.embedder.runtime = BatchingRuntime(engine.embedder.runtime)
        self._engine, self._mark = engine, mark
        self._refused.forget(name)
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
        """The segments of the engine's base that can serve: those in use as they are, new ones opened and checked.

        While one is refused, those in use that are recorded no more serve on: it may be what they were folded into.
        """
        names = self.stores.releases.segments(engine.index.name)
        used = {part.name: part for part in engine.view.parts[1:]}
        self._refused_segments.keep(names)
        parts = []
        for name in names:
            if name in used:
                parts.append(used[name])
            elif not self._refused_segments.waits(name):
                try:
                    parts.append(self._open_segment(engine, name))
                    self._refused_segments.forget(name)
                except Exception as error:
                    self._refused_segments.add(name, f"{name} was added but cannot serve: {error}")
        return [*_still_needed(engine.view, names, parts), *parts] if self._refused_segments else parts

    def _open_segment(self, engine: Engine, name: str) -> Part:
        release = self.stores.releases.open(name)
        self.stores.releases.check(release)
        part = engine.open_part(release)
        alone = engine.extended([part], self._state()[1])
        alone.self_check(self._probes(alone, 1))
        return part

    def _state(self) -> tuple[StateMark, GalleryState]:
        with Session(self.stores.readers) as session:
            mark = state_mark(session)  # first: what changes between the two is read again at the next look
            return mark, read_state(session)

    def _load(self, name: str) -> Engine:
        index = self.stores.releases.open(name)
        network = network_of(self.stores, index)
        engine = Engine(index, network, embedder_of(self.stores, network), self._state()[1])
        engine.self_check(self._probes(engine, 0))
        return engine

    def _probes(self, engine: Engine, part: int) -> list[tuple[str, Image]]:
        """Photos of a part to check it with. A file that was lost says nothing of the part, so others are asked."""
        names, found = set(), []
        for name in _drawn(engine, part):
            names.add(name)
            try:
                found.append((name, self.stores.photos.image(name)))
            except (BadPhoto, NotFound, OSError) as error:
                log.warning("not asked in the self-check: %s", error)
            if len(found) == PROBES:
                break
        if names and not found:
            raise BadRelease(f"none of the {len(names)} photos it was to be checked with can be read, such as "
                             f"{min(names)}; `solesearch catalogue verify` says which are lost, crawl or import those "
                             "again")
        return found


def _drawn(engine: Engine, part: int) -> Iterator[str]:
    """The names of a part's photos to check it with: the usual few, and ever more in between should those be lost."""
    yield from dict.fromkeys(name for most in (PROBES, 3 * PROBES, 9 * PROBES) for name in engine.probes(part, most))


def _still_needed(view: View, names: list[str], parts: Iterable[Part]) -> list[Part]:
    """The segments in use that are not among the names, as far as they show an item that none of the parts holds."""
    held = np.concatenate([np.empty(0, np.int64), *(part.gallery.ids for part in parts)])
    return [part for part, shown in list(zip(view.parts, view.shows, strict=True))[1:]
            if part.name not in names and not np.isin(part.gallery.ids[shown != GONE], held).all()]
