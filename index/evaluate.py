"""Evaluation: how often the right product comes first, by slice, for a gallery's own photos or for other queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.gallery import Gallery
from vision.measures import askable, best_by_product, hits_at, ranks_of, retrieval, some

CHUNK = 256
MOST_QUERIES = 4000
PHOTO_COUNTS = (1, 2, 4, 8)
FEWEST_OF_A_PART = 10


@dataclass(frozen=True)
class Queries:
    """Photos of the gallery asked again, as they are or disturbed: unit vectors (q, d), and gallery rows (q,)."""

    vectors: np.ndarray
    rows: np.ndarray

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.rows):
            raise ValueError("as many query vectors as gallery rows")

    def only(self, chosen: np.ndarray) -> "Queries":
        """Those chosen by a mask (q,)."""
        return Queries(self.vectors[chosen], self.rows[chosen])


@dataclass(frozen=True)
class Asked:
    """What came of q queries: where their product ranked, with its whole gallery and with just k of its photos; the
    row of the best item of all and of the best right one, with their scores."""

    queries: Queries
    ranks: np.ndarray
    ranks_with: Mapping[int, np.ndarray]
    answers: np.ndarray
    rights: np.ndarray
    answer_scores: np.ndarray
    right_scores: np.ndarray


@dataclass(frozen=True)
class Slice:
    """Where the products of some queries (q,) ranked, from 0, negative where they were not found."""

    ranks: np.ndarray
    products: np.ndarray

    def measures(self) -> dict[str, Any]:
        """Recall and mAP with their interval, under the names that are written down."""
        return retrieval(hits_at(self.ranks), self.products).as_dict()


def evaluate(gallery: Gallery, again: Mapping[str, Queries] | None = None) -> dict[str, Any]:
    """Measure all of `slices_of`: the measures of the headline, with all slices' beside them."""
    headline, slices = slices_of(gallery, again)
    found = {name: one.measures() for name, one in slices.items()}
    return {**found[headline], "headline": headline, "slices": found}


def slices_of(gallery: Gallery, again: Mapping[str, Queries] | None = None) -> tuple[str, dict[str, Slice]]:
    """Leave one photo out: every photo asks the rest of the gallery, near-duplicates of itself hidden.

    Returns the name of the headline, and all slices, the same queries for every network whose vectors are asked.
    `held_out` are photos the network was not trained on, `unseen` those of products it never saw; the headline is
    `held_out` where there is any, because a photo the network was trained on proves little. The rest are slices of the
    headline's queries: by the number of other photos that their product has in the gallery, cut down to exactly 1, 2, 4
    or 8; by shoe type; by their place among those that the shop shows, `view 1` and so on, for a shop takes its shoes
    from the same sides in the same order, and no catalogue says more of the viewing angle; and those of `again`, photos
    asked once more turned, small or careless. Of a slice with more than 4,000 photos a draw asks.
    """
    slices = {
        "all": np.ones(len(gallery.ids), bool),
        "held_out": held_out_photos(gallery),
        "unseen": unseen_products(gallery),
    }
    can = askable(gallery.products, gallery.groups)
    rows = {name: some(np.flatnonzero(chosen & can), MOST_QUERIES) for name, chosen in slices.items()}
    headline = "held_out" if len(rows["held_out"]) else "all"
    every = np.unique(np.concatenate(list(rows.values()))) if len(gallery.ids) else np.empty(0, np.int64)
    asked = ask(gallery, Queries(gallery.vectors[every], every))
    found = {name: _slice(gallery, asked, asked.ranks, np.isin(every, chosen)) for name, chosen in rows.items()}
    chosen = np.isin(every, rows[headline])
    for count in PHOTO_COUNTS:
        ranks = asked.ranks_with[count]
        if (chosen & (ranks != SHORT)).any():
            found[_photos(count)] = _slice(gallery, asked, ranks, chosen & (ranks != SHORT))
    types, places = gallery.item_types[every], gallery.places[every]
    parts = {f"type {one}": types == one for one in np.unique(types[chosen]).tolist() if one}
    parts |= {f"view {one + 1}": places == one for one in np.unique(places[chosen]).tolist() if one >= 0}
    for name, shown in parts.items():
        if (chosen & shown).sum() >= FEWEST_OF_A_PART:
            found[name] = _slice(gallery, asked, asked.ranks, chosen & shown)
    for name, queries in (again or {}).items():
        other = ask(gallery, queries.only(can[queries.rows]))
        if len(other.ranks):
            found[name] = _slice(gallery, other, other.ranks, np.ones(len(other.ranks), bool))
    return headline, found


