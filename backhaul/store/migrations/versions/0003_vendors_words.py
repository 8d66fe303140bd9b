"""What Loop tells of outcomes, the hash of a return's facts, what came of an event, and reasons as they are compared."""

import sqlalchemy as sa
from alembic import op

from backhaul.domain.reasons import folded
from backhaul.store import types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIMES = ("return_processed_at", "refund_processed_at", "gift_card_processed_at", "exchange_processed_at", "shop_cash_processed_at")
_FOLLOWED = sa.text("(kind = 'loop.process' and state = 'confirmed' and outcomes_at is null)")
_UNKNOWN = sa.text("outcome = 'unknown_return'")


def upgrade() -> None:
    op.add_column("returns", sa.Column("is_finished", sa.Boolean()))
    for name in _TIMES:
        op.add_column("returns", sa.Column(name, types.Time()))
    op.add_column("returns", sa.Column("exchange_units", sa.Integer()))
    op.add_column("returns", sa.Column("out_of_stock_units", sa.Integer()))
    op.add_column("returns", sa.Column("facts_hash", sa.Text()))
    op.add_column("return_lines", sa.Column("reason_key", sa.Text()))
    op.add_column("events", sa.Column("outcome", sa.Text()))
    op.add_column("deliveries", sa.Column("outcomes_at", types.Time()))
    op.add_column("deliveries", sa.Column("outcomes_asked_at", types.Time()))
    op.create_index("ix_events_unknown", "events", ["merchant", "event_id"], postgresql_where=_UNKNOWN, sqlite_where=_UNKNOWN)
    _fold_reasons()
    # What was confirmed before is not followed: nothing is stored that could say what became of it.
    op.execute("UPDATE deliveries SET outcomes_at = confirmed_at WHERE kind = 'loop.process' AND state = 'confirmed'")
    op.create_index(
        "ix_deliveries_followed", "deliveries", ["merchant", "confirmed_at"], postgresql_where=_FOLLOWED, sqlite_where=_FOLLOWED
    )


def _fold_reasons() -> None:
    """One pass over the lines, whatever the number of reasons."""
    lines = sa.table("return_lines", sa.column("return_reason", sa.Text), sa.column("reason_key", sa.Text))
    keys = sa.table("reason_keys", sa.column("reason", sa.Text), sa.column("reason_key", sa.Text))
    connection = op.get_bind()
    reasons = connection.execute(sa.select(lines.c.return_reason).where(lines.c.return_reason.is_not(None)).distinct()).scalars().all()
    if not reasons:
        return
    op.execute("CREATE TEMPORARY TABLE reason_keys (reason TEXT PRIMARY KEY, reason_key TEXT)")
    connection.execute(sa.insert(keys), [{"reason": reason, "reason_key": folded(reason)} for reason in reasons])
    key = sa.select(keys.c.reason_key).where(keys.c.reason == lines.c.return_reason).scalar_subquery()
    connection.execute(sa.update(lines).values(reason_key=key))
    op.execute("DROP TABLE reason_keys")
