"""Where each return stands, as a row. It is filled once the schema is the newest (`env.py`), by the rule that keeps it from then on."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "whereabouts",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("value_at_risk", types.Money(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "return_id", name=op.f("pk_whereabouts")),
    )
    op.create_index("ix_whereabouts_stage", "whereabouts", ["merchant", "stage"])
    op.create_index("ix_returns_updated", "returns", ["merchant", "updated_at"])
