"""an index by which an import finds the photos that it brought before"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this change."""
    op.create_index(op.f("ix_product_photos_origin"), "product_photos", ["origin"])


def downgrade() -> None:
    """Undo this change."""
    op.drop_index(op.f("ix_product_photos_origin"), "product_photos")
