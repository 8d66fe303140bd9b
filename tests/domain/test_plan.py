"""What a return's facts call for, as sentences. `plan` is pure: facts in, changes out."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backhaul.domain.announce import draft_from_json
from backhaul.domain.deliveries import AMEND, BINDING, CONFIRM, FAIL, REVIVE, SHELVE, SUPERSEDE, Owed
from backhaul.domain.facts import Line, ReturnFacts, Rma, Standing, Terms
from backhaul.domain.plan import plan
from backhaul.domain.planned import NewDelivery, Plan, units_of
from backhaul.domain.policy import Decision, Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.words import DecisionKind, DeliveryKind, DeliveryState, ExceptionKind, LoopState, RmaStage

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
LIVE = Terms(Policy(), Reasons({"Too small": "tooSmall"}), "live", must_close=False)
OPEN_RMA = Rma("masonhub", RmaStage.ANNOUNCED, "LOOP-501", None, None, NOW, ())


def facts(**changes: object) -> ReturnFacts:
    base = ReturnFacts(
        return_id="501",
        warehouse="masonhub",
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
    return Rma("masonhub", RmaStage.RECEIVED, "LOOP-501", NOW, None, NOW, units)


ALL_AVAILABLE = received(("TEE", "available", 2), ("CAP", "available", 1))
ONE_DAMAGED = received(("TEE", "available", 2), ("CAP", "damaged", 1))


def owed(kind: DeliveryKind, state: DeliveryState, *, payload: str | None = None, is_uncertain: bool = False, number: int = 1) -> Owed:
    return Owed(number, kind, state, payload, is_uncertain, "masonhub")


def done(kind: DeliveryKind) -> Owed:
    """A delivery that the vendor took and has shown since."""
    return owed(kind, DeliveryState.CONFIRMED, number=9)


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
    in_receiving = replace(OPEN_RMA, stage=RmaStage.RECEIVING)
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
    assert [change.transition for change in result.changes] == [SUPERSEDE]


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
    assert [(change.delivery_id, change.transition) for change in changes] == [(2, CONFIRM)]


def test_a_process_that_ends_in_review_has_failed() -> None:
    sent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.ACCEPTED, number=2)
    assert [change.transition for change in after_process(LoopState.REVIEW, sent).changes] == [FAIL]


def test_a_process_whose_answer_was_lost_is_adopted_when_loop_shows_closed() -> None:
    lost = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, is_uncertain=True, number=2)
    assert [change.transition for change in after_process(LoopState.CLOSED, lost).changes] == [CONFIRM]


def test_a_process_whose_answer_was_lost_on_a_return_the_customer_cancelled_is_superseded() -> None:
    lost = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, is_uncertain=True, number=2)
    for state in (LoopState.CANCELLED, LoopState.EXPIRED):
        assert [change.transition for change in after_process(state, lost).changes if change.delivery_id == 2] == [SUPERSEDE]


def test_a_person_who_acts_first_supersedes_our_process() -> None:
    for state in (LoopState.CLOSED, LoopState.CANCELLED, LoopState.EXPIRED):
        unsent = owed(DeliveryKind.LOOP_PROCESS, DeliveryState.PENDING, number=2)
        assert [change.transition for change in after_process(state, unsent).changes if change.delivery_id == 2] == [SUPERSEDE]


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
    assert (
        plan(facts(rma=extra, standing=taken, loop_state=LoopState.CLOSED, owed=(done(DeliveryKind.LOOP_PROCESS),)), strict, NOW).exceptions
        == {}
    )


def test_a_flag_that_turns_out_clean_is_an_exception() -> None:
    flagged = facts(rma=ALL_AVAILABLE, standing=standing(DecisionKind.FLAG, "damaged"), loop_state=LoopState.REVIEW)
    result = plan(replace(flagged, owed=(done(DeliveryKind.LOOP_FLAG),)), LIVE, NOW)
    assert ExceptionKind.CLEAN_AFTER_FLAG in result.exceptions


def test_an_unknown_condition_is_held_and_reported() -> None:
    strange = replace(received(("TEE", "available", 2), ("CAP", "pending", 1)), unknown=("moonlit",))
    result = plan(facts(rma=strange), LIVE, NOW)
    assert result.decision.kind is DecisionKind.HOLD
    assert "moonlit" in result.exceptions[ExceptionKind.UNKNOWN_CONDITION]


loop_states = st.sampled_from(LoopState)
conditions = st.sampled_from(["available", "damaged", "pending"])
units = st.lists(st.tuples(st.sampled_from(["TEE", "CAP", "SOCK"]), conditions, st.integers(0, 3)), max_size=6).map(tuple)
stages = st.sampled_from([RmaStage.ANNOUNCED, RmaStage.RECEIVED])
rmas = st.none() | st.builds(lambda stage, units: Rma("masonhub", stage, None, NOW, None, NOW, units), stages, units)


def as_owed(new: NewDelivery, number: int) -> Owed:
    return Owed(number, new.kind, new.state, new.payload, is_uncertain=False, warehouse="masonhub")


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


@given(history=st.lists(st.tuples(loop_states, rmas, st.booleans()), min_size=1, max_size=8))
def test_whatever_happens_what_loop_is_sent_is_one_process_or_one_flag_and_follows_from_the_facts_of_its_moment(
    history: list[tuple[LoopState, Rma | None, bool]],
) -> None:
    current, sent = facts(), []
    for state, rma, is_delivered in history:
        current = replace(current, loop_state=state, rma=rma)
        result = plan(current, LIVE, NOW)
        new = tuple(as_owed(delivery, len(current.owed) + place) for place, delivery in enumerate(result.deliveries, start=1))
        moved = {change.delivery_id: change for change in result.changes}
        kept = tuple(
            replace(one, state=moved[one.delivery_id].transition.target, held_by=moved[one.delivery_id].held_by)
            if one.delivery_id in moved
            else one
            for one in current.owed
        )
        owed_now = kept + new
        if is_delivered:
            ready = [one for one in owed_now if one.kind in BINDING and one.is_undone and one.held_by is None]
            assert len(ready) <= 1
            for one in ready:
                sent.append(one.kind)
                assert state is LoopState.OPEN
                if one.kind is DeliveryKind.LOOP_PROCESS:
                    assert result.match.available == result.match.expected
                else:
                    assert result.decision.kind is DecisionKind.FLAG
            owed_now = tuple(replace(one, state=DeliveryState.ACCEPTED) if one in ready else one for one in owed_now)
        current = replace(current, owed=owed_now, standing=Standing(result.decision, units_of(result.match), units_of(result.match), NOW))
        assert len(sent) <= 1


def test_a_parcel_that_arrives_for_a_cancelled_return_asks_for_a_person() -> None:
    result = plan(facts(loop_state=LoopState.CANCELLED, owed=(announced(),), rma=ALL_AVAILABLE), LIVE, NOW)
    assert result.deliveries == []
    assert ExceptionKind.CANCEL_AFTER_RECEIVING in result.exceptions


def pending(kind: DeliveryKind, number: int = 2, **more: object) -> Owed:
    return replace(owed(kind, DeliveryState.PENDING, number=number), **more)  # type: ignore[arg-type]


def with_process(process: Owed, **changes: object) -> Plan:
    """What follows for a return whose process was decided, and stands like this in the outbox."""
    decided = facts(owed=(announced(), process), rma=ALL_AVAILABLE, standing=standing(DecisionKind.PROCESS))
    return plan(replace(decided, **changes), LIVE, NOW)  # type: ignore[arg-type]


def moves(result: Plan) -> list[tuple[int, str]]:
    return [(change.delivery_id, change.transition.name) for change in result.changes]


def test_a_correction_before_the_process_was_sent_decides_anew_and_flags() -> None:
    result = with_process(pending(DeliveryKind.LOOP_PROCESS), rma=ONE_DAMAGED)
    assert result.decision.kind is DecisionKind.FLAG
    assert moves(result) == [(2, "supersede")]
    assert kinds(result) == [DeliveryKind.LOOP_NOTE, DeliveryKind.LOOP_FLAG]
    assert result.changes[0].message == "decided process; the receipt would now decide flag (damaged)"


def test_a_line_added_before_the_process_was_sent_waits_for_its_unit() -> None:
    added = (*facts().lines, Line("4", "SOCK", None))
    result = with_process(pending(DeliveryKind.LOOP_PROCESS), lines=added)
    assert (result.decision.kind, moves(result)) == (DecisionKind.FLAG, [(2, "supersede")])


def test_a_process_that_may_have_had_its_effect_binds_its_decision() -> None:
    result = with_process(pending(DeliveryKind.LOOP_PROCESS, is_uncertain=True), rma=ONE_DAMAGED)
    assert (result.decision.kind, moves(result), result.deliveries) == (DecisionKind.PROCESS, [], [])
    assert ExceptionKind.CORRECTION_AFTER_PROCESS in result.exceptions


def test_a_process_that_is_being_sent_binds_its_decision() -> None:
    result = with_process(owed(DeliveryKind.LOOP_PROCESS, DeliveryState.SENDING, number=2), rma=ONE_DAMAGED)
    assert (result.decision.kind, moves(result)) == (DecisionKind.PROCESS, [])


def test_what_was_superseded_is_owed_again_when_the_facts_call_for_it_again() -> None:
    result = with_process(owed(DeliveryKind.LOOP_PROCESS, DeliveryState.SUPERSEDED, number=2))
    assert [(change.delivery_id, change.transition) for change in result.changes] == [(2, REVIVE)]


def test_a_review_in_loop_holds_what_is_not_sent_and_drops_nothing() -> None:
    result = with_process(pending(DeliveryKind.LOOP_PROCESS), loop_state=LoopState.REVIEW)
    assert (result.decision.kind, result.decision.reasons) == (DecisionKind.HOLD, ("loop_review",))
    assert [(change.delivery_id, change.transition, change.held_by) for change in result.changes] == [(2, AMEND, "loop_review")]
    again = with_process(pending(DeliveryKind.LOOP_PROCESS, held_by="loop_review"))
    assert [(change.transition, change.held_by) for change in again.changes] == [(AMEND, None)]


def test_while_the_newest_receipt_is_in_quarantine_nothing_is_decided_on_the_older_one() -> None:
    result = with_process(pending(DeliveryKind.LOOP_PROCESS), receipt_quarantine="AIR-001: more was restocked than received")
    assert (result.decision.kind, moves(result)) == (DecisionKind.WAIT, [(2, "supersede")])
    assert ExceptionKind.RECEIPT_QUARANTINED in result.exceptions


def test_a_flag_whose_reasons_changed_before_its_note_was_sent_says_the_new_ones() -> None:
    first = plan(facts(owed=(announced(),), rma=ONE_DAMAGED), LIVE, NOW)
    note = pending(DeliveryKind.LOOP_NOTE, payload=first.deliveries[0].payload)
    flag = pending(DeliveryKind.LOOP_FLAG, number=3)
    worse = received(("TEE", "damaged", 2), ("CAP", "damaged", 1))
    result = plan(facts(owed=(announced(), note, flag), rma=worse, standing=standing(DecisionKind.FLAG, "damaged")), LIVE, NOW)
    [change] = result.changes
    assert (change.delivery_id, change.transition) == (2, AMEND)
    assert "3 of 3" in (change.payload or "")


def test_a_merchant_that_goes_to_shadow_keeps_what_was_not_sent_as_shadow() -> None:
    decided = facts(owed=(announced(), pending(DeliveryKind.LOOP_PROCESS)), rma=ALL_AVAILABLE, standing=standing(DecisionKind.PROCESS))
    result = plan(decided, replace(LIVE, mode="shadow"), NOW)
    assert [(change.delivery_id, change.transition) for change in result.changes] == [(2, SHELVE)]


def test_a_return_that_opens_again_before_its_withdrawal_was_sent_keeps_its_rma() -> None:
    result = plan(facts(owed=(announced(), pending(DeliveryKind.RMA_CANCEL)), rma=OPEN_RMA), LIVE, NOW)
    assert (moves(result), result.deliveries) == ([(2, "supersede")], [])


def test_a_return_that_opens_again_after_its_rma_was_withdrawn_is_announced_anew() -> None:
    gone = replace(OPEN_RMA, stage=RmaStage.GONE)
    withdrawn = facts(owed=(announced(), done(DeliveryKind.RMA_CANCEL)), rma=gone)
    [create] = plan(withdrawn, LIVE, NOW).deliveries
    assert (create.kind, create.key) == (DeliveryKind.RMA_CREATE, "rma.create:501:2")
    assert plan(replace(withdrawn, loop_state=LoopState.EXPIRED), LIVE, NOW).deliveries == []


def test_a_return_whose_destination_changes_is_withdrawn_here_and_announced_there() -> None:
    moved = facts(warehouse="airhouse", owed=(announced(),), rma=OPEN_RMA)
    [cancel] = plan(moved, LIVE, NOW).deliveries
    assert (cancel.kind, cancel.warehouse) == (DeliveryKind.RMA_CANCEL, "masonhub")
    gone = replace(moved, owed=(announced(), done(DeliveryKind.RMA_CANCEL)), rma=replace(OPEN_RMA, stage=RmaStage.GONE))
    [create] = plan(gone, LIVE, NOW).deliveries
    assert (create.kind, create.key, create.warehouse) == (DeliveryKind.RMA_CREATE, "rma.create:501:2", None)


def test_a_destination_that_changes_after_receiving_began_asks_for_a_person() -> None:
    result = plan(facts(warehouse="airhouse", owed=(announced(),), rma=replace(OPEN_RMA, stage=RmaStage.RECEIVING)), LIVE, NOW)
    assert result.deliveries == []
    assert "airhouse" in result.exceptions[ExceptionKind.EDIT_AFTER_RECEIVING]


def test_an_update_waits_for_the_one_before_it() -> None:
    result = plan(facts(owed=(announced(state=DeliveryState.ACCEPTED),), tracking_number="94001", rma=OPEN_RMA), LIVE, NOW)
    [update] = result.deliveries
    assert update.waits_for == 1
