"""Taking photos out of a request: multipart or raw body, with the size limits checked while it streams in."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from catalogue.errors import BadPhoto, SoleSearchError
from catalogue.photos import read_image

DRAIN = 64 * 2**20
MOST_PHOTOS = 64
# All photos of one call together may be this many times as large as one.
MOST_BODIES = 4
# A few hundred kilobytes can decode to a gigabyte: only so many at once, the others wait.
DECODERS = threading.BoundedSemaphore(4)


class UploadTooLarge(SoleSearchError):
    """Raised when a request body exceeds the upload limit; what follows is read and thrown away, up to 64 MiB."""


@dataclass(frozen=True)
class Upload:
    """One photo of a request: what its sender calls it, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """The photos of a request in their order, and its other fields."""

    photos: tuple[Upload, ...]
    fields: Mapping[str, str]


async def read_photo(request: Request, limit: int) -> bytes:
    """Return the photo's bytes: the first file of a multipart form, else the whole body."""
    if not _is_form(request):
        return await _limited(request, limit).body()
    async with _limited(request, limit).form(max_files=8, max_fields=32) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read()
    raise _no_file()


async def read_form(request: Request, limit: int) -> Form:
    """Return all photos of a multipart form with its other fields, or the one that is the whole body.

    No photo may be larger than `limit`, all together not larger than four times that; 64 at most.
    """
    if not _is_form(request):
        return Form((Upload("photo", await _limited(request, limit).body()),), {})
    photos: list[Upload] = []
    fields: dict[str, str] = {}
    async with _limited(request, MOST_BODIES * limit).form(max_files=MOST_PHOTOS, max_fields=32) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if (value.size or 0) > limit:
                    raise _too_large(limit, f"photo {len(photos) + 1} ({value.filename})")
                photos.append(Upload(value.filename or f"photo {len(photos) + 1}", await value.read()))
            else:
                fields[name] = value
    if not photos:
        raise _no_file()
    return Form(tuple(photos), fields)


def decoded(photo: Upload, number: int = 0) -> Image.Image:
    """Decode one photo; `BadPhoto` says which, where it is one of several (`number` from 1)."""
    with DECODERS:
        try:
            return read_image(photo.data)
        except BadPhoto as error:
            raise BadPhoto(f"photo {number} ({photo.name[:80]}): {error}" if number else str(error)) from error


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _no_file() -> BadPhoto:
    return BadPhoto("the form holds no file; send the photo as a file field, or as the raw request body")


def _limited(request: Request, limit: int) -> Request:
    """The request with its body cut off at the limit, by what it says of its length and by what comes."""
    total, said = 0, int(request.headers.get("content-length") or 0) > limit

    async def counted() -> Message:
        nonlocal total
        if said:
            await _drain(request.receive)
            raise _too_large(limit)
        message = await request.receive()
        total += len(message.get("body", b""))
        if total > limit:
            if message.get("more_body"):
                await _drain(request.receive)
            raise _too_large(limit)
        return message

    return Request(request.scope, counted)


async def _drain(receive: Receive) -> None:
    """Let the client finish sending: one that is cut off mid-way never reads why."""
    total, more = 0, True
    while more and total < DRAIN:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False) and message["type"] == "http.request"


def _too_large(limit: int, what: str = "") -> UploadTooLarge:
    return UploadTooLarge(f"{what or 'the photo'} is larger than {limit / 2**20:.0f} MB; send a smaller one")
