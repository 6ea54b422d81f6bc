"""Releases and slots: directories written once, named by what is in them, and the rows that say which is live.

A release is built in a temporary folder, synced, renamed, and only then gets its row: a reader never sees half of
one. Its name is its kind and the digest of its manifest, which names every file's digest: the same build twice is the
same release.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, BadRelease, Busy, NotFound, NothingLive
from catalogue.files import PARTIAL, lock, new_folder, remove_folder, sweep_partial, sync_folder
from catalogue.tables import Live, Release, Segment, now
from catalogue.transactions import in_one_go

log = logging.getLogger(__name__)
KINDS = ("network", "index", "segment", "detector", "task")
MANIFEST = "manifest.json"


class Anything:
    """Says of a promotion that it may take the place of whatever is live; None would say that nothing was."""


ANYTHING = Anything()


@dataclass
class Draft:
    """A release being written: put files in `folder` and facts in `manifest`; `name` is known once it is published.

    A segment's manifest names the index that it adds to as `base`; `replaces` are the base's segments whose items it
    holds too: it takes their place in the transaction that records it.
    """

    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    replaces: tuple[str, ...] = ()
    name: str = ""

    def copy(self, release: "Published") -> None:
        """Begin with the files and facts of a release."""
        for path in release.manifest["files"]:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(release.folder / path, self.folder / path)
        self.manifest.update(release.manifest)


@dataclass(frozen=True)
class Published:
    """A release on disk: its name, its folder, and the manifest beside its files."""

    name: str
    kind: str
    folder: Path
    manifest: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.name.startswith(self.kind + "-"):
            raise BadRelease(f"{self.name!r} is no release of kind {self.kind!r}; kinds are {', '.join(KINDS)}")


def slot_of(release: Published | Release) -> str:
    """The slot that a release may be live in: its kind, for a task with the task's name."""
    return f"task:{release.manifest.get('task', '')}" if release.kind == "task" else release.kind


