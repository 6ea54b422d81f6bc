"""Labels as AI-Hub's sets write them: K-Fashion's JSON (styles, boxes) and the retail products' XML or JSON."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from catalogue.errors import BadInput
from catalogue.products_csv import PICTURES
from training.task_file import SIDES

# Fields that hold the class, the first that is filled wins: K-Fashion's style, the retail set's product name.
LABELS = ("스타일", "img_prod_nm", "item_no", "name")
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Record:
    """What label files say of one photo: its label, the box around all of its boxes, and its file's name if given."""

    label: str
    box: Box | None = None
    photo: str = ""


def parse_json(text: str, attribute: str = "") -> Record:
    """Read one JSON label: the first filled value of the attribute at any depth, and every rectangle there is."""
    found = json.loads(text)
    label = next((value for name in ([attribute] if attribute else LABELS) if (value := _first(found, name))), "")
    photo = _first(found, "이미지 파일명") or _first(found, "file_name") or _first(found, "filename")
    return Record(label, around(list(_rectangles(found))), photo)


def parse_xml(text: str, attribute: str = "") -> Record:
    """Read one XML label: Pascal-VOC boxes, or the retail set's `_meta.xml`; DTDs are refused."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("label files have no document type")
    root = ElementTree.fromstring(text)
    label = next((said for name in ([attribute] if attribute else LABELS[1:])
                  for one in root.iter(name) if (said := (one.text or "").strip())), "")
    boxes = []
    for one in root.iter("bndbox"):
        x0, y0, x1, y1 = (float(one.findtext(name) or "nan") for name in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append((x0, y0, x1, y1))
    return Record(label, around(boxes), root.findtext("filename") or "")


def around(boxes: list[Box]) -> Box | None:
    """Return the box around all boxes; None without any."""
    if not boxes:
        return None
    return (min(box[0] for box in boxes), min(box[1] for box in boxes),
            max(box[2] for box in boxes), max(box[3] for box in boxes))


def read_aihub(folder: Path, attribute: str = "") -> Iterator[tuple[Path, str, str, Box | None]]:
    """Yield (photo, label, side, box) of every label file under the folder, in a stable order.

    A label file's photo has its stem, or else the name that the label gives, and stands on no other side than it. Of
    several such the one is meant that lies in a folder of the same name as its own, then the one whose path is like its
    own the longest; `BadInput` if that leaves two. The retail set's `X_meta.xml` names the product of `X.xml`, which
    holds the box. A label whose photo is missing is yielded with the path where it would lie, so that it is counted as
    unreadable.
    """
    photos: dict[tuple[str, str], list[Path]] = defaultdict(list)  # by side and name
    labels: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES:
            for name in (path.stem, path.name):
                photos[_side(path, folder), name].append(path)
        elif path.suffix.lower() in (".json", ".xml"):
            labels[path.parent, path.stem.removesuffix("_meta")].append(path)
    for (place, stem), files in labels.items():
        record = _joined([_read(path, attribute) for path in files])
        if not record.label and not record.photo and record.box is None:
            continue  # a file about something else, such as the set's own description
        side = _side(files[0], folder)
        known = _called(stem, side, photos) or _called(record.photo, side, photos)
        photo = _nearest(known, files[0]) if known else place / (record.photo or f"{stem}.jpg")
        yield photo, record.label, _side(photo, folder), record.box


def _called(name: str, side: str, photos: Mapping[tuple[str, str], list[Path]]) -> list[Path]:
    """The photos of a name that may be those of a label on a side: on the same or on none, of no side on any."""
    sides = (side, "") if side else sorted({"", *SIDES.values()})
    return [path for one in sides for path in photos.get((one, name), ())]


def _nearest(photos: list[Path], label: Path) -> Path:
    """The photo, of those of the right name, that lies nearest to a label file."""
    near = [path for path in photos if path.parent.name == label.parent.name] or photos
    shared = [len(os.path.commonpath([path, label])) for path in near]
    nearest = [path for path, count in zip(near, shared, strict=True) if count == max(shared)]
    if len(nearest) > 1:
        raise BadInput(f"the label file {label} may mean {nearest[0]} or {nearest[1]}; take one of the photos away, or "
                       "put the right one into the label's folder")
    return nearest[0]


def _read(path: Path, attribute: str) -> Record:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return (parse_json if path.suffix.lower() == ".json" else parse_xml)(text, attribute)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise BadInput(f"the label file {path} cannot be read ({error}); mend it or take it away") from error


def _joined(records: list[Record]) -> Record:
    """What several files say of one photo; a `_meta` file comes after its own and knows the product better."""
    return Record(next((one.label for one in reversed(records) if one.label), ""),
                  next((one.box for one in records if one.box), None),
                  next((one.photo for one in records if one.photo), ""))


def _side(photo: Path, folder: Path) -> str:
    return next((SIDES[part.lower()] for part in photo.relative_to(folder).parts[:-1] if part.lower() in SIDES), "") \
        if photo.is_relative_to(folder) else ""


def _first(found: Any, name: str) -> str:
    """The first filled text or number under a key, at any depth."""
    if isinstance(found, dict):
        value = found.get(name)
        if isinstance(value, str | int | float) and str(value).strip():
            return str(value).strip()
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return next((said for one in inner if (said := _first(one, name))), "")


def _rectangles(found: Any) -> Iterator[Box]:
    """Every rectangle at any depth: K-Fashion's corner and size, or a COCO `bbox`."""
    if isinstance(found, dict):
        try:
            x, y, wide, high = (float(found[name]) for name in ("X좌표", "Y좌표", "가로", "세로"))
            yield x, y, x + wide, y + high
        except (KeyError, TypeError, ValueError):
            edges = found.get("bbox")
            if isinstance(edges, list) and len(edges) == 4 and all(isinstance(edge, int | float) for edge in edges):
                x, y, wide, high = map(float, edges)
                yield x, y, x + wide, y + high
    for one in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _rectangles(one)
