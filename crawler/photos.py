"""A listing's photos: those known are kept, the others downloaded, the largest of each picture stored."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations

from sqlalchemy import Engine, bindparam, select

from catalogue.errors import BadPhoto, FetchFailed, NotFound
from catalogue.listings import FoundPhoto
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.tables import FetchState, Listing, Photo, ProductPhoto, now
from crawler.copies import PROXY, keep_largest
from crawler.fetch import Fetched, Fetcher
from crawler.pages.gallery import Picture
from crawler.workers import Workers

log = logging.getLogger(__name__)
MIN_SIDE = 64
# Two renditions of one picture differ in a few of their difference hash's 64 bits.
ALIKE_BITS = 10


@dataclass(frozen=True)
class Downloads:
    """What bringing photos takes: where they are known, kept, asked for and decoded."""

    engine: Engine
    store: PhotoStore
    fetcher: Fetcher
    workers: Workers

    def fresh_after(self) -> datetime:
        """Photos that were asked for since then are not asked for again."""
        return now() - timedelta(days=self.fetcher.settings.photo_days)


@dataclass(frozen=True)
class Brought:
    """What became of one picture: a stored photo, or the reason why not. `outcome` is the counter's name.

    `useless` are the addresses that need not be asked for again soon: no pictures, too small, the same picture smaller.
    """

    outcome: str
    photo: FoundPhoto | None = None
    reason: str = ""
    useless: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Known:
    """What earlier visits left: photos by address, and addresses that were of no use."""

    photos: dict[str, FoundPhoto]
    useless: frozenset[str]
    fresh_after: datetime


# Made once: building these for every listing costs more than running them.
_PHOTOS = (select(ProductPhoto.source_url, ProductPhoto.validator, ProductPhoto.checked_at, Photo.sha256, Photo.format,
                  Photo.width, Photo.height, Photo.size, Photo.dhash)
           .join(Photo, Photo.sha256 == ProductPhoto.sha256).join(Listing, Listing.id == ProductPhoto.listing_id)
           .where(Listing.shop_id == bindparam("shop"), Listing.url == bindparam("url")))
_USELESS = select(FetchState.url).where(
    FetchState.shop_id == bindparam("shop"), FetchState.kind == "photo", FetchState.fetched_at > bindparam("after"),
    FetchState.url.in_(bindparam("urls", expanding=True)))


def bring(by: Downloads, shop_id: int, listing_url: str, pictures: Sequence[Picture]) -> list[Brought]:
    """Every photo of a listing in the order of `pictures`; failures are told, never raised.

    A photo that the listing already shows from the same address is not asked for again before `photo_days` have
    passed, and then with its validator. What is the same picture as a larger one is left out.
    """
    pictures = pictures[:by.fetcher.settings.max_photos]
    known = _known(by, shop_id, listing_url, [url for one in pictures for url in one.urls])
    return without_copies(by, listing_url, [_one(by, known, picture) for picture in pictures])


def _known(by: Downloads, shop_id: int, listing_url: str, urls: Sequence[str]) -> _Known:
    fresh_after = by.fresh_after()
    with by.engine.execution_options(readonly=True).connect() as connection:
        rows = connection.execute(_PHOTOS, {"shop": shop_id, "url": listing_url}).all()
        useless = frozenset(connection.scalars(_USELESS, {"shop": shop_id, "after": fresh_after, "urls": list(urls)}))
    found = [FoundPhoto(PhotoFacts(row.sha256, row.format, row.width, row.height, row.size, row.dhash),
                        row.source_url, row.validator, row.checked_at) for row in rows]
    photos = {photo.source_url: photo for photo in found if by.store.holds(photo.facts)}
    return _Known(photos, useless, fresh_after)


def _one(by: Downloads, known: _Known, picture: Picture) -> Brought:
    """The largest rendition that can be had; the one that was taken before is taken again."""
    former = next((known.photos[url] for url in picture.urls if url in known.photos), None)
    if former is not None:
        if former.checked_at is not None and former.checked_at > known.fresh_after:
            return Brought("photos_known", former)
        return _again(by, former)
    useless: list[str] = []
    last = Brought("photos_skipped")
    for url in picture.urls:
        if url in known.useless:
            continue
        last = _download(by, url)
        if last.photo is not None:
            break
        useless += last.useless
    return replace(last, useless=tuple(useless))


def _again(by: Downloads, former: FoundPhoto) -> Brought:
    """Ask whether a photo's address still gives the same bytes; what cannot be had now is kept as it was."""
    fresh = _download(by, former.source_url, former.validator)
    if fresh.photo is not None:
        return fresh
    if fresh.outcome == "photos_known":
        return Brought("photos_known", replace(former, checked_at=now()))
    return Brought(fresh.outcome, former, fresh.reason)


def _download(by: Downloads, url: str, validator: str = "") -> Brought:
    try:
        answer = by.fetcher.get(url, by.fetcher.settings.max_photo_bytes, "image/*,*/*;q=0.5", validator)
        if answer.status == 304 and validator:
            return Brought("photos_known")
        if answer.status != 200:
            gone = (url,) if answer.status in (404, 410) else ()
            return Brought("photos_failed", reason=f"{url} answered {answer.status}", useless=gone)
        return _stored(by, answer, url)
    except BadPhoto as error:
        return Brought("photos_bad", reason=f"{url}: {error}", useless=(url,))
    except FetchFailed as error:
        return Brought("photos_failed", reason=str(error))


def _stored(by: Downloads, answer: Fetched, url: str) -> Brought:
    found = by.workers.run(url, by.store.put, answer.body)
    if min(found.width, found.height) < MIN_SIDE:
        return Brought("photos_bad", reason=f"{url} is only {found.width} × {found.height} pixels", useless=(url,))
    return Brought("photos_new", FoundPhoto(found, url, answer.validator, now()))


def without_copies(by: Downloads, listing_url: str, brought: list[Brought]) -> list[Brought]:
    """Leave out what is the same picture as another, smaller; only looked for where new photos came."""
    had = {number: one.photo.facts for number, one in enumerate(brought) if one.photo is not None}
    alike = sorted({number for one, other in combinations(had, 2) if _may_be_copies(had[one], had[other])
                    for number in (one, other)})
    if not alike or not any(one.outcome == "photos_new" for one in brought):
        return brought
    try:
        largest = by.workers.run(listing_url, _largest, by.store, [had[number] for number in alike])
    except (BadPhoto, NotFound) as error:
        log.warning("the photos of %s are not compared: %s", listing_url, error)
        return brought
    keep = {alike[place] for place in largest}
    return [Brought("photos_copies", useless=(*one.useless, one.photo.source_url))
            if number in alike and number not in keep and one.photo is not None else one
            for number, one in enumerate(brought)]


def _largest(store: PhotoStore, photos: Sequence[PhotoFacts]) -> list[int]:
    return keep_largest((store.image(photo.sha256, enough=PROXY) for photo in photos),
                        [(photo.width, photo.height) for photo in photos])


def _may_be_copies(one: PhotoFacts, other: PhotoFacts) -> bool:
    """Whether two photos are worth comparing by their pixels: alike in grey, or one small enough to be a crop."""
    if (int(one.dhash, 16) ^ int(other.dhash, 16)).bit_count() <= ALIKE_BITS:
        return True
    small, large = sorted((one.width * one.height, other.width * other.height))
    same_shape = abs(one.width * other.height - other.width * one.height) <= 0.02 * one.width * other.height
    return small * 2 <= large and not same_shape
