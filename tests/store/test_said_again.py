"""The same words twice: a duplicate is passed over, but for one that may be about another attempt of ours."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from backhaul.domain.words import DeliveryKind, DeliveryState
from backhaul.store import events, outbox
from backhaul.store.engine import Store
from backhaul.store.events import NewEvent
from backhaul.store.tables import deliveries
from backhaul.store.transaction import Transaction

NOW = datetime(2026, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAILED = NewEvent("acme", "loop", "return.processing.failed", "501", "hash", '{"id": 501}', None, NOW)


class Inbox:
    """A store with a process of return 501 in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as connection:
            tx = Transaction(connection, "acme", "run", NOW)
            rest = {"warehouse": "masonhub", "payload": None, "waits_for": None, "state": DeliveryState.PENDING}
            outbox.enqueue(tx, DeliveryKind.LOOP_PROCESS, "501", "loop.process:501", **rest)  # type: ignore[arg-type]

    def hear(self) -> None:
        with self.store.write() as connection:
            events.keep(connection, [FAILED])

    def take_in(self, now: datetime) -> int:
        """Take in what waits; gives how much that was."""
        with self.store.write() as connection:
            tx = Transaction(connection, "acme", "run", now)
            waiting = [one.event_id for one in events.claim(tx, 10)]
            events.settle(tx, waiting)
        return len(waiting)

    def attempt(self, at: datetime) -> None:
        with self.store.write() as connection:
            connection.execute(sa.update(deliveries).values(last_attempt_at=at))


@pytest.fixture
def inbox(store_url: str) -> Inbox:
    return Inbox(Store(store_url).ready())


def test_a_failure_told_again_after_another_attempt_is_taken_in_anew(inbox: Inbox) -> None:
    inbox.attempt(NOW)
    inbox.hear()
    assert inbox.take_in(NOW + MINUTE) == 1
    inbox.attempt(NOW + 2 * MINUTE)
    inbox.hear()
    assert inbox.take_in(NOW + 3 * MINUTE) == 1


def test_a_failure_told_again_without_another_attempt_is_a_duplicate(inbox: Inbox) -> None:
    inbox.attempt(NOW)
    inbox.hear()
    assert inbox.take_in(NOW + MINUTE) == 1
    inbox.hear()
    assert inbox.take_in(NOW + 2 * MINUTE) == 0