class Releases:
    """The releases of one data folder and the slots of its catalogue."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder

    @contextmanager
    def draft(self, kind: str) -> Iterator[Draft]:
        """Yield a `Draft`; when the block ends well it is published under its digest, else nothing is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # A network is written in seconds, after hours of training: it waits for another. An index takes its time.
        patience_s = 0 if kind in ("index", "segment") else 600
        with lock(self.folder / f"{kind}.lock", f"writing a {kind} release", patience_s):
            sweep_partial(self.folder / kind)
            staging = self.folder / kind / (PARTIAL + "staging")
            with new_folder(staging) as temporary:
                draft = Draft(temporary)
                yield draft
                files = _digests(temporary)
                manifest = json.dumps({**draft.manifest, "kind": kind, "files": files}, indent=1, ensure_ascii=False,
                                      sort_keys=True, allow_nan=False).encode()
                draft.name = _name_of(kind, manifest)
                (temporary / MANIFEST).write_bytes(manifest)
            with lock(self.folder / "releases.lock", "publishing or deleting releases", patience_s=60):
                made_with = draft.manifest.get("network")
                if made_with is not None and not (self.folder / str(made_with)).is_dir():
                    raise BadRelease(f"{made_with} was deleted while {draft.name} was made with it; train again")
                self._place(staging, self.folder / draft.name)
                self._record(draft.name, draft.replaces)

    def open(self, name: str) -> Published:
        """The release by name; `NotFound` if there is none, `BadRelease` if its manifest cannot be read."""
        folder = self.folder / name
        if "/" in name or not (folder / MANIFEST).is_file():
            raise NotFound(f"there is no release {name!r}; `solesearch releases` lists what there is")
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return Published(name, manifest["kind"], folder, manifest)
        except (ValueError, KeyError, TypeError) as error:
            raise BadRelease(f"the manifest of {name} cannot be read ({error}); build the release again") from error

    def check(self, release: Published) -> None:
        """Compare the manifest with the release's name and every file with the digest in the manifest; `BadRelease`
        names the first that differs."""
        manifest = release.folder / MANIFEST
        if not manifest.is_file() or _name_of(release.kind, manifest.read_bytes()) != release.name:
            raise BadRelease(f"{MANIFEST} of {release.name} is missing or altered; build the release again")
        found = _digests(release.folder)
        for path, digest in release.manifest["files"].items():
            if found.get(path) != digest:
                raise BadRelease(f"{path} of {release.name} is missing or altered; build the release again")

    def all(self, kind: str | None = None) -> list[Published]:
        """Published releases that can be read, newest first; one whose folder is lost is left out with a warning."""
        found = []
        for name in self.names(kind):
            try:
                found.append(self.open(name))
            except (NotFound, BadRelease) as error:
                log.warning("left out: %s", error)
        return found

    def names(self, kind: str | None = None) -> list[str]:
        """The names of all releases that were published, newest first."""
        with Session(self.engine.execution_options(readonly=True)) as session:
            rows = session.scalars(select(Release).order_by(Release.id.desc()))
            return [row.name for row in rows if kind in (None, row.kind)]

    def newest(self, slot: str) -> Published:
        """The release published last of those that the slot may hold, such as `index` or `task:garment` (`task`: of any
        task); `NotFound` if there is none."""
        kind, _, task = slot.partition(":")
        found = [release for release in self.all(kind) if not task or release.manifest.get("task") == task]
        if not found:
            raise NotFound(f"there is no {kind} release{f' of {task!r}' if task else ''} yet; " + {
                "network": "train one with `solesearch train sku`",
                "task": f"train one with `solesearch task train {task or 'NAME'}`",
                "index": "build one with `solesearch index build`"}.get(kind, "publish one first"))
        return found[0]

    def live(self, slot: str) -> Published:
        """What is live in the slot; `NothingLive` if nothing was ever promoted to it."""
        name = self.live_name(slot)
        if name is None:
            raise NothingLive(f"nothing is live in slot {slot!r} yet; build one, then `solesearch promote {slot}`")
        return self.open(name)

    def live_name(self, slot: str) -> str | None:
        """The live release's name, cheaply: one primary-key read."""
        with Session(self.engine.execution_options(readonly=True)) as session:
            return session.scalar(select(Release.name).join(Live, Live.release_id == Release.id)
                                  .where(Live.slot == slot))

    def live_names(self, kind: str) -> dict[str, str]:
        """The live release's name in each of a kind's slots (`task` → `task:garment`, …): one small read."""
        with Session(self.engine.execution_options(readonly=True)) as session:
            rows = session.execute(select(Live.slot, Release.name).join(Release, Live.release_id == Release.id)
                                   .where(Live.slot.startswith(f"{kind}:", autoescape=True)).order_by(Live.slot))
            return {slot: name for slot, name in rows}

    def segments(self, index: str) -> list[str]:
        """The names of the segments that add to an index, oldest first: one indexed read."""
        base = select(Release.id).where(Release.name == index).scalar_subquery()
        with Session(self.engine.execution_options(readonly=True)) as session:
            return list(session.scalars(select(Release.name).join(Segment, Segment.release_id == Release.id)
                                        .where(Segment.index_id == base).order_by(Segment.id)))

    def whole_segments(self, index: str) -> list[Published]:
        """The segments that add to an index and are whole, oldest first; of a damaged one the log tells."""
        found = []
        for name in self.segments(index):
            try:
                segment = self.open(name)
                self.check(segment)
                found.append(segment)
            except (BadRelease, NotFound) as error:
                log.warning("left out: %s", error)
        return found

    def slots(self) -> dict[str, tuple[str, str | None]]:
        """Each slot's live release and the one before it."""
        with Session(self.engine.execution_options(readonly=True)) as session:
            return {row.slot: (row.release.name, row.former.name if row.former else None)
                    for row in session.scalars(select(Live).order_by(Live.slot))}

    def promote(self, slot: str, name: str, instead_of: str | Anything | None = ANYTHING) -> None:
        """Make the release live: one row moves. Promoting what is live already changes nothing.

        `instead_of` names what the candidate was measured against, None where nothing was live; `Busy` if that changed
        meanwhile.
        """
        release = self.open(name)
        if slot != slot_of(release):
            raise BadInput(f"{name} is a release for slot {slot_of(release)!r} and cannot be live in slot {slot!r}")
        in_one_go(self.engine, partial(_make_live, slot, name, instead_of))

    def roll_back(self, slot: str) -> str:
        """Promote what was live before, and return its name; `NothingLive` if there was nothing."""
        slots = self.slots()
        if slot not in slots:
            raise NothingLive(_nothing_live(slot, slots))
        former = slots[slot][1]
        if former is None:
            raise NothingLive(f"slot {slot!r} has no former release to roll back to")
        self.promote(slot, former)
        return former

    def demote(self, slot: str) -> str:
        """Leave a task's slot empty, and return what was live in it; the index is only ever replaced."""
        if slot == "index":
            raise BadInput("the index is not taken down but replaced: promote or roll back another release of it")
        with Session(self.engine) as session, session.begin():
            live = session.get(Live, slot, with_for_update=True)
            if live is not None:
                name = live.release.name
                session.delete(live)
                return name
        raise NothingLive(_nothing_live(slot, self.slots()))

    def _place(self, staging: Path, final: Path) -> None:
        if final.exists():
            if _same(final, staging):
                shutil.rmtree(staging)
                return
            remove_folder(final)
        staging.rename(final)
        sync_folder(self.folder)

    def _record(self, name: str, replaces: tuple[str, ...]) -> None:
        release = self.open(name)
        with Session(self.engine) as session, session.begin():
            row = session.scalars(select(Release).where(Release.name == name)).one_or_none()
            if row is None:
                row = Release(name=name, kind=release.kind, manifest=dict(release.manifest))
                session.add(row)
                session.flush()
            if release.kind == "segment":
                _attach(session, row, str(release.manifest["base"]), replaces)


