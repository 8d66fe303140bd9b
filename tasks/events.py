"""Steps on events that arrived by webhook: claim, load, read back, settle."""

from __future__ import annotations

from backhaul.pipeline import eventing
from backhaul.pipeline.deciding import decide_due
from backhaul.pipeline.eventing import Batch
from backhaul.pipeline.session import Session
from tasks.steps import step

_DECIDED_AT_ONCE = 10  # on SQLite, where an event that arrives meanwhile waits for the transaction
_DECIDED_BESIDE = 100  # on PostgreSQL, where it does not


@step("claim-events")
def claim_events(session: Session) -> Batch:
    """Take up the oldest events that wait and that no other run holds."""
    return eventing.claim(session)


@step("load-events")
def load_events(session: Session, batch: Batch) -> None:
    """Load what the events bring whole: new returns, and receipts."""
    eventing.load(session, batch)


@step("read-back")
def read_back(session: Session, batch: Batch) -> None:
    """Read from the vendors what the events only signal."""
    eventing.read_back(session, batch)


@step("confirm-rmas")
def confirm_rmas(session: Session) -> None:
    """Read back the RMAs that a warehouse has just accepted."""
    eventing.confirm_rmas(session)


@step("decide-returns")
def decide_in_short(session: Session) -> None:
    """Decide every return that is due, in transactions short enough for the events that arrive meanwhile."""
    decide_due(session, _DECIDED_AT_ONCE if session.store.is_sqlite else _DECIDED_BESIDE)


@step("settle-events")
def settle_events(session: Session, batch: Batch) -> None:
    """Mark the events as taken in."""
    eventing.settle(session, batch)


@step("give-events-back")
def give_events_back(session: Session, batch: Batch) -> None:
    """After a failure: leave the events to the next run."""
    eventing.postpone(session, batch)
