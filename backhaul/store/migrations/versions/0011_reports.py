"""When a return came where it stands; a snapshot a day; targets and business days; the index that finds each source's last news."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIMES = ("announced_at", "label_at", "delivered_at", "received_at", "told_at", "confirmed_at")
_STAGES = (
    *("history", "unannounced", "announced", "receiving", "held"),
    *("decided", "processed", "flagged", "ended", "exception"),
)


def upgrade() -> None:
    op.drop_table("whereabouts")  # it says nothing of its own, and is made anew from the facts (`env.py`)
    op.create_table(
        "whereabouts",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("value_at_risk", types.Money(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("delivery_state", "rma_id", "rma_status")),
        *(sa.Column(name, types.Time(), nullable=True) for name in _TIMES),
        sa.PrimaryKeyConstraint("merchant", "return_id", name=op.f("pk_whereabouts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_whereabouts_stage", "whereabouts", ["merchant", "stage"])
    op.create_table(
        "daily_history",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("merchant", "warehouse", "currency", "day")),
        *(sa.Column(f"{stage}_returns", sa.Integer(), nullable=False) for stage in _STAGES),
        sa.Column("value_at_risk", types.Money(), nullable=True),
        sa.Column("open_exceptions", sa.Integer(), nullable=False),
        sa.Column("is_backfilled", sa.Boolean(), nullable=False),
        sa.Column("taken_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "warehouse", "currency", "day", name=op.f("pk_daily_history")),
    )
    op.create_table(
        "service_targets",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("within_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "step", name=op.f("pk_service_targets")),
    )
    op.create_table(
        "business_days",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "day", name=op.f("pk_business_days")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_business_days_number", "business_days", ["merchant", "number", "day"])
    op.create_index("ix_events_news", "events", ["merchant", "source", "channel", "received_at"])
