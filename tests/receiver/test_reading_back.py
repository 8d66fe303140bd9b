"""Webhook, read-back and list of one return, as Loop documents them and as it was recorded: one version for one change, nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from backhaul.pipeline import outcomes, reading_back
from backhaul.sandbox import Sandbox
from backhaul.sandbox.loop_hooks import php_json, signature
from backhaul.sandbox.loop_state import Return
from flows.sync import pull_returns
from tasks.actions import compare_asn, decide_returns, deliver_due, notice_what_hangs
from tasks.receipts import load_receipts, poll_warehouse
from tasks.returns import pending_windows

from .conftest import MERCHANT, Desk


@pytest.fixture(params=["documented", "recorded"])
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox whose clock stands still, and whose Loop writes in one of its two ways."""
    with Sandbox(seed=11, merchants=(MERCHANT,), is_ticking=False, surface=request.param) as running:
        yield running


def take_in(desk: Desk) -> dict[str, int]:
    desk.post(desk.fresh_postings())
    counts = desk.take_in()
    desk.fresh_postings()  # what our own acts made the vendors tell is not what is looked at here
    return counts


def sync(desk: Desk) -> dict[str, int]:
    with desk.session("sync") as session:
        for window in pending_windows(session):
            pull_returns(session, window, completes=window)
            compare_asn(session, window)
        load_receipts(session, poll_warehouse(session, "masonhub"))
        decide_returns(session)
        deliver_due(session)
        notice_what_hangs(session)
        return dict(session.run.counts)


def versions(desk: Desk) -> list[str]:
    return [row["source"] for row in desk.rows("SELECT source FROM return_versions ORDER BY version_no")]


def kinds(desk: Desk) -> list[str]:
    return [row["kind"] for row in desk.rows("SELECT kind FROM recon_exceptions ORDER BY kind")]


