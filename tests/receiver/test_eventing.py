"""What is done with events after the answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from backhaul.errors import BackhaulError
from backhaul.sandbox import Sandbox
from backhaul.store import events
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent
from backhaul.store.transaction import Transaction

from .conftest import MERCHANT, Desk


def _calls(box: Sandbox, operation: str) -> int:
    return box.world.journal.count(operation, MERCHANT)


def test_a_return_that_is_new_gets_its_rma_before_loop_is_asked_anything(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M", "TEE-NAV-M"))
    desk.post(desk.fresh_postings())
    desk.take_in()
    order = [call.operation for call in box.world.journal.calls(merchant=MERCHANT)]
    assert order.index("masonhub.create") < order.index("loop.details")
    assert box.world.effects(MERCHANT, "masonhub.create", item.id) == 1
    (row,) = desk.rows("SELECT stage, rma_status, outcome FROM recon_returns")
    assert row == {"stage": "announced", "rma_status": "open", "outcome": "refund"}
    versions = desk.rows("SELECT source, updated_at FROM return_versions ORDER BY version_no")
    assert [version["source"] for version in versions] == ["webhook"]  # reading it back showed nothing new of the return
    assert desk.rows("SELECT count(*) AS n FROM returns WHERE updated_at IS NOT NULL") == [{"n": 1}]


def test_a_late_created_event_changes_nothing_of_a_return_that_is_known(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    created = desk.fresh_postings()
    box.world.close_return(MERCHANT, item.id)
    desk.post(desk.fresh_postings())
    desk.take_in()
    calls = _calls(box, "loop.details")
    desk.post(created)
    desk.take_in()
    assert desk.rows("SELECT loop_state FROM returns") == [{"loop_state": "closed"}]
    assert _calls(box, "loop.details") == calls
    assert box.world.effects(MERCHANT, "masonhub.create") == 0  # it was first seen closed


def test_few_signals_are_read_back_one_by_one_and_many_from_the_list(desk: Desk, box: Sandbox) -> None:
    ids = [box.world.create_return(MERCHANT, ("TEE-NAV-M",), order_number=1000 + n, is_silent=True).id for n in range(25)]
    for return_id in ids[:3]:
        box.world.set_tracking(MERCHANT, return_id, f"94001{return_id:017d}")  # two events each
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert (_calls(box, "loop.details"), _calls(box, "loop.list")) == (3, 0)
    for return_id in ids:
        box.world.set_tracking(MERCHANT, return_id, f"94002{return_id:017d}")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert (_calls(box, "loop.details"), _calls(box, "loop.list")) == (3, 5)  # one pass a state
    assert desk.rows("SELECT count(*) AS n FROM returns WHERE tracking_number LIKE '94002%'") == [{"n": 25}]


def test_a_payment_that_only_the_list_tells_of_is_seen_at_the_close(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",), outcome="credit")
    desk.post(desk.fresh_postings())
    desk.take_in()
    box.world.loop(MERCHANT).queue_processing(item)
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.rows("SELECT loop_state, is_paid FROM returns") == [{"loop_state": "closed", "is_paid": 1}]
    box.world.set_tracking(MERCHANT, item.id, "9400100000000000000001", status="delivered")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.rows("SELECT is_paid, label_status FROM returns") == [{"is_paid": 1, "label_status": "delivered"}]


def test_a_receipt_by_webhook_processes_the_return_without_a_poll(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    desk.take_in()
    polls = _calls(box, "masonhub.list")
    box.world.receive(MERCHANT, item.id, "all")
    while postings := desk.fresh_postings():
        desk.post(postings)
        desk.take_in()
    assert box.world.effects(MERCHANT, "loop.process", item.id) == 1
    assert _calls(box, "masonhub.list") == polls
    assert desk.rows("SELECT stage FROM recon_returns") == [{"stage": "processed"}]


def test_airhouses_signed_event_is_a_receipt_too_and_an_old_signature_is_refused(make_desk: Callable[..., Desk], box: Sandbox) -> None:
    desk = make_desk(box, at_airhouse=True)
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    desk.take_in()
    box.world.receive(MERCHANT, item.id, "all")
    told = [one for one in desk.fresh_postings() if one.source == "airhouse"]
    assert desk.post(told) == [200] * len(told)
    desk.take_in()
    assert box.world.effects(MERCHANT, "loop.process", item.id) == 1
    assert {row["record_key"] for row in desk.rows("SELECT record_key FROM events WHERE source = 'airhouse'")} == {str(item.id)}
    box.advance(timedelta(minutes=6))
    assert desk.post(told) == [401] * len(told)


def test_two_records_of_one_rma_in_a_batch_are_not_added_up(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M", "TEE-NAV-M"))
    desk.post(desk.fresh_postings())
    desk.take_in()
    for outcome in ("partial", "all"):
        box.advance(timedelta(minutes=1))
        box.world.receive(MERCHANT, item.id, outcome)
    desk.post(desk.fresh_postings()[::-1])
    desk.take_in()
    (row,) = desk.rows("SELECT rma_status, available_units, unexpected_units FROM recon_returns")
    assert row == {"rma_status": "received", "available_units": 2, "unexpected_units": 0}


def test_a_receipt_is_not_lost_to_a_carriers_event_of_the_same_batch(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    desk.take_in()
    box.world.masonhub(MERCHANT).start_receiving(str(item.id))
    box.advance(timedelta(minutes=1))
    box.world.masonhub(MERCHANT).carrier(str(item.id), "delivered")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.rows("SELECT rma_status FROM rmas") == [{"rma_status": "in-receiving"}]


@pytest.mark.parametrize("api_version", ["1.0", "2.0"])
def test_a_carriers_event_that_comes_first_does_not_hide_the_record(desk: Desk, box: Sandbox, api_version: str) -> None:
    box.world.masonhub(MERCHANT).options.visible_after = timedelta(hours=1)  # the new RMA cannot be read back yet
    box.world.masonhub(MERCHANT).options.callback_version = api_version
    box.world.subscribe(MERCHANT, "http://receiver")
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    postings = desk.fresh_postings()
    desk.post(postings)
    desk.take_in()
    box.world.masonhub(MERCHANT).carrier(str(item.id), "inTransit")
    desk.post(thin := desk.fresh_postings())
    desk.take_in()
    box.advance(timedelta(minutes=1))
    box.world.receive(MERCHANT, item.id, "all")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.post(thin) == [200]
    desk.take_in()
    assert desk.rows("SELECT rma_status, available_units FROM recon_returns") == [{"rma_status": "received", "available_units": 1}]


def test_a_process_that_failed_in_loop_is_failed_here_even_while_the_return_shows_open(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    box.world.loop(MERCHANT).options.process_delay = timedelta(minutes=5)
    desk.post(desk.fresh_postings())
    desk.take_in()
    box.world.receive(MERCHANT, item.id, "all")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.rows("SELECT state FROM deliveries WHERE kind = 'loop.process'") == [{"state": "accepted"}]
    details = {"return_state": "open", "message": "Insufficient funds", "source": "api"}
    box.world.loop(MERCHANT)._announce("return.processing.failed", item, details)
    failed = desk.fresh_postings()
    desk.post(failed)
    desk.take_in()
    assert desk.rows("SELECT state FROM deliveries WHERE kind = 'loop.process'") == [{"state": "failed"}]
    (row,) = desk.rows("SELECT kind, why FROM recon_exceptions")
    assert row["kind"] == "delivery_failed" and "Insufficient funds" in row["why"]


def test_a_return_that_loop_does_not_know_is_an_exception_until_it_does(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    hidden = box.world.loop(MERCHANT)._returns.pop(item.id)
    desk.take_in()
    assert [row["kind"] for row in desk.rows("SELECT kind FROM recon_exceptions")] == ["asn_only"]
    box.world.loop(MERCHANT)._returns[item.id] = hidden
    box.world.set_tracking(MERCHANT, item.id, "9400100000000000000001")
    desk.post(desk.fresh_postings())
    desk.take_in()
    assert desk.rows("SELECT kind FROM recon_exceptions") == []


def test_events_wait_while_a_vendor_is_away_and_are_taken_in_after(desk: Desk, box: Sandbox) -> None:
    box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    desk.post(desk.fresh_postings())
    box.world.fault("401", "loop.details", times=None)
    with pytest.raises(BackhaulError):
        desk.take_in()
    assert box.world.effects(MERCHANT, "masonhub.create") == 1  # the RMA did not have to wait
    assert desk.take_in().get("events", 0) == 0  # not before its pause is over
    box.world.faults.clear()
    box.advance(timedelta(seconds=31))
    assert desk.take_in()["events"] == 1
    assert box.world.effects(MERCHANT, "masonhub.create") == 1
    assert desk.rows("SELECT count(*) AS n FROM events WHERE handled_at IS NULL") == [{"n": 0}]


def test_two_processes_never_hold_the_same_event_and_a_dead_ones_events_are_found(store_url: str, box: Sandbox) -> None:
    store = Store(store_url).ready()
    try:
        now = box.world.now
        arrived = [NewEvent("acme", "loop", "return.updated", str(n), f"hash-{n}", "{}", None, now) for n in range(5)]
        with store.write() as connection:
            events.keep(connection, [*arrived, arrived[0]])
        with store.write() as connection:
            first = events.claim(Transaction(connection, "acme", "run", now), 3)
            if not store.is_sqlite:  # the first one's transaction is open still
                with store.write() as other:
                    assert [event.record_key for event in events.claim(Transaction(other, "acme", "run", now), 3)] == ["3", "4"]
        assert [event.record_key for event in first] == ["0", "1", "2"]
        with store.write() as connection:
            events.settle(Transaction(connection, "acme", "run", now), [first[0].event_id])
            rest = events.claim(Transaction(connection, "acme", "run", now), 10)
            assert [event.record_key for event in rest] == (["3", "4"] if store.is_sqlite else [])
            (backlog,) = events.backlog(connection, now)
            assert (backlog.waiting, backlog.free, backlog.oldest_at) == (4, 0, now)
            later = Transaction(connection, "acme", "run", now + events.LEASE)
            assert [event.record_key for event in events.claim(later, 10)] == ["1", "2", "3", "4"]
    finally:
        store.close()
