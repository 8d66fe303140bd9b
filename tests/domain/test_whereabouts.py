"""Where a return stands, by the two tables of its module."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.whereabouts import Awaited, Call, Known, Stage, awaited_by, stage_of, value_at_risk
from backhaul.domain.words import DecisionKind, DeliveryState, LineOutcome, LoopState, Reason, RmaStage

OPEN, CLOSED = LoopState.OPEN, LoopState.CLOSED
PROCESS, FLAG, HOLD, WAIT = DecisionKind.PROCESS, DecisionKind.FLAG, DecisionKind.HOLD, DecisionKind.WAIT


def call(state: str, held_by: str | None = None) -> Call:
    return Call(DeliveryState(state), held_by)


ROWS: list[tuple[Known, str, str | None]] = [
    (Known(OPEN, is_history=True, is_stopped=True), "history", None),
    (Known(CLOSED, is_stopped=True, decision=PROCESS, process=call("confirmed")), "exception", "person"),
    (Known(CLOSED, decision=PROCESS, process=call("confirmed")), "processed", None),
    (Known(LoopState.REVIEW, decision=FLAG, flag=call("accepted")), "flagged", "person"),
    (Known(CLOSED, decision=FLAG, flag=call("confirmed")), "flagged", None),
    (Known(OPEN, decision=DecisionKind.SKIP), "ended", None),
    (Known(CLOSED, decision=PROCESS, process=call("superseded")), "ended", None),
    (Known(LoopState.EXPIRED), "ended", None),
    (Known(OPEN, decision=PROCESS, process=call("sending")), "decided", "vendor"),
    (Known(OPEN, decision=PROCESS, process=call("accepted")), "decided", "vendor"),
    (Known(OPEN, decision=PROCESS), "decided", "vendor"),
    (Known(OPEN, decision=PROCESS, process=call("shadow")), "decided", "person"),
    (Known(OPEN, decision=PROCESS, process=call("dead")), "decided", "person"),
    (Known(LoopState.REVIEW, decision=PROCESS, process=call("pending", Reason.LOOP_REVIEW)), "decided", "review"),
    (Known(OPEN, decision=FLAG, flag=call("pending"), process=call("superseded")), "decided", "vendor"),
    (Known(LoopState.REVIEW, decision=HOLD, reasons=("loop_review",)), "held", "review"),
    (Known(OPEN, decision=HOLD, reasons=("pending",)), "held", "inspection"),
    (Known(OPEN, decision=HOLD, reasons=("rma_refused",)), "held", "person"),
    (Known(OPEN, decision=WAIT, has_rma=True, rma_stage=RmaStage.RECEIVING), "receiving", "receiving"),
    (Known(OPEN, decision=WAIT, has_rma=True, rma_stage=RmaStage.ANNOUNCED, counted_units=1), "receiving", "receiving"),
    (Known(OPEN, decision=WAIT, has_rma=True), "announced", "parcel"),
    (Known(OPEN, decision=WAIT, create=call("accepted")), "announced", "parcel"),
    (Known(OPEN, decision=WAIT, has_rma=True, is_delivered=True), "announced", "receiving"),
    (Known(OPEN, decision=WAIT, create=call("pending")), "unannounced", "announcement"),
    (Known(OPEN, decision=WAIT, create=call("dead")), "unannounced", "person"),
    (Known(OPEN), "unannounced", "announcement"),
]


@pytest.mark.parametrize(("known", "stage", "waits_for"), ROWS)
def test_each_row_of_the_tables(known: Known, stage: str, waits_for: str | None) -> None:
    found = stage_of(known)
    assert (found, awaited_by(found, known)) == (stage, waits_for)


def test_the_rows_name_every_stage_and_everything_that_is_awaited() -> None:
    assert {stage for _, stage, _ in ROWS} == set(Stage)
    assert {waits_for for *_, waits_for in ROWS} - {None} == set(Awaited)


CALLS = st.none() | st.builds(Call, st.sampled_from(DeliveryState), st.sampled_from([None, "loop_review", "paused"]))
KNOWN = st.builds(
    Known,
    loop_state=st.sampled_from(LoopState),
    is_history=st.booleans(),
    is_stopped=st.booleans(),
    decision=st.none() | st.sampled_from(DecisionKind),
    reasons=st.lists(st.sampled_from([reason.value for reason in Reason]), max_size=2).map(tuple),
    counted_units=st.integers(0, 3),
    has_rma=st.booleans(),
    rma_stage=st.none() | st.sampled_from(RmaStage),
    is_delivered=st.booleans(),
    create=CALLS,
    flag=CALLS,
    process=CALLS,
)


@given(KNOWN)
def test_nothing_waits_without_saying_for_what(known: Known) -> None:
    stage = stage_of(known)
    is_over = stage in (Stage.HISTORY, Stage.PROCESSED, Stage.ENDED) or (
        stage is Stage.FLAGGED and known.loop_state not in (OPEN, "review")
    )
    assert (awaited_by(stage, known) is None) == is_over


def test_the_value_at_risk_is_exact_and_counts_what_is_awaited_only_where_loop_has_paid() -> None:
    amounts = (Decimal("10.10"), Decimal("1.00"), Decimal("0.20"))
    lines = [(outcome, *amounts) for outcome in LineOutcome]
    assert value_at_risk(lines, is_paid=False) == Decimal("27.90")  # damaged, missing, unverifiable
    assert value_at_risk(lines, is_paid=True) == Decimal("37.20")
    assert value_at_risk([(LineOutcome.DAMAGED, Decimal("5"), None, None)], is_paid=False) == 5
