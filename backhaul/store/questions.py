"""Questions that are asked again and again, each with the SQL that answers it; shown on `/data` and kept to the public views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

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
        "SELECT merchant, stage, currency, count(*) AS returns, round(sum(value_at_risk), 2) AS at_risk\n"
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
        "SELECT merchant, kind, currency, sum(units) AS units, round(sum(value), 2) AS value\n"
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
    Question(
        "waits-for",
        "What do the returns that are not over wait for?",
        "SELECT merchant, waits_for, count(*) AS returns, max(age_days) AS oldest_days\n"
        "FROM recon_open GROUP BY merchant, waits_for ORDER BY merchant, returns DESC",
    ),
    Question(
        "parcels",
        "Which announced parcels have not come for the longest time?",
        "SELECT merchant, order_name, return_id, tracking_number, created_at, age_days, return_total, currency\n"
        "FROM recon_open WHERE waits_for = 'parcel' ORDER BY created_at",
    ),
    Question(
        "inspection",
        "Which returns wait for the warehouse to inspect them, and since when?",
        "SELECT merchant, warehouse, order_name, return_id, pending_units, received_at, return_total, currency\n"
        "FROM recon_open WHERE waits_for = 'inspection' ORDER BY received_at",
    ),
    Question(
        "daily",
        "How many returns are started a day, and how many of them are processed and flagged?",
        "SELECT day, merchant, currency, sum(returns) AS returns, sum(processed_returns) AS processed, sum(flagged_returns) AS flagged,\n"
        "       sum(open_returns) AS open\n"
        "FROM recon_daily GROUP BY day, merchant, currency ORDER BY day DESC, merchant",
    ),
    Question(
        "at-risk-by-day",
        "How do value at risk and open exceptions move from day to day?",
        "SELECT day, merchant, currency, round(sum(value_at_risk), 2) AS at_risk, sum(open_exceptions) AS open_exceptions\n"
        "FROM recon_daily_history GROUP BY day, merchant, currency ORDER BY day DESC, merchant",
    ),
    Question(
        "time-to-refund",
        "How long does it take from the customer's start until Loop is done: the median, and the slowest tenth?",
        "SELECT merchant, month, sum(returns) AS returns, max(p50_hours) AS p50_hours, max(p90_hours) AS p90_hours\n"
        "FROM recon_monthly WHERE step = 'all' GROUP BY merchant, month ORDER BY month DESC, merchant",
    ),
    Question(
        "slowest-step",
        "Which step takes the longest?",
        "SELECT merchant, warehouse, month, step, returns, p50_hours, p90_hours\n"
        "FROM recon_monthly WHERE step <> 'all' ORDER BY month DESC, p90_hours DESC",
    ),
    Question(
        "late",
        "Which returns are later than their target, or will be?",
        "SELECT merchant, order_name, return_id, step, started_at, taken_days, within_days, due_on, status\n"
        "FROM recon_service_levels WHERE done_at IS NULL AND status IN ('late', 'due_soon') ORDER BY due_on, merchant",
    ),
    Question(
        "targets",
        "How often is each target met?",
        "SELECT merchant, warehouse, step, count(*) AS returns, sum(CASE WHEN status = 'met' THEN 1 ELSE 0 END) AS met,\n"
        "       sum(CASE WHEN status = 'late' THEN 1 ELSE 0 END) AS late\n"
        "FROM recon_service_levels GROUP BY merchant, warehouse, step ORDER BY merchant, warehouse, step",
    ),
    Question(
        "warehouses",
        "How do the warehouses compare, in units that came well, damaged, short, and corrected after the fact?",
        "SELECT warehouse, currency, sum(units) AS units, sum(available_units) AS available, sum(damaged_units) AS damaged,\n"
        "       sum(short_units) AS short, sum(corrected_units) AS corrected, round(sum(damaged_value + short_value), 2) AS cost\n"
        "FROM recon_scorecards GROUP BY warehouse, currency ORDER BY warehouse, currency",
    ),
    Question(
        "whose-units",
        "What came that nobody expected, and whose may it be?",
        "SELECT merchant, rma_key, kind, sku, condition, units, found_at, candidate_return_id, candidate_order_name, score\n"
        "FROM recon_candidates WHERE place = 1 ORDER BY found_at DESC",
    ),
    Question(
        "freshness",
        "Does the news of every source still come?",
        "SELECT merchant, source, channel, last_news_at, checked_at, round(CAST(lag_hours AS numeric), 1) AS lag_hours\n"
        "FROM recon_freshness ORDER BY merchant, source, channel",
    ),
)


def answer(connection: sa.Connection, question: Question) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of a question's answer, and its first rows."""
    result = connection.execute(sa.text(question.sql))
    return list(result.keys()), [dict(row) for row in result.mappings().fetchmany(MOST)]
