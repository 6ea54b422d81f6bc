"""Labelled photos from a folder tree, a CSV or the catalogue: each one's file, label, side, box and family."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalogue.errors import BadInput, BadPhoto
from catalogue.photos import PhotoStore
from catalogue.products_csv import PICTURES, photo_paths, read_csv, read_products
from catalogue.queries import ProductPhotoRow
from training.aihub import read_aihub
from training.task_file import SIDES, Source

log = logging.getLogger(__name__)
CORNERS = ("x0", "y0", "x1", "y1")
Box = tuple[float, float, float, float]
WholeBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo as its source names it; nothing of it was read yet.

    `side` is train, val, test or empty where the source does not say; `box` is (x0, y0, x1, y1) in pixels of the
    upright photo; photos of one `family` show one thing and stand on one side.
    """

    path: Path
    label: str
    side: str = ""
    box: Box | None = None
    family: str = ""


def whole_box(box: Box | None, width: int, height: int) -> WholeBox | None:
    """The box in whole pixels inside a photo, None where there is none; `BadPhoto` if it lies outside."""
    if box is None:
        return None
    if all(map(math.isfinite, box)):
        left, top = max(0, int(box[0])), max(0, int(box[1]))
        right, bottom = min(width, round(box[2])), min(height, round(box[3]))
        if right - left >= 2 and bottom - top >= 2:
            return left, top, right, bottom
    raise BadPhoto("its box lies outside")


def load(source: Source, path: Path | None, catalogue: Iterable[ProductPhotoRow] = (),
         store: PhotoStore | None = None) -> list[LabelledPhoto]:
    """Return the labelled photos of a source, in a stable order, under the names that its `labels` give to labels;
    `path` is where it lies, None for the catalogue.

    Photos called a test are held out where none are called validation, else left out: epochs and probabilities are
    fitted on those held out, and a test is to be asked once.
    """
    if path is None:
        found = list(_of_catalogue(catalogue, store, source.attribute)) if store is not None else []
    elif not path.exists():
        raise BadInput(f"there are no photos at {path}; say where they are with --data, or set `path` under [data]")
    elif source.kind == "csv" or path.suffix.lower() == ".csv":
        found = list(_of_csv(path))
    elif source.kind == "aihub":
        found = [LabelledPhoto(*one) for one in read_aihub(path, source.attribute)]
    elif source.kind == "catalogue":
        found = list(_of_products(path, source.attribute))
    else:
        found = list(_of_folders(path))
    if not found:
        raise BadInput(f"{path or 'the catalogue'} holds no labelled photos; for kind {source.kind} "
                       f"{_WANTED[source.kind]}")
    if tests := [one for one in found if one.side == "test"]:
        if any(one.side == "val" for one in found):
            log.warning("%d photos called a test are left out; measure them with `task evaluate --data`", len(tests))
            found = [one for one in found if one.side != "test"]
        else:
            found = [replace(one, side="val") if one.side == "test" else one for one in found]
    return [replace(one, label=source.labels.get(one.label, one.label)) for one in found]


_WANTED = {
    "folders": "there must be one folder of photos a class, or these in folders called train and val",
    "csv": "there must be rows of path and label, and perhaps split, x0, y0, x1 and y1",
    "aihub": "there must be label files (.json or .xml) that name their photos, and the photos",
    "catalogue": "there must be products with photos and the attribute",
}


def _of_folders(path: Path) -> Iterator[LabelledPhoto]:
    """One folder a class, or sides first; photos may lie deeper in their class's folder. What is no photo by its name
    is counted and said."""
    sides = [(SIDES[one.name.lower()], one) for one in _folders(path) if one.name.lower() in SIDES]
    _refuse_both([place for _, place in sides], path)
    others: Counter[str] = Counter()
    for side, place in sides or [("", path)]:
        for folder in _folders(place):
            for file in sorted(one for one in folder.rglob("*") if one.is_file() and not one.name.startswith(".")):
                if file.suffix.lower() in PICTURES:
                    yield LabelledPhoto(file, folder.name, side)
                else:
                    others[file.suffix.lower() or "no ending"] += 1
    if others:
        log.warning("left out %d files below %s that are no photos by their names (%s); photos are %s", others.total(),
                    path, ", ".join(f"{count} × {ending}" for ending, count in others.most_common(5)),
                    ", ".join(sorted(PICTURES)))


def _refuse_both(sides: Sequence[Path], path: Path) -> None:
    """`BadInput` where folders called train or val stand beside others that hold photos: which are classes?"""
    others = [one for one in _folders(path) if one not in sides
              and any(file.suffix.lower() in PICTURES for file in one.rglob("*"))] if sides else []
    if others:
        raise BadInput(f"{path} holds {others[0].name!r} beside {sides[0].name!r}: either all of its folders are "
                       "classes, or all are sides with classes in them. Move one, or label the photos in a CSV")


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _of_csv(path: Path) -> Iterator[LabelledPhoto]:
    """Rows path,label[,split,x0,y0,x1,y1]; paths are relative to the file, or to `path` itself if that is a folder."""
    file = path / "labels.csv" if path.is_dir() else path
    for line, row in read_csv(file, ("path", "label")):
        side, label = (row.get("split") or "").strip().lower(), row["label"].strip()
        if side and side not in SIDES:
            raise BadInput(f"{file}, line {line}: split is one of {', '.join(SIDES)} or empty, not {side!r}")
        if not label:
            raise BadInput(f"{file}, line {line}: the label is empty; name the class")
        corners = [(row.get(name) or "").strip() for name in CORNERS]
        try:
            box = (float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3])) if any(corners) else None
        except ValueError as error:
            raise BadInput(f"{file}, line {line}: x0, y0, x1 and y1 are four numbers or all empty: {error}") from error
        yield LabelledPhoto(file.parent / row["path"].strip(), label, SIDES.get(side, ""), box)


def _of_catalogue(rows: Iterable[ProductPhotoRow], store: PhotoStore | None, attribute: str) -> Iterator[LabelledPhoto]:
    """Photos of the catalogue by an attribute of their product (shoe_type or brand); a model is a family."""
    name = attribute or "shoe_type"
    if name not in ("shoe_type", "brand") or store is None:
        raise BadInput(f"the catalogue's attribute is shoe_type or brand, not {name!r}")
    for row in rows:
        if label := str(getattr(row, name)).strip():
            yield LabelledPhoto(store.path(row.sha256), label, family=f"model {row.model_key}")


def _of_products(path: Path, attribute: str) -> Iterator[LabelledPhoto]:
    """Photos of a folder with a products.csv, by one of its columns; a model group is a family."""
    for row in read_products(path):
        try:
            label = str(getattr(row, attribute or "shoe_type"))
        except AttributeError as error:
            raise BadInput(f"a products.csv has no column {attribute!r}; set `attribute` under [data]") from error
        for photo in photo_paths(path, row) if label else ():
            yield LabelledPhoto(photo, label, family=f"model {row.set}/{row.model_group or row.slug}")
