"""Reading single returns back from Loop, because an event told of them; and those that Loop then does not show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from backhaul.connectors.base import ReturnBatch
from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.domain.words import ExceptionKind, LoopState
from backhaul.errors import PermanentVendorError, StructuralError, UnauthorizedError
from backhaul.pipeline import intake
from backhaul.pipeline.session import Session
from backhaul.store import events
from backhaul.store.exceptions import open_subjects, raise_exception, resolve_exception
from backhaul.store.returns import only_told_of, shown_by_loop

FEW = 20  # returns that are read back one by one; for more, the list is fewer calls
RECENT = timedelta(minutes=10)  # how far Loop's clock and ours may differ, and how late it may commit
LONGEST = RETURNS.max_window - RECENT
SHOWN_AFTER = timedelta(minutes=10)  # a return that Loop does not show by then will hardly be shown any more
UNKNOWN, NEVER_SHOWN = "unknown_return", "never_shown"
_WHY = "a webhook told of it, and Loop shows it neither in its list nor by itself"


def read(session: Session, return_ids: Sequence[str], waiting_since: datetime) -> tuple[set[str], set[str]]:
    """Read returns as Loop has them now, by the road with fewer calls; what was found, and what could not be read."""
    return _read_few(session, return_ids) if len(return_ids) <= FEW else _read_many(session, return_ids, waiting_since)


def _read_few(session: Session, return_ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """Read returns one by one. For those that are closed the list is asked too: it alone tells that they were paid."""
    batches: list[ReturnBatch] = []
    unread: set[str] = set()
    for return_id in return_ids:
        try:
            batches.append(session.loop.details(return_id))
        except UnauthorizedError:
            raise
        except (PermanentVendorError, StructuralError):
            session.run.add("not_read_back")  # the next sync reads it from the list
            unread.add(return_id)
    found = {key for batch in batches for key in batch.returns["return_id"]} | {
        bad.record_key for batch in batches for bad in batch.rejected
    }
    closed = [
        moment
        for batch in batches
        for state, moment in zip(batch.returns["loop_state"], batch.returns["updated_at"], strict=True)
        if state == LoopState.CLOSED and moment is not None
    ]
    if closed:
        start = max(min(closed), max(closed) - RECENT)
        _load(session, session.loop.returns(start, max(closed), (LoopState.CLOSED.value,)), "list")
    if batches:
        _load(session, _joined(batches), "details")
    return found, unread


def _read_many(session: Session, return_ids: Sequence[str], waiting_since: datetime) -> tuple[set[str], set[str]]:
    """Read what changed since the oldest event; what the list does not show is read by itself."""
    now = session.clock()
    batch = session.loop.returns(max(waiting_since - RECENT, now - LONGEST), now)
    _load(session, batch, "list")
    found = set(batch.returns["return_id"]) | {bad.record_key for bad in batch.rejected}
    missing = [return_id for return_id in return_ids if return_id not in found]
    others, unread = _read_few(session, missing) if missing else (set(), set())
    return found | others, unread


def _joined(batches: Sequence[ReturnBatch]) -> ReturnBatch:
    return ReturnBatch(
        pd.concat([batch.returns for batch in batches], ignore_index=True),
        pd.concat([batch.lines for batch in batches], ignore_index=True),
        [body for batch in batches for body in batch.bodies],
        [rejected for batch in batches for rejected in batch.rejected],
    )


def _load(session: Session, batch: ReturnBatch, source: str) -> None:
    intake.load(session, intake.check(session, intake.keep_news(session, batch, source)))


def note_unknown(session: Session, signalled: Sequence[str], found: set[str], unknown: set[str]) -> None:
    """A return that was loaded from a webhook, and that Loop does not show, needs a person; it is over once Loop does."""
    with session.store.read() as connection:
        is_open = open_subjects(connection, session.merchant, ExceptionKind.ASN_ONLY)
        only_told = only_told_of(connection, session.merchant, sorted(unknown))
    over = is_open & set(signalled) & found
    if not only_told and not over:
        return
    with session.write() as tx:
        for key in sorted(only_told):
            raise_exception(tx, ExceptionKind.ASN_ONLY, key, _WHY, key)
        for key in sorted(over):
            resolve_exception(tx, ExceptionKind.ASN_ONLY, key)


def ask_again(session: Session) -> None:
    """Ask Loop again for returns that events told of and that it did not show; what it still does not show needs a person.

    Ends what has been shown since, by whatever road.
    """
    with session.store.read() as connection:
        waiting = events.without_record(connection, session.merchant, session.clock() - SHOWN_AFTER, FEW)
    keys = sorted({key for _, key in waiting})
    missing = sorted(set(keys) - shown(session, keys))
    found, unread = _read_few(session, missing) if missing else (set(), set())
    if keys:
        never = set(missing) - found - unread
        with session.write() as tx:
            events.note_outcome(tx, [event_id for event_id, key in waiting if key in never], NEVER_SHOWN)
            events.note_outcome(tx, [event_id for event_id, key in waiting if key not in never | unread], None)
            for key in sorted(never):
                raise_exception(tx, ExceptionKind.ASN_ONLY, key, _WHY, key)
    _end_shown(session)


def shown(session: Session, return_ids: Sequence[str]) -> set[str]:
    """Those of these returns that are stored as Loop itself shows them."""
    with session.store.read() as connection:
        return shown_by_loop(connection, session.merchant, return_ids)


def _end_shown(session: Session) -> None:
    """End the exceptions about returns that only a webhook told of, once they are stored as Loop shows them."""
    with session.store.read() as connection:
        subjects = open_subjects(connection, session.merchant, ExceptionKind.ASN_ONLY, why=_WHY)
    over = shown(session, sorted(subjects)) if subjects else set()
    if over:
        with session.write() as tx:
            for key in sorted(over):
                resolve_exception(tx, ExceptionKind.ASN_ONLY, key)
