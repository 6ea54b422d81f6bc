"""The HTTP door of the stock report: `POST /stock`."""

import time
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from sqlalchemy import Engine as SqlEngine
from starlette.concurrency import run_in_threadpool

from app.live import LiveIndex
from app.live_tasks import LiveTasks
from app.stock import Question, StockAnswer, take_stock
from app.stock_drawing import draw_stock
from app.timings import of_request
from app.uploads import Form, read_form
from catalogue.errors import BadInput

FIELDS = {
    "slots": "One photo of a shelf: JSON of name → [left, top, right, bottom] in pixels, or a list of such boxes",
    "grid": "Or its slots as equal rows x columns, such as 2 x 5; they are named 1-1, 1-2, … row by row",
    "expected": "JSON of slot → product, or a list in the order of the slots; null expects nothing",
    "task": "The live task that tells filled from empty (without it: shelf)",
    "products": "What names products: a live task, or `index` for retrieval, whose products are ids",
    "draw": "1: answer with the photo and its slots drawn, as PNG; so does `Accept: image/png`"}
STOCK_FORM = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["photo"], "properties": {
            "photo": {"type": "array", "items": {"type": "string", "format": "binary"},
                      "description": "Crops of single slots in their order (then slots are named 1, 2, …), or one "
                                     "photo of the shelf with `slots` or `grid`"},
            **{name: {"type": "string", "description": told} for name, told in FIELDS.items()}}}}}}}


def add_stock(api: FastAPI, tasks: LiveTasks, live: LiveIndex, readers: SqlEngine, limit: int) -> None:
    """Add the route; `limit` is the largest photo in bytes."""
    @api.post("/stock", openapi_extra=STOCK_FORM, response_model=StockAnswer,
              responses={200: {"content": {"image/png": {}}}})
    async def stock(request: Request, draw: Annotated[str, Query(description=FIELDS["draw"])] = "") -> object:
        """Say of each slot of a shelf whether it is empty, what is in it, how likely the expected product is there.

        In the picture green is filled (with what is expected, if anything is), amber another product, red empty.
        """
        began = time.perf_counter()
        form = await read_form(request, limit)
        received = time.perf_counter()
        question = _question(form)
        answer = await run_in_threadpool(take_stock, question, tasks, live, readers)
        drawn = _yes(draw or form.fields.get("draw", ""))
        if drawn or "image/png" in request.headers.get("accept", ""):
            return Response(await run_in_threadpool(draw_stock, question, answer), media_type="image/png")
        answer.timings_ms |= of_request(began, received)
        return answer


def _question(form: Form) -> Question:
    unknown = [name for name in form.fields if name not in FIELDS]
    if unknown:
        raise BadInput(f"there is no field {unknown[0][:40]!r}; the fields are photo, {', '.join(FIELDS)}")
    told = {name: form.fields.get(name, "").strip() for name in FIELDS}
    return Question(form.photos, told["slots"], told["grid"], told["expected"], told["task"] or "shelf",
                    told["products"])


def _yes(word: str) -> bool:
    return word.strip().lower() in ("1", "true", "yes", "on")
