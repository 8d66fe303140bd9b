"""Steps on Loop returns: extract, keep what is news, check, load."""

from __future__ import annotations

from datetime import timedelta

from backhaul.connectors.base import ReturnBatch
from backhaul.domain.windows import Window, next_sync_window, split
from backhaul.pipeline import intake
from backhaul.pipeline.intake import Intake, Pull
from backhaul.pipeline.session import Session
from backhaul.store.watermarks import watermark
from tasks.steps import step

LONGEST_WINDOW = timedelta(days=120)  # Loop refuses a longer one
OVERLAP = timedelta(minutes=10)  # rows that Loop commits late are met again; upserts make it free


class Batch:
    """A batch of frames on its way between two steps. A plain class, which Prefect passes on without looking into it."""

    def __init__(self, returns: ReturnBatch, source: str = "list", pull: Pull | None = None) -> None:
        self.returns = returns
        self.source = source
        self.pull = pull


@step("plan-windows")
def pending_windows(session: Session) -> list[Window]:
    """The windows that a sync has to ask Loop for; the end is fixed here, once."""
    session.run.window = what_came_since(session)
    return split(session.run.window.start, session.run.window.end, LONGEST_WINDOW)


def what_came_since(session: Session) -> Window:
    """From a little before the watermark until now. Loop's own times bound it, so that a clock that is off on one side hides nothing."""
    with session.store.read() as connection:
        newest = watermark(connection, session.merchant, intake.SOURCE)
    return next_sync_window(newest, session.clock(), session.settings.loop.first_sync_days, OVERLAP)


@step("extract-returns")
def extract_returns(session: Session, pull: Pull) -> Batch | None:
    """The next batch of the Loop returns that changed in a window, as typed frames; None when all have been given."""
    batch = pull.next()
    return None if batch is None else Batch(batch, pull=pull)


@step("read-return")
def read_return(session: Session, return_id: str) -> Batch:
    """One return as Loop has it now."""
    return Batch(session.loop.details(return_id), "details")


@step("keep-news")
def keep_news(session: Session, batch: Batch, is_history: bool = False) -> Intake:
    """Leave out what the store holds already."""
    return intake.keep_news(session, batch.returns, batch.source, is_history, batch.pull)


@step("check-returns")
def check_returns(session: Session, news: Intake) -> Intake:
    """Run the suites; a critical failure quarantines the whole return."""
    return intake.check(session, news)


@step("load-returns")
def load_returns(session: Session, checked: Intake, completes: Window | None, is_history: bool = False) -> None:
    """Write rows, versions and quarantine in one transaction; with the last batch of a window, the watermark moves in it too."""
    intake.load(session, checked, completes=completes, is_history=is_history)
