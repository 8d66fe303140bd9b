"""Polls and scans by themselves; indexes for the looks that are taken often, so that none grows with what is handled."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PARTIAL = (
    ("ix_returns_live", "returns", ["merchant", "warehouse"], "(loop_state in ('open', 'review') and not is_history)"),
    ("ix_events_waiting", "events", ["merchant", "event_id"], "handled_at is null"),
    (
        "ix_deliveries_owed",
        "deliveries",
        ["merchant", "kind", "state"],
        "(state in ('pending', 'sending', 'refused', 'failed', 'dead') "
        "or (state = 'accepted' and kind in ('rma.create', 'loop.flag', 'loop.process')))",
    ),
    ("ix_deliveries_sending", "deliveries", ["merchant", "lease_expires_at"], "state = 'sending'"),
    ("ix_runs_running", "runs", ["merchant"], "state = 'running'"),
    ("ix_quarantine_held", "quarantine", ["merchant", "source", "record_key"], "released_at is null"),
    ("ix_exceptions_open", "exceptions", ["merchant", "kind"], "resolved_at is null"),
)


def upgrade() -> None:
    op.create_table(
        "polls",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("polled_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "warehouse", "return_id", name=op.f("pk_polls")),
    )
    op.create_index("ix_polls_polled", "polls", ["merchant", "warehouse", "polled_at"])
    op.create_table(
        "scans",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "warehouse", name=op.f("pk_scans")),
    )
    op.execute(
        "INSERT INTO polls (merchant, warehouse, return_id, polled_at) SELECT merchant, warehouse, return_id, max(polled_at) "
        "FROM rmas WHERE polled_at IS NOT NULL AND return_id IS NOT NULL GROUP BY merchant, warehouse, return_id"
    )
    op.execute("ALTER TABLE rmas DROP COLUMN polled_at")  # in place on both: a copy of the table is not needed
    op.drop_index("ix_events_waiting", table_name="events")
    for name, table, columns, words in _PARTIAL:
        op.create_index(name, table, columns, postgresql_where=sa.text(words), sqlite_where=sa.text(words))
