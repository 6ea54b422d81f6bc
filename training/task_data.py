"""A task's photos, read once: what can be decoded, which are near-duplicates, who is held out, and a digest of all."""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from catalogue.errors import BadInput, BadPhoto
from catalogue.files import write_file
from catalogue.photos import facts, read_image
from catalogue.snapshots import NEAR_DUPLICATE_BITS
from training.folds import hold_out, joined_groups
from training.labelled import LabelledPhoto, WholeBox, whole_box
from training.task_file import Source

log = logging.getLogger(__name__)
COLOUR_CELLS = 8
# Greatest mean difference of near-duplicates' colours, of 255: a rendition differs by a few, another garment by more.
NEAR_COLOUR = 4
MOST_NAMED = 20


@dataclass(frozen=True)
class TaskPhoto:
    """A readable photo: its class's number, its side, its box in whole pixels, its bytes' name, its group's number."""

    path: Path
    label: int
    side: str
    box: WholeBox | None
    sha256: str
    group: int

    def image(self) -> Image.Image:
        """The photo's upright RGB pixels, cut to its box."""
        try:
            image = read_image(self.path.read_bytes())
        except (OSError, BadPhoto) as error:
            raise BadPhoto(f"the photo {self.path} changed since it was first read ({error})") from error
        return image if self.box is None else image.crop(self.box)

    @property
    def key(self) -> str:
        """What its pixels are known by."""
        return f"{self.sha256} {self.box or ''}"


