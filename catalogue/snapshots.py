"""Snapshots: immutable exports of what a training may use, named by their digest; training needs nothing else of SQL.

Every photo stands on one side: `train`, `val` (other photos of products that are trained on) or `unseen` (whole models
that training never sees, so that measures on them say what a shoe added tomorrow can expect). Near-duplicates of one
product form a group and share its side. A side once given is kept in the catalogue and never changes by itself.
"""

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput, NotFound
from catalogue.files import lock, new_folder, sweep_partial
from catalogue.photos import facts
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.tables import PhotoSplit

Split = Literal["train", "val", "unseen"]
SPLITS: tuple[Split, ...] = get_args(Split)
NEAR_DUPLICATE_BITS = 4


@dataclass(frozen=True)
class SnapshotPhoto:
    """One photo of one product as training sees it; `group` is the near-duplicate group's name."""

    sha256: str
    product_id: int
    product_key: str
    model_key: str
    shoe_type: str
    group: str
    split: Split

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise BadInput(f"unknown split {self.split!r} in a snapshot; it is one of {', '.join(SPLITS)}")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on disk: its digest, folder and rows."""

    digest: str
    folder: Path
    photos: tuple[SnapshotPhoto, ...]

    def side(self, split: Split) -> list[SnapshotPhoto]:
        """The photos on one side."""
        return [photo for photo in self.photos if photo.split == split]


@dataclass(frozen=True)
class SplitShares:
    """Which share of the models becomes `unseen`, and of the other products' photo groups `val`."""

    val: float = 0.12
    unseen: float = 0.12

    def __post_init__(self) -> None:
        if not (0 <= self.val < 0.9 and 0 <= self.unseen < 0.9):
            raise BadInput(f"shares of val and unseen must lie in [0, 0.9), not {self.val} and {self.unseen}")


def take_snapshot(engine: Engine, folder: Path, shares: SplitShares) -> Snapshot:
    """Export every product photo with its group and side; the same catalogue gives the same digest."""
    # One at a time: on PostgreSQL two transactions would both give the same new photos a side.
    with (lock(folder / "snapshots.lock", "taking a snapshot", patience_s=60),
          Session(engine) as session, session.begin()):
        rows = product_photos(session)
        if not rows:
            raise NotFound("the catalogue has no photos yet; crawl a shop or `solesearch catalogue import` first")
        groups = near_duplicate_groups(rows)
        known = {sha: split for sha, split in session.execute(
            select(PhotoSplit.sha256, PhotoSplit.split).order_by(PhotoSplit.created_at, PhotoSplit.sha256))}
        splits = assign_splits(rows, groups, known, shares)
        for sha256 in sorted(splits.keys() - known.keys()):
            session.add(PhotoSplit(sha256=sha256, split=splits[sha256]))
    photos = tuple(SnapshotPhoto(row.sha256, row.product_id, row.product_key, row.model_key, row.shoe_type,
                                 groups[row.sha256], splits[row.sha256]) for row in rows)
    return _write(folder, photos)


def open_snapshot(folder: Path, digest: str) -> Snapshot:
    """Read a snapshot and check that its rows still have its digest."""
    path = folder / digest / "photos.csv"
    if "/" in digest or not path.is_file():
        raise NotFound(f"there is no snapshot {digest!r}; `solesearch snapshot` takes a new one")
    data = path.read_bytes()
    if _digest(data) != digest:
        raise BadInput(f"{path} was altered: its digest is not {digest}; take a new snapshot")
    rows = csv.DictReader(io.StringIO(data.decode()))
    photos = tuple(SnapshotPhoto(row["sha256"], int(row["product_id"]), row["product_key"], row["model_key"],
                                 row["shoe_type"], row["group"], row["split"])  # type: ignore[arg-type]
                   for row in rows)
    return Snapshot(digest, folder / digest, photos)


