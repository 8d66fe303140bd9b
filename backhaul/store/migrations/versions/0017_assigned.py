"""Who has taken an exception."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exceptions", sa.Column("assigned_to", sa.Text, comment="Who has taken it; null for nobody."))
