"""The HTTP door: routes, and the one table from error to status."""

import importlib.metadata
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from app.answers import ErrorAnswer, IdentifyAnswer, ProductAnswer, answer_photo, product_answer
from app.classify import add_tasks
from app.live import LiveIndex
from app.live_tasks import LiveTask, LiveTasks
from app.shelves import add_stock
from app.timings import of_request
from app.uploads import Upload, UploadTooLarge, read_photo
from app.wiring import Stores
from catalogue.errors import BadInput, BadPhoto, CatalogueUnavailable, NotFound, NothingLive, SoleSearchError
from catalogue.photos import MEDIA_TYPES
from catalogue.queries import product_cards
from catalogue.tables import Photo

log = logging.getLogger(__name__)
PAGE = Path(__file__).parent / "static" / "index.html"
STATUS: dict[type[SoleSearchError], int] = {
    BadPhoto: 422, BadInput: 400, NotFound: 404, UploadTooLarge: 413, NothingLive: 503, CatalogueUnavailable: 503,
    SoleSearchError: 500}
# What PostgreSQL's codes begin with where connections break, it is short of something, or it stops or starts.
AWAY = ("08", "53", "57P")
UPLOAD = {"requestBody": {"required": True, "content": {
    "multipart/form-data": {"schema": {"type": "object", "required": ["photo"], "properties": {
        "photo": {"type": "string", "format": "binary"}}}},
    "image/*": {"schema": {"type": "string", "format": "binary"}}}}}


def create_app(stores: Stores, live: LiveIndex, tasks: LiveTasks | None = None) -> FastAPI:
    """Build the HTTP application around opened stores, a live index and the live tasks (without them: those of the
    same stores)."""
    tasks = LiveTasks(stores) if tasks is None else tasks
    limit = int(stores.settings.max_upload_mb * 2**20)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for followed in (live, tasks):
            await run_in_threadpool(followed.watch)
        yield
        for followed in (live, tasks):
            await run_in_threadpool(followed.close)

    version = importlib.metadata.version("solesearch")
    api = FastAPI(title="SoleSearch", version=version, lifespan=lifespan,
                  description="Names the shoe in a photo.",
                  responses={code: {"model": ErrorAnswer} for code in (400, 404, 413, 422, 503)})
    _add_pages(api, stores)
    _add_state(api, stores, live, tasks, version)
    add_tasks(api, tasks, limit)
    add_stock(api, tasks, live, stores.readers, limit)
    _add_errors(api)

    @api.post("/identify", openapi_extra=UPLOAD)
    async def identify(request: Request) -> IdentifyAnswer:
        """Name the shoe in a photo, sent as a multipart file or as the raw body.

        Where the task `garment` is live and its release has a guard, `shoe` says how sure it is that there is a shoe at
        all; if there is none the verdict is `no shoe`, and best and similar are merely what lies nearest.
        """
        began = time.perf_counter()
        photo = Upload("photo", await read_photo(request, limit))
        received = time.perf_counter()
        engine, guard = live.current(), tasks.guard()
        answer = await run_in_threadpool(answer_photo, stores.readers, engine, photo, guard)
        answer.timings_ms |= of_request(began, received)
        return answer

    return api


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(SoleSearchError)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        return JSONResponse({"error": str(error)}, status)

    @api.exception_handler(ConnectionError)
    @api.exception_handler(DBAPIError)
    @api.exception_handler(NoConnectionFree)
    async def unanswered(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, DBAPIError) and not _is_away(error):
            raise error
        log.warning("the database does not answer: %s", getattr(error, "orig", error))
        return await failed(request, CatalogueUnavailable(
            "the database does not answer; try again in a moment, and if that does not help, see the server's log"))

    @api.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StarletteHTTPException)
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @api.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)

    @api.exception_handler(ClientDisconnect)
    async def left(_: Request, error: Exception) -> Response:
        return Response(status_code=400)  # nobody reads it, and it is no fault to log

    @api.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed to answer this request; its log says why"}, 500)


def _is_away(error: DBAPIError) -> bool:
    """Whether a statement failed because the database is away or overloaded, not because it is wrong.

    pg8000 calls most of what the server says a `ProgrammingError`, whatever it is; the code tells. A connection that
    broke it sometimes reports as Python does, by a `ConnectionError`.
    """
    said = error.orig.args[0] if error.orig is not None and error.orig.args else None
    code = str(said.get("C", "")) if isinstance(said, dict) else ""
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError) or code.startswith(AWAY)


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


def _add_state(api: FastAPI, stores: Stores, live: LiveIndex, tasks: LiveTasks, version: str) -> None:
    @api.get("/healthz")
    def healthz() -> JSONResponse:
        """200 while the database answers and an index or a task is live; what is wrong stands in `problem`."""
        problems, index, running = [live.problem, tasks.problem], None, tasks.current()
        try:
            with stores.readers.connect() as connection:
                connection.execute(text("SELECT 1"))
            index = live.current().index.name
        except NothingLive as error:
            problems[0] = str(error)
        except Exception as error:
            problems, running = [f"the database does not answer: {error}"], {}
        ok = index is not None or bool(running)
        return JSONResponse({"ok": ok, "index": index, "tasks": _releases(running),
                             "problem": "; ".join(filter(None, problems)) or None}, 200 if ok else 503)

    @api.get("/version")
    def versions() -> dict[str, object]:
        """The program's version and the releases in use."""
        running = _releases(tasks.current())
        try:
            engine = live.current()
        except NothingLive:
            return {"solesearch": version, "index": None, "network": None, "tasks": running}
        return {"solesearch": version, "index": engine.index.name, "network": engine.network.name,
                "segments": list(engine.segments), "items": engine.view.items, "products": len(engine.view.products),
                "measures": engine.index.manifest["measures"], "tasks": running}


def _releases(tasks: Mapping[str, LiveTask]) -> dict[str, str]:
    return {name: task.release.name for name, task in tasks.items()}
