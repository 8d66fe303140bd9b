"""Guarding: hold what is about to be sent and is beyond a merchant's limits, in the transaction that claims it.

A merchant has one such transaction at a time, on either database, so that several workers cannot overrun a limit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backhaul.domain.guards import Beyond, Limits, after, judge
from backhaul.domain.words import DeliveryKind
from backhaul.store import guards
from backhaul.store.due import must_look_up
from backhaul.store.transaction import Transaction

_STEPS = [kind.value for kind in guards.STEPS]


def hold_beyond(tx: Transaction, rows: Sequence[Any], limits: Limits | None) -> bool:
    """Hold what the decisions of these due deliveries owe where it is beyond a limit; returns whether anything is."""
    if limits is None:
        return False
    return_ids = sorted({row.return_id for row in rows if row.kind in _STEPS and not must_look_up(row)})
    owed = guards.to_send(tx, return_ids) if return_ids else {}
    owed = {key: one for key, one in owed.items() if limits.of_processes or one.kind is DeliveryKind.LOOP_FLAG}
    if not owed:
        return False
    sent = guards.sent_beside(tx, limits, owed.keys())
    beyond: dict[str, Beyond] = {}
    for return_id, one in owed.items():
        verdict = judge(one, sent, limits)
        if verdict is None:
            sent = after(one, sent)
        else:
            beyond[return_id] = verdict
    if beyond:
        guards.hold(tx, beyond)
        guards.note_guards(tx)
    return bool(beyond)
