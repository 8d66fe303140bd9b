"""What is known of one return, and what the merchant and the warehouse lay down: all that a plan reads."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from backhaul.domain.deliveries import ENDED, Owed
from backhaul.domain.matching import LineToMatch
from backhaul.domain.policy import Decision, Policy
from backhaul.domain.reasons import Reasons
from backhaul.domain.ties import Tied
from backhaul.domain.words import DeliveryKind, LoopState, RmaStage


class Line(LineToMatch, frozen=True, gc=False):
    """A return line, as far as a plan needs it."""

    reason: str | None


class Rma(msgspec.Struct, frozen=True, gc=False):
    """The RMA as its warehouse last told it. `unknown` are the warehouse's own words for conditions that nobody listed."""

    warehouse: str
    stage: RmaStage | None
    package_id: str | None
    received_at: datetime | None
    closed_at: datetime | None
    first_seen_at: datetime
    units: tuple[tuple[str, str, int], ...]  # SKU, condition, units
    unknown: tuple[str, ...] = ()

    @property
    def is_terminal(self) -> bool:
        """Nothing more will arrive."""
        return self.stage in (RmaStage.RECEIVED, RmaStage.CLOSED)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The decision on record: the units it was taken on, and those that were counted last."""

    decision: Decision
    units: tuple[int, ...]
    latest_units: tuple[int, ...]
    decided_at: datetime


class ReturnFacts(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one return. `receipt_quarantine` is why its newest receipt is in quarantine, None when it is not.

    Of the units of `rma`, those are left out that a person has tied to another return; `tied` are others' that are tied to this one.
    """

    return_id: str
    warehouse: str
    loop_state: LoopState
    first_state: LoopState
    order_name: str | None
    ordinal: int
    tracking_number: str | None
    is_history: bool
    first_seen_at: datetime
    lines: tuple[Line, ...]
    rma: Rma | None
    owed: tuple[Owed, ...]
    standing: Standing | None
    receipt_quarantine: str | None = None
    tied: tuple[Tied, ...] = ()

    @property
    def is_ended(self) -> bool:
        """Loop has nothing more to do about it."""
        return self.loop_state in ENDED

    def of(self, *kinds: DeliveryKind) -> list[Owed]:
        """The deliveries of these kinds, oldest first."""
        return [owed for owed in self.owed if owed.kind in kinds]


class Terms(msgspec.Struct, frozen=True):
    """What the merchant and the warehouse lay down for every return."""

    policy: Policy
    reasons: Reasons
    mode: Literal["live", "shadow"]
    must_close: bool
