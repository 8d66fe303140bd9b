"""Indexes by which returns of any merchant are listed by their stage, and by what of them is at risk."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_whereabouts_by_stage", "whereabouts", ["stage", "merchant", "return_id"])
    op.create_index("ix_whereabouts_at_risk", "whereabouts", ["value_at_risk", "merchant", "return_id"])
