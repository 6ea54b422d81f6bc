"""product codes, crawl events, sale prices, removed gallery items, index segments and the schedule's jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
# Columns that the version still running does not know get a server default, so that its rows still go in.
COLUMNS: dict[str, list[sa.Column]] = {
    "products": [sa.Column("merged_into_id", sa.Integer(), nullable=True)],
    "listings": [sa.Column("list_price", sa.BigInteger(), nullable=True),
                 sa.Column("category", sa.Text(), nullable=False, server_default="")],
    "product_photos": [sa.Column("validator", sa.String(length=300), nullable=False, server_default=""),
                       sa.Column("checked_at", MOMENT, nullable=True)],
    "gallery_items": [sa.Column("removed_at", MOMENT, nullable=True)],
    "crawl_runs": [sa.Column("stopped", sa.Text(), nullable=False, server_default="")],
    "fetch_states": [sa.Column("depth", sa.Integer(), nullable=False, server_default="0"),
                     sa.Column("told", sa.JSON(), nullable=True)],
}


def upgrade() -> None:
    """Apply this change."""
    op.create_table(
        "product_codes",
        sa.Column("code", sa.String(length=500), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("decided", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_product_codes_product_id")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_product_codes")),
    )
    op.create_index(op.f("ix_product_codes_product_id"), "product_codes", ["product_id"])
    op.execute("INSERT INTO product_codes (code, product_id, decided) SELECT key, id, false FROM products")
    op.create_table(
        "crawl_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["crawl_runs.id"], name=op.f("fk_crawl_events_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawl_events")),
    )
    op.create_index(op.f("ix_crawl_events_run_id"), "crawl_events", ["run_id"])
    op.create_table(
        "segments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("index_id", sa.Integer(), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["index_id"], ["releases.id"], name=op.f("fk_segments_index_id")),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_segments_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("index_id", "release_id", name=op.f("uq_segments_index_id_release_id")),
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs")),
    )
    for table, columns in COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index(op.f("ix_products_merged_into_id"), "products", ["merged_into_id"])
    op.create_index(op.f("ix_gallery_items_removed_at"), "gallery_items", ["removed_at"])
    shops = sa.table("shops", sa.column("id", sa.Integer), sa.column("settings", sa.JSON))
    for number, settings in op.get_bind().execute(sa.select(shops)).all():
        told = {name: value for name, value in settings.items() if name not in ("kind", "sitemaps")}
        if "kind" in settings:
            told.update(adapter=settings["kind"], start=settings.get("sitemaps", []))
        op.get_bind().execute(shops.update().where(shops.c.id == number).values(settings=told))


def downgrade() -> None:
    """Undo this change."""
    op.drop_index(op.f("ix_gallery_items_removed_at"), "gallery_items")
    op.drop_index(op.f("ix_products_merged_into_id"), "products")
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
    op.drop_table("jobs")
    op.drop_table("segments")
    op.drop_index(op.f("ix_crawl_events_run_id"), "crawl_events")
    op.drop_table("crawl_events")
    op.drop_index(op.f("ix_product_codes_product_id"), "product_codes")
    op.drop_table("product_codes")