SHORT = -2  # instead of a rank: the product has fewer photos than that


def ask(gallery: Gallery, queries: Queries) -> Asked:
    """Ask the gallery with these queries, each with near-duplicates of its own photo hidden."""
    parts = [_ask(gallery, queries.only(np.arange(start, min(start + CHUNK, len(queries.rows)))))
             for start in range(0, max(1, len(queries.rows)), CHUNK)]
    names = ("ranks", "answers", "rights", "answer_scores", "right_scores")
    return Asked(queries, ranks_with={count: np.concatenate([part.ranks_with[count] for part in parts])
                                      for count in PHOTO_COUNTS},
                 **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def evaluate_queries(gallery: Gallery, vectors: np.ndarray, products: np.ndarray) -> dict[str, Any]:
    """Measure queries from outside the gallery: unit vectors (q, d) and the id of the product each shows (q,)."""
    ranks = [ranks_of(*best_by_product(vectors[start:start + CHUNK] @ gallery.vectors.T, gallery.products),
                      products[start:start + CHUNK]) for start in range(0, len(vectors), CHUNK)]
    return {**retrieval(hits_at(np.concatenate(ranks)), products).as_dict(), "headline": "queries"}


def held_out_rows(gallery: Gallery, most: int) -> np.ndarray:
    """The rows of the headline's queries, or a draw of `most` of them."""
    can = askable(gallery.products, gallery.groups)
    held_out = held_out_photos(gallery) & can
    return some(np.flatnonzero(held_out if held_out.any() else can), most)


def held_out_photos(gallery: Gallery) -> np.ndarray:
    """Which items (n,) are photos that the network was not trained on."""
    return np.isin(gallery.sides, ("val", "unseen", "new"))


def unseen_products(gallery: Gallery) -> np.ndarray:
    """Which items (n,) are of products that were not trained on: held out of those that were are the photos on side
    `val`, which may be all that a shop still shows of one."""
    trained = np.unique(gallery.products[np.isin(gallery.sides, ("train", "val"))])
    return ~np.isin(gallery.products, trained)


def _ask(gallery: Gallery, queries: Queries) -> Asked:
    rows, every = queries.rows, np.arange(len(queries.rows))
    if not len(rows):
        none, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        return Asked(queries, none, dict.fromkeys(PHOTO_COUNTS, none), none, none, scores, scores)
    scores = queries.vectors @ gallery.vectors.T
    scores[gallery.groups[rows][:, None] == gallery.groups[None, :]] = -np.inf
    best, labels = best_by_product(scores, gallery.products)
    own = gallery.products[rows][:, None] == gallery.products[None, :]
    answers, rights = scores.argmax(1), np.where(own, scores, -np.inf).argmax(1)
    with_few = {count: np.array([_score_of_few(gallery, scores[at], np.flatnonzero(own[at]), count, int(rows[at]))
                                 for at in every], np.float32) for count in PHOTO_COUNTS}
    products = gallery.products[rows]
    return Asked(queries, ranks_of(best, labels, products),
                 {count: np.where(np.isnan(few), SHORT, ranks_of(best, labels, products, few))
                  for count, few in with_few.items()},
                 answers, rights, scores[every, answers], scores[every, rights])


def _score_of_few(gallery: Gallery, scores: np.ndarray, own: np.ndarray, count: int, row: int) -> float:
    """The best score among `count` photos drawn from the product's own, none a rendition of another or of the query;
    NaN where it has fewer."""
    shown = own[np.isfinite(scores[own])]
    _, first = np.unique(gallery.groups[shown], return_index=True)
    if len(first) < count:
        return np.nan
    drawn = np.random.default_rng(int(gallery.ids[row])).permutation(shown[np.sort(first)])[:count]
    return float(scores[drawn].max())


def _photos(count: int) -> str:
    return f"{count} photo" if count == 1 else f"{count} photos"


def _slice(gallery: Gallery, asked: Asked, ranks: np.ndarray, chosen: np.ndarray) -> Slice:
    return Slice(ranks[chosen], gallery.products[asked.queries.rows[chosen]])
