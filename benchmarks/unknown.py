"""The decision on shoes that nobody calibrated on, half of them not in the gallery, beside a flat score cutoff.

    python -m benchmarks.unknown --photos DIR [--sets NAME …] [--network RELEASE] [--draws N] [--png FILE] [--json]

DIR holds a `products.csv` and `<set>/<slug>/<n>.jpg`; without it SOLESEARCH_TEST_PHOTOS/shoes is used. Models are split
in two: on one half the decision and the cutoff are fitted, as an index build does; of the other half's products one
half is taken out of the gallery, and all their photos are asked, as they are and disturbed. Single photos only stand in
the gallery. Intervals are 95 %, by bootstrap over products; several draws are pooled.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from app.settings import read_settings
from app.wiring import Stores, embedder_of, open_stores
from benchmarks.baselines import before_training
from benchmarks.command_line import photo_folder
from benchmarks.own_stores import own_stores
from catalogue.imports import import_path
from catalogue.queries import product_photos
from index.build import gallery_of
from index.calibration import (
    FALSE_ACCEPTS,
    FEWEST_QUERIES,
    PRESENT,
    SIBLING_ACCEPTS,
    SIBLINGS,
    STRANGER,
    Case,
    assumed_weights,
    cases_of,
    fit,
    rank_products,
)
from index.decision import EXACT, Decision, colour_length
from index.disturbed import disturbed
from index.evaluate import Queries
from index.gallery import Gallery
from training.recipes import Recipe
from vision.embedder import Embedder
from vision.measures import askable, cluster_interval, expected_calibration_error

SETS = ("angles-a", "angles-b", "angles-c", "angles-d", "sideviews", "farfetch")
AS_IT_IS, DISTURBED = "as it is", "disturbed"


@dataclass(frozen=True)
class Photos:
    """The gallery, the query vectors (n, d) of all its photos by how they look, and how many of their last numbers are
    colours (see `NetworkCard.colours`)."""

    gallery: Gallery
    ways: dict[str, np.ndarray]
    colours: int


@dataclass(frozen=True)
class Outcomes:
    """What came of n queries: kind, product asked for, was the best one right, confidence, and who accepted it."""

    kinds: np.ndarray
    products: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    accepted_by_cutoff: np.ndarray
    way: np.ndarray


def main() -> None:
    """Measure and print a table, with --json one object as the last line."""
    options = _options()
    photos = _embedded(options)
    gallery, ways = photos.gallery, photos.ways
    drawn = [outcomes(photos, seed) for seed in range(options.draws)]
    pooled = Outcomes(*(np.concatenate(column) for column in zip(*(vars(one).values() for one in drawn), strict=True)))
    found = {"calibrated decision": measures(pooled, pooled.accepted, pooled.confidence),
             "flat score cutoff": measures(pooled, pooled.accepted_by_cutoff, None)}
    for way in ways:
        mine = Outcomes(*(column[pooled.way == way] for column in vars(pooled).values()))
        found[f"calibrated, {way}"] = measures(mine, mine.accepted, mine.confidence)
    plain = pooled.way == AS_IT_IS
    found["flat score cutoff, as it is"] = measures(Outcomes(*(column[plain] for column in vars(pooled).values())),
                                                    pooled.accepted_by_cutoff[plain], None)
    print(f"{len(gallery.ids)} photos of {len(gallery.product_ids)} products; {options.draws} draws\n{table(found)}")
    if options.png:
        reliability_diagram(options.png, pooled)
    if options.json:
        print(json.dumps({"photos": len(gallery.ids), "draws": options.draws, "rows": found}))


def outcomes(photos: Photos, seed: int) -> Outcomes:
    """Split, calibrate, and ask the other half."""
    random, gallery = np.random.default_rng(seed), photos.gallery
    can, models = askable(gallery.products, gallery.groups), gallery.item_models
    shuffled = random.permutation(np.unique(models[can]))
    asked = np.isin(models, shuffled[:len(shuffled) // 2])
    products = random.permutation(np.unique(gallery.products[asked & can]))
    absent = np.isin(gallery.products, products[:len(products) // 2])
    known, decision = _calibrated(photos, ~asked, can)
    cutoff = _cutoff(known)
    rows = list(_asked(photos, np.flatnonzero(asked & can), absent))
    cases = [case for _, case in rows]
    decided = [decision.decide(case.ranked.evidence()) for case in cases]
    return Outcomes(
        np.array([case.kind for case in cases]), np.array([case.product for case in cases]),
        np.array([case.product_right for case in cases]), np.array([chance for _, chance in decided]),
        np.array([verdict == EXACT for verdict, _ in decided]),
        np.array([case.ranked.scores[0] >= cutoff for case in cases]), np.array([way for way, _ in rows]))


def _calibrated(photos: Photos, chosen: np.ndarray, can: np.ndarray) -> tuple[list[Case], Decision]:
    own = photos.gallery.only(chosen)
    rows = np.flatnonzero(can[chosen])
    cases = [case for look, vectors in enumerate(photos.ways.values())
             for case in cases_of(own, Queries(vectors[chosen][rows], rows), look, photos.colours)]
    return cases, fit(cases, "other products")


def _asked(photos: Photos, rows: np.ndarray, absent: np.ndarray) -> Iterator[tuple[str, Case]]:
    gallery = photos.gallery
    models = gallery.item_models
    for way, vectors in photos.ways.items():
        for row in rows.tolist():
            out = absent | (gallery.groups == gallery.groups[row])
            own = (gallery.products == gallery.products[row]) & ~out
            kind = PRESENT if own.any() else SIBLINGS if ((models == models[row]) & ~out).any() else STRANGER
            scores = np.where(out, -np.inf, gallery.vectors @ vectors[row])
            ranked = rank_products(scores, gallery.products, models, colour_length(vectors[row], photos.colours))
            yield way, Case(ranked, int(gallery.products[row]), int(models[row]), kind)


def _cutoff(cases: Sequence[Case]) -> float:
    """The baseline: one score from which on a match is believed, held to the same shares of the same examples."""
    scores: dict[tuple[str, int], list[float]] = {}
    for case in cases:
        scores.setdefault((case.kind, case.look), []).append(float(case.ranked.scores[0]))
    shares = {STRANGER: FALSE_ACCEPTS, SIBLINGS: SIBLING_ACCEPTS}
    return max(float(np.quantile(found, 1 - shares[kind])) for (kind, _), found in scores.items()
               if kind in shares and len(found) >= FEWEST_QUERIES)


def measures(found: Outcomes, accepted: np.ndarray, confidence: np.ndarray | None) -> dict[str, Any]:
    """Shares with intervals: right answers accepted, shoes that are not there accepted (siblings apart), present shoes
    named rightly and surely, and wrong answers among those accepted; calibration errors at two mixes."""
    present = found.kinds == PRESENT
    rows = {"true accepts": (accepted, present & found.right), "false, strangers": (accepted, found.kinds == STRANGER),
            "false, siblings": (accepted, found.kinds == SIBLINGS), "coverage": (accepted & found.right, present)}
    shares = {name: _share(values[asked], found.products[asked]) for name, (values, asked) in rows.items()}
    if confidence is None:
        return shares
    return {**shares, "ECE": expected_calibration_error(confidence, found.right, assumed_weights(found.kinds)),
            "ECE, as asked": expected_calibration_error(confidence, found.right)}


def _share(values: np.ndarray, products: np.ndarray) -> dict[str, Any]:
    if not len(values):
        return {"share": None, "ci95": None, "queries": 0}
    return {"share": float(values.mean()), "ci95": cluster_interval(values.astype(float), products),
            "queries": len(values)}


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as lines of text."""
    lines = []
    for name, row in found.items():
        shares = [f"{key} {one['share']:.3f} [{one['ci95'][0]:.3f}–{one['ci95'][1]:.3f}] of {one['queries']}"
                  for key, one in row.items() if isinstance(one, dict) and one["queries"]]
        errors = [f"{key} {one:.3f}" for key, one in row.items() if isinstance(one, float)]
        lines.append(f"{name}\n    " + "\n    ".join([*shares, *errors]))
    return "\n".join(lines)


