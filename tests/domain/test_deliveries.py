"""What news proves about a delivery, as the table of `proven` says it, and that nothing else is ever taken for proof."""

from __future__ import annotations

import pytest

from backhaul.domain.deliveries import ACCEPT, CONFIRM, FAIL, GIVEN_UP, SUPERSEDE, Owed, Seen, Transition, proven
from backhaul.domain.words import DeliveryKind, DeliveryState, LoopState, RmaStage

PROCESS, FLAG, NOTE = DeliveryKind.LOOP_PROCESS, DeliveryKind.LOOP_FLAG, DeliveryKind.LOOP_NOTE
CREATE, UPDATE, CANCEL, CLOSE = DeliveryKind.RMA_CREATE, DeliveryKind.RMA_UPDATE, DeliveryKind.RMA_CANCEL, DeliveryKind.RMA_CLOSE
PENDING, ACCEPTED = DeliveryState.PENDING, DeliveryState.ACCEPTED

ENDED = (LoopState.CLOSED, LoopState.CANCELLED, LoopState.EXPIRED)
STATES = {
    "undone": (PENDING, False),
    "uncertain": (PENDING, True),
    **{state.value: (state, False) for state in DeliveryState if state is not PENDING},
}

# kind, how it stands -> Loop's state -> what that proves; what is not here proves nothing
BY_LOOP_STATE: dict[tuple[DeliveryKind, str], dict[LoopState, Transition]] = {
    (PROCESS, "accepted"): {
        LoopState.CLOSED: CONFIRM,
        LoopState.REVIEW: FAIL,
        LoopState.CANCELLED: FAIL,
        LoopState.EXPIRED: FAIL,
    },
    (PROCESS, "uncertain"): {
        LoopState.CLOSED: CONFIRM,
        LoopState.REVIEW: FAIL,
        LoopState.CANCELLED: SUPERSEDE,
        LoopState.EXPIRED: SUPERSEDE,
    },
    (PROCESS, "undone"): dict.fromkeys(ENDED, SUPERSEDE),
    (FLAG, "accepted"): dict.fromkeys((*ENDED, LoopState.REVIEW), CONFIRM),
    (FLAG, "uncertain"): dict.fromkeys(ENDED, SUPERSEDE) | {LoopState.REVIEW: CONFIRM},
    (FLAG, "undone"): dict.fromkeys(ENDED, SUPERSEDE),
    (NOTE, "uncertain"): dict.fromkeys(ENDED, SUPERSEDE),
    (NOTE, "undone"): dict.fromkeys(ENDED, SUPERSEDE),
}


def owed(kind: DeliveryKind, stands: str) -> Owed:
    state, is_uncertain = STATES[stands]
    return Owed(1, kind, state, None, is_uncertain, "masonhub")


def proves(kind: DeliveryKind, stands: str, seen: Seen, tracking_number: str | None = None) -> Transition | None:
    proof = proven(owed(kind, stands), seen, tracking_number)
    return proof.transition if proof is not None else None


@pytest.mark.parametrize("stands", STATES)
@pytest.mark.parametrize("kind", [PROCESS, FLAG, NOTE])
@pytest.mark.parametrize("state", LoopState)
def test_each_state_that_loop_shows_proves_what_the_table_says_and_no_more(kind: DeliveryKind, stands: str, state: LoopState) -> None:
    assert proves(kind, stands, Seen(state)) == BY_LOOP_STATE.get((kind, stands), {}).get(state)


@pytest.mark.parametrize("stands", STATES)
def test_loop_saying_that_a_process_failed_counts_where_one_was_or_may_have_been_taken(stands: str) -> None:
    expected = FAIL if stands in ("accepted", "uncertain") else None
    assert proves(PROCESS, stands, Seen(failure="no stock")) == expected
    assert proves(FLAG, stands, Seen(failure="no stock")) is None


def test_an_uncertain_process_on_a_return_that_is_open_and_paid_was_taken() -> None:
    assert proves(PROCESS, "uncertain", Seen(LoopState.OPEN, is_paid=True)) is ACCEPT
    assert proves(PROCESS, "undone", Seen(LoopState.OPEN, is_paid=True)) is None


def test_a_note_that_is_there_was_written() -> None:
    assert proves(NOTE, "uncertain", Seen(has_note=True)) is CONFIRM
    assert proves(NOTE, "undone", Seen(has_note=True)) is None


@pytest.mark.parametrize("stands", STATES)
@pytest.mark.parametrize("stage", [None, *RmaStage])
def test_each_stage_of_an_rma_proves_what_the_table_says_and_no_more(stands: str, stage: RmaStage | None) -> None:
    is_there = stage not in (None, RmaStage.GONE)
    may_be_proven = stands in ("uncertain", "accepted", *GIVEN_UP)
    seen = Seen(rma_stage=stage, package_id="94001")
    assert proves(CREATE, stands, seen) == (CONFIRM if may_be_proven and is_there else None)
    assert proves(CANCEL, stands, seen) == (CONFIRM if (may_be_proven or stands == "undone") and stage is RmaStage.GONE else None)
    assert proves(CLOSE, stands, seen) == (CONFIRM if (may_be_proven or stands == "undone") and stage is RmaStage.CLOSED else None)
    assert proves(UPDATE, stands, seen, "94001") == (CONFIRM if stands == "accepted" and is_there else None)
    assert proves(UPDATE, stands, seen, "94002") is None


def test_a_decision_is_bound_by_a_process_or_a_flag_that_may_have_had_its_effect_and_by_nothing_else() -> None:
    binding = {"uncertain", "sending", "accepted", "confirmed", "refused", "failed", "dead"}
    assert {stands for stands in STATES if owed(PROCESS, stands).binds} == binding
    assert {stands for stands in STATES if owed(FLAG, stands).binds} == binding
    assert not any(owed(kind, stands).binds for kind in (NOTE, CREATE, UPDATE, CANCEL, CLOSE) for stands in STATES)