@dataclass(frozen=True)
class TaskData:
    """A task's photos with their classes; `unreadable` names what was left out and why, `skipped` labels no class has.

    `leaked` is how many held-out photos have a near-duplicate on the train side, as the source parted them.
    """

    classes: tuple[str, ...]
    photos: tuple[TaskPhoto, ...]
    unreadable: tuple[str, ...] = ()
    skipped: Mapping[str, int] | None = None
    leaked: int = 0

    @property
    def digest(self) -> str:
        """A short name for exactly these photos, classes and sides."""
        lines = [f"{photo.key} {photo.label} {photo.side}" for photo in self.photos]
        return hashlib.sha256("\n".join([*self.classes, *sorted(lines)]).encode()).hexdigest()[:16]

    @property
    def labels(self) -> np.ndarray:
        """The classes' numbers (n,)."""
        return np.array([photo.label for photo in self.photos], dtype=int)

    @property
    def groups(self) -> np.ndarray:
        """The near-duplicate groups' numbers (n,)."""
        return np.array([photo.group for photo in self.photos], dtype=int)

    def rows(self, side: str) -> np.ndarray:
        """The rows of the photos on a side."""
        return np.array([row for row, photo in enumerate(self.photos) if photo.side == side], dtype=int)

    def only(self, rows: np.ndarray) -> "TaskData":
        """The same task with these rows' photos alone."""
        return replace(self, photos=tuple(self.photos[row] for row in rows))

    def supports(self, side: str) -> dict[str, int]:
        """How many photos of each class stand on a side."""
        counts = np.bincount(self.labels[self.rows(side)], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


def read_data(entries: Sequence[LabelledPhoto], source: Source, classes: Sequence[str], cache: Path,
              watch: Callable[[int], None] | None = None, seed: int = 0) -> TaskData:
    """Read every photo; label them by `classes`, or by those found if there are none; hold some out if none are.

    What was read of a file is kept in the folder `cache` until the file changes. Photos that cannot be read are named,
    counted and left out; a label that is no class is `BadInput`, or skipped and counted if the source says so.
    """
    known = tuple(classes) or tuple(sorted({entry.label for entry in entries if entry.label}))
    if len(known) < 2:
        raise BadInput(f"there is one class only ({', '.join(known) or 'none'}); a task needs two or more")
    strange = Counter(entry.label or "(none)" for entry in entries if entry.label not in known)
    if strange and source.others == "refuse":
        raise BadInput(f"{', '.join(map(repr, sorted(strange)[:5]))} is no class of this task; its classes are "
                       f"{', '.join(known)}. Rename the label, or set `others = \"skip\"` under [data]")
    kept = [entry for entry in entries if entry.label in known]
    if not kept:
        raise BadInput(f"no photo is of a class of this task: labels are {', '.join(sorted(strange)[:10])}, classes "
                       f"{', '.join(known)}; say what a label means under [data.labels], or change the classes")
    facts_of = read_facts([entry.path for entry in kept], cache, watch)
    whole, unreadable = [], []
    for entry in kept:
        fact = facts_of[entry.path]
        try:
            if fact.wrong:
                raise BadPhoto(fact.wrong)
            box = whole_box(entry.box if source.crop else None, fact.width, fact.height)
        except BadPhoto as error:
            unreadable.append(f"{entry.path}: {error}")
        else:
            whole.append((entry, known.index(entry.label), fact, box))
    return _grouped(known, whole, tuple(unreadable), dict(strange), source, seed)


@dataclass(frozen=True)
class Facts:
    """What is kept of a file: name and size of the picture, difference hash and colours; or what is wrong with it."""

    sha256: str = ""
    width: int = 0
    height: int = 0
    dhash: str = ""
    colours: str = ""
    wrong: str = ""


def read_facts(paths: Sequence[Path], cache: Path, watch: Callable[[int], None] | None = None) -> dict[Path, Facts]:
    """Read the facts of files, from `cache` where they did not change since; a file in it for each root folder."""
    stamps = {path: _stamp(path) for path in dict.fromkeys(paths)}
    root = os.path.commonpath([path.absolute().parent for path in stamps])
    place = cache / f"{hashlib.sha256(root.encode()).hexdigest()[:16]}.json"
    try:
        before = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    found = {}
    for number, (path, stamp) in enumerate(stamps.items()):
        kept = before.get(str(path))
        same = kept and kept[0] == stamp and stamp and not kept[1]["wrong"]  # a file's rights leave no stamp
        found[path] = Facts(**kept[1]) if same else _facts(path)
        if watch is not None:
            watch(number + 1)
    others = {path: kept for path, kept in before.items() if Path(path) not in found and Path(path).is_file()}
    new = others | {str(path): [stamps[path], vars(fact)] for path, fact in found.items()}
    if new != before:
        write_file(place, json.dumps(new).encode(), settle=False)
    return found


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _facts(path: Path) -> Facts:
    try:
        data = path.read_bytes()
        found = facts(data)
        cells = read_image(data, enough=32).resize((COLOUR_CELLS, COLOUR_CELLS), Image.Resampling.BOX)
        return Facts(found.sha256, found.width, found.height, found.dhash, cells.tobytes().hex())
    except (OSError, BadPhoto) as error:
        return Facts(wrong=error.strerror or str(error) if isinstance(error, OSError) else str(error))


def _grouped(classes: tuple[str, ...], whole: list[tuple[LabelledPhoto, int, Facts, WholeBox | None]],
             unreadable: tuple[str, ...], skipped: Mapping[str, int], source: Source, seed: int) -> TaskData:
    if unreadable:
        log.warning("%d of %d photos cannot be read and are left out: %s%s", len(unreadable),
                    len(whole) + len(unreadable), "; ".join(unreadable[:MOST_NAMED]),
                    "; …" if len(unreadable) > MOST_NAMED else "")
    labels = np.array([label for _, label, _, _ in whole], dtype=int)
    hashes = np.array([int(fact.dhash, 16) for _, _, fact, _ in whole], dtype=np.uint64)
    colours = np.array([list(bytes.fromhex(fact.colours)) for _, _, fact, _ in whole], dtype=np.int16)
    groups = joined_groups(labels, hashes, colours, [fact.sha256 for _, _, fact, _ in whole],
                           [entry.family for entry, _, _, _ in whole], NEAR_DUPLICATE_BITS, NEAR_COLOUR)
    sides = np.array([entry.side for entry, _, _, _ in whole], dtype="<U5")  # as long as "train" is
    stated = bool((sides == "val").any())
    if not stated:
        sides = np.where(hold_out(labels, groups, source.val, seed), "val", "train")
    sides[sides == ""] = "train"

    def absent(side: str) -> list[str]:
        return [name for number, name in enumerate(classes) if number not in labels[sides == side]]

    if missing := absent("train"):
        raise BadInput(f"there is no photo to train on of {', '.join(missing[:10])}; add some, or take the class away")
    unheld = absent("val")
    if len(unheld) == len(classes):
        raise BadInput("no photo can be held out: the photos of each class are all near-duplicates, or of one model; "
                       "add others")
    if unheld:
        log.warning("no photo of %s is held out: %s; how well it is told will not be known", ", ".join(unheld[:10]),
                    "the data hold out none" if stated else "its photos are all near-duplicates, or of one model")
    leaked = int(np.isin(groups[sides == "val"], groups[sides == "train"]).sum())
    photos = tuple(TaskPhoto(entry.path, label, str(side), box, fact.sha256, int(group))
                   for (entry, label, fact, box), side, group in zip(whole, sides, groups, strict=True))
    return TaskData(classes, photos, unreadable, skipped, leaked)
