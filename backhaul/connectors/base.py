"""What every connector hands on: batches of normalised frames, and the small interface of a warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from backhaul.domain.rma import RmaDraft

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be decoded. `body` is JSON with personal data removed; `reason` names fields, never values."""

    record_key: str  # its id, or "sha256:…" of the body where it has none
    order_name: str | None
    rule: str
    reason: str
    body: str


@dataclass(frozen=True, slots=True)
class ReturnBatch:
    """Loop returns as frames (`schema.RETURNS`, `schema.RETURN_LINES`). `bodies[i]` is row i of `returns`, without personal data."""

    returns: pd.DataFrame
    lines: pd.DataFrame
    bodies: list[str]
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReceiptBatch:
    """Warehouse news as frames (`schema.RECEIPTS`, `schema.RECEIPT_LINES`). `bodies[i]` is row i of `receipts`, without personal data."""

    receipts: pd.DataFrame
    lines: pd.DataFrame
    bodies: list[str]
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class News:
    """A part of a warehouse's own list. `cursor` is where it goes on, None at its end; `calls` is what this part has cost."""

    batch: ReceiptBatch
    calls: int
    cursor: str | None = None


class Verdict(StrEnum):
    """What a warehouse said of one record of a write."""

    ACCEPTED = "accepted"
    EXISTS = "exists"  # create: the key is taken already
    MISSING = "missing"  # update, cancel, close: no such record
    NOT_OPEN = "not_open"  # update, cancel: receiving has begun
    REFUSED = "refused"  # anything else


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one record of a write, with the vendor's code and words (safe to store and show)."""

    return_id: str
    verdict: Verdict
    code: str | None = None
    message: str | None = None


class Warehouse(Protocol):
    """A warehouse, as the rest of Backhaul sees it. Writes raise VendorError when the whole call failed, else they answer per record."""

    name: str
    batch_size: int  # records a write call takes
    keys_per_find: int  # keys that one call of `find` asks for
    must_close: bool  # a decided return is closed here before Loop is told

    def create(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Announce RMAs, at most `batch_size` in a call."""

    def update(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Replace open RMAs."""

    def cancel(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Withdraw open RMAs."""

    def close(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Close received RMAs, where `must_close`."""

    def find(self, return_ids: Sequence[str]) -> ReceiptBatch:
        """The RMAs with these keys, as they are now; keys that do not exist are absent from the batch."""

    def news(self, since: datetime, until: datetime, calls: int | None = None, cursor: str | None = None) -> News:
        """What the warehouse tells without being asked by key: RMAs it made itself, or all that changed; the registry says which.

        All of it, or as much as `calls` calls bring; with a `cursor` from an earlier part, what comes after that.
        """

    def __enter__(self) -> Self:
        """The client itself; its connections are given back at the end of the block."""

    def __exit__(self, *_: object) -> None: ...
