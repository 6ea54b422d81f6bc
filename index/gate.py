"""The gate before promotion: the live network answers the candidate's own queries on the candidate's own gallery, and
who comes first must beat a network that never learned anything."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom

from catalogue.errors import GateRefused
from catalogue.photos import PhotoStore
from index.again import asked_again
from index.build import embed_photos
from index.evaluate import Slice, held_out_rows, slices_of
from index.gallery import Gallery
from vision.embedder import Embedder
from vision.measures import some

MARGIN = 0.02
FEWEST_QUERIES = 20
MOST_AGAIN = 300       # photos that are asked again, turned, small and careless
MOST_OF_FIRST = 3000   # photos that an untrained network is made to embed
LEAST_LEAD = 0.02      # by which the first to be promoted must beat it
EASY = 0.90            # so much recall without any training says nothing of one
CHANCE = 0.05
WHOLE = ("all", "held_out", "unseen")


@dataclass(frozen=True)
class Comparison:
    """Recall@1 of the candidate and of what is live on one slice of the same queries, and how many queries only one of
    the two, the live one (`worse`) or the candidate (`better`), answered rightly."""

    slice: str
    queries: int
    candidate: float
    live: float
    worse: int = 0
    better: int = 0

    @property
    def lost(self) -> float:
        """How much recall@1 the candidate loses, in [−1, 1]."""
        return self.live - self.candidate

    def refused(self, margin: float) -> bool:
        """Whether the loss is beyond the margin, and beyond one query; of a slice that is one of a dozen, also beyond
        what chance does, or some slice would stop every other promotion: the sign test of the queries that only one
        answered rightly (McNemar 1947), one-sided, 5 %."""
        if self.lost <= margin or self.lost * self.queries <= 1.5:
            return False
        return self.slice in WHOLE or bool(binom.sf(self.worse - 1, self.worse + self.better, 0.5) < CHANCE)


@dataclass(frozen=True)
class Named:
    """How many held-out photos of known products the classifier named rightly, of how many, among how many classes."""

    right: int
    asked: int
    classes: int

    @property
    def by_chance(self) -> bool:
        """Whether guessing names as many, one time in a thousand or more often."""
        return bool(binom.sf(self.right - 1, self.asked, 1 / self.classes) > 1e-3)


def compare(gallery: Gallery, ours: Embedder, theirs: Embedder | None, store: PhotoStore,
            known: Mapping[str, np.ndarray] | None = None) -> list[Comparison]:
    """Measure both networks on every slice of the candidate's gallery that has enough queries.

    `theirs` is the live network, None where it is the candidate's own; `known` are vectors it made before, by photo.
    """
    if theirs is None:
        _, same = slices_of(gallery)
        return _compared(same, same)
    known = known or {}
    missing = [name for name in dict.fromkeys(map(str, gallery.photos)) if name not in known]
    fresh = {**known, **embed_photos(store, theirs, missing)}
    gallery = gallery.only(np.array([name in fresh for name in map(str, gallery.photos)]))
    other = replace(gallery, vectors=np.stack([fresh[name] for name in map(str, gallery.photos)]))
    rows = held_out_rows(gallery, MOST_AGAIN)
    return _compared(slices_of(gallery, asked_again(store, ours, gallery, rows))[1],
                     slices_of(other, asked_again(store, theirs, other, rows))[1])


def compare_untrained(gallery: Gallery, untrained: Embedder, store: PhotoStore) -> Comparison | None:
    """Measure a network of random weights beside the candidate on its held-out queries, in a part of a large gallery;
    None where there are too few."""
    queries = held_out_rows(gallery, MOST_OF_FIRST // 10)
    own = np.isin(gallery.products, gallery.products[queries])
    rest = some(np.flatnonzero(~own), max(0, MOST_OF_FIRST - int(own.sum())))
    part = gallery.only(np.sort(np.concatenate([np.flatnonzero(own), rest])))
    plain = embed_photos(store, untrained, [str(name) for name in part.photos])
    part = part.only(np.array([name in plain for name in map(str, part.photos)]))
    vectors = np.stack([plain[name] for name in map(str, part.photos)])
    (headline, ours), (_, theirs) = slices_of(part), slices_of(replace(part, vectors=vectors))
    found = _compared({headline: ours[headline]}, theirs)
    return found[0] if found else None


def named(gallery: Gallery, embedder: Embedder, store: PhotoStore) -> Named:
    """Ask the classifier for held-out photos of products that it was trained on."""
    numbers = {key: at for at, key in enumerate(embedder.card.classes)}
    keys = gallery.keys[np.searchsorted(gallery.product_ids, gallery.products)]
    rows = some(np.flatnonzero((gallery.sides == "val") & np.isin(keys, list(numbers))), MOST_AGAIN)
    logits = embedder.embed(store.image(str(gallery.photos[row])) for row in rows).logits
    truth = np.array([numbers[str(keys[row])] for row in rows])
    return Named(int((logits.argmax(1) == truth).sum()) if len(rows) else 0, len(rows), len(numbers))


def check(comparisons: list[Comparison], margin: float = MARGIN) -> None:
    """Raise `GateRefused` if the candidate loses more than `margin` on a slice; the worst is named. Photos the
    candidate was trained on count only where nothing else can be compared."""
    held_out = [found for found in comparisons if found.slice != "all"]
    refused = [found for found in held_out or comparisons if found.refused(margin)]
    worst = max(refused, key=lambda found: found.lost, default=None)
    if worst is not None:
        raise GateRefused(f"the candidate loses {100 * worst.lost:.1f} points of recall@1 on the slice {worst.slice!r} "
                          f"({worst.candidate:.3f} against {worst.live:.3f} live, {worst.queries} queries; allowed are "
                          f"{100 * margin:.0f}); train again, or promote with --force")


def check_untrained(found: Comparison) -> None:
    """Raise `GateRefused` unless the candidate beats the untrained network, where that is not nearly perfect itself."""
    if found.live < EASY and found.candidate < found.live + LEAST_LEAD:
        raise GateRefused(f"the candidate's recall@1 is {found.candidate:.3f} on {found.queries} queries of the slice "
                          f"{found.slice!r}, a network of random weights has {found.live:.3f}: it learned nothing that "
                          "helps; check the labels and train again, or promote with --force")


def check_named(found: Named) -> None:
    """Raise `GateRefused` if the classifier names products no better than by guessing."""
    if found.asked >= FEWEST_QUERIES and found.classes > 1 and found.by_chance:
        raise GateRefused(f"the classifier names {found.right} of {found.asked} held-out photos of products it was "
                          f"trained on, no more than guessing among {found.classes} would: its labels are wrong or it "
                          "learned nothing; check them and train again, or promote with --force")


def check_size(ours: int, theirs: int) -> None:
    """Raise `GateRefused` if the candidate holds less than half of the photos that can be found now: a catalogue was
    emptied, or the wrong one is open."""
    if 2 * ours < theirs:
        raise GateRefused(f"the candidate holds {ours} photos, the live index {theirs}; if that is meant, promote with "
                          "--force")


def check_decision(ours: object, theirs: object) -> None:
    """Raise `GateRefused` if the candidate has no fitted decision, but what is live has."""
    if theirs is not None and ours is None:
        raise GateRefused("the candidate would call every shoe unknown: too few of its products have a second photo to "
                          "fit a decision on, those of the live index had; crawl more, or promote with --force")


def _compared(ours: Mapping[str, Slice], theirs: Mapping[str, Slice]) -> list[Comparison]:
    found = []
    for name, one in ours.items():
        first, other = one.ranks == 0, theirs[name].ranks == 0
        if len(first) >= FEWEST_QUERIES:
            found.append(Comparison(name, len(first), float(first.mean()), float(other.mean()),
                                    int((other & ~first).sum()), int((first & ~other).sum())))
    return found
