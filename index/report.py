"""The report of an evaluation as one HTML file: the slices, and the worst errors as query, answer and right one."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalogue.files import write_file
from catalogue.photos import PhotoStore
from index.evaluate import MOST_QUERIES, Queries, ask, held_out_rows
from index.gallery import Gallery
from vision.inline import STYLE, thumbnail_uri

MOST_MISTAKES = 60
FIGURE = "figure{display:inline-block;margin:.4rem;width:19rem;font-size:12px;vertical-align:top}"


@dataclass(frozen=True)
class Mistake:
    """A query whose best answer is another product: gallery rows of the three photos, and the two scores."""

    query: int
    answer: int
    right: int
    answer_score: float
    right_score: float
    rank: int


def mistakes(gallery: Gallery, most: int = MOST_MISTAKES) -> tuple[list[Mistake], int]:
    """Return the worst mistakes among the headline's queries, and how many were asked.

    Worst are those that are furthest from right: the wrong answer's lead over the best photo of the right product.
    """
    rows = held_out_rows(gallery, MOST_QUERIES)
    asked = ask(gallery, Queries(gallery.vectors[rows], rows))
    wrong = np.flatnonzero(asked.ranks != 0)
    order = wrong[np.argsort(-(asked.answer_scores - asked.right_scores)[wrong], kind="stable")][:most]
    return [Mistake(int(rows[at]), int(asked.answers[at]), int(asked.rights[at]), float(asked.answer_scores[at]),
                    float(asked.right_scores[at]), int(asked.ranks[at])) for at in order], len(rows)


def write_report(path: Path, title: str, measured: Mapping[str, Any], gallery: Gallery, store: PhotoStore) -> None:
    """Write the report of what `evaluate` measured on this gallery."""
    worst, asked = mistakes(gallery)
    told = "".join(_figure(gallery, store, one) for one in worst) or "<p>None."
    write_file(path, f"""<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title><style>
{STYLE}{FIGURE}</style>
<h1>{html.escape(title)}</h1><p>{len(gallery.ids)} photos of {len(gallery.product_ids)} products; the headline is
{html.escape(str(measured["headline"]))}. Intervals are 95 %, by product.
<table><tr><th>slice<th>queries<th>products<th>recall@1<th>interval<th>@5<th>@10<th>mAP@10
{"".join(_row(name, row) for name, row in measured["slices"].items() if row["queries"])}</table>
<h2>Worst errors</h2><p>Of {asked} photos asked: the photo, what it was taken for, and the nearest photo of the right
product.{told}
""".encode())


def _row(name: str, row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    figures = "".join(f"<td>{row[key]:.3f}" for key in ("recall@5", "recall@10", "mAP@10"))
    return (f"<tr><th>{html.escape(name)}<td>{row['queries']}<td>{row['products']}<td>{row['recall@1']:.3f}"
            f"<td>{low:.3f} – {high:.3f}{figures}")


def _figure(gallery: Gallery, store: PhotoStore, one: Mistake) -> str:
    pictures = " ".join(f'<img alt="" src="{thumbnail_uri(store.image(str(gallery.photos[row])))}">'
                        for row in (one.query, one.answer, one.right))
    own, taken = (html.escape(str(gallery.keys[gallery.product_row[int(gallery.products[row])]]))
                  for row in (one.query, one.answer))
    return (f"<figure>{pictures}<figcaption>{own} → {taken} ({one.answer_score:.2f}; the right one "
            f"{one.right_score:.2f}, rank {one.rank + 1})</figcaption></figure>")
