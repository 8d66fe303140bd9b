"""Whose turn it is in a round that several workers share: on PostgreSQL alone, apart from the data."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "turns",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_expires_at", types.Time()),
        sa.Column("done_at", types.Time()),
        sa.PrimaryKeyConstraint("merchant", "flow", name=op.f("pk_turns")),
        schema="backhaul_live",
        prefixes=["UNLOGGED"],
    )
