"""The policy: the decision table, row by row, and what must hold for every return."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.matching import LineToMatch, count_units, match
from backhaul.domain.policy import Decision, Facts, Policy, correction, decide, decide_on_receipt, difference
from backhaul.domain.words import Condition, DecisionKind, ExceptionKind, LoopState
from tests.domain.strategies import SKUS, receipt_rows, return_lines

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RECORD, FLAG = Policy(), Policy(unexpected="flag")
TWO_TEES = (LineToMatch("1", "TEE"), LineToMatch("2", "TEE"))

Rows = list[tuple[str, str, int]]


def facts(
    rows: Rows | None = None,
    lines: tuple[LineToMatch, ...] | list[LineToMatch] = TWO_TEES,
    *,
    state: LoopState = LoopState.OPEN,
    is_terminal: bool = True,
    is_rma_refused: bool = False,
    received_at: datetime | None = NOW - timedelta(hours=1),
    first_seen_at: datetime = NOW - timedelta(hours=1),
    bound: Decision | None = None,
) -> Facts:
    found = match(lines, count_units(rows or []), is_terminal)
    return Facts(state, found, is_rma_refused, is_terminal, received_at, first_seen_at, bound)


def verdict(given: Facts, policy: Policy = RECORD, now: datetime = NOW) -> tuple[str, tuple[str, ...]]:
    decision = decide(given, policy, now)
    return decision.kind.value, tuple(str(reason) for reason in decision.reasons)


CLEAN: Rows = [("TEE", "available", 2)]


@pytest.mark.parametrize("kind", [DecisionKind.PROCESS, DecisionKind.FLAG])
def test_a_process_or_flag_that_its_call_binds_stands_whatever_comes_after(kind: DecisionKind) -> None:
    bound = Decision(kind, ("damaged",) if kind == DecisionKind.FLAG else ())
    for state in LoopState:
        for rows in ([], CLEAN, [("TEE", "damaged", 2)]):
            assert decide(facts(rows, state=state, bound=bound, is_rma_refused=True), RECORD, NOW) == bound


@pytest.mark.parametrize("state", ["closed", "cancelled", "expired"])
def test_a_return_that_ended_in_loop_is_skipped(state: str) -> None:
    assert verdict(facts(CLEAN, state=LoopState(state), is_rma_refused=True)) == ("skip", (f"loop_{state}",))


def test_a_return_in_review_is_held_even_when_all_of_it_arrived() -> None:
    assert verdict(facts(CLEAN, state=LoopState.REVIEW)) == ("hold", ("loop_review",))


def test_a_return_none_of_whose_lines_has_a_sku_is_held_as_unverifiable() -> None:
    assert verdict(facts(lines=[LineToMatch("1", None)])) == ("hold", ("unverifiable",))


def test_a_return_without_lines_is_held_as_unverifiable() -> None:
    assert verdict(facts(lines=[])) == ("hold", ("unverifiable",))


def test_a_return_whose_rma_was_refused_for_good_is_held() -> None:
    assert verdict(facts(is_terminal=False, is_rma_refused=True)) == ("hold", ("rma_refused",))


def test_a_hold_gives_both_reasons_when_both_hold() -> None:
    both = facts(lines=[LineToMatch("1", None)], is_terminal=False, is_rma_refused=True)
    assert verdict(both) == ("hold", ("rma_refused", "unverifiable"))


def test_a_return_whose_rma_is_not_terminal_waits_even_with_damage_in_sight() -> None:
    assert verdict(facts([("TEE", "damaged", 1)], is_terminal=False)) == ("wait", ())


def test_a_damaged_unit_flags_the_whole_return() -> None:
    assert verdict(facts([("TEE", "available", 1), ("TEE", "damaged", 1)])) == ("flag", ("damaged",))


def test_a_missing_unit_flags_the_return() -> None:
    assert verdict(facts([("TEE", "available", 1)])) == ("flag", ("missing",))


def test_one_line_without_a_sku_among_others_flags_the_return() -> None:
    assert verdict(facts(CLEAN, [*TWO_TEES, LineToMatch("3", None)])) == ("flag", ("unverifiable",))


def test_an_unexpected_unit_is_only_recorded_by_default() -> None:
    assert verdict(facts([*CLEAN, ("MUG", "damaged", 1)])) == ("process", ())


@pytest.mark.parametrize("sku", ["MUG", "TEE"])
def test_an_unexpected_unit_flags_the_return_where_the_policy_says_so(sku: str) -> None:
    assert verdict(facts([*CLEAN, (sku, "available", 1)]), FLAG) == ("flag", ("unexpected",))


def test_a_flag_gives_every_reason_that_holds_sorted() -> None:
    lines = [LineToMatch("1", "TEE"), LineToMatch("2", "CAP"), LineToMatch("3", None)]
    rows: Rows = [("TEE", "damaged", 1), ("MUG", "available", 1)]
    assert verdict(facts(rows, lines), FLAG) == ("flag", ("damaged", "missing", "unexpected", "unverifiable"))
    assert verdict(facts(rows, lines), RECORD) == ("flag", ("damaged", "missing", "unverifiable"))


def test_a_damaged_unit_flags_at_once_though_another_is_still_inspected() -> None:
    assert verdict(facts([("TEE", "pending", 1), ("TEE", "damaged", 1)])) == ("flag", ("damaged",))


PENDING: Rows = [("TEE", "available", 1), ("TEE", "pending", 1)]


def test_a_unit_being_inspected_holds_the_return_and_says_when_it_falls_due() -> None:
    received_at = NOW - timedelta(days=4, hours=23, minutes=59)
    decision = decide(facts(PENDING, received_at=received_at), RECORD, NOW)
    assert decision == Decision(DecisionKind.HOLD, ("pending",), received_at + timedelta(days=5))


def test_an_inspection_that_reaches_its_last_day_flags_the_return() -> None:
    assert verdict(facts(PENDING, received_at=NOW - timedelta(days=5))) == ("flag", ("inspection_overdue",))


def test_the_days_of_an_inspection_are_the_policys() -> None:
    assert verdict(facts(PENDING, received_at=NOW - timedelta(days=5)), Policy(pending_hold_days=6)) == ("hold", ("pending",))
    assert verdict(facts(PENDING, received_at=NOW), Policy(pending_hold_days=0)) == ("flag", ("inspection_overdue",))


def test_an_inspection_counts_from_when_it_was_first_seen_if_the_warehouse_gives_no_time() -> None:
    assert verdict(facts(PENDING, received_at=None, first_seen_at=NOW - timedelta(days=5))) == ("flag", ("inspection_overdue",))
    assert verdict(facts(PENDING, received_at=NOW, first_seen_at=NOW - timedelta(days=5))) == ("hold", ("pending",))


def test_a_return_all_of_which_arrived_available_is_processed() -> None:
    assert verdict(facts(CLEAN)) == ("process", ())


def test_facts_whose_match_was_made_for_another_state_of_the_rma_are_refused() -> None:
    with pytest.raises(ValueError, match="terminal"):
        msgspec.structs.replace(facts(is_terminal=False), is_terminal=True)
    with pytest.raises(ValueError, match="terminal"):
        msgspec.structs.replace(facts(is_terminal=True), is_terminal=False)


def test_a_receipt_is_judged_without_regard_to_loop_once_we_have_acted() -> None:
    acted = facts([("TEE", "damaged", 2)], state=LoopState.CLOSED, bound=Decision(DecisionKind.PROCESS))
    assert decide_on_receipt(acted, RECORD, NOW) == Decision(DecisionKind.FLAG, ("damaged",))
    assert decide_on_receipt(facts(CLEAN, state=LoopState.REVIEW), RECORD, NOW) == Decision(DecisionKind.PROCESS)


PROCESSED, FLAGGED = Decision(DecisionKind.PROCESS), Decision(DecisionKind.FLAG, ("missing",))
HELD, WAITING = Decision(DecisionKind.HOLD, ("pending",), NOW), Decision(DecisionKind.WAIT)


@pytest.mark.parametrize(
    ("standing", "would_be", "raised"),
    [
        (PROCESSED, FLAGGED, ExceptionKind.CORRECTION_AFTER_PROCESS),
        (PROCESSED, HELD, ExceptionKind.CORRECTION_AFTER_PROCESS),
        (PROCESSED, PROCESSED, None),
        (PROCESSED, WAITING, None),
        (FLAGGED, PROCESSED, ExceptionKind.CLEAN_AFTER_FLAG),
        (FLAGGED, HELD, None),
        (FLAGGED, Decision(DecisionKind.FLAG, ("damaged",)), None),
        (HELD, FLAGGED, None),
        (WAITING, PROCESSED, None),
    ],
)
def test_only_a_receipt_that_would_reverse_what_was_done_is_a_correction(
    standing: Decision, would_be: Decision, raised: ExceptionKind | None
) -> None:
    assert correction(standing, would_be) == raised


def test_the_difference_is_told_with_both_decisions_and_their_reasons() -> None:
    assert difference(PROCESSED, FLAGGED) == "decided process; the receipt would now decide flag (missing)"


def test_the_policys_hash_changes_with_every_setting_and_with_nothing_else() -> None:
    policies = [Policy(), Policy(unexpected="flag"), Policy(pending_hold_days=6), Policy(announce="off")]
    assert len({policy.hash for policy in policies}) == len(policies)
    assert Policy("record", 5, "on_created").hash == Policy().hash == "e373020ca89dde57"


policies = st.builds(Policy, unexpected=st.sampled_from(["record", "flag"]), pending_hold_days=st.integers(0, 7))
ages = st.integers(0, 10).map(lambda days: NOW - timedelta(days=days))


@given(return_lines(), receipt_rows, st.booleans(), policies, ages, st.booleans(), st.sampled_from(list(LoopState)))
def test_a_return_is_processed_only_when_every_expected_unit_arrived_available(
    lines: list[LineToMatch], rows: Rows, is_terminal: bool, policy: Policy, received_at: datetime, is_refused: bool, state: LoopState
) -> None:
    known = facts(rows, lines, state=state, is_terminal=is_terminal, is_rma_refused=is_refused, received_at=received_at)
    if decide(known, policy, NOW).kind == DecisionKind.PROCESS:
        assert known.match.available == known.match.expected > 0
        assert (is_terminal, is_refused, state) == (True, False, LoopState.OPEN)
        assert policy.unexpected == "record" or known.match.unexpected_units == 0


@given(return_lines(SKUS).filter(bool), receipt_rows, ages)
def test_a_return_all_of_which_arrived_available_is_processed_whatever_else_came(
    lines: list[LineToMatch], rows: Rows, received_at: datetime
) -> None:
    complete = [*rows, *((str(line.sku), Condition.AVAILABLE.value, 1) for line in lines)]
    assert decide(facts(complete, lines, received_at=received_at), RECORD, NOW).kind == DecisionKind.PROCESS


@given(return_lines(), receipt_rows, st.booleans(), policies, ages, st.sampled_from([*SKUS, "SOCK"]))
def test_one_more_damaged_unit_never_leads_to_a_process(
    lines: list[LineToMatch], rows: Rows, is_terminal: bool, policy: Policy, received_at: datetime, sku: str
) -> None:
    before = decide(facts(rows, lines, is_terminal=is_terminal, received_at=received_at), policy, NOW)
    after = decide(facts([*rows, (sku, "damaged", 1)], lines, is_terminal=is_terminal, received_at=received_at), policy, NOW)
    assert after.kind != DecisionKind.PROCESS or before.kind == DecisionKind.PROCESS
    assert before.kind != DecisionKind.FLAG or after.kind == DecisionKind.FLAG


@given(return_lines(), st.lists(receipt_rows, min_size=1, max_size=4), policies, ages, st.randoms(use_true_random=False))
def test_receipts_seen_again_and_in_another_order_give_the_same_decision(
    lines: list[LineToMatch], versions: list[Rows], policy: Policy, received_at: datetime, shuffler: random.Random
) -> None:
    """A receipt is a state, ranked by version: the last one counts, however often and in whatever order they came."""
    seen = [*enumerate(versions), *enumerate(versions)]
    shuffler.shuffle(seen)
    _, latest = max(seen, key=lambda version: version[0])
    shuffled_rows, shuffled_lines = list(latest), list(lines)
    shuffler.shuffle(shuffled_rows)
    shuffler.shuffle(shuffled_lines)
    expected = decide(facts(versions[-1], lines, received_at=received_at), policy, NOW)
    assert decide(facts(shuffled_rows, shuffled_lines, received_at=received_at), policy, NOW) == expected


@given(return_lines(), receipt_rows, st.lists(receipt_rows, max_size=3), policies)
def test_a_decision_to_act_survives_every_later_receipt(lines: list[LineToMatch], rows: Rows, later: list[Rows], policy: Policy) -> None:
    first = decide(facts(rows, lines), policy, NOW)
    standing = first
    for number, receipt in enumerate(later):
        standing = decide(facts(receipt, lines, bound=standing), policy, NOW + timedelta(days=number))
    if first.kind in (DecisionKind.PROCESS, DecisionKind.FLAG):
        assert standing == first


@given(return_lines(), receipt_rows, st.booleans(), policies, ages)
def test_reasons_are_sorted_and_only_a_hold_on_pending_falls_due(
    lines: list[LineToMatch], rows: Rows, is_terminal: bool, policy: Policy, received_at: datetime
) -> None:
    decision = decide(facts(rows, lines, is_terminal=is_terminal, received_at=received_at), policy, NOW)
    assert list(decision.reasons) == sorted(decision.reasons)
    assert bool(decision.reasons) == (decision.kind in (DecisionKind.HOLD, DecisionKind.FLAG, DecisionKind.SKIP))
    assert (decision.due_at is not None) == (decision.reasons == ("pending",))


@given(return_lines(SKUS).filter(bool), receipt_rows, policies, ages)
def test_a_hold_on_pending_is_decided_otherwise_exactly_when_it_falls_due(
    lines: list[LineToMatch], rows: Rows, policy: Policy, received_at: datetime
) -> None:
    held = facts(rows, lines, received_at=received_at)
    decision = decide(held, policy, NOW)
    if decision.due_at is not None:
        assert decide(held, policy, decision.due_at - timedelta(microseconds=1)) == decision
        assert decide(held, policy, decision.due_at).kind == DecisionKind.FLAG
