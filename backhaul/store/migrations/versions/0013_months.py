"""How long steps took, by month, kept; all months are worked out by the next reconcile."""

import sqlalchemy as sa
from alembic import op

from backhaul.store import types

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


_ALL_OF_SQLITE = """
INSERT INTO stale_months (merchant, month) SELECT DISTINCT merchant, substr(created_at, 1, 7) FROM returns WHERE created_at IS NOT NULL
"""
_ALL_OF_POSTGRESQL = """
INSERT INTO stale_months (merchant, month)
SELECT DISTINCT merchant, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') FROM returns WHERE created_at IS NOT NULL
"""


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "monthly_times",
        *map(_text, ("merchant", "warehouse", "month", "step")),
        sa.Column("returns", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("mean_hours", "p50_hours", "p90_hours", "p99_hours")),
        sa.PrimaryKeyConstraint("merchant", "warehouse", "month", "step", name=op.f("pk_monthly_times")),
    )
    op.create_table(
        "kept_months",
        *map(_text, ("merchant", "month")),
        sa.Column("kept_at", types.Time(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "month", name=op.f("pk_kept_months")),
    )
    op.create_table(
        "stale_months",
        *map(_text, ("merchant", "month")),
        sa.PrimaryKeyConstraint("merchant", "month", name=op.f("pk_stale_months")),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(_ALL_OF_POSTGRESQL if is_postgresql else _ALL_OF_SQLITE)
