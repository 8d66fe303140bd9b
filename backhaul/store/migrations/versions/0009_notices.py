"""Who has been told of what."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("since", types.Time(), nullable=False),
        sa.Column("told_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("target", "merchant", "kind", "subject", name=op.f("pk_notices")),
    )
