"""A shop leaves the catalogue: its listings, crawls and photos, at once; products keep their rows and numbers."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from catalogue.errors import Busy, NotFound
from catalogue.files import lock
from catalogue.gallery_items import note_changes
from catalogue.holding import place_of, works_elsewhere
from catalogue.identity import group_of, listing_code, shop_group
from catalogue.photos import PhotoStore
from catalogue.queries import portions
from catalogue.sweeping import drop_unused
from catalogue.tables import CrawlEvent, CrawlRun, FetchState, Listing, Model, Price, ProductCode, ProductPhoto, Shop


@dataclass(frozen=True)
class Removed:
    """How much of a shop was removed; `photos` counts those that no other listing or import shows.

    `young` counts those of them whose files were stored within the last day: a later `sweep` removes these.
    """

    listings: int
    photos: int
    young: int = 0


def remove_shop(engine: Engine, store: PhotoStore, shop_id: int, locks: Path) -> Removed:
    """Remove a shop and all it brought; `NotFound` if there is none, `Busy` while it is crawled.

    From the end of the one transaction on, answers leave its photos out. Products that only this shop sold keep their
    rows, because indexes built before name them, and codes, so that a shop that brings them again finds them. Photo
    files go afterwards, but for those younger than a day, which a crawl of another shop may be about to show; `sweep`
    finishes that, also if this process is killed before.
    """
    with lock(locks / f"crawl-{shop_id}.lock", f"a crawl of shop {shop_id}"):
        with Session(engine) as session, session.begin():
            _refuse_if_crawled(session, shop_id, locks)
            listings, photos = _remove_rows(session, shop_id)
        swept = drop_unused(engine, store, photos)
        return Removed(listings, swept.photos + swept.young, swept.young)


def _refuse_if_crawled(session: Session, shop_id: int, locks: Path) -> None:
    """The lock speaks for this machine; crawlers elsewhere show by their beat that they work."""
    if session.get(Shop, shop_id, with_for_update=True) is None:
        raise NotFound(f"there is no shop {shop_id}; `solesearch shop list` names those there are")
    for run in session.scalars(select(CrawlRun).where(CrawlRun.shop_id == shop_id, CrawlRun.holder != "")):
        if works_elsewhere(run, place_of(locks)):
            raise Busy(f"shop {shop_id} is being crawled from another machine; stop that crawl, then try again")


def _remove_rows(session: Session, shop_id: int) -> tuple[int, set[str]]:
    rows = session.execute(select(Listing.id, Listing.url, Listing.product_id).where(Listing.shop_id == shop_id)).all()
    listings = select(Listing.id).where(Listing.shop_id == shop_id)
    runs = select(CrawlRun.id).where(CrawlRun.shop_id == shop_id)
    shown = session.execute(delete(ProductPhoto).where(ProductPhoto.listing_id.in_(listings))
                            .returning(ProductPhoto.product_id, ProductPhoto.sha256)
                            .execution_options(synchronize_session=False)).all()
    # SQLite gives a free number to the next shop, whose models would be these; products keep theirs.
    for model in session.scalars(select(Model).where(Model.key.like(f"%:{shop_group(shop_id, '%')}"))):
        model.key = f"{model.key.partition(':')[0]}:former{model.id}:{group_of(model.key, shop_id)}"[:300]
    for some in portions(listing_code(shop_id, row.url) for row in rows):
        session.execute(delete(ProductCode).where(ProductCode.code.in_(some)))
    for statement in (delete(Price).where(Price.listing_id.in_(listings)),
                      delete(CrawlEvent).where(CrawlEvent.run_id.in_(runs)),
                      delete(FetchState).where(FetchState.shop_id == shop_id),
                      delete(CrawlRun).where(CrawlRun.shop_id == shop_id),
                      delete(Listing).where(Listing.shop_id == shop_id),
                      delete(Shop).where(Shop.id == shop_id)):
        session.execute(statement.execution_options(synchronize_session=False))
    note_changes(session, {row.product_id for row in rows} | {product for product, _ in shown})
    return len(rows), {sha256 for _, sha256 in shown}
