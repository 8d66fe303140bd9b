"""placeholder until the tables settle"""

from alembic import op

from backhaul.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
