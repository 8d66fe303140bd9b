"""The policy: what is done about a return, given its facts (docs/architecture.md, Decisions)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec

from backhaul.domain.matching import Match
from backhaul.domain.words import DecisionKind, ExceptionKind, LineOutcome, LoopState, Reason

RULES_VERSION = 2  # raise it when the table of `decide`, or matching, changes: every decision carries it in its policy's hash

NOTE_LENGTH = 254  # a note on a Loop return is shorter than 255 characters (docs/vendors/loop.md, 6.5)

Announce = Literal["on_created", "on_label", "off"]

_LINES_IN_WORDS = (
    (Reason.DAMAGED, LineOutcome.DAMAGED, "damaged"),
    (Reason.MISSING, LineOutcome.MISSING, "missing"),
    (Reason.UNVERIFIABLE, LineOutcome.UNVERIFIABLE, "without a SKU"),
    (Reason.INSPECTION_OVERDUE, LineOutcome.PENDING, "still being inspected"),
)
_SKU_LENGTH = 40
_SKUS_NAMED = (4, 3, 2, 1, 0)  # for each reason; a note that is too long names fewer

FINAL = (DecisionKind.PROCESS, DecisionKind.FLAG)
_ENDED = {
    LoopState.CLOSED: Reason.LOOP_CLOSED,
    LoopState.CANCELLED: Reason.LOOP_CANCELLED,
    LoopState.EXPIRED: Reason.LOOP_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a merchant wants done. `pending_hold_days` is how long units may be in inspection before a person is asked."""

    unexpected: Literal["record", "flag"] = "record"
    pending_hold_days: int = 5
    announce: Announce = "on_created"

    @property
    def hash(self) -> str:
        """16 hex digits that change with any setting and with RULES_VERSION, and with nothing else."""
        return _policy_hash(self)


@lru_cache(maxsize=256)
def _policy_hash(policy: Policy) -> str:
    canonical = json.dumps({"rules": RULES_VERSION, **asdict(policy)}, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:16]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """A verdict with its reasons, sorted. `due_at` is when a hold on pending units falls due, else None."""

    kind: DecisionKind
    reasons: tuple[str, ...] = ()
    due_at: datetime | None = None


class Facts(msgspec.Struct, frozen=True, gc=False):
    """All that a decision depends on, besides the policy and the time.

    `is_terminal` is False when there is no RMA, or its newest receipt is in quarantine. `received_at` is the warehouse's own time, None
    if it gives none; `first_seen_at` is when we first saw the receipt. `bound` is an earlier process or flag whose call is under way, may
    have had its effect, or is settled (`deliveries.Owed.binds`); until then a decision is only what the facts say now.
    Raises ValueError when `match` was not made with the same `is_terminal`.
    """

    loop_state: LoopState
    match: Match
    is_rma_refused: bool
    is_terminal: bool
    received_at: datetime | None
    first_seen_at: datetime
    bound: Decision | None = None

    def __post_init__(self) -> None:
        if self.match.awaited if self.is_terminal else self.match.missing:
            raise ValueError("the match and the facts disagree on whether the RMA is terminal; match again")


def decide(facts: Facts, policy: Policy, now: datetime) -> Decision:
    """Decide what is done about a return: the first rule that holds.

    | # | when | decision | reasons |
    |---|---|---|---|
    | 0 | an earlier `process` or `flag` is bound by its call | it stands | as they were |
    | 1 | Loop state is closed, cancelled or expired | skip | `loop_closed`, … |
    | 2 | Loop state is review | hold | `loop_review` |
    | 3 | no line has a SKU; or the warehouse refused the RMA for good | hold | `unverifiable`; `rma_refused` |
    | 4 | RMA not terminal, or none | wait | |
    | 5 | a line damaged, missing or unverifiable; or units unexpected and policy `unexpected = "flag"` | flag | those that hold |
    | 6 | a line pending, less than `pending_hold_days` since received (since first seen, if it has no such time) | hold | `pending` |
    | 7 | a line pending, longer | flag | `inspection_overdue` |
    | 8 | otherwise | process | |
    """
    if facts.bound is not None:
        return facts.bound
    ended = _ENDED.get(facts.loop_state)
    if ended is not None:
        return Decision(DecisionKind.SKIP, (ended,))
    if facts.loop_state == LoopState.REVIEW:
        return Decision(DecisionKind.HOLD, (Reason.LOOP_REVIEW,))
    return decide_on_receipt(facts, policy, now)


