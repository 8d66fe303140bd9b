"""What is let go when its time is over. Each removal leaves a row of proof in `prunings`.

What was read from vendors stays as rows; what it was read from is let go: bodies, older versions, attempts. A body that is gone is the
empty text: its row stays with the hash, so that the same words told again are still a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from backhaul.domain.words import DeliveryState
from backhaul.store.prepared import one_of
from backhaul.store.tables import deliveries, delivery_attempts, events, prunings, quarantine, return_versions, returns
from backhaul.store.transaction import Transaction

AT_ONCE = 500  # rows let go in one transaction, so that no other writer waits long
A_NIGHT = 200_000  # rows of a kind in one run; the rest is the next one's
GONE = ""
_UNSENT = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One kind of what is let go: the key of its rows, which of them are outdated, and the statement that lets some of them go."""

    key: sa.Column[Any]
    outdated: Callable[[str, datetime], sa.Select[Any]]
    let_go: sa.Update | sa.Delete


def _signals(merchant: str, before: datetime) -> sa.Select[Any]:
    """Loop's webhooks that were taken in: what they signal was read back, and is kept as versions."""
    query = sa.select(events.c.event_id).where(events.c.merchant == merchant, events.c.source == "loop", events.c.channel == "webhook")
    return query.where(events.c.handled_at < before, events.c.body != GONE)


def _bodies(merchant: str, before: datetime) -> sa.Select[Any]:
    """All other bodies that were taken in, such as the records of warehouses, which replay decides on."""
    query = sa.select(events.c.event_id).where(events.c.merchant == merchant, events.c.handled_at < before, events.c.body != GONE)
    return query.where(sa.not_((events.c.source == "loop") & (events.c.channel == "webhook")))


def _released(merchant: str, before: datetime) -> sa.Select[Any]:
    query = sa.select(quarantine.c.quarantine_id).where(quarantine.c.merchant == merchant)
    return query.where(quarantine.c.released_at < before, quarantine.c.body != GONE)


def _versions(merchant: str, before: datetime) -> sa.Select[Any]:
    """Versions older than the newest of their return, by return."""
    of_return = (returns.c.merchant == return_versions.c.merchant) & (returns.c.return_id == return_versions.c.return_id)
    query = sa.select(return_versions.c.return_id, return_versions.c.version_no).join(returns, of_return)
    return query.where(
        return_versions.c.merchant == merchant, return_versions.c.seen_at < before, return_versions.c.version_no < returns.c.version_no
    )


def _attempts(merchant: str, before: datetime) -> sa.Select[Any]:
    """Attempts at what is settled; how many there were stays with the delivery."""
    query = sa.select(delivery_attempts.c.attempt_id).join(deliveries, deliveries.c.delivery_id == delivery_attempts.c.delivery_id)
    return query.where(
        delivery_attempts.c.merchant == merchant, delivery_attempts.c.finished_at < before, deliveries.c.state.not_in(_UNSENT)
    )


_EMPTY_EVENT = sa.update(events).values(body=GONE)
RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "event bodies": _Rule(events.c.event_id, _signals, _EMPTY_EVENT),
        "record bodies": _Rule(events.c.event_id, _bodies, _EMPTY_EVENT),
        "quarantined bodies": _Rule(quarantine.c.quarantine_id, _released, sa.update(quarantine).values(body=GONE)),
        "versions": _Rule(return_versions.c.return_id, _versions, sa.delete(return_versions)),
        "attempts": _Rule(delivery_attempts.c.attempt_id, _attempts, sa.delete(delivery_attempts)),
    }
)


def count_outdated(connection: sa.Connection, merchant: str, what: str, before: datetime) -> int:
    """How many rows of a kind are outdated."""
    found = RULES[what].outdated(merchant, before).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(found)).scalar_one())


def outdated(connection: sa.Connection, merchant: str, what: str, before: datetime) -> list[tuple[Any, ...]]:
    """The keys of outdated rows of a kind, as many as one run lets go."""
    return [tuple(row) for row in connection.execute(RULES[what].outdated(merchant, before).limit(A_NIGHT))]


def let_go(tx: Transaction, what: str, keys: Sequence[tuple[Any, ...]], before: datetime) -> int:
    """Let rows go by their keys, those that are outdated still; returns how many."""
    rule = RULES[what]
    still = rule.outdated(tx.merchant, before)
    table = rule.key.table
    column = rule.key if what != "versions" else sa.tuple_(return_versions.c.return_id, return_versions.c.version_no)
    some = one_of(rule.key, sorted({key[0] for key in keys}))
    done = tx.connection.execute(rule.let_go.where(table.c.merchant == tx.merchant, some, column.in_(still.where(some))))
    return int(done.rowcount)


def prove(tx: Transaction, what: str, rows: int, up_to: datetime, subject: str | None = None) -> None:
    """Keep what was let go, how much of it, and up to when."""
    values = {"merchant": tx.merchant, "what": what, "rows_total": rows, "up_to": up_to, "subject": subject, "run_id": tx.run_id}
    tx.connection.execute(sa.insert(prunings).values(values | {"pruned_at": tx.now}))


def merchants_stored(connection: sa.Connection) -> list[str]:
    """Every merchant that the store has a return or an event of, in the config or not."""
    found = sa.union(sa.select(returns.c.merchant).distinct(), sa.select(events.c.merchant).distinct())
    return sorted(connection.execute(found).scalars())
