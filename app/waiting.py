"""How many photos wait to be added to the live index, for the schedule to ask again and again."""

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import BadRelease, NotFound
from catalogue.tables import Product, ProductPhoto, now

log = logging.getLogger(__name__)
_PACE = 20  # times as long as a look took, before the next


class Waiting:
    """Counts by what the live index and its segments hold: that a photo has a gallery item says only that some index,
    live or not, was to hold it.

    Counting reads the whole catalogue and every segment. So it is done only when a cheap sign of both has changed, and
    while a crawl changes it all the time, at a pace that costs a twentieth of the time at most.
    """

    def __init__(self, stores: Stores, clock: Callable[[], datetime] = now) -> None:
        self.stores, self.clock = stores, clock
        self._parts: tuple[str, ...] = ()
        self._mark: tuple[object, ...] = ()
        self._next = clock()
        self._count = 0

    def count(self) -> int:
        """Photos of products that the live index lacks; 0 where none is live, or it cannot be read."""
        name = self.stores.releases.live_name("index")
        if name is None:
            return 0
        began, parts = self.clock(), (name, *self.stores.releases.segments(name))
        if parts == self._parts and began < self._next:
            return self._count
        mark = (parts, *self._catalogue_mark())  # first: what changes while it is counted is counted at the next look
        if mark != self._mark:
            self._count = self._lacking(name)
            self._parts, self._mark = parts, mark
        ended = self.clock()
        self._next = ended + _PACE * (ended - began)
        return self._count

    def _lacking(self, name: str) -> int:
        from index.add import lacking_photos
        try:
            return lacking_photos(self.stores.database, self.stores.releases, self.stores.releases.open(name))
        except (BadRelease, NotFound) as error:
            log.warning("which photos %s lacks cannot be told: %s", name, error)
            return 0

    def _catalogue_mark(self) -> tuple[object, ...]:
        """Changes when photos come or go, or show another product."""
        with Session(self.stores.readers) as session:
            photos = session.execute(select(func.count(), func.max(ProductPhoto.id),
                                            func.sum(ProductPhoto.product_id))).one()
            merged = session.execute(select(func.count(Product.merged_into_id),
                                            func.sum(Product.merged_into_id))).one()
        return *photos, *merged
