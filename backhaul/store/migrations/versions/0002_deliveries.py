"""What a delivery is held by and since when it is owed; an RMA's stage in no warehouse's own words; the circuits before vendors."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The statuses that were stored up to now, as the two warehouses name them.
_STAGES = {
    "announced": ("open", "requested"),
    "receiving": ("in-receiving", "delivered"),
    "received": ("received", "processed"),
    "closed": ("closed",),
    "gone": ("deleted", "cancelled"),
}


def upgrade() -> None:
    with op.batch_alter_table("deliveries") as table:
        table.add_column(sa.Column("held_by", sa.Text(), nullable=True))
        table.add_column(sa.Column("owed_since", types.Time(), nullable=True))
    op.execute("UPDATE deliveries SET owed_since = created_at")
    with op.batch_alter_table("deliveries") as table:
        table.alter_column("owed_since", existing_type=types.Time(), nullable=False)
    op.add_column("rmas", sa.Column("rma_stage", sa.Text(), nullable=True))
    rmas = sa.table("rmas", sa.column("rma_status"), sa.column("rma_stage"))
    for stage, statuses in _STAGES.items():
        op.execute(rmas.update().where(rmas.c.rma_status.in_(statuses)).values(rma_stage=stage))
    op.create_table(
        "circuits",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", types.Time(), nullable=True),
        sa.Column("probe_at", types.Time(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "vendor", name=op.f("pk_circuits")),
    )
    # What earlier versions settled by a decision that bound at once: a process that was superseded while Loop was in review is open again.
    op.execute("UPDATE returns SET is_due = true WHERE loop_state IN ('open', 'review') AND NOT is_history")
