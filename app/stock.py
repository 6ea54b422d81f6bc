"""The stock report: which slots of a shelf are empty, what is in the others, and is it what is expected there?"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field
from sqlalchemy import Engine as SqlEngine

from app.answers import current
from app.live import LiveIndex
from app.live_tasks import LiveTask, LiveTasks
from app.stock_slots import Box, Slot, read_expected, slots_of, some
from app.timings import ms_between
from app.uploads import Pixels, Upload, picture_of, pixels_of, prepared
from catalogue.errors import BadInput
from index.engine import Engine, Seen
from vision.preprocessing import Preprocessing

INDEX = "index"
FILLED_FROM = 0.5


@dataclass(frozen=True)
class Question:
    """What is asked: crops of single slots in their order, or one photo of a shelf with `slots` or a `grid`."""

    photos: tuple[Upload, ...]
    slots: str = ""
    grid: str = ""
    expected: str = ""
    task: str = "shelf"
    products: str = ""


@dataclass(frozen=True)
class Named:
    """The product that is seen in a slot, given that something is; `expected` is the expected one's probability."""

    product: str
    name: str
    probability: float
    expected: float | None


class SlotAnswer(BaseModel):
    """What is in one slot."""

    slot: str
    box: Box | None = Field(description="Left, top, right, bottom in pixels of the upright photo; null for a crop")
    state: str = Field(description="empty | filled")
    filled: float = Field(description="Calibrated probability that something is there")
    product: str | None = Field(description="A class of the task, or a product's id; null where empty or not asked")
    name: str | None = Field(description="The product as people call it")
    probability: float | None = Field(description="Of that product, given that the slot is filled")
    expected: str | None
    expected_present: float | None = Field(description="Probability that the expected product is there: filled, and "
                                                       "with it")
    as_expected: bool | None = Field(description="null where nothing is expected")


class StockAnswer(BaseModel):
    """The report of a shelf."""

    slots: list[SlotAnswer]
    filled: int
    empty: int
    wrong: int = Field(description="Filled with another product than the expected one")
    releases: dict[str, str]
    timings_ms: dict[str, float]


def take_stock(question: Question, tasks: LiveTasks, live: LiveIndex, readers: SqlEngine) -> StockAnswer:
    """Answer for each slot; `BadInput` says what in the question cannot be used."""
    began = time.perf_counter()
    task = tasks.named(question.task)
    if task.filled is None:
        raise BadInput(f"the task {task.name} does not say which class means filled; set `filled` in its file, train "
                       "and promote it, or send another `task`")
    engine = live.current() if question.products == INDEX else None
    namer = tasks.named(question.products) if question.products not in ("", INDEX) else None
    embedders = [one.embedder for one in (task, namer, engine) if one is not None]
    pixels, slots = _seen(question, {one.card.preprocessing for one in embedders})
    ready = time.perf_counter()
    names = [slot.name for slot in slots] if slots else [str(number + 1) for number in range(len(question.photos))]
    expected = read_expected(question.expected, names)
    if expected and not question.products:
        raise BadInput("`expected` needs `products`: the live task that names products, or `index`")
    wanted = [expected.get(name) for name in names]
    _check_wanted(wanted, namer, engine)
    filled = task.probabilities(pixels[task.embedder.card.preprocessing])[:, task.classes.index(task.filled)]
    seen = time.perf_counter()
    found: Sequence[Named | None] = [None] * len(names)
    if namer is not None:
        found = _by_task(namer, pixels[namer.embedder.card.preprocessing], wanted)
    elif engine is not None:
        found = _by_index(engine, readers, pixels[engine.embedder.card.preprocessing], wanted)
    boxes: Sequence[Box | None] = [slot.box for slot in slots] or [None] * len(names)
    answers = [_slot_answer(*one) for one in zip(names, boxes, filled.tolist(), found, wanted, strict=True)]
    releases = {"task": task.release.name} | ({"products": namer.release.name} if namer else {}) | (
        {"products": engine.index.name} if engine else {})
    return StockAnswer(
        slots=answers, filled=sum(one.state == "filled" for one in answers),
        empty=sum(one.state == "empty" for one in answers),
        wrong=sum(one.state == "filled" and one.as_expected is False for one in answers), releases=releases,
        timings_ms={"decode": ms_between(began, ready), "filled": ms_between(ready, seen),
                    "products": ms_between(seen)})


