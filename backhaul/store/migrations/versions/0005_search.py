"""Indexes by which anything that has a name is found, and by which returns are listed by the day they were started."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _bare(column: str) -> str:
    bare = f"upper(replace(replace({column}, ' ', ''), '-', ''))"
    return f"case when {bare} like '420%' and length({bare}) in (30, 34) then substr({bare}, length({bare}) - 21) else {bare} end"


_FORMS = (
    ("ix_returns_find", "returns", "return_id"),
    ("ix_returns_find_order", "returns", "upper(ltrim(order_name, '#'))"),
    ("ix_returns_find_tracking", "returns", _bare("tracking_number")),
    ("ix_return_lines_find_sku", "return_lines", "upper(sku)"),
    ("ix_rmas_find", "rmas", "upper(rma_id)"),
    ("ix_rmas_find_package", "rmas", _bare("package_id")),
    ("ix_quarantine_find", "quarantine", "upper(record_key)"),
    ("ix_quarantine_find_order", "quarantine", "upper(ltrim(order_name, '#'))"),
)


def upgrade() -> None:
    operators = "text_pattern_ops" if op.get_bind().dialect.name == "postgresql" else ""
    for name, table, form in _FORMS:
        op.execute(sa.text(f"CREATE INDEX {name} ON {table} (({form}) {operators})"))
    op.create_index("ix_returns_created", "returns", ["created_at", "merchant", "return_id"])
    op.create_index("ix_returns_merchant_created", "returns", ["merchant", "created_at", "return_id"])
