"""The store's tables. What the vendors told us takes its columns from `domain/schema.py`; the rest is declared here.

Every table has `merchant` in its key or beside its number. Everything but `runs` stays as it is when a sync finds no news.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, UniqueConstraint

from backhaul.domain import schema
from backhaul.domain.schema import Frame, Kind
from backhaul.domain.whereabouts import Stage
from backhaul.store import indexed
from backhaul.store.types import Id, Json, Money, Time

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


_TYPES: dict[Kind, type[sa.types.TypeEngine[Any]]] = {
    Kind.TEXT: Text,
    Kind.MONEY: Money,
    Kind.TIME: Time,
    Kind.FLAG: Boolean,
    Kind.COUNT: Integer,
}


def _merchant() -> Column[str]:
    return Column("merchant", Text, primary_key=True)


def _from_frame(frame: Frame, only: tuple[str, ...] | None = None) -> Iterator[Column[Any]]:
    for field in frame.fields:
        if only is None or field.name in only or field.name in frame.key:
            in_key = field.name in frame.key
            yield Column(field.name, _TYPES[field.kind](), primary_key=in_key, nullable=not field.required, comment=field.doc)


returns = Table(
    "returns",
    metadata,
    _merchant(),
    *_from_frame(schema.RETURNS),
    Column("warehouse", Text, nullable=False, comment="The warehouse that the return's destination stands for."),
    Column("content_hash", Text, nullable=False, comment="Changes when any normalised value of the return or its lines does."),
    Column("facts_hash", Text, comment="Changes when the return itself does: its state, parcel, payment or units, not its form."),
    Column("version_no", Integer, nullable=False, comment="How many versions were seen, from 1."),
    Column("is_history", Boolean, nullable=False, comment="Seen only by a backfill that was not told to act."),
    Column("is_due", Boolean, nullable=False, comment="Has news that no decision has taken in yet."),
    Column("archived_at", Time, comment="Set aside by an operator, so that open work stands out."),
    Column("first_state", Text, nullable=False, comment="The Loop state in which it was first seen, not counting a backfill's sight."),
    Column("first_seen_at", Time, nullable=False),
    Column("loaded_at", Time, nullable=False, comment="When the newest version was loaded."),
    Column("run_id", Text, nullable=False),
    Index("ix_returns_due", "merchant", "return_id", **indexed.IS_DUE.index()),
    Index("ix_returns_order", "merchant", "order_name"),
    Index("ix_returns_live", "merchant", "warehouse", **indexed.IS_LIVE.index()),
    Index("ix_returns_created", "created_at", "merchant", "return_id"),
    Index("ix_returns_merchant_created", "merchant", "created_at", "return_id"),
    indexed.BY_RETURN.index(),
    indexed.BY_ORDER.index(),
    indexed.BY_TRACKING.index(),
    Index("ix_returns_updated", "merchant", "updated_at"),
)

return_lines = Table("return_lines", metadata, _merchant(), *_from_frame(schema.RETURN_LINES), indexed.BY_SKU.index())

return_versions = Table(
    "return_versions",
    metadata,
    _merchant(),
    Column("return_id", Text, primary_key=True),
    Column("version_no", Integer, primary_key=True),
    Column("source", Text, nullable=False, comment="list, details or webhook."),
    Column("updated_at", Time, comment="Loop's time of this version; null in a webhook."),
    Column("body", Text, nullable=False, comment="The record as Loop sent it, without personal data."),
    Column("seen_at", Time, nullable=False),
    Column("run_id", Text, nullable=False),
)

_RMA_FIELDS = (
    *("return_id", "rma_id", "rma_status", "rma_stage", "is_terminal"),
    *("package_id", "return_type", "manifest_id", "version", "as_of"),
)
_RECEIPT_FIELDS = ("return_id", "event_status", "as_of", "delivered_at", "received_at", "closed_at")

whereabouts = Table(
    "whereabouts",
    metadata,
    _merchant(),
    Column("return_id", Text, primary_key=True),
    Column("stage", Text, nullable=False, comment="How far the return has come (recon_returns)."),
    Column("waits_for", Text, comment="What it waits for; null when it waits for nothing."),
    Column("value_at_risk", Money, nullable=False, comment="In the return's currency."),
    Column("delivery_state", Text, comment="How far the call to Loop has come that its decision owes."),
    Column("rma_id", Text, comment="The warehouse's own id of the RMA."),
    Column("rma_status", Text, comment="The warehouse's status of the RMA."),
    Column("announced_at", Time, comment="When the warehouse accepted the RMA."),
    Column("label_at", Time, comment="When the RMA was first to be updated, with the parcel's label."),
    Column("delivered_at", Time, comment="When the parcel reached the dock."),
    Column("received_at", Time, comment="When the warehouse finished receiving."),
    Column("told_at", Time, comment="When Loop accepted the process or the flag."),
    Column("confirmed_at", Time, comment="When Loop showed the process done."),
    Column("currency", Text, comment="Of the return's money."),
    Index("ix_whereabouts_standing", "merchant", "stage", "currency", "value_at_risk"),
    Index("ix_whereabouts_by_stage", "stage", "merchant", "return_id"),
    Index("ix_whereabouts_at_risk", "value_at_risk", "merchant", "return_id"),
    sqlite_with_rowid=False,
)

daily_history = Table(
    "daily_history",
    metadata,
    _merchant(),
    Column("warehouse", Text, primary_key=True),
    Column("currency", Text, primary_key=True, comment="Empty for returns without one."),
    Column("day", Text, primary_key=True, comment="YYYY-MM-DD, UTC."),
    *(Column(f"{stage.value}_returns", Integer, nullable=False) for stage in Stage),
    Column("value_at_risk", Money, comment="Null for a day that was worked out afterwards."),
    Column("open_exceptions", Integer, nullable=False),
    Column("is_backfilled", Boolean, nullable=False, comment="Worked out afterwards, from decisions."),
    Column("taken_at", Time, nullable=False),
)

service_targets = Table(
    "service_targets",
    metadata,
    _merchant(),
    Column("step", Text, primary_key=True, comment="announce, inspect, decide or refund."),
    Column("within_days", Integer, nullable=False, comment="Business days."),
)

monthly_times = Table(
    "monthly_times",
    metadata,
    _merchant(),
    Column("warehouse", Text, primary_key=True),
    Column("month", Text, primary_key=True, comment="YYYY-MM in which the returns were started, UTC."),
    Column("step", Text, primary_key=True),
    Column("returns", Integer, nullable=False),
    *(Column(name, sa.Float, nullable=False) for name in ("mean_hours", "p50_hours", "p90_hours", "p99_hours")),
)

kept_months = Table(
    "kept_months",
    metadata,
    _merchant(),
    Column("month", Text, primary_key=True),
    Column("kept_at", Time, nullable=False, comment="When the month was worked out last."),
)

stale_months = Table(
    "stale_months",
    metadata,
    _merchant(),
    Column("month", Text, primary_key=True, comment="A month of whose returns something has changed since it was worked out."),
)

business_days = Table(
    "business_days",
    metadata,
    _merchant(),
    Column("day", Text, primary_key=True, comment="YYYY-MM-DD, UTC."),
    Column("number", Integer, nullable=False, comment="How many business days there were up to it, itself included."),
    Index("ix_business_days_number", "merchant", "number", "day"),
    sqlite_with_rowid=False,
)

rmas = Table(
    "rmas",
    metadata,
    _merchant(),
    *_from_frame(schema.RECEIPTS, _RMA_FIELDS),
    Column("warehouse", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("first_seen_at", Time, nullable=False),
    Column("run_id", Text, nullable=False),
    Index("ix_rmas_return", "merchant", "return_id"),
    Index("ix_rmas_open", "merchant", "warehouse", **indexed.IS_OPEN_RMA.index()),
    indexed.BY_RMA.index(),
    indexed.BY_PACKAGE.index(),
)

polls = Table(
    "polls",
    metadata,
    _merchant(),
    Column("warehouse", Text, primary_key=True),
    Column("return_id", Text, primary_key=True),
    Column(
        "polled_at", Time, nullable=False, comment="When its RMA was last asked for, kept only while a sync's budget cannot ask for all."
    ),
    Index("ix_polls_polled", "merchant", "warehouse", "polled_at"),
)

scans = Table(
    "scans",
    metadata,
    _merchant(),
    Column("warehouse", Text, primary_key=True),
    Column("cursor", Text, nullable=False, comment="Where a list that one sync's budget could not read to its end goes on."),
)

receipts = Table(
    "receipts",
    metadata,
    _merchant(),
    *_from_frame(schema.RECEIPTS, _RECEIPT_FIELDS),
    Index("ix_receipts_received", "merchant", "received_at"),
)

receipt_lines = Table("receipt_lines", metadata, _merchant(), *_from_frame(schema.RECEIPT_LINES))

ties = Table(
    "ties",
    metadata,
    _merchant(),
    Column("rma_key", Text, primary_key=True, comment="The RMA under which the units came."),
    Column("sku", Text, primary_key=True, comment="Their SKU: of it, what no line of that RMA's own return takes."),
    Column("return_id", Text, nullable=False, comment="The return that they belong to, as a person has confirmed."),
    Column("tied_at", Time, nullable=False),
    Index("ix_ties_return", "merchant", "return_id"),
)

events = Table(
    "events",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("source", Text, nullable=False, comment="loop, masonhub or airhouse."),
    Column("channel", Text, nullable=False, comment="webhook, poll or file."),
    Column("topic", Text, nullable=False),
    Column("record_key", Text, comment="The return or RMA it is about, as far as it says."),
    Column("body_hash", Text, nullable=False, comment="SHA-256 of the raw bytes, to tell duplicates."),
    Column("body", Text, nullable=False, comment="What was said, without personal data."),
    Column("occurred_at", Time, comment="The vendor's own time, where it gives one."),
    Column("received_at", Time, nullable=False),
    Column("handled_at", Time, comment="When a run took it in; null while it waits."),
    Column("claimed_until", Time, comment="A run has taken it up, and nobody else does before then."),
    Column("outcome", Text, comment="Where it was not simply taken in: unreadable, unknown_return (asked again) or never_shown."),
    Column("run_id", Text),
    UniqueConstraint("merchant", "source", "channel", "body_hash"),
    Index("ix_events_record", "merchant", "record_key"),
    Index("ix_events_news", "merchant", "source", "channel", "received_at"),
    Index("ix_events_waiting", "merchant", "event_id", **indexed.IS_WAITING.index()),
    Index("ix_events_unknown", "merchant", "event_id", **indexed.IS_UNKNOWN.index()),
)

UNIT_COUNTS = (
    "expected_units",
    "available_units",
    "damaged_units",
    "pending_units",
    "missing_units",
    "awaited_units",
    "unverifiable_units",
    "unexpected_units",
)

decisions = Table(
    "decisions",
    metadata,
    _merchant(),
    Column("return_id", Text, primary_key=True),
    Column("decision_no", Integer, primary_key=True),
    Column("is_current", Boolean, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reasons", Json, nullable=False),
    *(Column(name, Integer, nullable=False) for name in UNIT_COUNTS),
    Column("policy_hash", Text, nullable=False),
    Column("due_at", Time, comment="When a hold falls due."),
    Column("decided_at", Time, nullable=False, comment="When this decision was first reached."),
    Column("assessed_at", Time, nullable=False, comment="When these units were counted."),
    Column("run_id", Text, nullable=False),
    Index("ix_decisions_current", "merchant", "return_id", unique=True, **indexed.IS_CURRENT.index()),
    Index("ix_decisions_decision", "decision", "merchant", "return_id", **indexed.IS_CURRENT.index()),
    Index("ix_decisions_due", "merchant", "due_at", **indexed.HAS_DUE_DATE.index()),
)

matches = Table(
    "matches",
    metadata,
    _merchant(),
    Column("return_id", Text, primary_key=True),
    Column("match_no", Integer, primary_key=True),
    Column("line_item_id", Text, comment="Null for a group of unexpected units."),
    Column("sku", Text),
    Column("condition", Text, nullable=False, comment="available, damaged, pending; for a line also missing, awaited, unverifiable."),
    Column("discrepancy", Text, comment="missing, damaged, pending, unverifiable, over or unexpected; null when all is well."),
    Column("units", Integer, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("return_id", Text, nullable=False),
    Column("effect_key", Text, nullable=False, comment="One per effect on the world; what makes a second one impossible."),
    Column("state", Text, nullable=False),
    Column("warehouse", Text, nullable=False),
    Column("payload", Text, comment="What will be sent: an RMA draft, or the text of a note."),
    Column("waits_for", Id, comment="The delivery that must be through before this one is sent."),
    Column("attempts", Integer, nullable=False),
    Column("is_uncertain", Boolean, nullable=False, comment="The last attempt may have had its effect: look before sending again."),
    Column("held_by", Text, comment="What keeps it from being sent: loop_review, a guard's name, or rejected; null when nothing does."),
    Column("released_at", Time, comment="When a person let it go in spite of a guard. It holds for the decision that stood then."),
    Column("owed_since", Time, nullable=False, comment="When it came to be owed, or to be owed again."),
    Column("next_attempt_at", Time, nullable=False),
    Column("last_attempt_at", Time),
    Column("lease_owner", Text),
    Column("lease_expires_at", Time),
    Column("code", Text, comment="The vendor's own code of its last answer."),
    Column("message", Text, comment="The vendor's words, or ours, for the last answer."),
    Column("created_at", Time, nullable=False),
    Column("accepted_at", Time),
    Column("confirmed_at", Time),
    Column("outcomes_at", Time, comment="Of a confirmed process: when every outcome that the return owes was seen done."),
    Column("outcomes_asked_at", Time, comment="When Loop was last asked for them."),
    Column("run_id", Text, nullable=False),
    UniqueConstraint("merchant", "effect_key"),
    Index("ix_deliveries_return", "merchant", "return_id"),
    Index("ix_deliveries_open", "merchant", "next_attempt_at", **indexed.IS_UNSENT.index()),
    Index("ix_deliveries_sending", "merchant", "lease_expires_at", **indexed.IS_SENDING.index()),
    Index("ix_deliveries_unconfirmed", "merchant", "kind", **indexed.IS_UNCONFIRMED.index()),
    Index("ix_deliveries_owed", "merchant", "kind", "state", **indexed.IS_OWED.index()),
    Index("ix_deliveries_held_back", "merchant", "held_by", **indexed.IS_HELD_BACK.index()),
    Index("ix_deliveries_begun", "merchant", "kind", "last_attempt_at", **indexed.IS_BEGUN.index()),
    Index("ix_deliveries_shadow", "merchant", "delivery_id", **indexed.IS_SHADOW.index()),
    Index("ix_deliveries_followed", "merchant", "confirmed_at", **indexed.IS_FOLLOWED.index()),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("attempt_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("delivery_id", Id, nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column(
        "outcome",
        Text,
        nullable=False,
        comment="accepted, refused, retry, uncertain, …; of a look-up adopted, waiting, …",
    ),
    Column("code", Text),
    Column("message", Text),
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time, nullable=False),
    Column("run_id", Text, nullable=False),
    Index("ix_delivery_attempts_delivery", "delivery_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("flow", Text, nullable=False),
    Column("merchant", Text, nullable=False),
    Column("trigger", Text, nullable=False, comment="schedule, command, webhook or demo."),
    Column("flow_run_id", Text, comment="The Prefect flow run; null when no Prefect server was named."),
    Column("process", Text, comment="The machine and process id that ran it."),
    Column("window_start", Time),
    Column("window_end", Time),
    Column("state", Text, nullable=False, comment="running, completed or failed."),
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time),
    Column("duration_s", sa.Float),
    Column("records_in", Integer, nullable=False),
    Column("records_out", Integer, nullable=False, comment="Loaded: new or changed."),
    Column("unchanged", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("delivered", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("counts", Json, nullable=False, comment="All other counts."),
    Column("error", Text),
    Index("ix_runs_started", "started_at"),
    Index("ix_runs_merchant", "merchant", "started_at"),
    Index("ix_runs_running", "merchant", **indexed.IS_RUNNING.index()),
)

windows = Table(
    "windows",
    metadata,
    _merchant(),
    Column("purpose", Text, primary_key=True, comment="backfill (reads and records), backfill_act, or audit."),
    Column("window_start", Time, primary_key=True),
    Column("window_end", Time, primary_key=True),
    Column("state", Text, nullable=False, comment="pending, running, completed or failed."),
    Column("records_in", Integer, nullable=False),
    Column("records_out", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("proof", Json, comment="What an audit counted on both sides."),
    Column("attempts", Integer, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    Column("lease_expires_at", Time, comment="A running window whose lease has run out was left by a run that died; any run may take it."),
    Column("error", Text),
    Column("run_id", Text),
)

watermarks = Table(
    "watermarks",
    metadata,
    _merchant(),
    Column("source", Text, primary_key=True),
    Column("high_water_at", Time, nullable=False, comment="The newest source time taken in, unlagged."),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("source", Text, nullable=False, comment="loop, masonhub or airhouse."),
    Column("record_key", Text, nullable=False, comment="The record's id, or a hash of its body where it has none."),
    Column("order_name", Text),
    Column("rules", Json, nullable=False, comment="The ids of the rules it broke."),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False, comment="The record, without personal data."),
    Column("content_hash", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("quarantined_at", Time, nullable=False),
    Column("released_at", Time),
    UniqueConstraint("merchant", "source", "record_key", "content_hash"),
    Index("ix_quarantine_held", "merchant", "source", "record_key", **indexed.IS_QUARANTINED.index()),
    indexed.BY_RECORD.index(),
    indexed.BY_HELD_ORDER.index(),
)

check_results = Table(
    "check_results",
    metadata,
    _merchant(),
    Column("table_name", Text, primary_key=True),
    Column("record_key", Text, primary_key=True, comment="The return or receipt that raised it."),
    Column("rule", Text, primary_key=True),
    Column("severity", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column(
        "engine",
        Text,
        nullable=False,
        comment="Who judged: compiled (the suite's rules as numpy), or great_expectations (nightly, or where a rule is not compiled).",
    ),
    Column("found_at", Time, nullable=False),
    Column("run_id", Text, nullable=False),
)

exceptions = Table(
    "exceptions",
    metadata,
    _merchant(),
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True, comment="What it is about: a return id, an RMA, a delivery."),
    Column("return_id", Text),
    Column("why", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("resolved_at", Time),
    Column("is_settled", Boolean, nullable=False, comment="A person dealt with it: it opens again only for another cause."),
    Column("run_id", Text, nullable=False),
    Column("assigned_to", Text, comment="Who has taken it; null for nobody."),
    Index("ix_exceptions_return", "merchant", "return_id"),
    Index("ix_exceptions_open", "merchant", "kind", **indexed.IS_UNRESOLVED.index()),
)

notices = Table(
    "notices",
    metadata,
    Column("target", Text, primary_key=True, comment="Who was told: the reference of an address in [notify], or prefect."),
    _merchant(),
    Column("kind", Text, primary_key=True, comment="The kind of the exception, or run_failed."),
    Column("subject", Text, primary_key=True, comment="What the exception is about, or the flow that fails."),
    Column("since", Time, nullable=False, comment="When it had opened: opened again later, it is told again."),
    Column("told_at", Time, nullable=False),
)

prunings = Table(
    "prunings",
    metadata,
    Column("pruning_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column(
        "what", Text, nullable=False, comment="What was let go: event bodies, versions, attempts, …; or forgotten, at a customer's request."
    ),
    Column("rows_total", Integer, nullable=False, comment="How many rows were emptied or deleted."),
    Column("up_to", Time, nullable=False, comment="All of it up to then is gone."),
    Column("subject", Text, comment="The return that was forgotten."),
    Column("pruned_at", Time, nullable=False),
    Column("run_id", Text, nullable=False),
    Index("ix_prunings_merchant", "merchant", "pruned_at"),
)

entrances = Table(
    "entrances",
    metadata,
    _merchant(),
    Column("source", Text, primary_key=True, comment="The vendor whose webhooks come in here."),
    Column("open_at", Time, nullable=False, comment="When a receiver last said that it is open."),
    Column("refused", Integer, nullable=False, comment="Requests refused since `refused_since`, none of them a day after the one before."),
    Column("refused_since", Time),
    Column("refused_at", Time),
    Column("refused_status", Integer, comment="The HTTP status that the last of them was answered with."),
)

reason_codes = Table(
    "reason_codes",
    metadata,
    _merchant(),
    Column("reason", Text, primary_key=True, comment="The reason as Loop says it, in lower case."),
    Column("code", Text, nullable=False, comment="The warehouse's code for it."),
)

circuits = Table(
    "circuits",
    metadata,
    _merchant(),
    Column("vendor", Text, primary_key=True),
    Column("failures", Integer, nullable=False, comment="Calls in a row that failed for a passing reason."),
    Column("opened_at", Time, comment="Since when the vendor is left alone; null while the circuit is closed."),
    Column("probe_at", Time, comment="When the next call is tried."),
    Column("why", Text, comment="The last failure."),
)

pauses = Table(
    "pauses",
    metadata,
    _merchant(),
    Column("vendor", Text, primary_key=True, comment="The vendor that nothing is sent to; `*` for all of the merchant's."),
    Column("paused_at", Time, nullable=False),
    Column("operator", Text, nullable=False, comment="Who paused it."),
    Column("why", Text, nullable=False),
)

operator_actions = Table(
    "operator_actions",
    metadata,
    Column("action_id", Id, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("acted_at", Time, nullable=False),
    Column("operator", Text, nullable=False, comment="Who: the login, or the name given with --as."),
    Column(
        "action",
        Text,
        nullable=False,
        comment="pause, resume, release, reject, retry, from_shadow, resolve, assign, archive, quarantine_retry or confirm.",
    ),
    Column("subject", Text, nullable=False, comment="What it was about: a return, a vendor, an exception's subject, an age."),
    Column("return_id", Text, comment="Null where it was about no one return."),
    Column("detail", Text, comment="What it did."),
    Column("why", Text, comment="In the person's own words."),
    Index("ix_operator_actions_return", "merchant", "return_id"),
    Index("ix_operator_actions_acted", "merchant", "acted_at"),
)

# PostgreSQL only, and apart from the data: it changes with every call to a vendor, and a crash may empty it.
live = sa.MetaData(schema="backhaul_live")
call_budgets = Table(
    "call_budgets",
    live,
    _merchant(),
    Column("vendor", Text, primary_key=True),
    Column("made", Json, nullable=False, comment="Calls by second since 1970, for the last minute."),
    Column("paused_until", sa.Float, nullable=False, comment="Seconds since 1970: the vendor said that it was too much."),
    prefixes=["UNLOGGED"],
)

# PostgreSQL only: on SQLite one process runs a round.
turns = Table(
    "turns",
    live,
    _merchant(),
    Column("flow", Text, primary_key=True, comment="sync, reconcile or audit."),
    Column("lease_owner", Text, comment="The worker whose run of the merchant goes on."),
    Column("lease_expires_at", Time, comment="When another worker may take the merchant over."),
    Column("done_at", Time, comment="When a run of it last ended."),
    prefixes=["UNLOGGED"],
)
