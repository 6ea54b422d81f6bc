"""A shop leaves at once with its photos; what others show stays, numbers and sides are kept, half a removal never."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import Busy, NotFound
from catalogue.files import lock
from catalogue.gallery_items import register, removed_ids
from catalogue.integrity import faults
from catalogue.queries import present_ids, product_cards, stats
from catalogue.removal import Removed, remove_shop
from catalogue.sweeping import disk_use, sweep
from catalogue.tables import (
    CrawlEvent,
    CrawlRun,
    FetchState,
    Listing,
    Photo,
    PhotoSplit,
    Price,
    Product,
    ProductCode,
    Shop,
    now,
)
from tests.catalogue.shelf import age, found, save, shop, shown, stored


def count(stores: Stores, table: type) -> int:
    with Session(stores.database) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_next_shop_inherits_no_models(stores: Stores, tmp_path: Path) -> None:
    first, kolo = shop(stores.database), shop(stores.database, "Kolo")
    kept = save(stores.database, first, found("1", group="45", style_code="TV-1"))
    save(stores.database, kolo, found("https://kolo.example/1", style_code="TV-1"))
    remove_shop(stores.database, stores.photos, first, tmp_path)
    with Session(stores.database) as session, session.begin():
        session.add(Shop(id=first, name="Sola", url="https://sola.example/"))  # as SQLite numbers it
    other = save(stores.database, first, found("https://sola.example/9", group="45"))
    with Session(stores.database) as session:
        models = [session.get_one(Product, one.product_id).model for one in (kept, other)]
    assert models[0] is not None and models[1] is not None and models[0].id != models[1].id


def test_a_shop_goes_with_what_only_it_showed(stores: Stores, tmp_path: Path) -> None:
    engine, runa, kolo = stores.database, shop(stores.database, "Runa"), shop(stores.database, "Kolo")
    own, shared, named = (stored(stores.photos, seed) for seed in (1, 2, 3))
    alone = save(engine, runa, found("1", style_code="TV-1"), own, named).product_id
    both = save(engine, runa, found("2", style_code="TV-2"), shared).product_id
    save(engine, kolo, found("https://kolo.example/2", style_code="TV-2"), shared)
    with Session(engine) as session, session.begin():
        items = register(session, shown(engine))
        session.add(PhotoSplit(sha256=named.facts.sha256, split="train"))
        run = CrawlRun(shop_id=runa)
        session.add(run)
        session.flush()
        session.add_all([CrawlEvent(run_id=run.id, kind="new", url="u"),
                         FetchState(shop_id=runa, run_id=run.id, url="u", kind="page")])
    age(stores.photos, *(one.facts.sha256 for one in (own, shared, named)))
    assert remove_shop(engine, stores.photos, runa, tmp_path) == Removed(listings=2, photos=2, young=0)
    assert (count(stores, Shop), count(stores, Listing), count(stores, Price)) == (1, 1, 1)
    assert count(stores, CrawlRun) == count(stores, CrawlEvent) == count(stores, FetchState) == 0
    assert disk_use(stores.photos).files == 1 and stores.photos.path(shared.facts.sha256).is_file()
    assert not list(faults(engine, stores.photos, stores.releases))
    with Session(engine) as session:
        assert removed_ids(session) == {number for (product, _), number in items.items() if product == alone}
        assert present_ids(session, [alone, both]) == {both: both}
        assert product_cards(session, [alone]) == {} and stats(session)["products"] == 1
        assert session.get(Photo, own.facts.sha256) is not None, "a gallery item names it"
        assert not session.scalars(select(ProductCode).where(ProductCode.code.startswith(f"listing:{runa}:"))).all()
    # The shop comes back: the same product, the same gallery items, the same side.
    again = save(engine, shop(engine, "Runa"), found("1", style_code="TV-1"), stored(stores.photos, 1))
    assert again.product_id == alone
    with Session(engine) as session:
        assert register(session, [(alone, own.facts.sha256)])[alone, own.facts.sha256] == items[
            alone, own.facts.sha256] not in removed_ids(session)


def test_photos_that_nothing_names_lose_their_row_too(stores: Stores, tmp_path: Path) -> None:
    at = shop(stores.database)
    photo = stored(stores.photos, 1)
    save(stores.database, at, found(), photo)
    age(stores.photos, photo.facts.sha256)
    remove_shop(stores.database, stores.photos, at, tmp_path)
    assert count(stores, Photo) == 0 and disk_use(stores.photos).files == 0
    with pytest.raises(NotFound, match="no shop"):
        remove_shop(stores.database, stores.photos, at, tmp_path)


def test_a_photo_that_another_shop_is_about_to_show_stays(stores: Stores, tmp_path: Path) -> None:
    engine, runa, kolo = stores.database, shop(stores.database, "Runa"), shop(stores.database, "Kolo")
    shared, own, old = (stored(stores.photos, seed) for seed in (1, 2, 3))
    save(engine, runa, found("1"), shared, own, old)
    age(stores.photos, *(one.facts.sha256 for one in (shared, own, old)))
    age(stores.photos, own.facts.sha256, days=0.5)
    again = stored(stores.photos, 1)  # a crawl of the other shop has it by now; its listing is saved a moment later
    assert remove_shop(engine, stores.photos, runa, tmp_path) == Removed(listings=1, photos=3, young=2)
    save(engine, kolo, found("https://kolo.example/1"), again)
    assert {fault.kind for fault in faults(engine, stores.photos, stores.releases)} == {"orphan"}
    assert sweep(engine, stores.photos).photos == 0
    age(stores.photos, shared.facts.sha256, own.facts.sha256)
    assert sweep(engine, stores.photos).photos == 1 and not list(faults(engine, stores.photos, stores.releases))


def test_a_shop_that_is_crawled_stays(stores: Stores, tmp_path: Path) -> None:
    at = shop(stores.database)
    save(stores.database, at, found())
    holding, done = threading.Event(), threading.Event()

    def crawl() -> None:
        with lock(tmp_path / f"crawl-{at}.lock", "a crawl"):
            holding.set()
            done.wait(5)

    thread = threading.Thread(target=crawl)
    thread.start()
    holding.wait(5)
    with pytest.raises(Busy):
        remove_shop(stores.database, stores.photos, at, tmp_path)
    done.set()
    thread.join()
    with Session(stores.database) as session, session.begin():
        session.add(CrawlRun(shop_id=at, holder="elsewhere/1"))
    with pytest.raises(Busy, match="another machine"):
        remove_shop(stores.database, stores.photos, at, tmp_path)
    with Session(stores.database) as session, session.begin():
        session.scalars(select(CrawlRun)).one().beat_at = now() - timedelta(minutes=5)
    assert remove_shop(stores.database, stores.photos, at, tmp_path).listings == 1
