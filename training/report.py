"""The report of one training as one HTML file: curves, a table by class, and the worst confusions as picture pairs."""

import html
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from catalogue.errors import BadPhoto, NotFound
from catalogue.photos import PhotoStore
from catalogue.snapshots import SnapshotPhoto
from training.drawings import drawing_uri
from training.measuring import MOST_QUERIES, Predictions
from vision.inline import STYLE, thumbnail_uri
from vision.measures import askable, some
from vision.saved import NetworkCard

log = logging.getLogger(__name__)
MOST_CONFUSIONS = 24
MOST_CLASSES = 500
FIGURE = "figure{display:inline-block;margin:.4rem;width:13rem;font-size:12px}"


def write_report(path: Path, card: NetworkCard, history: Sequence[dict[str, float]], found: Predictions,
                 photos: Sequence[SnapshotPhoto], store: PhotoStore) -> None:
    """Write the report; held-out photos are those of the snapshot that are not on its train side."""
    measures = "".join(f"<tr><th>{html.escape(name)}<td>{_number(value)}" for name, value in card.measures.items())
    settings = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(str(value))}"
                       for name, value in card.recipe.items())
    path.write_text(f"""<!doctype html><meta charset="utf-8"><title>Training report</title><style>
{STYLE}{FIGURE}</style>
<h1>Training report</h1><p>Snapshot {card.snapshot}, {len(card.classes)} classes, {len(photos)} photos.
<table>{measures}</table><h2>Curves</h2><img alt="loss and measures by epoch" src="{_curves(history)}">
<h2>Worst confusions</h2>{_confusions(card, found, photos, store)}
<h2>By class</h2>{_classes(card, found, photos)}<h2>Recipe</h2><table>{settings}</table>
""", encoding="utf-8")


def _curves(history: Sequence[dict[str, float]]) -> str:
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history])
    left.set(xlabel="epoch", ylabel="training loss")
    for name in sorted({name for row in history for name in row} - {"epoch", "loss", "photos_per_s", "seconds"}):
        right.plot(epochs, [row.get(name, np.nan) for row in history], label=name)
    right.set(xlabel="epoch", ylim=(0, 1.02))
    if right.lines:
        right.legend(fontsize=8)
    return drawing_uri(figure)


def _confusions(card: NetworkCard, found: Predictions, photos: Sequence[SnapshotPhoto], store: PhotoStore) -> str:
    """Held-out photos whose nearest other photo is of another product, the most confident mistakes first.

    A photo of a product that has no other to be found is not asked.
    """
    groups = np.unique([photo.group for photo in photos], return_inverse=True)[1]
    can = askable(np.array([photo.product_id for photo in photos]), groups)
    asked = some([row for row, photo in enumerate(photos) if photo.split != "train" and can[row]], MOST_QUERIES)
    wrong = []
    for row in asked:
        scores = np.where(groups == groups[row], -1, found.vectors @ found.vectors[row])
        best = int(scores.argmax())
        if photos[best].product_id != photos[row].product_id:
            wrong.append((float(scores[best]), row, best))
    if not wrong:
        return "<p>None among the held-out photos."
    wrong.sort(reverse=True)
    return f"<p>{len(wrong)} of {len(asked)} held-out photos; the photo, and what it was taken for." + "".join(
        f'<figure><img alt="" src="{_thumbnail(store, photos[row].sha256)}"> '
        f'<img alt="" src="{_thumbnail(store, photos[best].sha256)}">'
        f"<figcaption>{html.escape(photos[row].product_key)}"
        f" → {html.escape(photos[best].product_key)} ({score:.2f})</figcaption></figure>"
        for score, row, best in wrong[:MOST_CONFUSIONS])


def _thumbnail(store: PhotoStore, name: str) -> str:
    """A stored photo as the `src` of an `img`; empty where it is gone by now, which is no reason to lose a training."""
    try:
        return thumbnail_uri(store.image(name))
    except (BadPhoto, NotFound) as error:
        log.warning("the report lacks a photo: %s", error)
        return ""


def _classes(card: NetworkCard, found: Predictions, photos: Sequence[SnapshotPhoto]) -> str:
    predicted = found.best[:, 0]
    rows_of: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, photo in enumerate(photos):
        rows_of[photo.product_key, photo.split].append(row)
    rows = []
    for number, key in enumerate(card.classes[:MOST_CLASSES]):
        cells = []
        for side in ("train", "val"):
            own = rows_of[key, side]
            cells.append(f"<td>{int((predicted[own] == number).sum())} / {len(own)}")
        rows.append(f"<tr><td>{html.escape(key)}{''.join(cells)}")
    more = f"<p>The first {MOST_CLASSES} of {len(card.classes)}." if len(card.classes) > MOST_CLASSES else ""
    return more + "<table><tr><th>class<th>train right<th>val right" + "".join(rows) + "</table>"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else html.escape(str(value))
