"""What a live index answers from at one moment: its parts, without what was removed, under the products of now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from catalogue.gallery_items import GalleryState, ProductFacts
from index.search import Match, Part

GONE = -1
NEAR = 1e-5  # how far two ways to compute one score may lie apart


@dataclass(frozen=True, eq=False)
class View:
    """Immutable: a request takes one and keeps it. `shows` holds for each part the product id (n,) that an item shows
    now, `GONE` where it was removed.

    Parts are never copied or merged: a new segment is searched beside the base, and only an item's product id is
    looked up anew when the catalogue changed.
    """

    parts: tuple[Part, ...]
    state: GalleryState
    shows: tuple[np.ndarray, ...]
    hidden: frozenset[int] = frozenset()

    @cached_property
    def products(self) -> np.ndarray:
        """The ids (m,) of all products that can be found, sorted."""
        found = np.unique(np.concatenate([np.unique(shown) for shown in self.shows]))
        return found[found != GONE]

    @cached_property
    def items(self) -> int:
        """How many items can be found."""
        return int(sum((shown != GONE).sum() for shown in self.shows))

    @cached_property
    def families(self) -> dict[str, list[int]]:
        """Model key → its products that can be found."""
        found: dict[str, list[int]] = {}
        for product in self.products.tolist():
            if model := self.model(product):
                found.setdefault(model, []).append(product)
        return found

    @cached_property
    def by_key(self) -> dict[str, int]:
        """Product key → the product it is now."""
        return {facts.key: self.state.became.get(number, number) for number, facts in self.state.products.items()}

    def model(self, product: int) -> str:
        """The key of the product's model; empty where it is not known."""
        facts = self.state.products.get(product)
        return facts.model if facts else ""

    def brand(self, product: int) -> str:
        """The product's brand."""
        facts = self.state.products.get(product)
        return facts.brand if facts else ""

    def search(self, vectors: np.ndarray, products: int) -> list[Match]:
        """Return up to `products` distinct products for one query seen in v views (v, d), best first.

        A product's score is its best item's best score over the views; equal scores are ordered by product id. Many
        items of one product, or many removed ones, never crowd others out: the search widens, where an item not seen
        yet could still change the answer, until enough products are found or the parts are exhausted.
        """
        wanted = min(products, len(self.products))
        widths = [4 * products] * len(self.parts)
        found = [part.nearest(vectors, width) for part, width in zip(self.parts, widths, strict=True)]
        while wanted:
            ranked = self._rank(vectors, [rows for rows, _ in found], wanted)
            sure_from = ranked[-1].score - NEAR if len(ranked) == wanted else -1.5
            wider = [at for at, (_, unseen) in enumerate(found) if unseen > sure_from]
            if not wider:
                return ranked
            for at in wider:
                widths[at] *= 4
                found[at] = self.parts[at].nearest(vectors, widths[at])
        return []

    def best_of(self, vectors: np.ndarray, products: Iterable[int]) -> list[Match]:
        """Return these products' best items for the query's views (v, d), best first, however far down they rank."""
        wanted = np.array(list(products), np.int64)
        rows = [np.flatnonzero(np.isin(shown, wanted)) for shown in self.shows]
        return self._rank(vectors, rows, len(wanted))

    def photo_scores(self, vectors: np.ndarray, product: int) -> np.ndarray:
        """Return the scores (o,) of all photos of a product for the query's views (v, d)."""
        rows = [np.flatnonzero(shown == product) for shown in self.shows]
        return np.concatenate([part.scores(vectors, some) for part, some in zip(self.parts, rows, strict=True)])

    def now(self, removed: frozenset[int], became: Mapping[int, int]) -> "View":
        """The view after other removals and merges."""
        return view_of(self.parts, GalleryState(removed, became, self.state.products), self, self.hidden)

    def without(self, products: Iterable[int]) -> "View":
        """The view in which these products cannot be found."""
        hidden = np.array(list(products), np.int64)
        shows = tuple(np.where(np.isin(shown, hidden), GONE, shown) for shown in self.shows)
        return replace(self, shows=shows, hidden=self.hidden | set(hidden.tolist()))

    def _rank(self, vectors: np.ndarray, rows: list[np.ndarray], most: int) -> list[Match]:
        """The best distinct products among the given rows of each part."""
        rows = [some[shown[some] != GONE] for some, shown in zip(rows, self.shows, strict=True)]
        parts = np.concatenate([np.full(len(some), at) for at, some in enumerate(rows)])
        scores = np.concatenate([part.scores(vectors, some) for part, some in zip(self.parts, rows, strict=True)])
        products = np.concatenate([shown[some] for shown, some in zip(self.shows, rows, strict=True)])
        photos = np.concatenate([part.gallery.photos[some] for part, some in zip(self.parts, rows, strict=True)])
        every = np.concatenate(rows)
        order = np.lexsort((photos, products, -scores))
        _, first = np.unique(products[order], return_index=True)
        best = order[np.sort(first)][:most]
        return [Match(int(products[at]), float(scores[at]), str(photos[at]),
                      int(self.parts[parts[at]].gallery.ids[every[at]]),
                      int(self.parts[parts[at]].gallery.products[every[at]])) for at in best]


def view_of(parts: tuple[Part, ...], state: GalleryState | None = None, former: View | None = None,
            hidden: frozenset[int] = frozenset()) -> View:
    """The view of these parts; without a state everything in them is as it was when they were built.

    What `former` knows of a part that it has too is taken over where nothing changed.
    """
    state = state or built_state(parts)
    known = {}
    if former and (former.state.removed, former.state.became, former.hidden) == (state.removed, state.became, hidden):
        known = {part: shown for part, shown in zip(former.parts, former.shows, strict=True)}
    gone = np.fromiter(state.removed, np.int64, len(state.removed))
    return View(parts, state, tuple(known[part] if part in known else _shown(part, state, gone, hidden)
                                    for part in parts), hidden)


def built_state(parts: Iterable[Part]) -> GalleryState:
    """The state as the parts themselves remember it."""
    facts = {}
    for part in parts:
        gallery = part.gallery
        for number, key, brand, model in zip(gallery.product_ids.tolist(), gallery.keys.tolist(),
                                             gallery.brands.tolist(), gallery.models.tolist(), strict=True):
            facts[number] = ProductFacts(key, brand, "" if model < 0 else f"{part.name} {model}")
    return GalleryState(frozenset(), {}, facts)


def _shown(part: Part, state: GalleryState, gone: np.ndarray, hidden: frozenset[int]) -> np.ndarray:
    gallery = part.gallery
    now = np.array([state.became.get(number, number) for number in gallery.product_ids.tolist()], np.int64)
    now[np.isin(now, np.fromiter(hidden, np.int64, len(hidden)))] = GONE
    shown = now[np.searchsorted(gallery.product_ids, gallery.products)]
    shown[np.isin(gallery.ids, gone)] = GONE
    return shown
