"""Events: take in what vendors told by webhook, and act on it within seconds."""

from __future__ import annotations

from prefect import flow

from backhaul.pipeline.reconciling import RunSummary
from backhaul.pipeline.session import Session
from flows.recorded import recorded_run
from tasks.actions import deliver_due, publish_summary
from tasks.events import claim_events, confirm_rmas, decide_in_short, give_events_back, load_events, read_back, settle_events


@flow(name="events", flow_run_name="events-{merchant}", retries=0)
def handle_events(merchant: str, config: str | None = None, trigger: str = "webhook") -> RunSummary:
    """Take in one batch of a merchant's events that wait; what is left is for its next turn."""
    with recorded_run("events", merchant, config=config, trigger=trigger) as session:
        take_in_batch(session)
        return publish_summary(session)


def take_in_events(session: Session) -> None:
    """Take in all events that wait, a batch at a time."""
    while take_in_batch(session):
        pass


def take_in_batch(session: Session) -> bool:
    """Announce new returns first, then read back what events signal, and act on that. False when no event was free."""
    batch = claim_events(session)
    if not batch.events:
        return False
    try:
        load_events(session, batch)
        announce_and_tell(session)
        read_back(session, batch)
        settle_events(session, batch)
    except BaseException:
        give_events_back(session, batch)
        raise
    announce_and_tell(session)
    return True


def announce_and_tell(session: Session) -> None:
    """Decide what has news, deliver what follows, and see it confirmed."""
    decide_in_short(session)
    deliver_due(session)
    confirm_rmas(session)
    decide_in_short(session)
