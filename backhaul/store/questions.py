"""Questions that are asked again and again, each with the SQL that answers it; shown on `/data` and kept to the public views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from backhaul.store.views import VIEWS

MOST = 200  # rows that an answer shows


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its SQL, the same for both databases."""

    name: str
    asked: str
    sql: str


QUESTIONS = (
    Question(
        "standing",
        "Where does everything stand, and how much is at risk?",
        "SELECT merchant, stage, currency, count(*) AS returns, sum(value_at_risk) AS at_risk\n"
        "FROM recon_returns GROUP BY merchant, stage, currency ORDER BY merchant, stage, currency",
    ),
    Question(
        "paid-not-received",
        "Where has money gone out and the goods not come in?",
        "SELECT merchant, order_name, return_id, units, value, currency, updated_at\nFROM processed_not_received ORDER BY value DESC",
    ),
    Question(
        "received-not-paid",
        "Where have the goods come in and the money not gone out?",
        "SELECT merchant, order_name, return_id, units, value, currency, received_at\nFROM received_not_processed ORDER BY received_at",
    ),
    Question(
        "discrepancies",
        "What did the warehouse find wrong, in units and money?",
        "SELECT merchant, kind, currency, sum(units) AS units, sum(value) AS value\n"
        "FROM recon_discrepancies GROUP BY merchant, kind, currency ORDER BY merchant, kind",
    ),
    Question(
        "skus",
        "Which SKUs come back damaged or missing most often?",
        "SELECT sku, sum(CASE WHEN kind = 'damaged' THEN units ELSE 0 END) AS damaged,\n"
        "       sum(CASE WHEN kind = 'missing' THEN units ELSE 0 END) AS missing, sum(units) AS units\n"
        "FROM recon_discrepancies WHERE sku IS NOT NULL GROUP BY sku ORDER BY units DESC, sku",
    ),
    Question(
        "reasons",
        "Which reasons do customers give, and what does the warehouse find?",
        "SELECT return_reason, count(*) AS lines, sum(CASE WHEN condition = 'available' THEN 1 ELSE 0 END) AS available,\n"
        "       sum(CASE WHEN condition = 'damaged' THEN 1 ELSE 0 END) AS damaged\n"
        "FROM recon_lines WHERE line_item_id IS NOT NULL GROUP BY return_reason ORDER BY lines DESC",
    ),
    Question(
        "unmapped",
        "Which reasons go to the warehouse as 'other', for want of a code?",
        "SELECT merchant, return_reason, lines, returns, last_seen_at\nFROM recon_unmapped_reasons ORDER BY lines DESC",
    ),
    Question(
        "needs-a-person",
        "What needs a person, and for how long?",
        "SELECT merchant, kind, count(*) AS open, max(age_days) AS oldest_days\n"
        "FROM recon_exceptions GROUP BY merchant, kind ORDER BY open DESC",
    ),
)


def answer(connection: sa.Connection, question: Question) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of a question's answer, and its first rows."""
    result = connection.execute(sa.text(question.sql))
    return list(result.keys()), [dict(row) for row in result.mappings().fetchmany(MOST)]


def columns_of_views(connection: sa.Connection) -> dict[str, list[str]]:
    """The columns of every public view, in their order."""
    look = sa.inspect(connection)
    return {view: [column["name"] for column in look.get_columns(view)] for view in VIEWS}
