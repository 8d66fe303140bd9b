"""A hand on the brake: pauses, what guards hold and count, and what people did."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_PARTIAL = (
    ("ix_deliveries_held_back", ["merchant", "held_by"], "(held_by is not null and state = 'pending')"),
    (
        "ix_deliveries_begun",
        ["merchant", "kind", "last_attempt_at"],
        "(kind in ('rma.close', 'loop.flag', 'loop.process') and last_attempt_at is not null)",
    ),
    ("ix_deliveries_shadow", ["merchant", "delivery_id"], "state = 'shadow'"),
)


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("released_at", types.Time()))
    for name, columns, words in _PARTIAL:
        op.create_index(name, "deliveries", columns, postgresql_where=sa.text(words), sqlite_where=sa.text(words))
    op.create_table(
        "pauses",
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("paused_at", types.Time(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "vendor", name=op.f("pk_pauses")),
    )
    op.create_table(
        "operator_actions",
        sa.Column("action_id", types.Id, nullable=False),
        sa.Column("merchant", sa.Text(), nullable=False),
        sa.Column("acted_at", types.Time(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("why", sa.Text()),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_operator_actions")),
    )
    op.create_index("ix_operator_actions_return", "operator_actions", ["merchant", "return_id"])
    op.create_index("ix_operator_actions_acted", "operator_actions", ["merchant", "acted_at"])
