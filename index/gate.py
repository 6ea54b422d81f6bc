"""The gate before promotion: the live network answers the candidate's own queries on the candidate's own gallery."""

from dataclasses import dataclass, replace

import numpy as np

from catalogue.errors import GateRefused
from catalogue.photos import PhotoStore
from catalogue.releases import Published
from index.build import embed_photos
from index.evaluate import evaluate
from index.gallery import read_gallery
from vision.embedder import Embedder

MARGIN = 0.02
FEWEST_QUERIES = 20


@dataclass(frozen=True)
class Comparison:
    """Recall@1 of the candidate and of what is live on one slice of the same queries."""

    slice: str
    queries: int
    candidate: float
    live: float

    @property
    def lost(self) -> float:
        """How much recall@1 the candidate loses, in [−1, 1]."""
        return self.live - self.candidate


def compare(candidate: Published, live: Published, live_embedder: Embedder, store: PhotoStore) -> list[Comparison]:
    """Measure both on every slice that has enough queries; the live network embeds the candidate's photos anew."""
    gallery, _ = read_gallery(candidate.folder)
    ours = theirs = evaluate(gallery)["slices"]
    if candidate.manifest["network"] != live.manifest["network"]:
        names = [str(name) for name in dict.fromkeys(gallery.photos)]
        vectors = dict(zip(names, embed_photos(store, live_embedder, names), strict=True))
        theirs = evaluate(replace(gallery, vectors=np.stack([vectors[str(name)] for name in gallery.photos])))["slices"]
    return [Comparison(name, ours[name]["queries"], ours[name]["recall@1"], theirs[name]["recall@1"])
            for name in ours if ours[name]["queries"] >= FEWEST_QUERIES]


def check(comparisons: list[Comparison], margin: float = MARGIN) -> None:
    """Raise `GateRefused` if the candidate loses more than `margin` on a slice, and more than one query; the worst is
    named. Photos the candidate was trained on count only where nothing else can be compared."""
    held_out = [found for found in comparisons if found.slice != "all"]
    worst = max(held_out or comparisons, key=lambda found: found.lost, default=None)
    if worst is not None and worst.lost > margin and worst.lost * worst.queries > 1.5:
        raise GateRefused(f"the candidate loses {100 * worst.lost:.1f} points of recall@1 on the slice {worst.slice!r} "
                          f"({worst.candidate:.3f} against {worst.live:.3f} live, {worst.queries} queries; allowed are "
                          f"{100 * margin:.0f}); train again, or promote with --force")


def check_size(candidate: Published, live: Published) -> None:
    """Raise `GateRefused` if the candidate holds less than half of what is live: a catalogue was emptied, or the wrong
    one is open."""
    ours, theirs = int(candidate.manifest["items"]), int(live.manifest["items"])
    if 2 * ours < theirs:
        raise GateRefused(f"the candidate holds {ours} photos, the live index {theirs}; if that is meant, promote with "
                          "--force")
