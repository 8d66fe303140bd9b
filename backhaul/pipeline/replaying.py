"""Replay: what was decided in a range, decided again by today's normalisation and policy on the facts of that time.

Sends and changes nothing.

| fact                  | as it was when the decision was taken                                                    |
|-----------------------|------------------------------------------------------------------------------------------|
| the return            | the newest version seen by then, its stored body normalised anew                         |
| the receipt           | the newest event of the warehouse by then, its stored body normalised anew               |
| an RMA without events | as it is stored now, if it was seen by then                                              |
| an earlier decision   | left out: the question is what would be decided, not what stands                         |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from backhaul.config import MerchantSettings, PolicySettings
from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.frames import joined
from backhaul.connectors.loop.normalise import normalise
from backhaul.connectors.registry import WAREHOUSES
from backhaul.connectors.vendor import Told
from backhaul.domain import schema
from backhaul.domain.facts import Line, ReturnFacts, Rma, Terms
from backhaul.domain.plan import plan
from backhaul.domain.planned import units_of
from backhaul.domain.policy import Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.windows import Window
from backhaul.domain.words import LoopState, RmaStage
from backhaul.store.decisions import Taken, taken_in
from backhaul.store.engine import Store
from backhaul.store.events import Heard, heard_of
from backhaul.store.facts import read_facts
from backhaul.store.returns import Version, versions_of

_AT_ONCE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE = "unreadable"  # what today's normalisation would not let through to a decision, and what is past its retention


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that would be another one today, with the units that each counted."""

    return_id: str
    decided_at: datetime
    decision: str
    reasons: tuple[str, ...]
    would_be: str
    would_be_reasons: tuple[str, ...]
    units: dict[str, tuple[int, int]]

    def row(self) -> dict[str, Any]:
        """For a table or JSON; units only where they differ."""
        changed = {name.removesuffix("_units"): f"{was} -> {would}" for name, (was, would) in self.units.items() if was != would}
        return {
            "return_id": self.return_id,
            "decided_at": self.decided_at,
            "decision": self.decision,
            "reasons": list(self.reasons),
            "would_be": self.would_be,
            "would_be_reasons": list(self.would_be_reasons),
            "units": changed,
        }


@dataclass(slots=True)
class Replay:
    """What a replay found for one merchant."""

    merchant: str
    replayed: int = 0
    differences: list[Difference] = field(default_factory=list)


def replay_decisions(store: Store, merchant: str, settings: MerchantSettings, whole: Window) -> Replay:
    """Replay the last decision that each return reached in the range."""
    terms = terms_of(settings, settings.policy)
    result = Replay(merchant)
    with store.read() as connection:
        taken = taken_in(connection, merchant, whole)
    for past in pasts(store, merchant, sorted(taken)):
        result.replayed += 1
        found = _replay(past, taken[past.facts.return_id], terms)
        if found is not None:
            result.differences.append(found)
    return result


def terms_of(settings: MerchantSettings, policy: PolicySettings) -> Terms:
    """What a merchant lays down under a policy."""
    laid_down = Policy(policy.unexpected, policy.pending_hold_days, policy.announce)
    return Terms(laid_down, Reasons(settings.reasons), settings.mode, must_close=False)


@dataclass(frozen=True, slots=True)
class Past:
    """A return as it is stored now, each version of it, and what its warehouse told of it."""

    facts: ReturnFacts
    versions: Sequence[Version]
    told: Sequence[Heard]

    def at(self, moment: datetime) -> ReturnFacts | None:
        """The facts as they were; None when today's normalisation cannot read the return, or what it was told is no longer kept."""
        return _facts_then(self.facts, moment, self.versions, self.told)


def pasts(store: Store, merchant: str, return_ids: Sequence[str]) -> Iterator[Past]:
    """The past of each of these returns."""
    for first in range(0, len(return_ids), _AT_ONCE):
        some = return_ids[first : first + _AT_ONCE]
        with store.read() as connection:
            stored = read_facts(connection, merchant, some)
            versions, told = versions_of(connection, merchant, some), heard_of(connection, merchant, some)
        for facts in stored:
            of_warehouse = [event for event in told[facts.return_id] if event.source in WAREHOUSES]
            yield Past(facts, versions[facts.return_id], of_warehouse)


