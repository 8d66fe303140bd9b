"""What is past its time is let go, and nothing that was decided, sent or told apart depends on it; a customer can be forgotten."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from backhaul.config import RetentionSettings
from backhaul.errors import BackhaulError
from backhaul.pipeline import retaining
from backhaul.pipeline.session import utc_now
from backhaul.store import retention, tables
from backhaul.store.events import NewEvent, keep
from backhaul.store.quarantine import Quarantined, put_in_quarantine, release
from backhaul.store.transaction import Transaction
from tests.e2e.conftest import Build
from tests.e2e.house import House

RETENTION = RetentionSettings()
AGED = {
    "events": ("received_at", "handled_at"),
    "return_versions": ("seen_at",),
    "delivery_attempts": ("started_at", "finished_at"),
    "quarantine": ("released_at",),
}
KEPT = ("returns", "return_lines", "receipts", "receipt_lines", "rmas", "decisions", "matches", "deliveries", "exceptions")


def _age(house: House, days: int) -> None:
    """Make all that retention looks at so many days older."""
    with house.store.write() as connection:
        for name, columns in AGED.items():
            table = tables.metadata.tables[name]
            key = list(table.primary_key)
            for row in connection.execute(sa.select(table)).all():
                older = {one: row._mapping[one] - timedelta(days=days) for one in columns if row._mapping[one] is not None}
                connection.execute(sa.update(table).where(*(column == row._mapping[column.name] for column in key)).values(older))


def _counts(pruned: list[retaining.Pruned]) -> dict[str, int]:
    return {one.what: one.rows for one in pruned}


def _event(body: str, when: object, record: str = "1") -> NewEvent:
    return NewEvent("acme", "loop", "return.updated", record, f"hash of {body}", body, None, when)


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, build: Build) -> House:
    """A house in which two returns came to their end, one in two versions, with events and a released quarantine."""
    url = None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    house = build(store_url=url)
    first, second = house.shop("TEE-NVY-M"), house.shop("TEE-NVY-S", order_number=2002)
    house.sync()
    house.receive(first)
    house.receive(second, "damaged")
    house.sync()
    house.sync()
    with house.store.write() as connection:
        tx = Transaction(connection, "acme", "test", utc_now())
        keep(connection, [_event('{"topic":"return"}', tx.now, first)])
        connection.execute(sa.update(tables.events).values(handled_at=tx.now))
        put_in_quarantine(tx, "loop", [Quarantined("9", "#9", ("RET-001",), "broken", '{"id":"9"}', "h")])
        release(tx, "loop", ["9"])
    return house


def test_each_kind_goes_when_its_own_time_is_over_and_is_proven(lived: House) -> None:
    assert set(_counts(retaining.preview(lived.store, RETENTION, utc_now())).values()) == {0}
    _age(lived, 31)
    assert {what for what, rows in _counts(retaining.preview(lived.store, RETENTION, utc_now())).items() if rows} == {"event bodies"}
    _age(lived, 60)
    found = _counts(retaining.preview(lived.store, RETENTION, utc_now()))
    assert found["event bodies"] == 1 and found["record bodies"] > 0 and found["quarantined bodies"] == 1
    assert found["versions"] == found["attempts"] == 0
    _age(lived, 310)
    before, kept = lived.dump(), retaining.preview(lived.store, RETENTION, utc_now())
    assert min(_counts(kept).values()) > 0
    done = retaining.prune(lived.store, RETENTION, "command")
    assert _counts(done) == _counts(kept)
    assert set(_counts(retaining.preview(lived.store, RETENTION, utc_now())).values()) == {0}
    after = lived.dump()
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    proofs = lived.rows("SELECT what, rows_total FROM prunings WHERE merchant = 'acme'")
    assert {row["what"]: row["rows_total"] for row in proofs} == _counts(done)
    newest = "SELECT count(*) AS n FROM return_versions v JOIN returns r USING (merchant, return_id) WHERE v.version_no = r.version_no"
    assert lived.rows(newest)[0]["n"] == 2 == len(after["return_versions"])
    assert retaining.prune(lived.store, RETENTION, "command") and len(lived.rows("SELECT * FROM prunings")) == len(proofs)


def test_after_it_a_sync_finds_no_news_and_every_look_still_works(lived: House) -> None:
    _age(lived, 500)
    retaining.prune(lived.store, RETENTION, "command")
    before = lived.dump()
    lived.sync()
    assert lived.dump() == before
    [return_id, _] = [row["return_id"] for row in lived.rows("SELECT return_id FROM returns ORDER BY return_id")]
    shown = lived.command("show", return_id)
    assert shown.returncode == 0 and "Traceback" not in shown.stderr, shown.stderr
    day = utc_now().date()
    replayed = lived.command("replay", "--from", str(day - timedelta(days=1)), "--to", str(day + timedelta(days=1)))
    assert replayed.returncode == 0 and "unreadable" in replayed.stdout, replayed.stderr


def test_a_webhook_whose_body_is_gone_is_a_duplicate_still(lived: House) -> None:
    _age(lived, 31)
    retaining.prune(lived.store, RETENTION, "command")
    [row] = lived.rows("SELECT event_id, body FROM events WHERE topic = 'return.updated'")
    assert row["body"] == ""
    count = len(lived.rows("SELECT 1 FROM events"))
    with lived.store.write() as connection:
        keep(connection, [_event('{"topic":"return"}', utc_now() - timedelta(days=40), "unheard of")])
    assert len(lived.rows("SELECT 1 FROM events")) == count
    assert lived.rows("SELECT 1 FROM events WHERE handled_at IS NULL") == []


def test_a_webhook_that_comes_again_after_a_new_attempt_waits_anew_with_its_body(house: House) -> None:
    return_id = house.shop("TEE-NVY-M")
    house.sync()
    body = json.dumps({"topic": "return", "trigger": "return.processing.failed", "id": return_id})
    with house.store.write() as connection:
        keep(connection, [_event(body, utc_now(), return_id)])
        old = utc_now() - timedelta(days=60)
        connection.execute(sa.update(tables.events).where(tables.events.c.record_key == return_id).values(handled_at=old))
    retaining.prune(house.store, RETENTION, "command")
    with house.store.write() as connection:
        keep(connection, [_event(body, utc_now(), return_id)])
    [row] = house.rows("SELECT body FROM events WHERE handled_at IS NULL")
    assert row["body"] == body
    house.sync()
    assert house.runs()[-1]["state"] == "completed"


def test_what_waits_or_is_owed_is_never_let_go(house: House) -> None:
    house.shop("TEE-NVY-M")
    house.sync()
    with house.store.write() as connection:
        keep(connection, [_event("{}", utc_now() - timedelta(days=900))])
        connection.execute(sa.update(tables.deliveries).values(state="pending"))
    _age(house, 900)
    with house.store.read() as connection:
        assert retention.count_outdated(connection, "acme", "event bodies", utc_now()) == 0
        assert retention.count_outdated(connection, "acme", "attempts", utc_now()) == 0


def test_a_run_lets_a_little_go_at_a_time_and_stops_in_between_without_loss(lived: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    _age(lived, 500)
    done = _counts(retaining.prune(lived.store, RETENTION, "command"))
    assert min(done.values()) > 0
    assert set(_counts(retaining.preview(lived.store, RETENTION, utc_now())).values()) == {0}


def test_the_command_shows_first_and_lets_go_only_with_yes(lived: House) -> None:
    _age(lived, 500)
    shown = lived.command("prune")
    assert "Would be let go" in shown.stdout and "Add --yes" in shown.stdout, shown.stderr
    assert min(_counts(retaining.preview(lived.store, RETENTION, utc_now())).values()) > 0
    assert lived.command("prune", "--yes").returncode == 0
    assert set(_counts(retaining.preview(lived.store, RETENTION, utc_now())).values()) == {0}


def _texts(house: House) -> str:
    rows = house.dump()
    return "\n".join(line for lines in rows.values() for line in lines)


def test_a_forgotten_order_is_nowhere_in_the_store_and_stays_forgotten(lived: House) -> None:
    [row] = lived.rows("SELECT return_id, order_name, order_id FROM returns WHERE loop_state = 'closed'")
    order, return_id = row["order_name"], row["return_id"]
    assert order in _texts(lived)
    before = lived.standing(return_id)
    assert lived.command("forget", "--order", order, "--merchant", "acme").returncode == 0
    assert order in _texts(lived)  # it was only shown
    done = lived.command("forget", "--order", order.removeprefix("#"), "--merchant", "acme", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Gone:" in done.stdout and "Kept:" in done.stdout and "backups" in done.stdout
    for planted in (order, order.removeprefix("#") + '"', row["order_id"]):
        assert planted not in _texts(lived), planted
    after = lived.standing(return_id)
    assert {name for name in before if before[name] != after[name]} <= {"order_name", "age_days"}
    [proof] = lived.rows("SELECT what, subject FROM prunings")
    assert (proof["what"], proof["subject"]) == ("forgotten", return_id)
    with lived.store.write() as connection:
        connection.execute(sa.text("DELETE FROM watermarks"))  # everything is read once more
    lived.sync()
    assert order not in _texts(lived)
    shown = lived.command("show", return_id)
    assert shown.returncode == 0, shown.stderr
    again = lived.command("forget", "--order", order, "--merchant", "acme", "--yes")
    assert again.returncode == 1 and "was forgotten before" in again.stderr


def test_an_order_whose_return_is_under_way_is_not_forgotten(house: House) -> None:
    return_id = house.shop("TEE-NVY-M")
    house.sync()
    order = house.standing(return_id)["order_name"]
    with pytest.raises(BackhaulError, match=f"return {return_id} of that order is under way"):
        retaining.forget(house.store, "acme", order)
    assert order in _texts(house)
