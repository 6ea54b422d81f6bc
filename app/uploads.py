"""Taking photos out of a request: multipart or raw body, with the size limits checked while it streams in."""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from catalogue.errors import BadInput, BadPhoto, SoleSearchError
from catalogue.photos import read_image
from vision.preprocessing import Preprocessing

Pixels = Mapping[Preprocessing, np.ndarray]  # of the same photos, uint8 (n, size, size, 3)
DRAIN = 64 * 2**20
MOST_PHOTOS = 64
# All photos of one call together may be this many times as large as one.
MOST_BODIES = 4
ENVELOPE = 2**16  # what a form needs beside its photos
# A few hundred kilobytes can decode to half a gigabyte: only so many pictures at once, the others wait.
PICTURES_AT_ONCE = threading.BoundedSemaphore(4)


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
    """Return the photo's bytes: the one file of a multipart form, else the whole body."""
    if not _is_form(request):
        return await _limited(request, limit).body()
    async with _limited(request, limit).form(max_files=8, max_fields=32) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise _no_file()
        if len(files) > 1:
            raise BadInput(f"the form holds {len(files)} files; send one photo a call")
        if (files[0].size or 0) > limit:
            raise _too_large(limit)
        return await files[0].read()


async def read_form(request: Request, limit: int) -> Form:
    """Return all photos of a multipart form with its other fields, or the one that is the whole body.

    No photo may be larger than `limit`, all together not larger than four times that; 64 at most.
    """
    if not _is_form(request):
        return Form((Upload("photo", await _limited(request, limit).body()),), {})
    photos: list[Upload] = []
    fields: dict[str, str] = {}
    whole = _limited(request, MOST_BODIES * limit, "the photos are, together,")
    async with whole.form(max_files=MOST_PHOTOS, max_fields=32) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if (value.size or 0) > limit:
                    raise _too_large(limit, f"photo {len(photos) + 1} ({value.filename}) is")
                photos.append(Upload(value.filename or f"photo {len(photos) + 1}", await value.read()))
            else:
                fields[name] = value
    if not photos:
        raise _no_file()
    return Form(tuple(photos), fields)


@contextmanager
def picture_of(photo: Upload, number: int = 0) -> Iterator[Image.Image]:
    """One decoded photo, to be let go with the block; `BadPhoto` says which, where it is one of several (from 1)."""
    with PICTURES_AT_ONCE:
        try:
            image = read_image(photo.data)
        except BadPhoto as error:
            raise BadPhoto(f"photo {number} ({photo.name[:80]}): {error}" if number else str(error)) from error
        yield image


def prepared(kinds: Collection[Preprocessing], photos: Sequence[Upload]) -> Pixels:
    """The photos as a network's input, for every kind; no decoded photo is kept."""
    parts = []
    for number, photo in enumerate(photos, 1):
        with picture_of(photo, number if len(photos) > 1 else 0) as image:
            parts.append(pixels_of(kinds, [image]))
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}


def pixels_of(kinds: Collection[Preprocessing], images: Iterable[Image.Image]) -> Pixels:
    """Images as pixels (n, size, size, 3) for every kind; as they come, none is kept."""
    rows: dict[Preprocessing, list[np.ndarray]] = {kind: [] for kind in kinds}
    for image in images:
        for kind, found in rows.items():
            found.append(kind.pixels(image))
    return {kind: np.stack(found) for kind, found in rows.items()}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _no_file() -> BadPhoto:
    return BadPhoto("the form holds no file; send the photo as a file field, or as the raw request body")


def _limited(request: Request, limit: int, what: str = "the photo is") -> Request:
    """The request with its body cut off at the limit, by what it says of its length and by what comes."""
    most = limit + (ENVELOPE if _is_form(request) else 0)
    total, said = 0, int(request.headers.get("content-length") or 0) > most

    async def counted() -> Message:
        nonlocal total
        if said:
            await _drain(request.receive)
            raise _too_large(limit, what)
        message = await request.receive()
        total += len(message.get("body", b""))
        if total > most:
            if message.get("more_body"):
                await _drain(request.receive)
            raise _too_large(limit, what)
        return message

    return Request(request.scope, counted)


async def _drain(receive: Receive) -> None:
    """Let the client finish sending: one that is cut off mid-way never reads why."""
    total, more = 0, True
    while more and total < DRAIN:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False) and message["type"] == "http.request"


def _too_large(limit: int, what: str = "the photo is") -> UploadTooLarge:
    return UploadTooLarge(f"{what} larger than {limit / 2**20:g} MB; send less")
