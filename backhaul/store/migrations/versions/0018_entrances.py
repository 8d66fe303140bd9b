"""Entrances of the receiver: when each was last open, and what was refused there."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entrances",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("merchant", "source")),
        sa.Column("open_at", types.Time(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        *(sa.Column(name, types.Time()) for name in ("refused_since", "refused_at")),
        sa.Column("refused_status", sa.Integer()),
        sa.PrimaryKeyConstraint("merchant", "source", name=op.f("pk_entrances")),
    )
