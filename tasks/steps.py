"""The steps of a run: each hands frames or keys to the library, and counts what it did. Nothing is cached, nothing is retried here.

A step is a Prefect task. Inside a flow run Prefect records it; outside one, when no Prefect server is named, it is the function itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

log = logging.getLogger("backhaul.steps")  # the name that a terminal's progress listens to
P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A task that runs as a plain function when there is no flow run to belong to."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step."""
        log.info("%s: %s", getattr(args[0], "merchant", "all") if args else "all", self.name.replace("-", " "))
        if FlowRunContext.get() is None:
            return self.fn(*args, **kwargs)
        return super().__call__(*args, **kwargs)


def step(name: str, function: Callable[P, R], *, run_name: str | None = None) -> Callable[P, R]:
    """Bind a function as a step. Its effects are kept in our store, so Prefect caches and persists none of its results.

    `run_name` is what Prefect shows of one run of it, with the arguments in braces: `backfill-window {window.start:%Y-%m-%d}`. Without, the
    page shows the step's name with a number.
    """
    made = Step(function, name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)
    return cast(Callable[P, R], made)
