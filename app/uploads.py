"""Taking a photo out of a request: multipart or raw body, with the size limit checked while it streams in."""

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from catalogue.errors import BadPhoto, SoleSearchError

DRAIN = 64 * 2**20


class UploadTooLarge(SoleSearchError):
    """Raised when a request body exceeds the upload limit; what follows is read and thrown away, up to 64 MiB."""


async def read_photo(request: Request, limit: int) -> bytes:
    """Return the photo's bytes: the first file of a multipart form, else the whole body."""
    if int(request.headers.get("content-length") or 0) > limit:
        await _drain(request.receive)
        raise _too_large(limit)
    limited = Request(request.scope, _limited(request.receive, limit))
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await limited.body()
    async with limited.form(max_files=8, max_fields=32) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read()
    raise BadPhoto("the form holds no file; send the photo as a file field, or as the raw request body")


def _limited(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large(limit)
        return message

    return counted


async def _drain(receive: Receive) -> None:
    """Let the client finish sending: one that is cut off mid-way never reads why."""
    total, more = 0, True
    while more and total < DRAIN:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False) and message["type"] == "http.request"


def _too_large(limit: int) -> UploadTooLarge:
    return UploadTooLarge(f"the photo is larger than {limit / 2**20:.0f} MB; send a smaller one")
