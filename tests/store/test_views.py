"""The views on rows that are put in by hand, the same on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from backhaul.domain.reasons import Reasons, folded
from backhaul.domain.words import ExceptionKind
from backhaul.store.engine import Store
from backhaul.store.exceptions import raise_exception
from backhaul.store.indexed import IS_FOLLOWED
from backhaul.store.tables import decisions, deliveries, matches, reason_codes, receipts, return_lines, returns
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import refresh

NOW = datetime.now(UTC)
COUNTS = ("available", "damaged", "pending", "missing", "awaited", "unverifiable")


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url).ready()


def put_return(
    store: Store, return_id: str, conditions: list[str], *, decision: str = "wait", state: str = "open", is_paid: bool = False
) -> None:
    """A return with one line of 10.10 - 1.00 + 0.20 for each condition."""
    base = {"merchant": "acme", "return_id": return_id, "run_id": "run"}
    with store.write() as connection:
        head = {"loop_state": state, "created_at": NOW - timedelta(days=3, hours=2), "currency": "USD", "warehouse": "masonhub"}
        kept = {"content_hash": "x", "version_no": 1, "is_history": False, "is_due": False, "first_state": state, "is_paid": is_paid}
        connection.execute(sa.insert(returns).values(base | head | kept | {"first_seen_at": NOW, "loaded_at": NOW}))
        for number, condition in enumerate(conditions):
            line = {"merchant": "acme", "return_id": return_id, "line_item_id": str(number), "sku": "TEE"}
            money = {"price": Decimal("10.10"), "discount": Decimal("1.00"), "tax": Decimal("0.20")}
            connection.execute(sa.insert(return_lines).values(line | money))
            discrepancy = None if condition in ("available", "awaited") else condition
            found = {"match_no": number, "condition": condition, "discrepancy": discrepancy, "units": 1}
            connection.execute(sa.insert(matches).values(line | found))
        units = {f"{name}_units": conditions.count(name) for name in COUNTS} | {"expected_units": len(conditions), "unexpected_units": 0}
        verdict = {"decision_no": 1, "is_current": True, "decision": decision, "reasons": [], "policy_hash": "p"}
        connection.execute(sa.insert(decisions).values(base | units | verdict | {"decided_at": NOW, "assessed_at": NOW}))


def put_delivery(store: Store, kind: str, return_id: str, state: str) -> None:
    values = {"merchant": "acme", "kind": kind, "return_id": return_id, "effect_key": f"{kind}:{return_id}", "state": state}
    rest = {"warehouse": "masonhub", "attempts": 1, "is_uncertain": False, "next_attempt_at": NOW, "run_id": "run"}
    rest |= {"created_at": NOW, "owed_since": NOW}
    with store.write() as connection:
        connection.execute(sa.insert(deliveries).values(values | rest))


def put_receipt(store: Store, return_id: str, received_at: datetime | None) -> None:
    values = {"merchant": "acme", "rma_key": return_id, "return_id": return_id, "event_status": "received", "received_at": received_at}
    with store.write() as connection:
        connection.execute(sa.insert(receipts).values(values))


def row_of(store: Store, view: str, return_id: str) -> dict[str, object]:
    with store.write() as connection:
        refresh(connection, "acme", [return_id])  # what was put in by hand told nobody
    with store.read() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {view} WHERE return_id = :id"), {"id": return_id}).mappings()
        return dict(found.one())


def test_age_is_counted_in_whole_days(store: Store) -> None:
    put_return(store, "1", ["awaited"])
    assert row_of(store, "recon_returns", "1")["age_days"] == 3
    with store.write() as connection:
        opened = NOW - timedelta(days=2, hours=1)
        raise_exception(Transaction(connection, "acme", "run", opened), ExceptionKind.UNVERIFIABLE, "1", "why", "1")
    assert row_of(store, "recon_exceptions", "1")["age_days"] == 2


def test_value_at_risk_is_of_what_is_damaged_missing_or_unverifiable_and_of_what_is_paid_and_awaited(store: Store) -> None:
    put_return(store, "1", ["available", "damaged", "missing", "unverifiable", "pending", "awaited"])
    put_return(store, "2", ["available", "awaited"], state="closed", is_paid=True, decision="skip")
    put_return(store, "3", ["available"])
    risks = [Decimal(str(row_of(store, "recon_returns", i)["value_at_risk"])) for i in ("1", "2", "3")]
    assert risks == [Decimal("27.9"), Decimal("9.3"), Decimal("0")]


@pytest.mark.parametrize(
    ("decision", "kind", "state", "stage"),
    [
        ("process", "loop.process", "pending", "decided"),
        ("process", "loop.process", "accepted", "decided"),
        ("process", "loop.process", "confirmed", "processed"),
        ("process", "loop.process", "shadow", "decided"),
        ("skip", "loop.process", "superseded", "ended"),
        ("hold", "loop.process", "pending", "held"),
        ("flag", "loop.flag", "pending", "decided"),
        ("flag", "loop.flag", "accepted", "flagged"),
        ("flag", "loop.flag", "confirmed", "flagged"),
    ],
)
def test_the_stage_follows_the_delivery(store: Store, decision: str, kind: str, state: str, stage: str) -> None:
    put_return(store, "1", ["available"], decision=decision)
    put_delivery(store, kind, "1", state)
    row = row_of(store, "recon_returns", "1")
    assert (row["stage"], row["delivery_state"]) == (stage, state)


def test_a_refused_note_does_not_hide_that_the_return_is_flagged(store: Store) -> None:
    put_return(store, "1", ["damaged"], decision="flag")
    put_delivery(store, "loop.flag", "1", "confirmed")
    with store.write() as connection:
        raise_exception(Transaction(connection, "acme", "run", NOW), ExceptionKind.DELIVERY_REFUSED, "loop.note:1", "why", "1")
    assert row_of(store, "recon_returns", "1")["stage"] == "flagged"


def test_a_return_tells_its_parcel_its_times_and_its_refund(store: Store) -> None:
    put_return(store, "1", ["available"], decision="process", state="closed")
    put_delivery(store, "loop.process", "1", "confirmed")
    put_receipt(store, "1", NOW - timedelta(hours=2))
    with store.write() as connection:
        values = {"tracking_number": "1Z-EXAMPLE", "refund": Decimal("9.30")}
        connection.execute(sa.update(returns).values(values))
        connection.execute(sa.update(deliveries).values(confirmed_at=NOW - timedelta(hours=1)))
    row = row_of(store, "recon_returns", "1")
    assert (row["tracking_number"], Decimal(str(row["refund"])), row["waits_for"]) == ("1Z-EXAMPLE", Decimal("9.3"), None)
    hours = [_time(row[name]) - NOW for name in ("received_at", "processed_at")]
    assert hours == [timedelta(hours=-2), timedelta(hours=-1)]
    with store.write() as connection:
        connection.execute(sa.update(returns).values(return_processed_at=NOW))
    assert _time(row_of(store, "recon_returns", "1")["processed_at"]) == NOW  # Loop's own time, once it gives one


def _time(value: object) -> datetime:
    return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def test_the_two_lists_of_finance(store: Store) -> None:
    put_return(store, "1", ["available", "awaited", "damaged"], state="closed", is_paid=True, decision="skip")
    put_return(store, "2", ["available", "available"], decision="process")
    put_return(store, "3", ["available"], decision="wait")
    put_receipt(store, "2", NOW)
    put_receipt(store, "3", None)  # it is being received still
    out = row_of(store, "processed_not_received", "1")
    assert (out["units"], out["awaited_units"], out["damaged_units"], Decimal(str(out["value"]))) == (2, 1, 1, Decimal("18.6"))
    due = row_of(store, "received_not_processed", "2")
    assert (due["units"], Decimal(str(due["value"]))) == (2, Decimal("18.6"))
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM processed_not_received")).scalar() == 1
        assert connection.execute(sa.text("SELECT count(*) FROM received_not_processed")).scalar() == 1


def test_a_day_has_a_row_for_each_currency(store: Store) -> None:
    for number, currency in enumerate(("USD", "EUR", "EUR", None)):
        put_return(store, str(number), ["available"], decision="process")
        with store.write() as connection:
            values = {"currency": currency, "return_total": Decimal("10.10")}
            connection.execute(sa.update(returns).where(returns.c.return_id == str(number)).values(values))
    with store.read() as connection:
        query = "SELECT currency, returns, return_total, p50_hours_to_decision FROM recon_daily ORDER BY returns, currency"
        rows = [dict(row) for row in connection.execute(sa.text(query)).mappings()]
    assert {(row["currency"], row["returns"], Decimal(str(row["return_total"]))) for row in rows} == {
        ("USD", 1, Decimal("10.1")),
        ("EUR", 2, Decimal("20.2")),
        (None, 1, Decimal("10.1")),
    }
    assert all(row["p50_hours_to_decision"] > 70 for row in rows)


def test_a_mapped_reason_is_not_listed_as_unmapped_whatever_letters_it_has(store: Store) -> None:
    put_return(store, "1", ["available", "available", "available"])
    table = Reasons({"Zu gro\N{LATIN SMALL LETTER SHARP S}": "tooBig"}).table
    with store.write() as connection:
        for number, reason in enumerate((" ZU GROSS", "Zu gro\N{LATIN SMALL LETTER SHARP S}", "Zu klein")):
            line = sa.update(return_lines).where(return_lines.c.line_item_id == str(number))
            connection.execute(line.values(return_reason=reason, reason_key=folded(reason)))
        for reason, code in table.items():
            connection.execute(sa.insert(reason_codes).values(merchant="acme", reason=reason, code=code))
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT return_reason FROM recon_unmapped_reasons")).scalars().all() == ["Zu klein"]


def test_processes_that_are_followed_are_found_by_an_index_of_their_own(store: Store) -> None:
    query = "SELECT delivery_id FROM deliveries WHERE merchant = 'acme' AND {} ORDER BY confirmed_at"
    condition = str(IS_FOLLOWED.of(deliveries))
    with store.read() as connection:
        if store.is_sqlite:
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + query.format(condition)).all()
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")  # an empty table is always read whole
            plan = connection.exec_driver_sql("EXPLAIN " + query.format(condition)).all()
    assert "ix_deliveries_followed" in str(plan)
