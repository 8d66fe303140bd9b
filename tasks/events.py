"""Steps on events that arrived by webhook: claim, load, read back, settle."""

from __future__ import annotations

from backhaul.pipeline import eventing
from backhaul.pipeline.eventing import Batch
from backhaul.pipeline.session import Session
from tasks.steps import step


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


@step("settle-events")
def settle_events(session: Session, batch: Batch) -> None:
    """Mark the events as taken in."""
    eventing.settle(session, batch)


@step("give-events-back")
def give_events_back(session: Session, batch: Batch) -> None:
    """After a failure: leave the events to the next run."""
    eventing.postpone(session, batch)