def _replay(past: Past, taken: Taken, terms: Terms) -> Difference | None:
    facts, then = past.facts, past.at(taken.assessed_at)
    if then is None:
        return Difference(facts.return_id, taken.decided_at, taken.decision, taken.reasons, UNREADABLE, (), {})
    planned = plan(then, terms, taken.assessed_at)
    decision = planned.decision
    if (decision.kind.value, tuple(decision.reasons)) == (taken.decision, taken.reasons):
        return None
    would = dict(zip(taken.units, units_of(planned.match), strict=True))
    units = {name: (taken.units[name], would[name]) for name in taken.units}
    return Difference(facts.return_id, taken.decided_at, taken.decision, taken.reasons, decision.kind.value, tuple(decision.reasons), units)


def _facts_then(facts: ReturnFacts, as_of: datetime, versions: Sequence[Version], told: Sequence[Heard]) -> ReturnFacts | None:
    if any(not event.body for event in told if event.received_at <= as_of):
        return None
    seen = [version for version in versions if version.seen_at <= as_of] or list(versions)
    newest = max(seen, key=lambda version: int(version.version_no), default=None)
    if newest is None or not newest.body:
        return None
    batch = normalise([newest.body.encode()], newest.source)
    if batch.rejected or batch.returns["loop_state"].iloc[0] not in schema.LOOP_STATES:
        return None
    lines = zip(batch.lines["line_item_id"], batch.lines["sku"], batch.lines["return_reason"], strict=True)
    return replace(
        facts,
        loop_state=LoopState(batch.returns["loop_state"].iloc[0]),
        lines=tuple(Line(line_item_id, sku, reason) for line_item_id, sku, reason in lines),
        rma=_rma_then(facts.rma, as_of, told),
        owed=(),
        standing=None,
        receipt_quarantine=None,
        tied=tuple(one for one in facts.tied if one.tied_at <= as_of),
    )


def _rma_then(now: Rma | None, as_of: datetime, told: Sequence[Heard]) -> Rma | None:
    heard = [event for event in told if event.received_at <= as_of]
    readings = [(event, reading) for event in heard if (reading := _reading(event)) is not None]
    whole = [(event, *reading) for event, reading in readings if reading[0]["has_lines"]]
    if not whole:
        is_told_later = bool(told) or now is None or now.first_seen_at > as_of
        return None if is_told_later else now
    whole_from, head, lines = max(whole, key=lambda reading: (reading[1]["as_of"] or _EPOCH, reading[1]["version"] or 0))
    return Rma(
        warehouse=whole_from.source,
        stage=RmaStage(head["rma_stage"]) if head["rma_stage"] is not None else None,
        package_id=head["package_id"],
        received_at=head["received_at"],
        closed_at=head["closed_at"],
        first_seen_at=min(event.received_at for event in heard),
        units=tuple((line["sku"], line["condition"], line["units"]) for line in lines),
        unknown=tuple(line["inventory_status"] or "none" for line in lines if line["is_known"] is False),
    )


def _reading(event: Heard) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """An event's receipt and its lines, as today's normalisation reads them; None when it cannot, or it holds no receipt."""
    batch = _receipts(event.source, event.channel, event.topic, event.body.encode())
    if not len(batch.receipts):
        return None
    head = dict(zip(batch.receipts.columns, batch.receipts.to_numpy(dtype=object).tolist()[0], strict=True))
    lines = [dict(zip(batch.lines.columns, line, strict=True)) for line in batch.lines.to_numpy(dtype=object).tolist()]
    return head, [line for line in lines if line["units"]]


def _receipts(source: str, channel: str, topic: str, body: bytes) -> ReceiptBatch:
    vendor = WAREHOUSES[source]
    if channel != "webhook":
        return vendor.normalise([body])
    return joined([]) if vendor.receipts is None else vendor.receipts([Told(topic, body)])[0]
