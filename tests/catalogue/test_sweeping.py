"""The photo store kept in order: only what nothing shows goes, and never what a running crawl may be about to need."""

import os
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.integrity import faults
from catalogue.queries import product_cards
from catalogue.sweeping import Swept, disk_use, store_is_full, sweep
from catalogue.tables import Feedback, Listing, Photo, now
from tests.catalogue.shelf import age, found, save, shop, stored
from tests.conftest import encoded, picture


def test_a_sweep_takes_what_nothing_shows_and_is_old(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    kept, replaced, young = (stored(stores.photos, seed) for seed in (1, 2, 3))
    save(engine, at, found(), kept, replaced, young)
    save(engine, at, found(), kept)
    orphan, fresh = (stores.photos.put(encoded(picture(seed))).sha256 for seed in (4, 5))
    (stores.photos.path(orphan).parent / ".partial-x").write_bytes(b"cut short")
    age(stores.photos, kept.facts.sha256, replaced.facts.sha256, orphan)
    os.utime(stores.photos.path(orphan).parent / ".partial-x", (0, 0))
    before = disk_use(stores.photos)
    size = replaced.facts.size + stores.photos.path(orphan).stat().st_size + len(b"cut short")
    assert sweep(engine, stores.photos) == Swept(photos=1, orphans=2, bytes=size, young=1)
    assert disk_use(stores.photos).bytes == before.bytes - size
    assert {path.name for path, _, _ in stores.photos.files()} == {
        kept.facts.sha256, young.facts.sha256, fresh}
    with Session(engine) as session:
        assert set(session.scalars(select(Photo.sha256))) == {kept.facts.sha256, young.facts.sha256}
    assert {fault.kind for fault in faults(engine, stores.photos, stores.releases)} == {"orphan"}
    assert sweep(engine, stores.photos) == Swept(young=1)


def test_what_a_user_said_keeps_its_photo(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    photo = stored(stores.photos, 1)
    save(engine, at, found(), photo)
    with Session(engine) as session, session.begin():
        session.add(Feedback(sha256=photo.facts.sha256))
    save(engine, at, found())
    age(stores.photos, photo.facts.sha256)
    assert sweep(engine, stores.photos) == Swept() and disk_use(stores.photos).files == 1


def test_listings_long_gone_give_up_their_photos(stores: Stores) -> None:
    engine, at = stores.database, shop(stores.database)
    photos = [stored(stores.photos, seed) for seed in (1, 2)]
    ids = [save(engine, at, found(str(number)), photo).product_id for number, photo in enumerate(photos)]
    with Session(engine) as session, session.begin():
        for days, listing in zip((40, 10), session.scalars(select(Listing).order_by(Listing.id)), strict=True):
            listing.gone_at = now() - timedelta(days=days)
    for photo in photos:
        age(stores.photos, photo.facts.sha256)
    assert sweep(engine, stores.photos).photos == 0
    assert sweep(engine, stores.photos, gone_days=30).photos == 1
    with Session(engine) as session:
        assert [len(product_cards(session, [number])[number].photos) for number in ids] == [0, 1]
    back = save(engine, at, found("0"), stored(stores.photos, 1))
    assert {change.kind for change in back.changes} == {"returned", "photos"}


def test_the_store_has_a_budget(stores: Stores) -> None:
    assert not store_is_full(stores.photos, 1) and disk_use(stores.photos).bytes == 0
    size = stores.photos.put(encoded(picture(1))).size
    assert store_is_full(stores.photos, size) and not store_is_full(stores.photos, size + 1)
    assert not store_is_full(stores.photos, 0)
