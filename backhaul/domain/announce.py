"""Announce: which return needs an RMA, and what the RMA says (docs/architecture.md, Decisions)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256

from backhaul.domain.matching import clean_sku
from backhaul.domain.policy import Announce
from backhaul.domain.reasons import Reasons
from backhaul.domain.rma import RmaDraft, RmaLine
from backhaul.domain.words import LoopState

_ALIVE = (LoopState.OPEN, LoopState.REVIEW)


@dataclass(frozen=True, slots=True)
class LineToAnnounce:
    """One return line, which is one unit. `reason` is the customer's."""

    sku: str | None
    reason: str | None


def needs_rma(first_state: LoopState, state: LoopState, announce: Announce, has_sku: bool, tracking_number: str | None) -> bool:
    """Whether a return that has no RMA is to get one.

    `first_state` is the Loop state it was first seen in: one first seen closed, cancelled or expired gets none. It must be open or in
    review now, and have a line with a SKU. Under `on_label` it waits for its tracking number; under `off` it gets none.
    """
    if announce == "off" or (announce == "on_label" and not tracking_number):
        return False
    return has_sku and first_state in _ALIVE and state in _ALIVE


def build_draft(
    return_id: str,
    order_name: str | None,
    order_number: str | None,
    ordinal: int,
    tracking_number: str | None,
    lines: Iterable[LineToAnnounce],
    reasons: Reasons,
) -> RmaDraft:
    """The RMA that a return needs: units grouped by SKU and mapped reason code, in the same order whatever the order of `lines`.

    `ordinal` is the return's place among those of its order, from 1. Lines without a SKU are left out; a draft without any line is
    not for sending (`needs_rma` tells). Where several of the customer's reasons share a code, the group names each once.
    """
    groups: dict[tuple[str, str], list[str | None]] = {}
    for line in lines:
        sku = clean_sku(line.sku)
        if sku is not None:
            groups.setdefault((sku, reasons.code(line.reason)), []).append(line.reason)
    return RmaDraft(
        return_id=return_id,
        order_name=order_name,
        order_number=order_number,
        ordinal=ordinal,
        tracking_number=tracking_number or None,
        lines=tuple(RmaLine(sku, len(words), code, _in_words(words)) for (sku, code), words in sorted(groups.items())),
    )


def _in_words(reasons: Iterable[str | None]) -> str | None:
    return "; ".join(sorted({reason.strip() for reason in reasons if reason and reason.strip()})) or None


def draft_json(draft: RmaDraft) -> str:
    """The draft as canonical JSON: equal drafts give equal text."""
    return json.dumps(asdict(draft), sort_keys=True, separators=(",", ":"))


def draft_from_json(text: str) -> RmaDraft:
    """The draft that `draft_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    raw = json.loads(text)
    return RmaDraft(**{**raw, "lines": tuple(RmaLine(**line) for line in raw["lines"])})


def draft_hash(draft: RmaDraft) -> str:
    """16 hex digits over all that the warehouse is told: it changes when an update is due."""
    return sha256(draft_json(draft).encode()).hexdigest()[:16]