def _make_live(slot: str, name: str, instead_of: str | Anything | None, session: Session) -> None:
    row_id = session.scalar(select(Release.id).where(Release.name == name))
    if row_id is None:
        raise NotFound(f"{name} was never published here; `solesearch releases` lists what was")
    live = session.get(Live, slot, with_for_update=True)
    running = live.release.name if live is not None else None
    if not isinstance(instead_of, Anything) and running != instead_of:
        happened = f"another release went live in {slot}" if running else f"{instead_of} was taken down from {slot}"
        raise Busy(f"{happened} while {name} was measured against {instead_of or 'none'}; promote again to measure it "
                   f"against {running or 'what is live by then'}")
    if live is None:
        session.add(Live(slot=slot, release_id=row_id))
    elif live.release_id != row_id:
        live.former_id, live.release_id, live.changed_at = live.release_id, row_id, now()


def _attach(session: Session, row: Release, base: str, replaces: tuple[str, ...]) -> None:
    index_id = session.scalar(select(Release.id).where(Release.name == base))
    if index_id is None:
        raise BadRelease(f"{base} was deleted while {row.name} was added to it; add to the live index again")
    folded = select(Release.id).where(Release.name.in_(replaces))
    session.execute(delete(Segment).where(Segment.index_id == index_id, Segment.release_id.in_(folded)))
    mine = select(Segment.id).where(Segment.index_id == index_id, Segment.release_id == row.id)
    if session.scalar(mine) is None:
        session.add(Segment(index_id=index_id, release_id=row.id))


def _nothing_live(slot: str, slots: Iterable[str]) -> str:
    return f"nothing is live in slot {slot!r}; live are: {', '.join(slots) or 'none'}"


def _name_of(kind: str, manifest: bytes) -> str:
    return f"{kind}-{hashlib.sha256(manifest).hexdigest()[:16]}"


def _same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same release, manifest and all."""
    manifests = [folder / MANIFEST for folder in (one, other)]
    return (all(path.is_file() for path in manifests) and len({path.read_bytes() for path in manifests}) == 1
            and _digests(one) == _digests(other))


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