def reliability_diagram(path: Path, found: Outcomes, bins: int = 10) -> None:
    """Draw accuracy by confidence at the assumed mix, and how many queries stand behind each point."""
    from matplotlib.figure import Figure
    weights = assumed_weights(found.kinds)
    at = np.minimum((found.confidence * bins).astype(int), bins - 1)
    filled = [number for number in range(bins) if weights[at == number].sum() > 0]
    means = [[np.average(values[at == number], weights=weights[at == number]) for number in filled]
             for values in (found.confidence, found.right.astype(float))]
    figure = Figure(figsize=(5, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color="#bbb", linewidth=1)
    upper.plot(*means, marker="o")
    upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    lower.hist(found.confidence, bins=bins, range=(0, 1), weights=weights, color="#888")
    lower.set(xlabel="confidence", ylabel="share")
    figure.savefig(path, dpi=120)


def _embedded(options: argparse.Namespace) -> Photos:
    embedder = None
    if options.network:
        named = open_stores(read_settings())
        embedder = embedder_of(named, named.releases.open(options.network))
    with tempfile.TemporaryDirectory() as folder:
        stores = own_stores(Path(folder) / "data", options.threads)
        import_path(stores.database, stores.photos, options.photos, sets=options.sets or ())
        with Session(stores.readers) as session:
            rows = product_photos(session)
        ids = {(row.product_id, row.sha256): at for at, row in enumerate(rows)}
        names = [row.sha256 for row in rows]
        plain = np.concatenate(list(_vectors(embedder, stores, names, None)))
        gallery = gallery_of(rows, ids, dict(zip(names, plain, strict=True)), {})
        can = np.flatnonzero(askable(gallery.products, gallery.groups))
        careless = gallery.vectors.copy()
        careless[can] = np.concatenate(list(_vectors(embedder, stores, [names[row] for row in can], 1)))
        return Photos(gallery, {AS_IT_IS: gallery.vectors, DISTURBED: careless},
                      embedder.card.colours if embedder else 0)


def _vectors(embedder: Embedder | None, stores: Stores, names: list[str], seed: int | None,
             chunk: int = 512) -> Iterator[np.ndarray]:
    """Embeddings of stored photos, disturbed where a seed is given, by a release or by the network that is shipped."""
    def image(name: str, at: int) -> Image.Image:
        return stores.photos.image(name) if seed is None else disturbed(stores.photos.image(name), seed + at)

    for start in range(0, len(names), chunk):
        images = [image(name, start + at) for at, name in enumerate(names[start:start + chunk])]
        yield before_training(images, Recipe(start="shipped")) if embedder is None else embedder.embed(images).vectors


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--sets", nargs="*", default=None)
    parser.add_argument("--network", help="a network release in SOLESEARCH_DATA_DIR; without it the shipped one")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--png", type=Path, help="write a reliability diagram into this file")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.photos is None:
        options.photos = photo_folder(parser)
        options.sets = options.sets or SETS
    return options


if __name__ == "__main__":
    main()
