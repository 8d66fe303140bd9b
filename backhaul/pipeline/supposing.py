"""What if the policy had been another one: each return of a range, taken through its past under both. Sends and changes nothing.

A return's past is every moment at which its facts changed, and the one at which a hold fell due. Both policies are asked at each; the first
process or flag stands, since its call would have gone out. What Loop shows after our own call is left out, for that call caused it; what
the warehouse told later is not. Only a policy makes a difference here: reading and matching are today's on both sides (`replaying`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from backhaul.config import MerchantSettings, PolicySettings
from backhaul.domain.facts import ReturnFacts, Terms
from backhaul.domain.plan import plan
from backhaul.domain.policy import Decision
from backhaul.domain.windows import Window
from backhaul.domain.words import DecisionKind
from backhaul.errors import ConfigError
from backhaul.pipeline.replaying import Past, pasts, terms_of
from backhaul.store.decisions import Taken, moved_by_policy, taken_in
from backhaul.store.engine import Store

_STANDS = (DecisionKind.PROCESS, DecisionKind.FLAG)

Moments = list[tuple[datetime, ReturnFacts]]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A return that the other policy would have decided otherwise."""

    taken: Taken
    decision: Decision
    would_be: Decision

    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {
            "return_id": self.taken.return_id,
            "order_name": self.taken.order_name,
            "decision": self.decision.kind.value,
            "reasons": list(self.decision.reasons),
            "would_be": self.would_be.kind.value,
            "would_be_reasons": list(self.would_be.reasons),
            "units": self.taken.units["expected_units"],
            "value": self.taken.value,
            "currency": self.taken.currency,
        }


@dataclass(slots=True)
class Supposed:
    """What another policy would have made of one merchant's range. The past of `unreadable` ones is gone, or cannot be read."""

    merchant: str
    returns: int
    otherwise: list[Otherwise] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def changes(self) -> list[dict[str, Any]]:
        """How many returns go from which decision to which, with their units and value, by currency."""
        returns, units = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
        value: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for row in (one.row() for one in self.otherwise):
            key = (row["decision"], row["would_be"], row["currency"] or "")
            returns[key] += 1
            units[key] += row["units"]
            value[key] += row["value"] or 0
        names = ("decision", "would_be", "currency")
        return [
            dict(zip(names, key, strict=True)) | {"returns": returns[key], "units": units[key], "value": value[key]}
            for key in sorted(returns)
        ]


def what_if(store: Store, merchant: str, settings: MerchantSettings, whole: Window, policy: PolicySettings) -> Supposed:
    """What `policy` would have decided of the returns that reached a decision in the range, where the merchant's own decides otherwise."""
    now, then = terms_of(settings, settings.policy), terms_of(settings, policy)
    with store.read() as connection:
        taken = taken_in(connection, merchant, whole)
        moved = moved_by_policy(connection, merchant) & taken.keys()  # of all others, a policy says nothing
    result = Supposed(merchant, len(taken))
    for past in pasts(store, merchant, sorted(moved)):
        row = taken[past.facts.return_id]
        moments = _moments(past, row, whole.end)
        if moments is None:
            result.unreadable.append(row.return_id)
            continue
        decision, would_be = (_reached(moments, terms, whole.end) for terms in (now, then))
        if (decision.kind, decision.reasons) != (would_be.kind, would_be.reasons):
            result.otherwise.append(Otherwise(row, decision, would_be))
    return result


def _moments(past: Past, taken: Taken, end: datetime) -> Moments | None:
    """The facts at each moment at which they changed, up to the end; None when one of them cannot be read."""
    ours = taken.assessed_at if taken.decision in _STANDS else end
    uncaused = Past(past.facts, [one for one in past.versions if one.seen_at <= ours] or past.versions, past.told)
    times = {taken.assessed_at, *(one.seen_at for one in uncaused.versions), *(one.received_at for one in past.told)}
    moments = [(at, uncaused.at(at)) for at in sorted(times) if at <= end]
    read = [(at, facts) for at, facts in moments if facts is not None]
    return read if len(read) == len(moments) else None


def _reached(moments: Moments, terms: Terms, end: datetime) -> Decision:
    """The first process or flag, else the last decision. Moments are never none: the decision itself was taken at one."""
    decision = Decision(DecisionKind.WAIT)
    for number, (at, facts) in enumerate(moments):
        until = moments[number + 1][0] if number + 1 < len(moments) else end
        decision = plan(facts, terms, at).decision
        if decision.due_at is not None and decision.due_at <= until:
            decision = plan(facts, terms, max(at, decision.due_at)).decision
        if decision.kind in _STANDS:
            break
    return decision


def changed(policy: PolicySettings, words: Sequence[str]) -> PolicySettings:
    """A policy with `KEY=VALUE` changed. Raises ConfigError for what is no such change, or one that decides nothing."""
    changes = {key.strip(): value.strip() for key, _, value in (word.partition("=") for word in words)}
    if "announce" in changes:
        raise ConfigError("announce decides nothing; set unexpected=flag or pending_hold_days=3")
    return policy.but(changes)
