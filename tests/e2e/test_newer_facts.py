"""A decision binds only once a call for it may have had its effect: until then newer facts decide anew (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from backhaul.errors import BackhaulError
from flows.recorded import recorded_run
from tasks.actions import deliver_due
from tasks.receipts import load_receipts, poll_warehouse
from tests.e2e.house import House, prepare

SETTLE = timedelta(seconds=900)
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House], module_store_url: str) -> House:
    return build_shared(store_url=module_store_url)


@pytest.fixture
def decided(house: House) -> str:
    """A return that is decided to be processed, and of which Loop has not been told."""
    house.world.faults.clear()
    return_id = house.shop()
    house.sync()
    house.receive(return_id)
    prepare(house)
    assert house.state(return_id, "loop.process") == "pending"
    return return_id


def flagged_instead(house: House, return_id: str) -> None:
    house.world.faults.clear()
    house.let_time_pass(SETTLE)
    for _ in range(3):
        house.sync()
        house.let_time_pass(SETTLE)
    assert house.effects("loop.process", return_id) == 0
    assert house.effects("loop.flag", return_id) == 1
    assert house.state(return_id, "loop.process") == "superseded"
    assert house.outcome(return_id)[0::2] == ("flag", "flagged")


@pytest.mark.parametrize("fault", ["429", "503", "reset_before"])
def test_a_correction_to_damaged_that_comes_while_loop_does_not_take_the_process_flags_it(house: House, decided: str, fault: str) -> None:
    house.world.fault(fault, "loop.process", record=decided, times=None)
    house.sync()
    house.receive(decided, "damaged")
    house.sync()
    flagged_instead(house, decided)
    [superseded] = house.deliveries(decided, "loop.process")
    assert superseded["message"] == "decided process; the receipt would now decide flag (damaged)"


def test_a_line_that_is_added_while_loop_does_not_take_the_process_is_not_processed(house: House, decided: str) -> None:
    house.world.fault("429", "loop.process", record=decided, times=None)
    house.sync()
    house.world.edit_return("acme", decided, ["TEE-NVY-M", "CAP-RED-OS"])
    house.sync()
    flagged_instead(house, decided)


def test_a_correction_that_waits_at_the_warehouse_is_known_before_a_process_that_is_owed_is_sent(house: House, decided: str) -> None:
    house.receive(decided, "damaged")
    house.sync()
    assert house.effects("loop.process", decided) == 0 and house.effects("loop.flag", decided) == 1


def test_a_warehouse_that_cannot_be_asked_holds_up_no_process_and_fails_the_run(house: House, decided: str) -> None:
    new = house.shop()
    house.world.fault("401", "masonhub.list", times=None)
    with pytest.raises(BackhaulError, match="masonhub"):
        house.sync()
    house.world.faults.clear()
    assert house.effects("loop.process", decided) == 1 and house.effects("masonhub.create", new) == 1
    assert house.runs()[-1]["state"] == "failed"


def test_the_newest_facts_are_asked_for_in_the_transaction_that_claims(house: House, decided: str) -> None:
    """News that is stored, and that no run has decided on yet, stops what an earlier run has planned."""
    house.receive(decided, "damaged")
    with recorded_run("news", "acme", config=str(house.file), trigger="command") as session:
        load_receipts(session, poll_warehouse(session, "masonhub"))
        deliver_due(session)
    assert house.effects("loop.process", decided) == 0
    assert house.state(decided, "loop.process") == "superseded"


def test_history_that_turns_live_is_decided_on_what_is_known_now(house: House) -> None:
    house.world.faults.clear()
    return_id = house.shop()
    house.world.masonhub("acme")  # the warehouse knows it from elsewhere
    house.sync()
    house.receive(return_id)
    with house.store.write() as connection:  # as if a backfill alone had seen it, and decided it
        connection.exec_driver_sql(f"DELETE FROM deliveries WHERE return_id = '{return_id}'")
        connection.exec_driver_sql(f"UPDATE returns SET is_history = true, is_due = true WHERE return_id = '{return_id}'")
    house.world.edit_return("acme", return_id, ["TEE-NVY-M", "CAP-RED-OS"])
    house.sync()
    house.sync()
    assert house.effects("loop.process", return_id) == 0
    assert house.standing(return_id)["decision"] == "flag"


def test_a_newer_receipt_in_quarantine_stops_a_process_that_a_review_held_back(house: House, decided: str) -> None:
    house.world.flag_return("acme", decided)
    house.sync()
    house.rma(decided).lines[0]["receiving_details"] = {"available": [{"notes": "", "quantity": -1}]}
    house.world.masonhub("acme").touch(house.rma(decided))
    house.sync()
    house.world.loop("acme").unflag(decided)
    house.sync()
    assert house.effects("loop.process", decided) == 0
    assert house.outcome(decided) == ("wait", [], "exception")
    assert house.exceptions(decided) >= {"receipt_quarantined"}
    house.receive(decided)
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.outcome(decided) == ("process", [], "processed")


def test_a_return_that_expires_and_opens_again_is_announced_anew(house: House) -> None:
    house.world.faults.clear()
    return_id = house.shop()
    house.sync()
    house.world.expire_return("acme", return_id)
    house.sync()
    house.sync()
    assert house.rma(return_id) is None or house.rma(return_id).status == "deleted"
    house.world.loop("acme").unflag(return_id)  # a person opens it again
    house.sync()
    house.sync()
    assert house.effects("masonhub.create", return_id) == 2
    house.receive(return_id)
    house.sync()
    assert house.effects("loop.process", return_id) == 1
    assert house.exceptions(return_id) == set()


def test_a_person_who_closes_the_return_ends_the_exception_of_a_refused_process(house: House, decided: str) -> None:
    house.world.loop("acme").options.flag_to_review = False
    house.world.flag_return("acme", decided)
    house.sync()
    house.world.loop("acme").options.flag_to_review = True
    assert house.exceptions(decided) == {"delivery_refused"}
    house.world.close_return("acme", decided)
    house.sync()
    assert house.exceptions(decided) == set()
    assert house.standing(decided)["stage"] == "ended"


def test_a_process_whose_answer_is_lost_and_that_loop_says_failed_is_not_sent_again_by_itself(house: House, decided: str) -> None:
    house.world.fail_processing("acme", decided)
    house.world.fault("lost_after", "loop.process", record=decided)
    house.deliver()
    house.let_time_pass(SETTLE)
    house.sync()
    house.let_time_pass(SETTLE)
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.state(decided, "loop.process") == "failed"
    assert house.exceptions(decided) == {"delivery_failed"}