def test_a_read_back_then_two_syncs_make_exactly_one_version_of_each_real_change(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M", "TEE-NAV-M"), destination_id=67_896)
    changes: list[Callable[[], Any]] = [
        lambda: None,
        lambda: box.world.set_tracking(MERCHANT, item.id, "9400100000000000000001"),
        lambda: box.world.edit_return(MERCHANT, item.id, ("TEE-NAV-M", "CAP-RED-1")),
        lambda: box.world.loop(MERCHANT).review(item.id),
        lambda: box.world.loop(MERCHANT).unflag(item.id),
        lambda: box.world.close_return(MERCHANT, item.id),
    ]
    for number, change in enumerate(changes, start=1):
        box.advance(timedelta(minutes=5))
        change()
        take_in(desk)
        assert len(versions(desk)) in (number - 1, number)  # an event of the same bytes as an earlier one tells nothing
        for _ in range(2):
            sync(desk)
            assert len(versions(desk)) == number
    (row,) = desk.rows("SELECT order_id, edited_at, version_no, is_due FROM returns")
    assert row["order_id"] == "98001001" and row["version_no"] == len(changes)  # as the list has it
    assert (row["edited_at"] is None) == (box.world.surface == "recorded")
    quiet = desk.rows("SELECT * FROM returns"), desk.rows("SELECT * FROM return_lines"), desk.rows("SELECT * FROM decisions")
    with desk.session() as session:
        reading_back.read(session, [str(item.id)], desk.now())
    sync(desk)
    assert (desk.rows("SELECT * FROM returns"), desk.rows("SELECT * FROM return_lines"), desk.rows("SELECT * FROM decisions")) == quiet


def test_a_reason_that_is_mapped_is_announced_after_a_read_back_too(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",), reasons=["Too small"], is_silent=True)
    box.world.set_tracking(MERCHANT, item.id, "9400100000000000000001")
    take_in(desk)
    rma = box.world.masonhub(MERCHANT).find(str(item.id))
    assert rma is not None and [line["return_reason_code"] for line in rma.lines] == ["tooSmall"]
    assert desk.rows("SELECT return_reason, parent_return_reason FROM return_lines") == [
        {"return_reason": "Too small", "parent_return_reason": "Item didn't fit"}
    ]
    assert "asn_only" not in kinds(desk)


def test_a_line_that_was_taken_off_in_loop_expects_no_unit(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M", "CAP-RED-1"))
    take_in(desk)
    box.advance(timedelta(minutes=1))
    box.world.loop(MERCHANT).remove(item.id, [item.lines[1]])
    take_in(desk)
    assert desk.rows("SELECT sku FROM return_lines") == [{"sku": "TEE-NAV-M"}]
    sync(desk)
    assert desk.rows("SELECT expected_units FROM recon_returns") == [{"expected_units": 1}]
    assert versions(desk) == ["webhook", "details"]
    rma = box.world.masonhub(MERCHANT).find(str(item.id))
    assert rma is not None and [line["customer_sku_id"] for line in rma.lines] == ["TEE-NAV-M"]


def hide(box: Sandbox, item: Return) -> None:
    """Loop shows the return nowhere."""
    account = box.world.loop(MERCHANT)
    account.by_created.remove(item.state, item.created_at, item.id)
    account.by_updated.remove(item.state, item.updated_at, item.id)
    del account._returns[item.id]


def show(box: Sandbox, item: Return) -> None:
    account = box.world.loop(MERCHANT)
    account._returns[item.id] = item
    account.by_created.add(item.state, item.created_at, item.id)
    account.by_updated.add(item.state, item.updated_at, item.id)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_return_that_was_closed_before_it_was_seen_is_not_announced_from_an_older_body(desk: Desk, box: Sandbox, is_late: bool) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    created = desk.fresh_postings()
    box.world.close_return(MERCHANT, item.id)
    ended = desk.fresh_postings()
    hide(box, item)
    desk.post(ended if is_late else created + ended)
    desk.take_in()
    if is_late:
        desk.post(created)
        desk.take_in()
    assert box.world.effects(MERCHANT, "masonhub.create") == 0
    assert desk.rows("SELECT * FROM returns") == []
    assert {row["outcome"] for row in desk.rows("SELECT outcome FROM events")} == {"unknown_return"}


def test_an_event_of_a_return_that_loop_does_not_show_leaves_a_trace_and_then_an_exception_until_it_does(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",), is_silent=True)
    box.world.set_tracking(MERCHANT, item.id, "9400100000000000000001")
    hide(box, item)
    assert take_in(desk)["events_of_unknown_returns"] == 2
    sync(desk)
    assert kinds(desk) == []  # Loop may show it yet
    box.advance(timedelta(minutes=11))
    sync(desk)
    assert kinds(desk) == ["asn_only"]
    assert {row["outcome"] for row in desk.rows("SELECT outcome FROM events")} == {"never_shown"}
    calls = box.world.journal.count("loop.details", MERCHANT)
    sync(desk)
    assert box.world.journal.count("loop.details", MERCHANT) == calls  # asked once
    show(box, item)
    box.world.loop(MERCHANT).change(item)
    sync(desk)
    assert kinds(desk) == []


def test_sixty_events_that_cannot_be_read_block_nothing_and_are_read_back(desk: Desk, box: Sandbox) -> None:
    ids = [box.world.create_return(MERCHANT, ("TEE-NAV-M",), order_number=1000 + n).id for n in range(60)]
    postings = desk.fresh_postings()
    secret = box.keys[MERCHANT].loop_webhook_secret
    for one in postings:
        one.body = one.body.replace(b'"return_total":"45.36"', b'"return_total":"a lot"')
        assert b"a lot" in one.body
        one.headers["X-Loop-Signature"] = signature(secret, one.body)
    assert desk.post(postings) == [200] * 60
    assert desk.take_in()["events_unreadable"] == 60
    assert desk.rows("SELECT count(*) AS n FROM quarantine") == [{"n": 0}]
    assert desk.rows("SELECT DISTINCT outcome FROM events WHERE source = 'loop'") == [{"outcome": "unreadable"}]
    assert {int(row["return_id"]) for row in desk.rows("SELECT return_id FROM returns")} == set(ids)
    assert box.world.effects(MERCHANT, "masonhub.create") == 60
    (run,) = desk.rows("SELECT records_in, records_out, unchanged, quarantined FROM runs ORDER BY started_at DESC LIMIT 1")
    assert run["records_in"] == run["records_out"] + run["unchanged"] + run["quarantined"]
    sync(desk)


def test_a_record_that_is_in_quarantine_already_is_not_counted_against_the_window_again(desk: Desk, box: Sandbox) -> None:
    account = box.world.loop(MERCHANT)
    items = [box.world.create_return(MERCHANT, ("TEE-NAV-M",), order_number=1000 + n, is_silent=True) for n in range(100)]
    for item in items[:40]:
        account.corrupt(item.id, return_total="a lot")
    assert sync(desk)["quarantined"] == 40
    for item in items[40:70]:
        account.corrupt(item.id, return_total="a lot")
    assert sync(desk)["quarantined"] == 30
    assert desk.rows("SELECT count(*) AS n FROM quarantine WHERE released_at IS NULL") == [{"n": 70}]


def test_what_loop_says_of_a_failure_is_kept_without_the_customer_and_the_keys(desk: Desk, box: Sandbox) -> None:
    key = box.keys[MERCHANT].loop_api_key
    said = f"No refund for sam.shopper@example.com, call +1 555 000 0000, key {key} " + "x" * 200_000
    body = php_json({"topic": "return.processing", "trigger": "return.processing.failed", "return_id": 7, "message": said})
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",))
    (posting,) = desk.fresh_postings()
    posting.body, posting.headers["X-Loop-Signature"] = body, signature(box.keys[MERCHANT].loop_webhook_secret, body)
    assert desk.post([posting]) == [200]
    (event,) = desk.rows("SELECT body FROM events")
    assert "No refund for" in event["body"] and len(event["body"]) < 600 and str(item.id) not in event["body"]
    assert not [word for word in ("sam.shopper", "555", key) if word in event["body"]]


def processed(desk: Desk, box: Sandbox, **fields: Any) -> Return:
    """A return that we processed, and that Loop shows closed."""
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",), **fields)
    take_in(desk)
    box.world.receive(MERCHANT, item.id, "all")
    take_in(desk)
    sync(desk)
    assert desk.rows("SELECT state FROM deliveries WHERE kind = 'loop.process'") == [{"state": "confirmed"}]
    return item


def followed(desk: Desk) -> int:
    return int(desk.rows("SELECT count(*) AS n FROM deliveries WHERE kind = 'loop.process' AND outcomes_at IS NULL")[0]["n"])


EXCHANGE = {"exchange_id": "1", "sku": "TEE-NAV-L", "price": "10.00", "tax": "0.00", "total": "10.00", "out_of_stock": False}


def test_a_process_whose_outcomes_all_have_their_time_is_followed_no_longer(desk: Desk, box: Sandbox) -> None:
    processed(desk, box)
    assert followed(desk) == 0 and kinds(desk) == []
    calls = box.world.journal.count("loop.list", MERCHANT)
    box.advance(timedelta(days=2))
    with desk.session() as session:
        outcomes.follow(session)
    assert box.world.journal.count("loop.list", MERCHANT) == calls


def test_times_that_come_hours_later_without_a_new_update_time_are_met(desk: Desk, box: Sandbox) -> None:
    box.world.loop(MERCHANT).options.was_processed_lag = timedelta(hours=5)
    processed(desk, box)
    assert followed(desk) == 1 and kinds(desk) == []
    box.advance(timedelta(hours=7))
    with desk.session() as session:
        outcomes.follow(session)
    assert followed(desk) == 0 and kinds(desk) == []


def test_an_outcome_that_is_not_done_in_time_is_an_exception_that_names_it_and_ends_by_itself(desk: Desk, box: Sandbox) -> None:
    item = box.world.create_return(MERCHANT, ("TEE-NAV-M",), outcome="exchange+refund", exchanges=[dict(EXCHANGE), dict(EXCHANGE)])
    box.world.loop(MERCHANT).leave_undone(item.id, "exchange", out_of_stock=1)
    take_in(desk)
    box.world.receive(MERCHANT, item.id, "all")
    take_in(desk)
    sync(desk)
    box.advance(timedelta(hours=23))
    sync(desk)
    assert followed(desk) == 1 and kinds(desk) == []
    box.advance(timedelta(hours=2))
    sync(desk)
    (row,) = desk.rows("SELECT kind, return_id, why FROM recon_exceptions")
    assert (row["kind"], row["return_id"]) == ("outcome_undone", str(item.id))
    assert row["why"] == "not done: exchange 20.00 USD; 1 of 2 units in exchange are out of stock"
    box.world.loop(MERCHANT).leave_undone(item.id)
    box.advance(timedelta(hours=25))
    sync(desk)
    assert followed(desk) == 0 and kinds(desk) == []


def test_a_processed_return_that_falls_back_to_review_is_an_exception_at_once(desk: Desk, box: Sandbox) -> None:
    box.world.loop(MERCHANT).options.was_processed_lag = timedelta(hours=5)
    item = processed(desk, box)
    box.advance(timedelta(minutes=5))
    box.world.loop(MERCHANT).review(item.id)
    take_in(desk)
    sync(desk)
    why = [row["why"] for row in desk.rows("SELECT why FROM recon_exceptions WHERE kind = 'outcome_undone'")]
    assert len(why) == 1 and "review in Loop" in why[0] and "refund 45.36 USD" in why[0]
    box.advance(timedelta(hours=6))
    box.world.close_return(MERCHANT, item.id)
    take_in(desk)
    sync(desk)
    assert "outcome_undone" not in kinds(desk) and followed(desk) == 0