def decide_on_receipt(facts: Facts, policy: Policy, now: datetime) -> Decision:
    """What the receipt alone would decide: rules 3 to 8 of `decide`.

    After `process` or `flag` the Loop state is our own doing, so a later receipt is judged by this and compared with `correction`.
    """
    match = facts.match
    cannot = _sorted((Reason.UNVERIFIABLE, match.unverifiable == match.expected), (Reason.RMA_REFUSED, facts.is_rma_refused))
    if cannot:
        return Decision(DecisionKind.HOLD, cannot)
    if not facts.is_terminal:
        return Decision(DecisionKind.WAIT)
    wrong = _sorted(
        (Reason.DAMAGED, match.damaged > 0),
        (Reason.MISSING, match.missing > 0),
        (Reason.UNVERIFIABLE, match.unverifiable > 0),
        (Reason.UNEXPECTED, match.unexpected_units > 0 and policy.unexpected == "flag"),
    )
    if wrong:
        return Decision(DecisionKind.FLAG, wrong)
    if match.pending:
        return _decide_on_pending(facts.received_at or facts.first_seen_at, policy, now)
    return Decision(DecisionKind.PROCESS)


def _decide_on_pending(since: datetime, policy: Policy, now: datetime) -> Decision:
    due_at = since + timedelta(days=policy.pending_hold_days)
    if now < due_at:
        return Decision(DecisionKind.HOLD, (Reason.PENDING,), due_at)
    return Decision(DecisionKind.FLAG, (Reason.INSPECTION_OVERDUE,))


def _sorted(*reasons: tuple[Reason, bool]) -> tuple[str, ...]:
    return tuple(sorted(reason for reason, holds in reasons if holds))


def flag_note(decision: Decision, match: Match) -> str:
    """The reasons of a flag in words, for the person who opens the return in Loop. Less than 255 characters, with no personal data.

    `Backhaul: 1 of 3 units damaged (TEE-NVY-M), 1 missing (CAP-RED). Please review.` Give it the match that was decided on: the same
    decision and match give the same note, so that a note already there can be recognised. Raises ValueError for any but a flag.
    """
    if decision.kind != DecisionKind.FLAG:
        raise ValueError(f"a note explains a flag, not a decision to {decision.kind}")
    for named in _SKUS_NAMED:
        note = _note(decision, match, named)
        if len(note) <= NOTE_LENGTH:
            break
    return note


def _note(decision: Decision, match: Match, named: int) -> str:
    parts: list[str] = []
    for reason, outcome, words in _LINES_IN_WORDS:
        if reason in decision.reasons:
            skus = [line.sku for line in match.lines if line.outcome == outcome]
            count = str(len(skus)) if parts else f"{len(skus)} of {_units(match.expected)}"
            parts.append(f"{count} {words}{_names(skus, named)}")
    if Reason.UNEXPECTED in decision.reasons:
        parts.append(f"{_units(match.unexpected_units)} not announced{_names((group.sku for group in match.unexpected), named)}")
    return f"Backhaul: {', '.join(parts)}. Please review."


def _units(count: int) -> str:
    return f"{count} unit{'' if count == 1 else 's'}"


def _names(skus: Iterable[str | None], named: int) -> str:
    """The first few distinct SKUs in brackets, each on one line and cut to a readable length."""
    distinct = sorted({" ".join((sku or "").split())[:_SKU_LENGTH] for sku in skus} - {""})
    if not distinct or not named:
        return ""
    more = len(distinct) - named
    return f" ({', '.join(distinct[:named])}{f' and {more} more' if more > 0 else ''})"


def correction(standing: Decision, would_be: Decision) -> ExceptionKind | None:
    """The exception that a later receipt raises, or None when it would not decide otherwise. `would_be` is from `decide_on_receipt`."""
    if standing.kind == DecisionKind.PROCESS and would_be.kind in (DecisionKind.FLAG, DecisionKind.HOLD):
        return ExceptionKind.CORRECTION_AFTER_PROCESS
    if standing.kind == DecisionKind.FLAG and would_be.kind == DecisionKind.PROCESS:
        return ExceptionKind.CLEAN_AFTER_FLAG
    return None


def difference(standing: Decision, would_be: Decision) -> str:
    """The two decisions in words, for the exception: `decided process; the receipt would now decide flag (damaged)`."""
    return f"decided {_in_words(standing)}; the receipt would now decide {_in_words(would_be)}"


def _in_words(decision: Decision) -> str:
    return f"{decision.kind} ({', '.join(decision.reasons)})" if decision.reasons else str(decision.kind)
