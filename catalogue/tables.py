"""The tables of the catalogue as SQLAlchemy classes: one class a noun of the house."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


def now() -> datetime:
    """The present moment, in UTC and aware of it."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime given to the catalogue; use catalogue.tables.now()")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Money(TypeDecorator[Decimal]):
    """An exact amount to two decimals, stored as an integer of hundredths: SQLite knows no decimals."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((value * 100).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


class Table(DeclarativeBase):
    """What all tables share: names for constraints (so migrations can drop them) and the types above."""

    metadata = MetaData(naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    })
    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON, list[Any]: JSON, Decimal: Money}


# What the address of a shop begins with that has no site: its listings come by `catalogue import`.
PUSHED = "push:"


class Shop(Table):
    """A site that is crawled, or a name under which listings are pushed."""

    __tablename__ = "shops"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    url: Mapped[str] = mapped_column(Text, unique=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paused: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Model(Table):
    """A shoe design; its colourways are products."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(300))
    brand: Mapped[str] = mapped_column(String(200), default="")
    name: Mapped[str] = mapped_column(String(300), default="")


class Product(Table):
    """One shoe in one colourway: the thing that is identified and the class of the classifier.

    `key` is the product's stable name across crawls, snapshots and releases: the first code it was found by
    (`style:brand:code`, `gtin:…`, or, where neither is known, `listing:…` or `import:…`). A product that was merged
    into another keeps its row, so that indexes built before still answer; `merged_into_id` says which one it is now.
    """

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(500), unique=True)
    brand: Mapped[str] = mapped_column(String(200), default="")
    name: Mapped[str] = mapped_column(String(500), default="")
    colour: Mapped[str] = mapped_column(String(200), default="")
    style_code: Mapped[str] = mapped_column(String(100), default="")
    gtin: Mapped[str] = mapped_column(String(20), default="")
    shoe_type: Mapped[str] = mapped_column(String(50), default="")
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"), index=True)
    merged_into_id: Mapped[int | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    model: Mapped[Model | None] = relationship()
    listings: Mapped[list["Listing"]] = relationship(back_populates="product")


class ProductCode(Table):
    """A code by which listings and imports find their product: `style:brand:code`, `gtin:…`, `listing:…`, `import:…`.

    A product has as many as its shops give it (each size may have a GTIN of its own). `decided` marks those that a
    person set by `catalogue merge` or `split`: they win over every rule.
    """

    __tablename__ = "product_codes"
    code: Mapped[str] = mapped_column(String(500), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    decided: Mapped[bool] = mapped_column(default=False)


class Listing(Table):
    """One product page of one shop. `content_hash` covers the extracted fields: it alone says whether it changed.

    `list_price` is the struck-out price, None where there is none. `missed` counts the complete crawls in a row that
    did not find it; enough of them set `gone_at`.
    """

    __tablename__ = "listings"
    __table_args__ = (UniqueConstraint("shop_id", "url"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    url: Mapped[str] = mapped_column(String(1000))
    title: Mapped[str] = mapped_column(Text, default="")
    price: Mapped[Decimal | None]
    list_price: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(String(3), default="")
    category: Mapped[str] = mapped_column(Text, default="")
    available: Mapped[bool | None]
    sizes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sources: Mapped[dict[str, Any]] = mapped_column(default=dict)
    content_hash: Mapped[str] = mapped_column(String(64), default="")
    first_seen: Mapped[datetime] = mapped_column(default=now)
    last_seen: Mapped[datetime] = mapped_column(default=now)
    last_changed: Mapped[datetime] = mapped_column(default=now)
    missed: Mapped[int] = mapped_column(default=0)
    gone_at: Mapped[datetime | None]
    shop: Mapped[Shop] = relationship()
    product: Mapped[Product] = relationship(back_populates="listings")


class Price(Table):
    """One change in the price or availability of a listing."""

    __tablename__ = "prices"
    id: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listings.id"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    price: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(String(3), default="")
    available: Mapped[bool | None]


class Photo(Table):
    """Image bytes in the photo store, named by their sha256 (hex). `dhash` finds near-duplicates within a product."""

    __tablename__ = "photos"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    format: Mapped[str] = mapped_column(String(10))
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    dhash: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(default=now)


class ProductPhoto(Table):
    """Why a photo shows a product. `reason` is `listing`, `import` or `feedback`; `origin` says which one.

    The listing–photo link is the row whose `listing_id` is set; a photo that two listings show has two rows, so that
    removing one shop leaves the other's reason standing. `validator` is the ETag or Last-Modified that came with the
    bytes from `source_url`, `checked_at` when they were last asked for.
    """

    __tablename__ = "product_photos"
    __table_args__ = (UniqueConstraint("product_id", "sha256", "origin"), Index(None, "sha256"),
                      Index(None, "origin"))
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    sha256: Mapped[str] = mapped_column(ForeignKey("photos.sha256"))
    reason: Mapped[str] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(200))
    listing_id: Mapped[int | None] = mapped_column(ForeignKey("listings.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    source_url: Mapped[str] = mapped_column(Text, default="")
    validator: Mapped[str] = mapped_column(String(300), default="")
    checked_at: Mapped[datetime | None]


class GalleryItem(Table):
    """One vector's identity: a photo (or a box in it) for one product. Its id is the FAISS id, never reused.

    `removed_at` is set when the photo no longer shows the product: searches leave the item out from then on, whatever
    index still holds its vector. It is cleared when the photo comes back.
    """

    __tablename__ = "gallery_items"
    __table_args__ = (UniqueConstraint("product_id", "sha256", "box"), {"sqlite_autoincrement": True})
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    sha256: Mapped[str] = mapped_column(ForeignKey("photos.sha256"))
    box: Mapped[str] = mapped_column(String(60), default="")
    removed_at: Mapped[datetime | None] = mapped_column(index=True)


class PhotoSplit(Table):
    """The side a photo was put on when a snapshot first held it; later snapshots keep it there."""

    __tablename__ = "photo_splits"
    sha256: Mapped[str] = mapped_column(ForeignKey("photos.sha256"), primary_key=True)
    split: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=now)


class CrawlRun(Table):
    """One crawl of one shop: its counters by outcome and how it ended (`running`, `done`, `partial`, `failed`).

    `stopped` says why it stopped before its frontier was empty. `holder` is the process that works on it and `beat_at`
    its latest sign of life. A run without `finished_at` has addresses left to visit: the next crawl goes on with it.
    """

    __tablename__ = "crawl_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"), index=True)
    state: Mapped[str] = mapped_column(String(10), default="running")
    counters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    stopped: Mapped[str] = mapped_column(Text, default="")
    holder: Mapped[str] = mapped_column(String(100), default="")
    started_at: Mapped[datetime] = mapped_column(default=now)
    beat_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]


class CrawlEvent(Table):
    """One thing a crawl changed or could not do, for its report.

    `kind` is `new`, `price`, `sold_out`, `back_in_stock`, `photos`, `changed`, `gone`, `returned` or `failed`; `detail`
    one line that says what (`129000 KRW → 99000 KRW`).
    """

    __tablename__ = "crawl_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("crawl_runs.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    url: Mapped[str] = mapped_column(String(1000))
    title: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[str] = mapped_column(Text, default="")


class FetchState(Table):
    """One address of one shop's frontier and what the last fetch of it gave.

    `depth` counts the links from where the crawl began. `told` holds what an adapter or a sitemap said of the address's
    product, until it is visited.
    """

    __tablename__ = "fetch_states"
    __table_args__ = (UniqueConstraint("shop_id", "url"), Index(None, "run_id", "state"))
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("crawl_runs.id"))
    url: Mapped[str] = mapped_column(String(1000))
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10), default="pending")
    status: Mapped[int | None]
    error: Mapped[str] = mapped_column(Text, default="")
    depth: Mapped[int] = mapped_column(default=0)
    told: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    etag: Mapped[str] = mapped_column(String(300), default="")
    fetched_at: Mapped[datetime | None]


