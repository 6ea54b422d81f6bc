"""A listing's photos: those known are kept, the others downloaded side by side and put in the photo store."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import BadPhoto, FetchFailed
from catalogue.listings import FoundPhoto
from catalogue.photos import PhotoFacts, PhotoStore
from catalogue.tables import Listing, Photo, ProductPhoto
from crawler.fetch import Fetcher

MIN_SIDE = 64


@dataclass(frozen=True)
class Brought:
    """What became of one photo address: a stored photo, or the reason why not. `outcome` is the counter's name."""

    outcome: str
    photo: FoundPhoto | None = None
    reason: str = ""


def bring(engine: Engine, store: PhotoStore, fetcher: Fetcher, pool: Executor, shop_id: int, listing_url: str,
          urls: Sequence[str]) -> list[Brought]:
    """Every photo of a listing in the order of `urls`; failures are told, never raised.

    A photo that the listing already shows from the same address is not asked for again.
    """
    known = _known(engine, store, shop_id, listing_url)
    return list(pool.map(lambda url: Brought("photos_known", FoundPhoto(known[url], url)) if url in known
                         else _download(store, fetcher, url), urls[:fetcher.settings.max_photos]))


def _known(engine: Engine, store: PhotoStore, shop_id: int, listing_url: str) -> dict[str, PhotoFacts]:
    with Session(engine.execution_options(readonly=True)) as session:
        rows = session.execute(
            select(ProductPhoto.source_url, Photo).join(Photo, Photo.sha256 == ProductPhoto.sha256)
            .join(Listing, Listing.id == ProductPhoto.listing_id)
            .where(Listing.shop_id == shop_id, Listing.url == listing_url)).all()
    return {url: PhotoFacts(photo.sha256, photo.format, photo.width, photo.height, photo.size, photo.dhash)
            for url, photo in rows if store.path(photo.sha256).is_file()}


def _download(store: PhotoStore, fetcher: Fetcher, url: str) -> Brought:
    try:
        answer = fetcher.get(url, fetcher.settings.max_photo_bytes, accept="image/*,*/*;q=0.5")
        if answer.status != 200:
            return Brought("photos_failed", reason=f"{url} answered {answer.status}")
        found = store.put(answer.body)
    except BadPhoto as error:
        return Brought("photos_bad", reason=f"{url}: {error}")
    except FetchFailed as error:
        return Brought("photos_failed", reason=str(error))
    if min(found.width, found.height) < MIN_SIDE:
        return Brought("photos_bad", reason=f"{url} is only {found.width} × {found.height} pixels")
    return Brought("photos_new", FoundPhoto(found, url))
