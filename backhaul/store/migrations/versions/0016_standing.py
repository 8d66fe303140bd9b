"""What the desk counts is counted along an index: where returns stand, with their currency beside them, and what was decided on them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("whereabouts", sa.Column("currency", sa.Text, comment="Of the return's money."))
    op.execute(
        "UPDATE whereabouts SET currency = (SELECT r.currency FROM returns r "
        "WHERE r.merchant = whereabouts.merchant AND r.return_id = whereabouts.return_id)"
    )
    op.drop_index("ix_whereabouts_stage", "whereabouts")
    op.create_index("ix_whereabouts_standing", "whereabouts", ["merchant", "stage", "currency", "value_at_risk"])
    op.drop_index("ix_decisions_held", "decisions")  # the next one finds what is on hold as well
    is_current = sa.text("is_current")
    names = ["decision", "merchant", "return_id"]
    op.create_index("ix_decisions_decision", "decisions", names, postgresql_where=is_current, sqlite_where=is_current)