class Feedback(Table):
    """What a user said of an answer: which product the photo really shows, or that it shows none of ours."""

    __tablename__ = "feedback"
    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("photos.sha256"), index=True)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("products.id"))
    answered_product_id: Mapped[int | None] = mapped_column(ForeignKey("products.id"))
    release: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)


class Release(Table):
    """A directory written once. `name` is `<kind>-<digest>`; `manifest` is a copy of the one in the directory."""

    __tablename__ = "releases"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Live(Table):
    """What is live in one slot, and what was before it: rolling back swaps the two."""

    __tablename__ = "live"
    slot: Mapped[str] = mapped_column(String(60), primary_key=True)
    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"))
    former_id: Mapped[int | None] = mapped_column(ForeignKey("releases.id"))
    changed_at: Mapped[datetime] = mapped_column(default=now)
    release: Mapped[Release] = relationship(foreign_keys=[release_id])
    former: Mapped[Release | None] = relationship(foreign_keys=[former_id])


class Segment(Table):
    """A small index release that adds new gallery items to a full one, until the next build holds them itself."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("index_id", "release_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    index_id: Mapped[int] = mapped_column(ForeignKey("releases.id"))
    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Job(Table):
    """What the schedule last did under a name (`retrain`, `index add`), so that a restart knows what is due."""

    __tablename__ = "jobs"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(Text, default="")
