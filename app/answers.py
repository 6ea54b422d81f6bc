"""The shapes of HTTP answers, and filling them from an identification and the catalogue's product cards."""

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
from pydantic import BaseModel, Field
from sqlalchemy import Engine as SqlEngine
from sqlalchemy.orm import Session

from app.live_tasks import LiveTask
from app.timings import ms_between
from app.uploads import Upload, prepared
from catalogue.gallery_items import any_removed, merged, removed_ids
from catalogue.queries import ProductCard, present_ids, product_cards
from index.engine import Engine, Identification, Seen
from index.search import Match

NO_SHOE = "no shoe"


class OfferAnswer(BaseModel):
    """Where the product is sold; null where the shop does not say."""

    shop: str
    url: str
    price: Decimal | None
    currency: str
    available: bool | None
    sizes: dict[str, bool]


class ProductAnswer(BaseModel):
    """A product with its offers and the addresses of its photos."""

    id: int
    brand: str
    name: str
    colour: str
    style_code: str
    shoe_type: str
    model: str
    offers: list[OfferAnswer]
    photos: list[str] = Field(description="Paths under this server, the first is the picture to show")


class MatchAnswer(ProductAnswer):
    """A product found by retrieval."""

    score: float = Field(description="Cosine similarity of the query and the product's nearest photo, in [-1, 1]")
    nearest_photo: str


class PredictedAnswer(BaseModel):
    """What the classifier says; `product` is null where its class has left the catalogue."""

    product: ProductAnswer | None
    key: str
    probability: float


class ShoeAnswer(BaseModel):
    """Whether there is a shoe in the photo at all, as the live task `garment` sees it."""

    probability: float
    present: bool
    release: str


class ReleasesAnswer(BaseModel):
    """Which releases made the answer."""

    index: str
    segments: list[str] = Field(description="What was added to the index since it was built, oldest first")
    network: str
    detector: str | None
    snapshot: str


class IdentifyAnswer(BaseModel):
    """The answer to a photo."""

    verdict: str = Field(description="exact | same model, other colour | similar | unknown | no shoe. With `same "
                                     "model, other colour` best is of the model, but too near to its other colours "
                                     "to be called the very shoe; with `no shoe` best and similar are merely what "
                                     "lies nearest")
    confidence: float | None = Field(description="Calibrated probability that `best` is the very product; null where "
                                                 "the index is too small to calibrate, or there is no shoe")
    shoe: ShoeAnswer | None = Field(description="null where no task `garment` with a guard is live")
    best: MatchAnswer
    predicted: PredictedAnswer
    agree: bool = Field(description="Whether classifier and retrieval name the same product")
    similar: list[MatchAnswer] = Field(description="Ten distinct other products, none a colourway of the best")
    colourways: list[MatchAnswer]
    other_brands: list[MatchAnswer]
    releases: ReleasesAnswer
    timings_ms: dict[str, float]


class ErrorAnswer(BaseModel):
    """What went wrong and what to do next."""

    error: str


def answer_photo(readers: SqlEngine, engine: Engine, photo: Upload, guard: LiveTask | None = None) -> IdentifyAnswer:
    """Identify the shoe in a photo and fetch what the answer shows: the route of service and CLI alike.

    `guard` is the live task that may say that there is none.
    """
    began = time.perf_counter()
    embedders = [one.embedder for one in (engine, guard) if one is not None]
    pixels = prepared({one.card.preprocessing for one in embedders}, [photo])
    ready = time.perf_counter()
    seen = engine.see(pixels[engine.embedder.card.preprocessing])
    asked = time.perf_counter()
    shoe = _shoe(guard, pixels[guard.embedder.card.preprocessing]) if guard is not None else None
    guarded = time.perf_counter()
    found, cards, catalogue_ms = current(readers, engine, seen)
    answer = identify_answer(found, cards, engine)
    answer.timings_ms["decode"] = ms_between(began, ready)
    if shoe is not None:
        answer.shoe = shoe
        if not shoe.present:
            answer.verdict, answer.confidence = NO_SHOE, None
        answer.timings_ms["guard"] = ms_between(asked, guarded)
    answer.timings_ms["catalogue"] = round(catalogue_ms, 3)
    return answer


