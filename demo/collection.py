"""Which models and colourways a rendered collection holds, and the rows of its products.csv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from catalogue.errors import BadInput
from catalogue.products_csv import ProductRow
from demo.colours import Colourway, colourways_of
from demo.models import model_of
from demo.names import Label, label_of, style_code
from demo.shoe import Model, stream

STREAM_COLLECTION = 17

# The demo shop's own models: seed -> (kind, number of colourways). Training collections must not touch these seeds.
DEMO_MODELS: dict[int, tuple[str, int]] = {
    2: ("low sneaker", 5), 15: ("low sneaker", 4), 16: ("low sneaker", 4), 1: ("runner", 4), 7: ("runner", 4),
    12: ("runner", 3), 14: ("high sneaker", 4), 10: ("high sneaker", 3), 17: ("boot", 3), 9: ("boot", 2),
    13: ("loafer", 3), 4: ("loafer", 3), 11: ("heel", 3), 5: ("heel", 2), 18: ("sandal", 3), 3: ("slide", 3),
}
DEMO_SEEDS = frozenset(DEMO_MODELS)


@dataclass(frozen=True)
class Article:
    """One product of a collection: a model in one colourway, with its label."""

    model: Model
    colourway: Colourway
    label: Label

    @property
    def slug(self) -> str:
        """The folder of its pictures, such as nk-low-sneaker-1-0."""
        return f"{self.label.slug}-{self.colourway.index}"

    def row(self, name_of_set: str, images: int) -> ProductRow:
        """Its row of products.csv."""
        return ProductRow(
            set=name_of_set, slug=self.slug, brand=self.label.brand, name=self.label.name, price=self.label.price,
            colour=self.colourway.name, sku=style_code(self.label, self.colourway), model_group=self.label.slug,
            shoe_type=self.model.kind, kind="rendered", n_images=str(images),
        )


def demo_articles() -> list[list[Article]]:
    """The demo shop's products, one list a model."""
    return [_articles(seed, count, kind) for seed, (kind, count) in DEMO_MODELS.items()]


def training_articles(first_seed: int, models: int) -> Iterator[list[Article]]:
    """Models first_seed ... first_seed + models - 1 with two to five colourways each, one list a model.

    Raises BadInput when the range touches the demo's seeds.
    """
    seeds = range(first_seed, first_seed + models)
    touched = sorted(DEMO_SEEDS.intersection(seeds))
    if touched:
        raise BadInput(f"seeds {touched[:3]}... belong to the demo shop; choose --first-seed above {max(DEMO_SEEDS)}")
    return (_articles(seed, int(stream(seed, STREAM_COLLECTION).integers(2, 6)), None) for seed in seeds)


def _articles(seed: int, count: int, kind: str | None) -> list[Article]:
    model = model_of(seed, kind)
    label = label_of(model)
    return [Article(model, colourway, label) for colourway in colourways_of(model, count)]
