"""Units that a person has confirmed to belong to another return than the one they came for."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ties",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("merchant", "rma_key", "sku", "return_id")),
        sa.Column("tied_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "rma_key", "sku", name=op.f("pk_ties")),
    )
    op.create_index("ix_ties_return", "ties", ["merchant", "return_id"])