def near_duplicate_groups(rows: Sequence[ProductPhotoRow]) -> dict[str, str]:
    """Return the group of every photo: those of one product within 4 dHash bits, joined transitively.

    Never joins across products by hash (a grey hash cannot tell colourways apart), only by identical bytes.
    """
    parent = {row.sha256: row.sha256 for row in rows}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    by_product: dict[int, list[ProductPhotoRow]] = defaultdict(list)
    for row in rows:
        by_product[row.product_id].append(row)
    for members in by_product.values():
        for at, one in enumerate(members):
            for other in members[:at]:
                if _alike(one.dhash, other.dhash):
                    low, high = sorted((root(one.sha256), root(other.sha256)))
                    parent[high] = low
    return {row.sha256: root(row.sha256) for row in rows}


class Copies:
    """The photos of a catalogue, to tell whether another photo is one of them or a near-duplicate of its product's."""

    def __init__(self, rows: Sequence[ProductPhotoRow]) -> None:
        self._names = {row.sha256 for row in rows}
        self._hashes: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            self._hashes[row.product_id].append(row.dhash)

    def has(self, product: int, data: bytes) -> bool:
        """Whether a photo's bytes are a catalogue photo's, or look like one of this product; `BadPhoto` if no photo."""
        found = facts(data)
        return found.sha256 in self._names or any(_alike(found.dhash, other)
                                                  for other in self._hashes.get(product, ()))


def _alike(one: str, other: str) -> bool:
    return (int(one, 16) ^ int(other, 16)).bit_count() <= NEAR_DUPLICATE_BITS


def assign_splits(rows: Sequence[ProductPhotoRow], groups: dict[str, str], known: dict[str, str],
                  shares: SplitShares) -> dict[str, Split]:
    """Return the side of every photo: the earliest known side in its group, else one drawn from stable hashes.

    `known` is ordered by age. A product or model of which a photo was ever trained on is never `unseen` afterwards, and
    new photos of an unseen one are unseen. A product that is trained on keeps at least one group on the train side.

    Where an unseen product was merged into one that is trained on (or joined its model), its photos count as `val`:
    training never sees them either way, and what is measured on `unseen` stays what it says. Their side as kept in the
    catalogue does not move, so that a merge taken back brings it back.
    """
    side_of_group: dict[str, Split] = {}
    for sha256, split in known.items():
        if sha256 in groups:
            side_of_group.setdefault(groups[sha256], split)  # type: ignore[arg-type]
    by_product: dict[int, dict[str, str]] = defaultdict(dict)
    sides_of_model: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_product[row.product_id][groups[row.sha256]] = row.model_key
        if groups[row.sha256] in side_of_group:
            sides_of_model[row.model_key].add(side_of_group[groups[row.sha256]])
    for members in by_product.values():
        model_key = next(iter(members.values()))
        before = sides_of_model[model_key]
        unseen = before == {"unseen"} or (not before and _fraction("unseen", model_key) < shares.unseen)
        free = [group for group in members if group not in side_of_group]
        for group in free:
            if unseen:
                side_of_group[group] = "unseen"
            else:
                side_of_group[group] = "val" if _fraction("val", group) < shares.val else "train"
        if free and not unseen and all(side_of_group[group] == "val" for group in members):
            side_of_group[free[0]] = "train"
    trained = {row.model_key for row in rows if side_of_group[groups[row.sha256]] == "train"}
    no_longer = {row.sha256 for row in rows
                 if row.model_key in trained and side_of_group[groups[row.sha256]] == "unseen"}
    return {row.sha256: "val" if row.sha256 in no_longer else side_of_group[groups[row.sha256]] for row in rows}


def _fraction(purpose: str, name: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{purpose}:{name}".encode()).digest()[:8], "big") / 2**64


def _write(folder: Path, photos: Iterable[SnapshotPhoto]) -> Snapshot:
    kept = tuple(photos)
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in fields(SnapshotPhoto)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(photo) for photo in kept)
    data = text.getvalue().encode()
    digest = _digest(data)
    with lock(folder / "snapshots.lock", "writing a snapshot", patience_s=60):
        sweep_partial(folder)
        if (folder / digest).exists():
            return Snapshot(digest, folder / digest, kept)
        with new_folder(folder / digest) as place:
            (place / "photos.csv").write_bytes(data)
            (place / "snapshot.json").write_text(json.dumps({
                "photos": len(kept), "products": len({photo.product_id for photo in kept}),
                "splits": {split: sum(photo.split == split for photo in kept) for split in SPLITS}}))
    return Snapshot(digest, folder / digest, kept)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
