"""A thousand random adds, removals, merges and rebuilds: each answer is that of an exact search in what there is."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from catalogue.gallery_items import GalleryState, ProductFacts
from index.gallery import Gallery
from index.kinds import FLAT, make_index
from index.search import Part
from index.view import View, view_of

STEPS, WIDTH, ASKED = 1000, 8, 3


@cache
def embedded(photo: int) -> np.ndarray:
    """What a network might say of a photo; every ninth photo looks like another one, and must tie with it."""
    random = np.random.default_rng(photo if photo % 9 else photo // 9)
    vector = random.normal(size=WIDTH).astype(np.float32)
    return vector / np.linalg.norm(vector)


@dataclass
class World:
    """The truth (photos of products, merges) and an index that follows it by segments."""

    random: np.random.Generator
    kind: str
    shown: dict[int, int] = field(default_factory=dict)      # photo, which is its item's id too → product
    removed: set[int] = field(default_factory=set)
    became: dict[int, int] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    photos: int = 0

    def part(self, photos: list[int], products: list[int]) -> Part:
        ids, numbers = np.array(photos, np.int64), np.unique(np.array(products, np.int64))
        every = np.array([""] * len(numbers))
        gallery = Gallery(ids=ids, products=np.array(products, np.int64), groups=ids,
                          photos=np.array([f"{one:08d}" for one in photos]),
                          sides=np.array(["new"] * len(ids)), places=np.zeros_like(ids),
                          vectors=np.stack([embedded(one) for one in photos]), product_ids=numbers, keys=every,
                          brands=every, models=np.full(len(numbers), -1), types=every)
        return Part(f"part-{self.photos}", gallery, make_index(gallery.vectors, ids, self.kind).index)

    def now(self, product: int) -> int:
        while product in self.became:
            product = self.became[product]
        return product

    def add(self) -> None:
        product = int(self.random.integers(1, 60))
        fresh = [self.photos + at for at in range(int(self.random.choice([1, 4])))]
        self.photos += len(fresh)
        self.shown.update(dict.fromkeys(fresh, self.now(product)))
        self.parts = (*self.parts, self.part(fresh, [self.now(product)] * len(fresh)))
        if len(self.parts) > 9:
            self.rebuild()

    def remove(self) -> None:
        products = sorted({self.shown[photo] for photo in self.there()})
        if len(products) < 2:
            return
        gone = int(self.random.choice(products))
        photos = [photo for photo in self.there() if self.shown[photo] == gone]
        whole = self.random.random() < 0.3
        self.removed.update(photos if whole else photos[:1])
        assert gone not in self.view().products or not whole

    def merge(self) -> None:
        products = sorted({self.shown[photo] for photo in self.there()})
        if len(products) < 5:
            return
        source, target = (int(one) for one in self.random.choice(products, 2, replace=False))
        self.became[source] = target
        self.shown = {photo: self.now(product) for photo, product in self.shown.items()}

    def rebuild(self) -> None:
        there = self.there()
        self.parts = (self.part(there, [self.shown[photo] for photo in there]),)

    def there(self) -> list[int]:
        return [photo for photo in self.shown if photo not in self.removed]

    def view(self) -> View:
        facts = {product: ProductFacts(str(product), "", "") for product in range(1, 60)}
        became = {product: self.now(product) for product in self.became}
        return view_of(self.parts, GalleryState(frozenset(self.removed), became, facts))

    def expected(self, query: np.ndarray, wanted: int) -> list[tuple[int, float]]:
        there = self.there()
        scores = (np.stack([embedded(photo) for photo in there]) * query).sum(1)
        best: dict[int, float] = {}
        for photo, score in zip(there, scores.tolist(), strict=True):
            best[self.shown[photo]] = max(score, best.get(self.shown[photo], -2.0))
        return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:wanted]


def lived_through(kind: str, steps: int) -> None:
    world = World(np.random.default_rng(5), kind)
    world.add()
    for _ in range(steps):
        step = world.random.choice(["add", "remove", "merge", "rebuild"], p=[0.55, 0.35, 0.05, 0.05])
        getattr(world, step)()
        view = world.view()
        assert view.items == len(world.there())
        for query in world.random.normal(size=(ASKED, WIDTH)).astype(np.float32):
            query /= np.linalg.norm(query)
            found = [(match.product_id, match.score) for match in view.search(query[None], 5)]
            assert found == world.expected(query, 5)


def test_a_thousand_changes_answer_as_a_fresh_exact_index() -> None:
    lived_through(FLAT, STEPS)


def test_vectors_kept_in_a_byte_answer_exactly_too() -> None:
    lived_through("sq8", 200)
