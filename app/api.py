"""The HTTP door: routes, and the one table from error to status."""

import importlib.metadata
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from app.answers import ErrorAnswer, IdentifyAnswer, ProductAnswer, answer_photo, product_answer
from app.live import LiveIndex
from app.uploads import UploadTooLarge, read_photo
from app.wiring import Stores
from catalogue.errors import BadInput, BadPhoto, CatalogueUnavailable, NotFound, NothingLive, SoleSearchError
from catalogue.photos import MEDIA_TYPES, read_image
from catalogue.queries import product_cards
from catalogue.tables import Photo
from index.engine import Engine

PAGE = Path(__file__).parent / "static" / "index.html"
STATUS: dict[type[SoleSearchError], int] = {
    BadPhoto: 422, BadInput: 400, NotFound: 404, UploadTooLarge: 413, NothingLive: 503, CatalogueUnavailable: 503,
    SoleSearchError: 500}
# A few hundred kilobytes can decode to a gigabyte: only so many at once, the others wait.
DECODERS = threading.BoundedSemaphore(4)
UPLOAD = {"requestBody": {"required": True, "content": {
    "multipart/form-data": {"schema": {"type": "object", "required": ["photo"], "properties": {
        "photo": {"type": "string", "format": "binary"}}}},
    "image/*": {"schema": {"type": "string", "format": "binary"}}}}}


def create_app(stores: Stores, live: LiveIndex) -> FastAPI:
    """Build the HTTP application around opened stores and a live index."""
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(live.watch)
        yield
        await run_in_threadpool(live.close)

    version = importlib.metadata.version("solesearch")
    api = FastAPI(title="SoleSearch", version=version, lifespan=lifespan,
                  description="Names the shoe in a photo.",
                  responses={code: {"model": ErrorAnswer} for code in (404, 413, 422, 503)})
    _add_pages(api, stores)
    _add_state(api, stores, live, version)

    @api.exception_handler(SoleSearchError)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        return JSONResponse({"error": str(error)}, status)

    @api.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StarletteHTTPException)
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @api.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)

    @api.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed to answer this request; its log says why"}, 500)

    @api.post("/identify", openapi_extra=UPLOAD)
    async def identify(request: Request) -> IdentifyAnswer:
        """Name the shoe in a photo, sent as a multipart file or as the raw body."""
        began = time.perf_counter()
        data = await read_photo(request, int(stores.settings.max_upload_mb * 2**20))
        received = time.perf_counter()
        engine = live.current()
        answer = await run_in_threadpool(_identify, stores, engine, data)
        answer.timings_ms["receive"] = round(1e3 * (received - began), 3)
        answer.timings_ms["total"] = round(1e3 * (time.perf_counter() - began), 3)
        return answer

    return api


def _identify(stores: Stores, engine: Engine, data: bytes) -> IdentifyAnswer:
    began = time.perf_counter()
    with DECODERS:
        image = read_image(data)
    decoded = time.perf_counter()
    answer = answer_photo(stores.readers, engine, image)
    answer.timings_ms["decode"] = round(1e3 * (decoded - began), 3)
    return answer


def _add_pages(api: FastAPI, stores: Stores) -> None:
    @api.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE, media_type="text/html")

    @api.get("/products/{product_id}")
    def product(product_id: Annotated[int, PathParameter(ge=1, le=2**31 - 1)]) -> ProductAnswer:
        """One product with its offers and photos."""
        with Session(stores.readers) as session:
            card = product_cards(session, [product_id]).get(product_id)
        if card is None:
            raise NotFound(f"there is no product {product_id}")
        return product_answer(card)

    @api.get("/photos/{sha256}", response_class=Response)
    def photo(sha256: str) -> FileResponse:
        """A stored photo's bytes as they came; its name is its content, so it may be cached for ever."""
        row = None
        if re.fullmatch("[0-9a-f]{64}", sha256):
            with Session(stores.readers) as session:
                row = session.get(Photo, sha256)
        if row is None or not stores.photos.path(sha256).is_file():
            raise NotFound(f"there is no photo {sha256[:80]!r}")
        return FileResponse(stores.photos.path(sha256), media_type=MEDIA_TYPES[row.format],
                            headers={"cache-control": "public, max-age=31536000, immutable",
                                     "x-content-type-options": "nosniff"})


def _add_state(api: FastAPI, stores: Stores, live: LiveIndex, version: str) -> None:
    @api.get("/healthz")
    def healthz() -> JSONResponse:
        """200 while the database answers and an index is live; what is wrong stands in `problem`."""
        problem, index = live.problem, None
        try:
            with stores.readers.connect() as connection:
                connection.execute(text("SELECT 1"))
            index = live.current().index.name
        except NothingLive as error:
            problem = str(error)
        except Exception as error:
            problem = f"the database does not answer: {error}"
        return JSONResponse({"ok": index is not None, "index": index, "problem": problem or None},
                            200 if index else 503)

    @api.get("/version")
    def versions() -> dict[str, object]:
        """The program's version and the releases in use."""
        try:
            engine = live.current()
        except NothingLive:
            return {"solesearch": version, "index": None, "network": None}
        return {"solesearch": version, "index": engine.index.name, "network": engine.network.name,
                "segments": list(engine.segments), "items": engine.view.items, "products": len(engine.view.products),
                "measures": engine.index.manifest["measures"]}
