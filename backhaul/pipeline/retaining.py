"""Retention: let go what is past its time, a little at a time; and what a customer asks to have removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from backhaul.config import RetentionSettings
from backhaul.errors import BackhaulError
from backhaul.pipeline.session import Clock, utc_now
from backhaul.store import forgetting, retention
from backhaul.store.engine import Store
from backhaul.store.inbox import move_in
from backhaul.store.runs import kept_to_its_end, start_run
from backhaul.store.transaction import Transaction


class Pruned(NamedTuple):
    """What of a kind was let go of a merchant, or would be."""

    merchant: str
    what: str
    rows: int
    up_to: datetime


def limits(settings: RetentionSettings, now: datetime) -> dict[str, datetime]:
    """Up to when each kind is let go."""
    days = {
        "event bodies": settings.events_days,
        "record bodies": settings.bodies_days,
        "quarantined bodies": settings.bodies_days,
        "versions": settings.versions_days,
        "attempts": settings.attempts_days,
    }
    return {what: now - timedelta(days=number) for what, number in days.items()}


def preview(store: Store, settings: RetentionSettings, now: datetime) -> list[Pruned]:
    """What would be let go now."""
    with store.read() as connection:
        return [
            Pruned(merchant, what, retention.count_outdated(connection, merchant, what, before), before)
            for merchant in retention.merchants_stored(connection)
            for what, before in limits(settings, now).items()
        ]


def prune(store: Store, settings: RetentionSettings, trigger: str, *, clock: Clock = utc_now) -> list[Pruned]:
    """Let go what is past its time, of every merchant; a run of each is on record, and a row of proof for each kind."""
    with store.read() as connection:
        merchants = retention.merchants_stored(connection)
    done: list[Pruned] = []
    for merchant in merchants:
        run = start_run(store, "prune", merchant, trigger, clock())
        with kept_to_its_end(store, run, clock):
            for what, before in limits(settings, clock()).items():
                rows = _prune(store, merchant, what, before, run.run_id, clock)
                run.add(what.replace(" ", "_"), rows)
                done.append(Pruned(merchant, what, rows, before))
    store.count_for_planner()
    return done


def _prune(store: Store, merchant: str, what: str, before: datetime, run_id: str, clock: Clock) -> int:
    with store.read() as connection:
        keys = retention.outdated(connection, merchant, what, before)
    gone = 0
    for start in range(0, len(keys), retention.AT_ONCE):
        some = keys[start : start + retention.AT_ONCE]
        with store.write() as connection:
            gone += retention.let_go(Transaction(connection, merchant, run_id, clock()), what, some, before)
    if gone:
        with store.write() as connection:
            retention.prove(Transaction(connection, merchant, run_id, clock()), what, gone, before)
    return gone


def ordered(store: Store, merchant: str, order: str) -> list[forgetting.Ordered]:
    """The returns of an order that can be forgotten. Raises BackhaulError where there is none, or where one is under way."""
    move_in(store)
    with store.read() as connection:
        found = forgetting.returns_of(connection, merchant, order)
    if not found:
        raise BackhaulError(f"{merchant}: no return of that order is in the store, or it was forgotten before")
    under_way = [one.return_id for one in found if one.is_under_way]
    if under_way:
        raise BackhaulError(
            f"{merchant}: return {', '.join(under_way)} of that order is under way, and could not be finished; "
            "close or cancel it in Loop, sync, then forget the order"
        )
    return found


def forget(store: Store, merchant: str, order: str, *, clock: Clock = utc_now) -> dict[str, int]:
    """Remove what could identify the customer of an order; returns how many rows of each table were cleared."""
    run = start_run(store, "forget", merchant, "command", clock())
    with kept_to_its_end(store, run, clock):
        ids = [one.return_id for one in ordered(store, merchant, order)]
        with store.write(merchant) as connection:
            cleared = forgetting.forget(Transaction(connection, merchant, run.run_id, clock()), ids)
        for name, rows in cleared.items():
            run.add(name, rows)
    return cleared
