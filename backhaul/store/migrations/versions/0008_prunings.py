"""The proof of what was let go."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prunings",
        sa.Column("pruning_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("up_to", types.Time(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("pruned_at", types.Time(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pruning_id", name=op.f("pk_prunings")),
    )
    op.create_index("ix_prunings_merchant", "prunings", ["merchant", "pruned_at"])