def _seen(question: Question, kinds: set[Preprocessing]) -> tuple[Pixels, tuple[Slot, ...]]:
    """The pixels of each slot, and the slots of a whole shelf's photo; none where every photo is a slot of its own."""
    if not question.slots and not question.grid:
        return prepared(kinds, question.photos), ()
    if len(question.photos) > 1:
        raise BadInput("several photos are slots of their own, in their order; send `slots` or `grid` with one photo "
                       "of the whole shelf")
    with picture_of(question.photos[0]) as shelf:
        slots = slots_of(question.slots, question.grid, shelf.size)
        return pixels_of(kinds, (shelf.crop(slot.box) for slot in slots)), slots


def _check_wanted(wanted: Sequence[str | None], namer: LiveTask | None, engine: Engine | None) -> None:
    asked = [one for one in wanted if one is not None]
    if namer is not None:
        unknown = [one for one in asked if one not in namer.classes]
        known, what = list(namer.classes), f"class of the task {namer.name}"
    elif engine is not None:
        ids = {str(number) for number in engine.view.products.tolist()}
        unknown = [one for one in asked if one not in ids]
        known, what = [str(number) for number in engine.view.products[:9]], "id of a product in the live index"
    else:
        return
    if unknown:
        raise BadInput(f"`expected` names {unknown[0][:60]!r}, which is no {what}; there are, for example: "
                       f"{some(known)}")


def _by_task(task: LiveTask, pixels: np.ndarray, wanted: Sequence[str | None]) -> list[Named]:
    found = []
    for row, expected in zip(task.probabilities(pixels), wanted, strict=True):
        best = int(row.argmax())
        share = None if expected is None else float(row[task.classes.index(expected)])
        found.append(Named(task.classes[best], task.classes[best], float(row[best]), share))
    return found


def _by_index(engine: Engine, readers: SqlEngine, pixels: np.ndarray, wanted: Sequence[str | None]) -> list[Named]:
    """Name each slot's product by retrieval.

    How likely it is the best one is the index's calibrated confidence. What is left is shared among the others as the
    classifier sees them; it alone speaks where the index is too small to be calibrated.
    """
    numbers = np.array([engine.view.by_key.get(key, -1) for key in engine.embedder.card.classes])
    seen = engine.embedder.in_batches(pixels, engine.embedder.batch)
    vectors, probabilities = seen.vectors, engine.embedder.probabilities(seen.logits)
    found = []
    for at, expected in enumerate(wanted):
        said, cards, _ = current(readers, engine, Seen(vectors[at:at + 1], probabilities[at], {}))
        best, card = said.best.product_id, cards[said.best.product_id]

        def share(product: int, row: np.ndarray = probabilities[at]) -> float:
            return float(row[numbers == product].sum())

        sure = share(best) if said.confidence is None else said.confidence
        chance = None
        if expected is not None:
            others = max(1 - share(best), 1e-9)
            chance = sure if int(expected) == best else min(1.0, (1 - sure) * share(int(expected)) / others)
        found.append(Named(str(best), " ".join(filter(None, (card.brand, card.name, card.colour))), sure, chance))
    return found


def _slot_answer(name: str, box: Box | None, filled: float, found: Named | None, wanted: str | None) -> SlotAnswer:
    there = filled >= FILLED_FROM
    present = filled * found.expected if found is not None and found.expected is not None else None
    shown = found if there else None
    return SlotAnswer(
        slot=name, box=box, state="filled" if there else "empty", filled=round(filled, 6),
        product=shown.product if shown else None, name=shown.name if shown else None,
        probability=round(shown.probability, 6) if shown else None, expected=wanted,
        expected_present=None if present is None else round(present, 6),
        as_expected=None if wanted is None else bool(shown and shown.product == wanted))


def states(answer: StockAnswer) -> Mapping[str, str]:
    """Each slot's state in one word: empty, wrong, or filled."""
    return {one.slot: "wrong" if one.state == "filled" and one.as_expected is False else one.state
            for one in answer.slots}
