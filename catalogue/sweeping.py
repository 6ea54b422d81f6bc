"""The photo store kept in order: files that nothing needs go, and how much room the others take.

A photo is in use while a product or a user's feedback shows it. Only photos in use need their file. The row of one no
longer in use stays as long as a gallery item or a split names it: numbers and sides are for ever, bytes are not, and
should the same bytes come back, they find both again.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, delete, exists, or_, select
from sqlalchemy.orm import Session

from catalogue.gallery_items import note_changes
from catalogue.photos import PhotoStore
from catalogue.queries import portions
from catalogue.tables import Feedback, GalleryItem, Listing, Photo, PhotoSplit, ProductPhoto, now
from catalogue.transactions import in_one_go

# A crawl or import stores a photo's bytes first and its row a little later: files this young are left alone.
YOUNG_S = 24 * 3600.0


@dataclass(frozen=True)
class DiskUse:
    """What lies in the photo store."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Swept:
    """What a sweep removed: photos no longer shown, files without a row, and the bytes of both.

    `young` counts the photos no longer shown that were left, because their files are younger than a day.
    """

    photos: int = 0
    orphans: int = 0
    bytes: int = 0
    young: int = 0


def disk_use(store: PhotoStore) -> DiskUse:
    """Count the files of the photo store and their bytes."""
    sizes = [size for _, size, _ in store.files()]
    return DiskUse(len(sizes), sum(sizes))


def store_is_full(store: PhotoStore, max_bytes: int) -> bool:
    """Whether the photo store has reached its budget; 0 is no budget."""
    if max_bytes <= 0:
        return False
    total = 0
    for _, size, _ in store.files():
        total += size
        if total >= max_bytes:
            return True
    return False


def sweep(engine: Engine, store: PhotoStore, gone_days: float | None = None) -> Swept:
    """Remove photos no product shows and files without a row; crawls may run meanwhile.

    With `gone_days`, listings that left their shop longer ago give up their photos first. Files younger than a day are
    left, because a running crawl or import may be about to need them.
    """
    if gone_days is not None:
        _let_go(engine, gone_days)
    with Session(engine.execution_options(readonly=True)) as session:
        known = set(session.scalars(select(Photo.sha256)))
        unused = set(session.scalars(select(Photo.sha256).where(~photo_in_use())))
    before = _oldest_young()
    orphans = [path for path, _, changed in store.files() if path.name not in known and changed < before]
    sizes = _remove_old(orphans, before)
    swept = drop_unused(engine, store, unused)
    return replace(swept, orphans=len(sizes), bytes=swept.bytes + sum(sizes))


def drop_unused(engine: Engine, store: PhotoStore, names: Iterable[str]) -> Swept:
    """Remove those of these photos that are not in use: the file, and the row unless something still names it.

    Photos whose files are younger than a day are left as they are; a later `sweep` removes them.
    """
    removed = [in_one_go(engine, partial(_drop, store, some)) for some in portions(names)]
    return Swept(sum(part.photos for part in removed), bytes=sum(part.bytes for part in removed),
                 young=sum(part.young for part in removed))


def _drop(store: PhotoStore, names: list[str], session: Session) -> Swept:
    unused = session.scalars(select(Photo.sha256).where(Photo.sha256.in_(names), ~photo_in_use())).all()
    # Within the transaction: on SQLite no writer can begin to show one of them between the look and the removal. But a
    # crawl of another shop may just have stored the same bytes, and will show them a moment later.
    before = _oldest_young()
    old = [sha256 for sha256 in unused if _changed(store.path(sha256)) < before]
    session.execute(delete(Photo).where(
        Photo.sha256.in_(old), ~exists().where(GalleryItem.sha256 == Photo.sha256),
        ~exists().where(PhotoSplit.sha256 == Photo.sha256)).execution_options(synchronize_session=False))
    sizes = _remove_old(map(store.path, old), before)
    return Swept(len(sizes), bytes=sum(sizes), young=len(unused) - len(old))


def _remove_old(paths: Iterable[Path], before: float) -> list[int]:
    """Remove the files that have not been touched since `before`, and return their sizes.

    Each is looked at once more at the last moment: a writer may have found its bytes there and counts on them now.
    """
    sizes = []
    for path in paths:
        with suppress(FileNotFoundError):
            found = path.stat()
            if found.st_mtime < before:
                path.unlink()
                sizes.append(found.st_size)
    return sizes


def photo_in_use() -> ColumnElement[bool]:
    """That a product or a user's feedback shows a photo."""
    return or_(exists().where(ProductPhoto.sha256 == Photo.sha256), exists().where(Feedback.sha256 == Photo.sha256))


def _let_go(engine: Engine, gone_days: float) -> None:
    long_gone = select(Listing.id).where(Listing.gone_at < now() - timedelta(days=gone_days))
    with Session(engine) as session, session.begin():
        products = session.scalars(delete(ProductPhoto).where(ProductPhoto.listing_id.in_(long_gone))
                                   .returning(ProductPhoto.product_id)
                                   .execution_options(synchronize_session=False)).all()
        note_changes(session, set(products))


def _oldest_young() -> float:
    """The time of change before which a file is no longer young."""
    return now().timestamp() - YOUNG_S


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
