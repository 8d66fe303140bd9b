"""Running a flow from the command line: on the Prefect server that PREFECT_API_URL names, or plainly when there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backhaul.cli.output import complain
from backhaul.errors import BackhaulError, ConfigError

if TYPE_CHECKING:
    from backhaul.pipeline.rounds import Outcome

SHOWN = (  # of a run's counts, by a table
    "records_in",
    "records_out",
    "unchanged",
    "quarantined",
    "decided_process",
    "decided_flag",
    "decided_hold",
    "delivered",
    "refused",
)


@dataclass(slots=True)
class Done:
    """What came of one merchant's run."""

    merchant: str
    counts: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    is_bad_config: bool = False

    def row(self, names: Sequence[str]) -> dict[str, Any]:
        """The counts that a table shows."""
        counts = {name.replace("records_", "").replace("decided_", ""): self.counts.get(name, 0) for name in names}
        return {"merchant": self.merchant, "state": "failed" if self.error else "done", **counts}


def runner(flow: Any) -> Callable[..., Any]:
    """The flow as Prefect runs it when its server answers, else the flow's own body: a command needs no server."""
    import httpx

    from backhaul.config import prefect_api_url

    url = prefect_api_url()
    if url is None:
        return flow.fn  # type: ignore[no-any-return]
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        complain(f"the Prefect server does not answer ({error.__class__.__name__}); this run is recorded in the store only")
        return flow.fn  # type: ignore[no-any-return]
    return flow  # type: ignore[no-any-return]


def run_each(flow: Any, merchants: Sequence[str], **parameters: Any) -> list[Done]:
    """Run a flow for each merchant; one that fails never stops another."""
    run = runner(flow)
    done: list[Done] = []
    for merchant in merchants:
        try:
            done.append(Done(merchant, run(merchant, **parameters).counts))
        except BackhaulError as error:
            done.append(Done(merchant, error=str(error)))
        except Exception as error:  # a defect of ours in one merchant's run must not stop the others
            done.append(Done(merchant, error=f"{error.__class__.__name__}: {error}"))
    return done


def run_round(flow: Any, **parameters: Any) -> list[Done]:
    """Run a flow over many merchants at once (flows/fleet.py); each merchant's outcome, by name."""
    from flows.fleet import FleetError

    try:
        outcomes = runner(flow)(**parameters)
    except FleetError as error:
        outcomes = error.outcomes
    return sorted((_done(outcome) for outcome in outcomes), key=lambda one: one.merchant)


def _done(outcome: Outcome) -> Done:
    is_bad_config = isinstance(outcome.error, ConfigError)
    if outcome.error is None:
        return Done(outcome.merchant, dict(outcome.counts), "not done in time; run it again" if outcome.is_left else None)
    is_ours = isinstance(outcome.error, BackhaulError)
    return Done(
        outcome.merchant,
        error=str(outcome.error) if is_ours else f"{outcome.error.__class__.__name__}: {outcome.error}",
        is_bad_config=is_bad_config,
    )


def report_failures(done: Sequence[Done]) -> int:
    """Tell on standard error what failed; returns the exit code, 2 where nothing but the config of some merchants is to blame."""
    failed = [one for one in done if one.error]
    for one in failed:
        complain(f"{one.merchant}: {(one.error or '').removeprefix(f'{one.merchant}: ')}")
    return 0 if not failed else 2 if all(one.is_bad_config for one in failed) else 1
