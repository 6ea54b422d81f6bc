"""Search in a large gallery by kind of index: ms a query and recall, beside exact float32 search in the same run.

    python -m benchmarks.gallery [--items N] [--width D] [--photos N] [--queries N] [--kinds flat sq8 …] [--json]

Vectors are made: photos scatter around products, products around models, as embeddings do. `raw` is faiss's own search;
`served` is how the service asks: ten distinct products, scored again in float32, wider where a photo not seen yet could
still come before. Recall is of the ten nearest photos (raw) and of the ten products (served).
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from index.gallery import Gallery
from index.kinds import FLAT, KINDS, make_index
from index.search import Part
from index.view import view_of


def main() -> None:
    """Measure each kind and print a table, with --json one object as the last line."""
    options = _options()
    gallery = made_gallery(options.items, options.width, options.photos)
    random = np.random.default_rng(1)
    rows = random.permutation(options.items)[:options.queries]
    queries = _unit(gallery.vectors[rows] + 0.6 * options.width**-0.5 * random.normal(size=(len(rows), options.width)))
    found = measure(gallery, queries, list(dict.fromkeys([FLAT, *options.kinds])))
    print(table(found))
    if options.json:
        print(json.dumps({"items": options.items, "width": options.width, "rows": found}))


def measure(gallery: Gallery, queries: np.ndarray, kinds: list[str]) -> dict[str, dict[str, Any]]:
    """Build each kind, the exact one first, and ask all queries one at a time."""
    found: dict[str, dict[str, Any]] = {}
    exact: list[list[int]] = []
    for kind in kinds:
        began = time.perf_counter()
        made = make_index(gallery.vectors, gallery.ids, kind)
        built = time.perf_counter() - began
        view = view_of((Part(f"index-{kind}", gallery, made.index),))
        raw, _ = _asked(lambda query, index=made.index: index.search(query, 10), queries)
        served, matches = _asked(lambda query, view=view: view.search(query, 10), queries)
        answers = [[match.product_id for match in some] for some in matches]
        exact = exact or answers
        found[kind] = {"build_s": built, "raw_ms": raw, "raw_recall@10": made.recall_at_10, "served_ms": served,
                       "served_recall@10": float(np.mean([len({*mine} & {*theirs}) / len(theirs) for mine, theirs
                                                          in zip(answers, exact, strict=True)]))}
    return found


def _asked(search: Callable[[np.ndarray], Any], queries: np.ndarray) -> tuple[float, list[Any]]:
    """The median time of one query in ms, and all answers."""
    spent, answers = [], []
    for query in queries:
        began = time.perf_counter()
        answers.append(search(query[None]))
        spent.append(time.perf_counter() - began)
    return 1e3 * float(np.median(spent)), answers


def made_gallery(items: int, width: int, photos: int) -> Gallery:
    """A gallery of `items` photos, `photos` to a product, four products to a model."""
    random = np.random.default_rng(0)
    products = np.arange(items) // photos
    models = products // 4
    spread = width**-0.5
    vectors = (random.normal(size=(models[-1] + 1, width)) * spread)[models]
    vectors += (0.5 * random.normal(size=(products[-1] + 1, width)) * spread)[products]
    vectors += 0.5 * random.normal(size=(items, width)) * spread
    numbers, ids = np.arange(products[-1] + 1), np.arange(items)
    return Gallery(ids=ids, products=products, photos=np.array([f"{one:08d}" for one in ids]), groups=ids,
                   sides=np.full(items, "new"), places=ids % photos, vectors=_unit(vectors), product_ids=numbers,
                   keys=np.full(len(numbers), ""), brands=np.full(len(numbers), ""), models=numbers // 4,
                   types=np.full(len(numbers), ""))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as lines of text."""
    lines = [f"{'kind':6} {'build s':>8} {'raw ms':>8} {'recall@10':>9} {'served ms':>9} {'recall@10':>9}"]
    return "\n".join([*lines, *(f"{kind:6} {row['build_s']:8.1f} {row['raw_ms']:8.2f} {row['raw_recall@10']:9.4f} "
                                f"{row['served_ms']:9.2f} {row['served_recall@10']:9.4f}"
                                for kind, row in found.items())])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=KINDS[1:], choices=KINDS[1:])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