def _shoe(task: LiveTask, pixels: np.ndarray) -> ShoeAnswer | None:
    guard = task.guard
    if guard is None:
        return None
    probability = float(task.probabilities(pixels)[0, task.classes.index(guard.label)])
    return ShoeAnswer(probability=round(probability, 6), present=probability >= guard.threshold,
                      release=task.release.name)


def current(readers: SqlEngine, engine: Engine,
             seen: Seen) -> tuple[Identification, dict[int, ProductCard], float]:
    """Search until nothing that the answer depends on has left the catalogue or was merged.

    The engine's view is as old as the last poll. So every request asks the catalogue of just the items it would answer
    with (reads by primary key, about a millisecond for sixty of 50,000), and searches again in the rare case that
    something changed: a removal holds from the moment it is committed, in every worker. A counter of changes would be
    one read, but each crawl would have to lock its row until it commits, and crawls run side by side.
    """
    view, spent = engine.view, 0.0
    while True:
        found = engine.answer(seen, view)
        began = time.perf_counter()
        shown = {match.product_id for match in matches_in(found)}
        taken_for = {match.own_product_id: match.product_id for match in found.evidence}
        cards: dict[int, ProductCard] = {}
        with Session(readers) as session:
            present = present_ids(session, taken_for)
            if any_removed(session, [match.item for match in found.evidence]) or any(
                    present.get(own, now) != now for own, now in taken_for.items()):
                view = view.now(removed_ids(session), merged(session))
            else:
                cards = product_cards(session, shown | {found.predicted or 0})
                if not shown <= cards.keys():
                    view = view.without(shown - cards.keys())
        spent += 1e3 * (time.perf_counter() - began)
        if shown <= cards.keys():
            return found, cards, spent


def matches_in(found: Identification) -> tuple[Match, ...]:
    """All matches an answer shows."""
    return (found.best, *found.similar, *found.colourways, *found.other_brands)


def product_answer(card: ProductCard) -> ProductAnswer:
    """One product as JSON shows it."""
    return ProductAnswer(**_product(card))


def identify_answer(found: Identification, cards: Mapping[int, ProductCard], engine: Engine) -> IdentifyAnswer:
    """Join an identification with the cards of its products."""
    def matches(wanted: Iterable[Match]) -> list[MatchAnswer]:
        return [_match(match, cards[match.product_id]) for match in wanted]

    predicted = cards.get(found.predicted) if found.predicted is not None else None
    return IdentifyAnswer(
        verdict=found.verdict, confidence=found.confidence, shoe=None,
        best=_match(found.best, cards[found.best.product_id]),
        predicted=PredictedAnswer(product=product_answer(predicted) if predicted else None, key=found.predicted_key,
                                  probability=found.probability),
        agree=found.predicted == found.best.product_id,
        similar=matches(found.similar), colourways=matches(found.colourways),
        other_brands=matches(found.other_brands),
        releases=ReleasesAnswer(index=engine.index.name, segments=list(engine.segments), network=engine.network.name,
                                detector=None, snapshot=str(engine.network.manifest.get("snapshot", ""))),
        timings_ms={name: round(value, 3) for name, value in found.timings_ms.items()})


def _match(match: Match, card: ProductCard) -> MatchAnswer:
    return MatchAnswer(**_product(card), score=match.score, nearest_photo=f"/photos/{match.sha256}")


def _product(card: ProductCard) -> dict[str, object]:
    return {"id": card.id, "brand": card.brand, "name": card.name, "colour": card.colour,
            "style_code": card.style_code, "shoe_type": card.shoe_type, "model": card.model_name,
            "offers": [OfferAnswer(**vars(offer)) for offer in card.offers],
            "photos": [f"/photos/{sha256}" for sha256 in card.photos]}
