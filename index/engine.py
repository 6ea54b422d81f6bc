"""The serve-side engine: a photo's pixels in, the identified product with its neighbours out."""

import json
import time
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image

from catalogue.errors import BadRelease
from catalogue.releases import Published
from index.decision import UNKNOWN, Decision, evidence_of, read_decision
from index.gallery import read_gallery
from index.search import Match, Searcher
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
    while a shoe of another brand may be both.
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
    timings_ms: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scores = [match.score for match in self.similar]
        if scores != sorted(scores, reverse=True) or self.best.product_id in {m.product_id for m in self.similar}:
            raise ValueError("similar products must be sorted and must not hold the best one")


class Engine:
    """One index release with the network that made its vectors: whoever holds an engine holds a matching pair."""

    def __init__(self, index: Published, network: Published, embedder: Embedder) -> None:
        if index.manifest["network"] != network.name:
            raise BadRelease(f"{index.name} was built with {index.manifest['network']}, not with {network.name}")
        self.index, self.network, self.embedder = index, network, embedder
        self.gallery, faiss_index = read_gallery(index.folder)
        self.searcher = Searcher(self.gallery, faiss_index)
        self.decision: Decision | None = read_decision(index.manifest["decision"])
        if index.manifest["preprocessing"] != json.loads(json.dumps(asdict(embedder.card.preprocessing))):
            raise BadRelease(f"{index.name} was built with another preprocessing than {network.name} now has")
        if self.gallery.vectors.shape[1] != embedder.card.width:
            raise BadRelease(f"{index.name} holds {self.gallery.vectors.shape[1]}-wide vectors, {network.name} makes "
                             f"{embedder.card.width}-wide ones")

    def identify(self, image: Image.Image) -> Identification:
        """Identify the shoe in an upright RGB photo."""
        began = time.perf_counter()
        pixels = self.embedder.card.preprocessing.batch([image])
        prepared = time.perf_counter()
        found = self.embedder.run(pixels)
        embedded = time.perf_counter()
        ranked = self.searcher.search(found.vectors, min(RANKED, len(self.gallery.product_ids)))
        probabilities = self.embedder.probabilities(found.logits)[0]
        searched = time.perf_counter()
        colourways = self._colourways(ranked[0], found.vectors)
        return self._answer(ranked, colourways, probabilities, {
            "preprocess": 1e3 * (prepared - began), "embed": 1e3 * (embedded - prepared),
            "search": 1e3 * (searched - embedded)})

    def self_check(self, images: list[tuple[str, Image.Image]]) -> None:
        """Raise `BadRelease` unless each probe photo (its sha256 and pixels) finds itself first with a score near 1."""
        for sha256, image in images:
            vectors = self.embedder.embed([image]).vectors
            best = self.searcher.search(vectors, 1)[0]
            row = int(np.flatnonzero(self.gallery.photos == sha256)[0])
            own = float(self.gallery.vectors[row] @ vectors[0])
            if own < 0.999 or best.score > own + 1e-3:
                raise BadRelease(f"{self.index.name} does not find its own photo {sha256[:12]} (score {own:.4f}); "
                                 "its vectors were not made by this network and preprocessing")

    def probes(self) -> list[str]:
        """A few photos spread over the gallery that `self_check` may be asked with."""
        rows = np.linspace(0, len(self.gallery.ids) - 1, PROBES).astype(int)
        return [str(name) for name in self.gallery.photos[np.unique(rows)]]

    def _colourways(self, best: Match, vectors: np.ndarray) -> list[Match]:
        """The other products of the best one's model, all of them, nearest first."""
        model = self.gallery.models[self.gallery.product_row[best.product_id]]
        if model < 0:
            return []
        siblings = self.gallery.product_ids[self.gallery.models == model]
        found = [self.searcher.score(vectors, int(sibling)) for sibling in siblings if sibling != best.product_id]
        return sorted(found, key=lambda match: -match.score)

    def _answer(self, ranked: list[Match], colourways: list[Match], probabilities: np.ndarray,
                timings: dict[str, float]) -> Identification:
        rows = [self.gallery.product_row[match.product_id] for match in ranked]
        models = np.array([self.gallery.item_models[match.row] for match in ranked])
        best, brand = ranked[0], self.gallery.brands[rows[0]]
        verdict, confidence = UNKNOWN, None
        if self.decision is not None:
            evidence = evidence_of(np.array([match.score for match in ranked]), models)
            verdict, confidence = self.decision.decide(evidence)
        others = list(zip(ranked[1:], rows[1:], models[1:], strict=True))
        key = self.embedder.card.classes[int(probabilities.argmax())]
        known = np.flatnonzero(self.gallery.keys == key)
        return Identification(
            verdict, confidence, best, int(self.gallery.product_ids[known[0]]) if len(known) else None, key,
            float(probabilities.max()),
            similar=tuple(match for match, _, model in others if model != models[0])[:SIMILAR_WANTED],
            colourways=tuple(colourways),
            other_brands=tuple(match for match, row, _ in others if self.gallery.brands[row] != brand)[:SIMILAR_WANTED],
            timings_ms=timings)
