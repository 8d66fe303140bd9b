"""Who judged: until now Great Expectations alone."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE check_results ADD COLUMN engine TEXT NOT NULL DEFAULT 'great_expectations'")
