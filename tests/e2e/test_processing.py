"""Process and flag at Loop: an effect that may have happened, a person who acts first, a refusal, a failure (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.e2e.house import House, prepare

SETTLE = timedelta(seconds=900)


@pytest.fixture(scope="module")
def house(build_shared: Callable[..., House]) -> House:
    return build_shared()


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


def test_a_process_whose_answer_is_lost_is_not_repeated_and_is_adopted_when_loop_shows_closed(house: House, decided: str) -> None:
    house.world.fault("lost_after", "loop.process", record=decided)
    house.deliver()
    assert house.attempts(decided, "loop.process") == ["uncertain"]
    assert house.state(decided, "loop.process") == "pending"
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.outcome(decided) == ("process", [], "processed")


def test_a_lost_process_that_loop_takes_its_time_over_is_looked_up_and_waited_for(house: House, decided: str) -> None:
    house.world.loop("acme").options.process_delay = timedelta(minutes=30)
    house.world.fault("lost_after", "loop.process", record=decided)
    house.deliver()
    house.deliver()
    house.let_time_pass(SETTLE / 2)
    house.deliver()
    house.world.loop("acme").options.process_delay = timedelta()
    assert house.effects("loop.process", decided) == 1
    assert len(house.world.journal.writes("loop.process")) == sum(len(house.attempts(r["return_id"], "loop.process")) for r in sent(house))
    house.world.loop("acme").queue_processing(house.world.loop("acme").need(decided))  # Loop comes round to it
    house.let_time_pass(SETTLE)
    house.deliver()
    assert house.effects("loop.process", decided) == 1
    assert house.state(decided, "loop.process") == "confirmed"
    assert house.attempts(decided, "loop.process")[-1] == "adopted"


def sent(house: House) -> list[dict[str, object]]:
    return [row for row in house.deliveries(kind="loop.process") if row["attempts"]]


def test_a_process_that_never_reached_loop_is_sent_again_only_after_it_had_time_to_settle(house: House, decided: str) -> None:
    house.world.fault("reset_before", "loop.process", record=decided)
    house.deliver()
    house.sync()
    house.let_time_pass(SETTLE / 2)
    house.sync()
    assert house.effects("loop.process", decided) == 0
    house.let_time_pass(SETTLE)
    house.sync()
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.outcome(decided) == ("process", [], "processed")
    assert house.attempts(decided, "loop.process") == ["uncertain", "nothing_done", "accepted"]


@pytest.mark.parametrize(("act", "reason"), [("close", "loop_closed"), ("cancel", "loop_cancelled")])
def test_a_person_who_ends_the_return_in_loop_first_makes_the_process_superseded(house: House, decided: str, act: str, reason: str) -> None:
    getattr(house.world, f"{act}_return")("acme", decided)
    house.sync()
    assert house.state(decided, "loop.process") == "superseded"
    assert house.effects("loop.process", decided) == 0
    assert house.outcome(decided) == ("skip", [reason], "ended")
    assert house.attempts(decided, "loop.process") == []


def test_a_review_in_loop_holds_the_process_and_open_again_it_is_sent(house: House, decided: str) -> None:
    house.world.flag_return("acme", decided)
    house.sync()
    assert house.outcome(decided) == ("hold", ["loop_review"], "held")
    assert (house.state(decided, "loop.process"), house.standing(decided)["delivery_state"]) == ("pending", "pending")
    assert house.exceptions(decided) == set()
    house.world.loop("acme").unflag(decided)
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.outcome(decided) == ("process", [], "processed")


def test_a_flag_that_meets_a_review_is_held_and_sent_when_the_return_is_open_again(house: House) -> None:
    return_id = house.shop()
    house.sync()
    house.receive(return_id, "damaged")
    prepare(house)
    house.world.flag_return("acme", return_id)
    house.sync()
    assert (house.state(return_id, "loop.note"), house.state(return_id, "loop.flag")) == ("pending", "pending")
    house.world.loop("acme").unflag(return_id)
    house.sync()
    assert house.effects("loop.note", return_id) == 1
    assert house.state(return_id, "loop.flag") == "confirmed"


def test_a_person_who_closes_first_makes_the_note_and_the_flag_superseded(house: House) -> None:
    return_id = house.shop()
    house.sync()
    house.receive(return_id, "damaged")
    prepare(house)
    house.world.close_return("acme", return_id)
    house.sync()
    assert (house.state(return_id, "loop.note"), house.state(return_id, "loop.flag")) == ("superseded", "superseded")
    assert house.effects("loop.note", return_id) == house.effects("loop.flag", return_id) == 0


def test_a_process_that_loop_refuses_with_http_200_is_refused_and_asks_a_person(house: House, decided: str) -> None:
    house.world.loop("acme").options.flag_to_review = False  # the flag shows nowhere in the list, so nothing could supersede
    house.world.flag_return("acme", decided)
    house.sync()
    house.world.loop("acme").options.flag_to_review = True
    [call] = [call for call in house.world.journal.writes("loop.process") if f"/{decided}/" in call.path]
    assert call.status == 200
    [delivery] = house.deliveries(decided, "loop.process")
    assert (delivery["state"], delivery["code"]) == ("refused", "UNPROCESSABLE_FLAGGED_RETURN")
    assert house.exceptions(decided) == {"delivery_refused"}
    house.sync()
    assert len([call for call in house.world.journal.writes("loop.process") if f"/{decided}/" in call.path]) == 1


def test_a_process_that_loop_accepts_and_then_fails_is_failed_asks_a_person_and_is_not_sent_again(house: House, decided: str) -> None:
    house.world.fail_processing("acme", decided)
    house.sync()
    assert house.effects("loop.process", decided) == 1
    assert house.state(decided, "loop.process") == "failed"
    assert house.outcome(decided) == ("process", [], "exception")
    assert house.exceptions(decided) == {"delivery_failed"}
    house.world.loop("acme").unflag(decided)  # a person puts it back to open
    house.let_time_pass(SETTLE)
    house.sync()
    assert house.effects("loop.process", decided) == 1


def test_an_operator_retries_a_failed_process_and_it_is_sent_at_once_and_once(house: House, decided: str) -> None:
    house.world.fail_processing("acme", decided)
    house.sync()
    house.world.loop("acme").unflag(decided)  # a person puts it back to open
    done = house.command("deliver", "--retry", decided)
    assert done.returncode == 0, done.stderr
    assert house.effects("loop.process", decided) == 2  # the one that failed, and this one
    assert house.exceptions(decided) == set()
    house.sync()
    assert house.state(decided, "loop.process") == "confirmed"
    assert house.effects("loop.process", decided) == 2


def test_an_operator_retries_what_was_finished_by_hand_and_nothing_is_sent(house: House, decided: str) -> None:
    house.world.loop("acme").options.flag_to_review = False
    house.world.flag_return("acme", decided)
    house.sync()
    house.world.loop("acme").options.flag_to_review = True
    assert house.state(decided, "loop.process") == "refused"
    sent = house.effects("loop.process", decided)
    house.world.close_return("acme", decided)  # a person settles it in Loop
    assert house.command("deliver", "--retry", decided).returncode == 0
    assert house.effects("loop.process", decided) == sent
    assert house.state(decided, "loop.process") == "confirmed"


def test_a_note_refused_for_good_does_not_hold_up_the_flag(house: House) -> None:
    house.world.faults.clear()
    return_id = house.shop()
    house.sync()
    house.receive(return_id, "damaged")
    house.world.fault("422", "loop.note", record=return_id)
    house.sync()
    assert house.state(return_id, "loop.note") in ("refused", "dead")
    assert house.state(return_id, "loop.flag") == "confirmed"
    assert house.effects("loop.flag", return_id) == 1


def test_a_process_that_never_closes_is_brought_to_a_person(house: House, decided: str) -> None:
    house.world.loop("acme").options.process_delay = timedelta(days=1)
    house.sync()
    house.world.loop("acme").options.process_delay = timedelta()
    assert house.state(decided, "loop.process") == "accepted"
    house.let_time_pass(4 * SETTLE + timedelta(minutes=1))
    house.sync()
    assert house.exceptions(decided) == {"process_unconfirmed"}
    assert house.effects("loop.process", decided) == 1
    house.world.loop("acme").queue_processing(house.world.loop("acme").need(decided))
    house.sync()
    assert house.exceptions(decided) == set()
    assert house.outcome(decided) == ("process", [], "processed")


def test_one_unreadable_look_up_does_not_stop_the_deliveries_of_the_others(house: House, decided: str) -> None:
    other = house.shop()
    house.sync()  # `decided` is sent here
    assert house.effects("loop.process", decided) == 1
    stuck = other
    house.receive(stuck)
    prepare(house)
    house.world.fault("lost_after", "loop.process", record=stuck)
    house.deliver()
    house.let_time_pass(SETTLE)
    third = house.shop()
    house.world.loop("acme").corrupt(stuck, state={"not": "a text"})
    house.deliver()
    house.world.loop("acme").corrupt(stuck, state="closed")
    house.sync()
    assert house.effects("masonhub.create", third) == 1
    assert house.effects("loop.process", stuck) == 1
