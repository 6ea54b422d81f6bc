"""Identities of gallery items: every (product, photo) pair gets a number once and keeps it in every index."""

from collections.abc import Iterable

from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from catalogue.tables import GalleryItem, ProductPhoto, now


def register(session: Session, pairs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the gallery-item id of each (product id, photo sha256), making those that are new."""
    wanted = list(dict.fromkeys(pairs))
    known = _known(session)
    fresh = [{"product_id": product, "sha256": sha256} for product, sha256 in wanted if (product, sha256) not in known]
    if fresh:
        session.execute(insert(GalleryItem), fresh)
        known = _known(session)
    return {pair: known[pair] for pair in wanted}


def note_changes(session: Session, product_ids: Iterable[int]) -> None:
    """Mark the products' items whose photo no longer shows the product as removed, and unmark those that are back."""
    backed = exists().where(ProductPhoto.product_id == GalleryItem.product_id,
                            ProductPhoto.sha256 == GalleryItem.sha256)
    mine = GalleryItem.product_id.in_(list(product_ids))
    session.flush()
    session.execute(update(GalleryItem).where(mine, GalleryItem.removed_at.is_(None), ~backed)
                    .values(removed_at=now()).execution_options(synchronize_session=False))
    session.execute(update(GalleryItem).where(mine, GalleryItem.removed_at.is_not(None), backed)
                    .values(removed_at=None).execution_options(synchronize_session=False))


def _known(session: Session) -> dict[tuple[int, str], int]:
    rows = session.execute(select(GalleryItem.product_id, GalleryItem.sha256, GalleryItem.id)
                           .where(GalleryItem.box == ""))
    return {(product, sha256): number for product, sha256, number in rows}
