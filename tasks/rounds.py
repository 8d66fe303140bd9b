"""What Prefect shows of a round: one table of merchants, and a task run for those with news or trouble. Our words and ids alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import Task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from backhaul.errors import (
    BackhaulError,
    BudgetSpentError,
    ConfigError,
    StoreError,
    StructuralError,
    ThrottledError,
    TransientVendorError,
    UnauthorizedError,
    VendorError,
)
from backhaul.pipeline.rounds import Outcome

_ROWS = 1_000  # merchants in the table, and
_TASKS = 100  # with a task run of their own: more than a person looks through; all are in the store's `runs`
_NEWS = ("records_out", "receipts", "delivered", "refused", "quarantined", "events")
_WORDS: tuple[tuple[type[BaseException], str], ...] = (  # the first that fits
    (ConfigError, "its config cannot be used"),
    (StoreError, "the store could not be used"),
    (StructuralError, "a vendor's answer had the wrong shape"),
    (UnauthorizedError, "a vendor does not accept the key"),
    (ThrottledError, "a vendor takes no more calls for now"),
    (BudgetSpentError, "the key's call budget is used up"),
    (TransientVendorError, "a vendor does not answer as it should"),
    (VendorError, "a vendor refused"),
    (BackhaulError, "it failed"),
)


def in_our_words(outcome: Outcome) -> str:
    """Why a merchant failed, without a word of a vendor or a customer: the store's `runs` have the whole."""
    if outcome.is_left:
        return "left to the next round" if not outcome.seconds else "still under way; its calls end by themselves"
    if outcome.error is None:
        return ""
    return next((words for kind, words in _WORDS if isinstance(outcome.error, kind)), f"a defect: {outcome.error.__class__.__name__}")


def publish_round(flow: str, outcomes: Sequence[Outcome]) -> None:
    """Tell Prefect's server of a round, where there is one."""
    if FlowRunContext.get() is None:
        return
    worst_first = sorted(outcomes, key=lambda one: (one.error is None, not one.is_left, not _has_news(one), -one.seconds, one.merchant))
    create_table_artifact(
        key=f"{flow}-all",
        table=[_row(outcome) for outcome in worst_first[:_ROWS]],
        description=f"{len(outcomes)} merchants, {sum(one.error is not None for one in outcomes)} failed, "
        f"{sum(one.is_left for one in outcomes)} left to the next round",
    )
    for outcome in [one for one in worst_first if one.error is not None or _has_news(one)][:_TASKS]:
        task = Task(_told, name=flow, task_run_name=f"{flow} {outcome.merchant}", cache_policy=NO_CACHE, persist_result=False)
        task(outcome.merchant, dict(outcome.counts), in_our_words(outcome), return_state=True)


class MerchantFailedError(BackhaulError):
    """A merchant's run in a round failed; `runs` in the store has the whole message."""


def _told(merchant: str, counts: dict[str, int], trouble: str) -> dict[str, int]:
    if trouble:
        raise MerchantFailedError(f"{merchant}: {trouble}")
    return counts


def _has_news(outcome: Outcome) -> bool:
    return any(outcome.counts.get(name) for name in _NEWS)


def _row(outcome: Outcome) -> dict[str, Any]:
    state = "failed" if outcome.error is not None else "left" if outcome.is_left else "done"
    counts = {name: outcome.counts.get(name, 0) for name in ("records_in", "records_out", "quarantined", "delivered", "refused")}
    return {"merchant": outcome.merchant, "state": state, "why": in_our_words(outcome), "seconds": outcome.seconds, **counts}
