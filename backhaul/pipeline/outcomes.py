"""Following what we processed until Loop has done all of it (docs/vendors/loop.md, 10): refund, store credit, exchange.

Loop writes the times of outcomes hours later, and not always with a new `updated_at`, so that a sync does not meet them. They are asked for
from the list, by the time at which the return last changed: returns that changed within an hour of each other are one call.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from backhaul.domain.outcomes import Processed, complaint, is_over
from backhaul.domain.words import ExceptionKind, LoopState
from backhaul.pipeline import intake
from backhaul.pipeline.session import Session
from backhaul.store import outcomes as store
from backhaul.store.exceptions import open_subjects, raise_exception, resolve_exception
from backhaul.store.outcomes import Followed

ASKS = 4  # times that a return is asked for within `outcome_hours`; after that once in as long
CALLS = 5  # ranges of the list that a sync asks for
_FALLEN = (LoopState.REVIEW.value, LoopState.OPEN.value)
NEAR = timedelta(hours=1)  # returns that changed so close to each other are asked for together


class _Failure(msgspec.Struct):
    message: Any = None


def follow(session: Session) -> None:
    """Open an exception for each outcome that is undone too long and for each return that fell back, and end it once Loop has done all."""
    _ask(session)
    now, patience = session.clock(), timedelta(hours=session.settings.loop.outcome_hours)
    with session.store.read() as connection:
        followed = store.followed(connection, session.merchant)
        late = [one.return_id for one in followed if one.confirmed_at <= now - patience or one.loop_state in _FALLEN]
        said = store.failures(connection, session.merchant, late)
        open_now = open_subjects(connection, session.merchant, ExceptionKind.OUTCOME_UNDONE)
    wrong = {one.return_id: why for one in followed if (why := _complaint(one, said.get(one.return_id), now - patience)) is not None}
    over = [one for one in followed if is_over(_shown(one, None))]
    ended = sorted(open_now - wrong.keys())
    if not wrong and not over and not ended:
        return
    with session.write() as tx:
        store.end(tx, [one.delivery_id for one in over])
        for return_id, why in sorted(wrong.items()):
            raise_exception(tx, ExceptionKind.OUTCOME_UNDONE, return_id, why, return_id)
        for return_id in ended:
            resolve_exception(tx, ExceptionKind.OUTCOME_UNDONE, return_id)
    session.run.add("outcomes_done", len(over))
    session.run.add("outcomes_undone", len(wrong))


def _complaint(one: Followed, failure: str | None, late_before: datetime) -> str | None:
    return complaint(_shown(one, failure), is_late=one.confirmed_at <= late_before)


def _shown(one: Followed, failure: str | None) -> Processed:
    said = msgspec.json.decode(failure, type=_Failure).message if failure is not None else None
    return Processed(
        loop_state=LoopState(one.loop_state),
        currency=one.currency,
        refund=one.refund,
        gift_card=one.gift_card,
        exchange_total=one.exchange_total,
        exchange_units=one.exchange_units,
        out_of_stock_units=one.out_of_stock_units,
        is_finished=bool(one.is_finished),
        refund_processed_at=one.refund_processed_at,
        shop_cash_processed_at=one.shop_cash_processed_at,
        gift_card_processed_at=one.gift_card_processed_at,
        exchange_processed_at=one.exchange_processed_at,
        said=said if isinstance(said, str) else None,
    )


def _ask(session: Session) -> None:
    """Ask Loop's list again for the closed returns that are due for it, within the budget of calls."""
    now, patience = session.clock(), timedelta(hours=session.settings.loop.outcome_hours)
    with session.store.read() as connection:
        followed = store.followed(connection, session.merchant)
    due = [one for one in followed if one.updated_at is not None and _is_due(one, now, patience) and not is_over(_shown(one, None))]
    for group in list(_groups(due))[:CALLS]:
        start, end = group[0][1], group[-1][1] + timedelta(seconds=1)
        batch = session.loop.returns(start, end, (LoopState.CLOSED.value,))
        intake.load(session, intake.check(session, intake.keep_news(session, batch, intake.PULLED)))
        with session.write() as tx:
            store.note_asked(tx, [delivery_id for delivery_id, _ in group])
        session.run.add("outcomes_asked_for", len(group))


def _is_due(one: Followed, now: datetime, patience: timedelta) -> bool:
    if one.loop_state != LoopState.CLOSED.value:
        return False  # a return that changes its state is met by the sync itself
    asked_at = one.outcomes_asked_at or one.confirmed_at
    pause = patience / ASKS if one.confirmed_at > now - patience * 2 else patience
    return asked_at <= now - pause


def _groups(due: Iterable[Followed]) -> Iterable[list[tuple[int, datetime]]]:
    """Deliveries with the time of the last change of their return, a group for each range of the list; the longest unasked first."""
    moments = sorted(
        (one.updated_at, one.outcomes_asked_at or one.confirmed_at, one.delivery_id) for one in due if one.updated_at is not None
    )
    groups: list[list[tuple[datetime, datetime, int]]] = []
    for moment in moments:
        if groups and moment[0] - groups[-1][-1][0] <= NEAR and moment[0] - groups[-1][0][0] < timedelta(days=100):
            groups[-1].append(moment)
        else:
            groups.append([moment])
    groups.sort(key=lambda group: min(asked_at for _, asked_at, _ in group))
    return [[(delivery_id, updated_at) for updated_at, _, delivery_id in group] for group in groups]
