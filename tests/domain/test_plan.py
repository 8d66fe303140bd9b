"""What a return's facts call for, as sentences. `plan` is pure: facts in, changes out."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backhaul.domain.announce import draft_from_json
from backhaul.domain.plan import Line, NewDelivery, Owed, Plan, ReturnFacts, Rma, Standing, Terms, plan, units_of
from backhaul.domain.policy import Decision, Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, LoopState

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
LIVE = Terms(Policy(), Reasons({"Too small": "tooSmall"}), "live", must_close=False)
OPEN_RMA = Rma("open", False, "LOOP-501", None, None, NOW, ())


def facts(**changes: object) -> ReturnFacts:
    base = ReturnFacts(
        return_id="501",
        loop_state=LoopState.OPEN,
        first_state=LoopState.OPEN,
        order_name="#1001",
        ordinal=1,
        tracking_number=None,
        is_history=False,
        first_seen_at=NOW,
        lines=(Line("1", "TEE", "Too small"), Line("2", "TEE", "Too small"), Line("3", "CAP", None)),
        rma=None,
        owed=(),
        standing=None,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def received(*units: tuple[str, str, int]) -> Rma:
    return Rma("received", True, "LOOP-501", NOW, None, NOW, units)


ALL_AVAILABLE = received(("TEE", "available", 2), ("CAP", "available", 1))
ONE_DAMAGED = received(("TEE", "available", 2), ("CAP", "damaged", 1))


def owed(kind: DeliveryKind, state: DeliveryState, *, payload: str | None = None, is_uncertain: bool = False, number: int = 1) -> Owed:
    return Owed(number, kind, state, payload, is_uncertain)


def kinds(result: Plan) -> list[DeliveryKind]:
    return [new.kind for new in result.deliveries]


def announced(**changes: object) -> Owed:
    """The create that `facts()` calls for, as the outbox has it once the warehouse took it."""
    payload = plan(facts(), LIVE, NOW).deliveries[0].payload
    return replace(owed(DeliveryKind.RMA_CREATE, DeliveryState.CONFIRMED, payload=payload), **changes)  # type: ignore[arg-type]


def test_a_new_return_is_announced_once_with_its_units_grouped() -> None:
    result = plan(facts(), LIVE, NOW)
    assert kinds(result) == [DeliveryKind.RMA_CREATE]
    draft = draft_from_json(result.deliveries[0].payload or "")
    assert [(line.sku, line.units, line.reason_code) for line in draft.lines] == [("CAP", 1, "other"), ("TEE", 2, "tooSmall")]
    assert plan(facts(owed=(announced(),), rma=OPEN_RMA), LIVE, NOW).deliveries == []


def test_a_return_that_only_a_backfill_has_seen_is_decided_and_nothing_is_owed() -> None:
    result = plan(facts(is_history=True, rma=ALL_AVAILABLE), LIVE, NOW)
    assert result.decision.kind is DecisionKind.PROCESS
    assert (result.deliveries, result.exceptions) == ([], {})


def test_a_clean_receipt_owes_a_process_and_nothing_else() -> None:
    result = plan(facts(owed=(announced(),), rma=ALL_AVAILABLE), LIVE, NOW)
    assert kinds(result) == [DeliveryKind.LOOP_PROCESS]


def test_a_damaged_unit_owes_a_note_and_then_the_flag_that_waits_for_it() -> None:
    result = plan(facts(owed=(announced(),), rma=ONE_DAMAGED), LIVE, NOW)
    note, flag = result.deliveries
    assert (note.kind, flag.kind, flag.waits_for) == (DeliveryKind.LOOP_NOTE, DeliveryKind.LOOP_FLAG, note.key)
    assert "damaged" in (note.payload or "") and len(note.payload or "") < 255


def test_a_warehouse_that_closes_returns_does_so_before_loop_is_told() -> None:
    result = plan(facts(owed=(announced(),), rma=ALL_AVAILABLE), replace(LIVE, must_close=True), NOW)
    close, process = result.deliveries
    assert (close.kind, process.kind, process.waits_for) == (DeliveryKind.RMA_CLOSE, DeliveryKind.LOOP_PROCESS, close.key)


def test_shadow_mode_records_what_it_would_have_told_loop() -> None:
    result = plan(facts(owed=(announced(),), rma=ALL_AVAILABLE), replace(LIVE, mode="shadow"), NOW)
    assert [(new.kind, new.state) for new in result.deliveries] == [(DeliveryKind.LOOP_PROCESS, DeliveryState.SHADOW)]


def test_a_tracking_number_that_comes_later_updates_the_rma_at_the_warehouse() -> None:
    result = plan(facts(owed=(announced(),), rma=OPEN_RMA, tracking_number="94001"), LIVE, NOW)
    assert kinds(result) == [DeliveryKind.RMA_UPDATE]
    assert draft_from_json(result.deliveries[0].payload or "").tracking_number == "94001"


def test_a_tracking_number_that_comes_before_the_create_was_sent_only_changes_it() -> None:
    unsent = announced(state=DeliveryState.PENDING)
    result = plan(facts(owed=(unsent,), tracking_number="94001"), LIVE, NOW)
    assert result.deliveries == []
    assert draft_from_json(result.changes[0].payload or "").tracking_number == "94001"


def test_a_create_whose_answer_was_lost_is_not_changed_under_its_feet() -> None:
    lost = announced(state=DeliveryState.PENDING, is_uncertain=True)
    result = plan(facts(owed=(lost,), tracking_number="94001"), LIVE, NOW)
    assert [change for change in result.changes if change.payload] == []
    assert kinds(result) == [DeliveryKind.RMA_UPDATE]


def test_lines_edited_after_receiving_began_become_an_exception_and_no_call() -> None:
    in_receiving = replace(OPEN_RMA, status="in-receiving")
    edited = (Line("1", "TEE", "Too small"),)
    result = plan(facts(owed=(announced(),), rma=in_receiving, lines=edited), LIVE, NOW)
    assert result.deliveries == []
    assert ExceptionKind.EDIT_AFTER_RECEIVING in result.exceptions


def test_a_return_cancelled_in_loop_withdraws_its_open_rma() -> None:
    result = plan(facts(loop_state=LoopState.CANCELLED, owed=(announced(),), rma=OPEN_RMA), LIVE, NOW)
    assert kinds(result) == [DeliveryKind.RMA_CANCEL]


def test_a_return_cancelled_before_its_rma_was_sent_is_never_announced() -> None:
    unsent = announced(state=DeliveryState.PENDING)
    result = plan(facts(loop_state=LoopState.CANCELLED, owed=(unsent,)), LIVE, NOW)
    assert result.deliveries == []
    assert [change.state for change in result.changes] == [DeliveryState.SUPERSEDED]


def test_a_return_closed_by_a_person_leaves_its_rma() -> None:
    result = plan(facts(loop_state=LoopState.CLOSED, owed=(announced(),), rma=OPEN_RMA), LIVE, NOW)
    assert (result.deliveries, result.decision.kind) == ([], DecisionKind.SKIP)


def test_a_return_first_seen_closed_gets_no_rma_even_when_it_opens() -> None:
    assert plan(facts(first_state=LoopState.CLOSED), LIVE, NOW).deliveries == []


def standing(kind: DecisionKind, *reasons: str) -> Standing:
    units = units_of(plan(facts(rma=ALL_AVAILABLE if kind is DecisionKind.PROCESS else ONE_DAMAGED), LIVE, NOW).match)
    return Standing(Decision(kind, reasons), units, units, NOW)


def after_process(state: LoopState, delivery: Owed, rma: Rma = ALL_AVAILABLE) -> Plan:
    return plan(facts(loop_state=state, owed=(announced(), delivery), rma=rma, standing=standing(DecisionKind.PROCESS)), LIVE, NOW)


def test_a_process_is_confirmed_when_loop_shows_the_return_closed() -> None:
    sent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.ACCEPTED, number=2)
    changes = after_process(LoopState.CLOSED, sent).changes
    assert [(change.delivery_id, change.state) for change in changes] == [(2, DeliveryState.CONFIRMED)]


def test_a_process_that_ends_in_review_has_failed() -> None:
    sent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.ACCEPTED, number=2)
    assert [change.state for change in after_process(LoopState.REVIEW, sent).changes] == [DeliveryState.FAILED]


def test_a_process_whose_answer_was_lost_is_adopted_when_loop_shows_closed() -> None:
    lost = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, is_uncertain=True, number=2)
    assert [change.state for change in after_process(LoopState.CLOSED, lost).changes] == [DeliveryState.CONFIRMED]


def test_a_process_whose_answer_was_lost_on_a_return_the_customer_cancelled_is_superseded() -> None:
    lost = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, is_uncertain=True, number=2)
    for state in (LoopState.CANCELLED, LoopState.EXPIRED):
        assert [change.state for change in after_process(state, lost).changes if change.delivery_id == 2] == [DeliveryState.SUPERSEDED]


def test_a_person_who_acts_first_supersedes_our_process() -> None:
    for state in (LoopState.CLOSED, LoopState.REVIEW, LoopState.CANCELLED, LoopState.EXPIRED):
        unsent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, number=2)
        assert [change.state for change in after_process(state, unsent).changes if change.delivery_id == 2] == [DeliveryState.SUPERSEDED]


def test_a_correction_after_process_is_an_exception_and_no_second_process() -> None:
    sent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.CONFIRMED, number=2)
    result = after_process(LoopState.CLOSED, sent, ONE_DAMAGED)
    assert result.decision.kind is DecisionKind.PROCESS
    assert result.deliveries == []
    assert "flag (damaged)" in result.exceptions[ExceptionKind.CORRECTION_AFTER_PROCESS]


def test_the_same_receipt_under_another_policy_is_no_correction() -> None:
    extra = received(("TEE", "available", 2), ("CAP", "available", 1), ("SOCK", "available", 1))
    units = units_of(plan(facts(rma=extra), LIVE, NOW).match)
    taken = Standing(Decision(DecisionKind.PROCESS), units, units, NOW)
    strict = replace(LIVE, policy=Policy(unexpected="flag"))
    assert plan(facts(rma=extra, standing=taken, loop_state=LoopState.CLOSED), strict, NOW).exceptions == {}


def test_a_flag_that_turns_out_clean_is_an_exception() -> None:
    result = plan(facts(rma=ALL_AVAILABLE, standing=standing(DecisionKind.FLAG, "damaged"), loop_state=LoopState.REVIEW), LIVE, NOW)
    assert ExceptionKind.CLEAN_AFTER_FLAG in result.exceptions


def test_an_unknown_condition_is_held_and_reported() -> None:
    strange = replace(received(("TEE", "available", 2), ("CAP", "pending", 1)), unknown=("moonlit",))
    result = plan(facts(rma=strange), LIVE, NOW)
    assert result.decision.kind is DecisionKind.HOLD
    assert "moonlit" in result.exceptions[ExceptionKind.UNKNOWN_CONDITION]


loop_states = st.sampled_from(LoopState)
conditions = st.sampled_from(["available", "damaged", "pending"])
units = st.lists(st.tuples(st.sampled_from(["TEE", "CAP", "SOCK"]), conditions, st.integers(0, 3)), max_size=6).map(tuple)
statuses = st.sampled_from(["open", "received"])
rmas = st.none() | st.builds(lambda status, units: Rma(status, status == "received", None, NOW, None, NOW, units), statuses, units)


def as_owed(new: NewDelivery, number: int) -> Owed:
    return Owed(number, new.kind, new.state, new.payload, is_uncertain=False)


@given(state=loop_states, rma=rmas, mode=st.sampled_from(["live", "shadow"]))
def test_the_same_facts_call_for_nothing_new_a_second_time(state: LoopState, rma: Rma | None, mode: str) -> None:
    terms = replace(LIVE, mode=mode)  # type: ignore[arg-type]
    before = facts(loop_state=state, rma=rma)
    first = plan(before, terms, NOW)
    counted = units_of(first.match)
    after = replace(
        before,
        owed=tuple(as_owed(new, number) for number, new in enumerate(first.deliveries, start=1)),
        standing=Standing(first.decision, counted, counted, NOW),
    )
    second = plan(after, terms, NOW)
    assert second.deliveries == []
    assert (second.decision, units_of(second.match)) == (first.decision, counted)


@given(history=st.lists(st.tuples(loop_states, rmas), min_size=1, max_size=8))
def test_whatever_happens_loop_is_owed_one_process_or_one_flag_at_most(history: list[tuple[LoopState, Rma | None]]) -> None:
    current = facts()
    for state, rma in history:
        current = replace(current, loop_state=state, rma=rma)
        result = plan(current, LIVE, NOW)
        started = len(current.owed)
        new = tuple(as_owed(delivery, started + number) for number, delivery in enumerate(result.deliveries, start=1))
        settled = {change.delivery_id: change.state for change in result.changes}
        kept = tuple(replace(one, state=settled.get(one.delivery_id, one.state)) for one in current.owed)
        taken = current.standing.units if current.standing and current.standing.decision == result.decision else units_of(result.match)
        current = replace(current, owed=kept + new, standing=Standing(result.decision, taken, units_of(result.match), NOW))
        told = [one.kind for one in current.owed if one.kind in (DeliveryKind.LOOP_PROCESS, DeliveryKind.LOOP_FLAG)]
        assert len(told) <= 1
        if DeliveryKind.LOOP_PROCESS in (delivery.kind for delivery in result.deliveries):
            assert result.match.available == result.match.expected


def test_a_parcel_that_arrives_for_a_cancelled_return_asks_for_a_person() -> None:
    result = plan(facts(loop_state=LoopState.CANCELLED, owed=(announced(),), rma=ALL_AVAILABLE), LIVE, NOW)
    assert result.deliveries == []
    assert ExceptionKind.CANCEL_AFTER_RECEIVING in result.exceptions
