"""The serve-side engine: a photo's pixels in, the identified product with its neighbours out."""

import copy
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image

from catalogue.errors import BadRelease, NothingLive
from catalogue.gallery_items import GalleryState
from catalogue.releases import Published
from index.decision import UNKNOWN, Decision, colour_length, evidence_of, read_decision
from index.gallery import read_gallery
from index.search import Match, Part
from index.view import GONE, View, view_of
from vision.embedder import Embedder

SIMILAR_WANTED = 10
RANKED = 60
PROBES = 3


@dataclass(frozen=True)
class Identification:
    """The answer to one photo, in product ids.

    `confidence` is the calibrated probability that `best` is the very product, None where the index was too small to
    calibrate. `predicted` is the classifier's product id (None if it left the catalogue) with its probability.
    `similar`, `colourways` and `other_brands` each hold distinct products and never `best`; no colourway is `similar`,
    while a shoe of another brand may be both. `evidence` is every match that the answer depends on.
    """

    verdict: str
    confidence: float | None
    best: Match
    predicted: int | None
    predicted_key: str
    probability: float
    similar: tuple[Match, ...]
    colourways: tuple[Match, ...]
    other_brands: tuple[Match, ...]
    evidence: tuple[Match, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scores = [match.score for match in self.similar]
        if scores != sorted(scores, reverse=True) or self.best.product_id in {m.product_id for m in self.similar}:
            raise ValueError("similar products must be sorted and must not hold the best one")


@dataclass(frozen=True)
class Seen:
    """What the network says of one photo: unit embeddings (v, d) of its views and class probabilities (c,)."""

    vectors: np.ndarray
    probabilities: np.ndarray
    timings_ms: dict[str, float]


class Engine:
    """An index release with the network that made its vectors: whoever holds an engine holds a matching pair.

    `view` is what it answers from: the base index, its segments, and what the catalogue said of their items. An engine
    never changes; `extended` makes another that shares the network and all parts. The decision is the base's own: what
    segments add is judged by it, and it is fitted anew by the next build.
    """

    def __init__(self, index: Published, network: Published, embedder: Embedder,
                 state: GalleryState | None = None) -> None:
        self.index, self.network, self.embedder = index, network, embedder
        self.decision: Decision | None = read_decision(index.manifest["decision"])
        base = self.open_part(index)
        self.gallery = base.gallery
        self.view = view_of((base,), state)

    @property
    def segments(self) -> tuple[str, ...]:
        """The names of the segments in use."""
        return tuple(part.name for part in self.view.parts[1:])

    def open_part(self, release: Published) -> Part:
        """Open an index or segment; `BadRelease` unless this engine's network made it."""
        if release.manifest["network"] != self.network.name:
            raise BadRelease(f"{release.name} was built with {release.manifest['network']}, not with "
                             f"{self.network.name}")
        if release.kind == "segment" and release.manifest["base"] != self.index.name:
            raise BadRelease(f"{release.name} adds to {release.manifest['base']}, not to {self.index.name}")
        card = self.embedder.card
        if release.manifest["preprocessing"] != json.loads(json.dumps(asdict(card.preprocessing))):
            raise BadRelease(f"{release.name} was built with another preprocessing than {self.network.name} now has")
        gallery, faiss_index = read_gallery(release.folder)
        if gallery.vectors.shape[1] != card.width:
            raise BadRelease(f"{release.name} holds {gallery.vectors.shape[1]}-wide vectors, {self.network.name} makes "
                             f"{card.width}-wide ones")
        return Part(release.name, gallery, faiss_index)

    def extended(self, segments: Sequence[Part], state: GalleryState | None) -> "Engine":
        """The same engine with exactly these segments beside its base, and this state of the catalogue."""
        other = copy.copy(self)
        other.view = view_of((self.view.parts[0], *segments), state, self.view)
        return other

    def identify(self, image: Image.Image) -> Identification:
        """Identify the shoe in an upright RGB photo."""
        return self.answer(self.see(self.embedder.card.preprocessing.batch([image])), self.view)

    def see(self, pixels: np.ndarray) -> Seen:
        """Run the network on the pixels (1, size, size, 3) of one photo, prepared as it wants them."""
        began = time.perf_counter()
        found = self.embedder.run(pixels)
        return Seen(found.vectors, self.embedder.probabilities(found.logits)[0],
                    {"embed": 1e3 * (time.perf_counter() - began)})

    def answer(self, seen: Seen, view: View) -> Identification:
        """Find what was seen in a view of this engine's parts; `NothingLive` if everything in it was removed."""
        began = time.perf_counter()
        ranked, models = _ranked(view, seen.vectors)
        if not ranked:
            raise NothingLive(f"all photos of {self.index.name} have left the catalogue; crawl or import, then "
                              "`solesearch index add`")
        family = view.families.get(view.model(ranked[0].product_id), [])
        colourways = view.best_of(seen.vectors, [one for one in family if one != ranked[0].product_id])
        verdict, confidence = UNKNOWN, None
        if self.decision is not None:
            verdict, confidence = self.decision.decide(evidence_of(
                np.array([match.score for match in ranked]), models,
                view.photo_scores(seen.vectors, ranked[0].product_id),
                colour_length(seen.vectors[0], self.embedder.card.colours)))
        best, brand = ranked[0], view.brand(ranked[0].product_id)
        key = self.embedder.card.classes[int(seen.probabilities.argmax())]
        predicted = view.by_key.get(key)
        at = int(np.searchsorted(view.products, predicted)) if predicted is not None else len(view.products)
        present = at < len(view.products) and view.products[at] == predicted
        return Identification(
            verdict, confidence, best, predicted if present else None, key, float(seen.probabilities.max()),
            similar=tuple(match for match, model in zip(ranked, models, strict=True)
                          if model != models[0])[:SIMILAR_WANTED],
            colourways=tuple(colourways),
            other_brands=tuple(match for match in ranked[1:] if view.brand(match.product_id) != brand)[:SIMILAR_WANTED],
            evidence=(*ranked, *colourways),
            timings_ms={**seen.timings_ms, "search": 1e3 * (time.perf_counter() - began)})

    def self_check(self, images: list[tuple[str, Image.Image]]) -> None:
        """Raise `BadRelease` unless each probe photo (its sha256 and pixels) finds itself first with a score near 1."""
        for sha256, image in images:
            vectors = self.embedder.embed([image]).vectors
            best = self.view.search(vectors, 1)[0]
            part, row = next((part, int(rows[0])) for part in self.view.parts
                             if len(rows := np.flatnonzero(part.gallery.photos == sha256)))
            own = float(part.gallery.vectors[row] @ vectors[0])
            if own < 0.999 or best.score > own + 1e-3:
                raise BadRelease(f"{part.name} does not find its own photo {sha256[:12]} (score {own:.4f}); "
                                 "its vectors were not made by this network and preprocessing")

    def probes(self, part: int = 0, most: int = PROBES) -> list[str]:
        """At most so many photos spread over a part of the view (0 is the base) that `self_check` may be asked with."""
        rows = np.flatnonzero(self.view.shows[part] != GONE)
        chosen = np.unique(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)])
        return [str(name) for name in self.view.parts[part].gallery.photos[chosen]]


def _ranked(view: View, vectors: np.ndarray) -> tuple[list[Match], np.ndarray]:
    """The best products with their models, as many as it takes to hold ten that are no colourways of the first."""
    wanted = RANKED
    while True:
        ranked = view.search(vectors, wanted)
        models = np.array([view.model(match.product_id) or f"product {match.product_id}" for match in ranked])
        if len(ranked) < wanted or (models != models[0]).sum() >= SIMILAR_WANTED:
            return ranked, models
        wanted *= 4
