"""The crash sweep: a real process killed with SIGKILL at every point of every scenario, and at random moments; all ends as without it.

By default every tenth point of three scenarios is tried, and a few moments; `make chaos` tries every point of all, and 504 moments.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos.ground import Account, Ground
from tests.chaos.invariants import check, digest
from tests.chaos.moments import Moment
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.sweep import Baseline, breaches, heal
from tests.chaos.victim import Victim

IS_WHOLE = "CHAOS" in os.environ
SHARE = 1 if IS_WHOLE else 10
NAMES = list(SCENARIOS) if IS_WHOLE else ["process with close", "flag with note", "webhook to RMA"]
MOMENTS = 28 if IS_WHOLE else 2  # of each scenario, on each database

KILLED = -9
Tell = Callable[[str, object], None]


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    victim.close()


def act(scenario: Scenario, account: Account, victim: Victim, **end: Any) -> list[dict[str, Any]]:
    """Run a scenario's flows in a process of their own; returns what became of each."""
    told: list[dict[str, Any]] = []
    env = {name: value for name, value in os.environ.items() if name.startswith(f"{account.merchant}_")}
    account.elsewhere = lambda flow, words, more: told.append(victim.run(flow, words, more, account.world.now, env, **end))
    for step in scenario.steps:
        step(account)
    account.elsewhere = None
    return told


def rehearse(scenario: Scenario, ground: Ground, victim: Victim) -> Baseline:
    """A scenario whose process lives, the points that it reaches, and where it ends."""
    account = scenario.open(ground)
    start = Moment.of(account)
    told = act(scenario, account, victim, is_rehearsal=True)
    assert [one["end"] for one in told] == [0] * len(told)
    found = [*heal(scenario.heal, account), *check(account)]
    assert found == [], found
    return Baseline(account, start, tuple(name for one in told for name in one["points"]), digest(account))


@pytest.mark.parametrize("name", NAMES)
def test_a_process_killed_at_any_point_loses_nothing_and_repeats_nothing(
    ground: Ground, victim: Victim, name: str, record_property: Tell
) -> None:
    scenario, found = SCENARIOS[name], []
    known = rehearse(scenario, ground, victim)
    tried = range(list(SCENARIOS).index(name) % SHARE, len(known.operations), SHARE)
    record_property("kills", len(tried))
    for number in tried:
        known.start.go_back(known.account)
        told = act(scenario, known.account, victim, kill_at=number)
        what = f"killed at {number}, {known.operations[number]}"
        if KILLED not in [one["end"] for one in told]:
            found.append(f"{what}: it lives on, {told}")
        found += [f"{what}: {breach}" for breach in breaches(scenario, known)]
    record_property("moments", len(known.ends))
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_process_killed_at_any_moment_loses_nothing_and_repeats_nothing(
    ground: Ground, victim: Victim, name: str, record_property: Tell
) -> None:
    scenario, chance, found = SCENARIOS[name], random.Random(f"8 {name}"), []
    known = rehearse(scenario, ground, victim)
    record_property("kills", MOMENTS)
    for _ in range(MOMENTS):
        moment = chance.uniform(0.0, 0.4)
        known.start.go_back(known.account)
        told = act(scenario, known.account, victim, kill_after=moment)
        reached = told[-1]["points"][-1:] if told else []
        found += [f"killed after {moment:.3f} s, {reached}: {breach}" for breach in breaches(scenario, known)]
    record_property("moments", len(known.ends))
    assert found == [], "\n".join(found)
