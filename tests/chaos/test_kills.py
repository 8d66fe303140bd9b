"""The crash sweep: a real process killed with SIGKILL at every point of every scenario, and at random moments; all ends as without it.

By default every tenth point of three scenarios is tried, and a few moments; `make chaos` tries every point of all, and 500 moments.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos.ground import Account, Ground
from tests.chaos.invariants import check, digest
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.sweep import Baseline, difference, heal
from tests.chaos.victim import Victim

IS_WHOLE = "CHAOS" in os.environ
SHARE = 1 if IS_WHOLE else 10
NAMES = list(SCENARIOS) if IS_WHOLE else ["process with close", "flag with note", "webhook to RMA"]
MOMENTS = 250 if IS_WHOLE else 4  # on each database

KILLED = -9
Tell = Callable[[str, object], None]


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    victim.close()


def act(scenario: Scenario, ground: Ground, victim: Victim, **end: Any) -> tuple[Account, list[dict[str, Any]]]:
    """Run a scenario's flows in a process of their own; returns what became of each."""
    account, told = scenario.open(ground), []
    env = {name: value for name, value in os.environ.items() if name.startswith(f"{account.merchant}_")}
    account.elsewhere = lambda flow, words, more: told.append(victim.run(flow, words, more, account.world.now, env, **end))
    for step in scenario.steps:
        step(account)
    account.elsewhere = None
    return account, told


def rehearse(scenario: Scenario, ground: Ground, victim: Victim) -> Baseline:
    """A scenario whose process lives, the points that it reaches, and where it ends."""
    account, told = act(scenario, ground, victim, is_rehearsal=True)
    assert [one["end"] for one in told] == [0] * len(told)
    found = [*heal(scenario.heal, account), *check(account)]
    assert found == [], found
    return Baseline(tuple(name for one in told for name in one["points"]), digest(account))


def breaches(scenario: Scenario, account: Account, known: Baseline) -> list[str]:
    """What is wrong once a scenario whose process was killed is healed."""
    found = [*heal(scenario.heal, account), *check(account)]
    end = digest(account)
    return found if end == known.end else [*found, f"it ends otherwise:\n{difference(known.end, end)}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_process_killed_at_any_point_loses_nothing_and_repeats_nothing(
    ground: Ground, victim: Victim, name: str, record_property: Tell
) -> None:
    scenario, found = SCENARIOS[name], []
    known = rehearse(scenario, ground, victim)
    tried = range(list(SCENARIOS).index(name) % SHARE, len(known.operations), SHARE)
    record_property("kills", len(tried))
    for number in tried:
        account, told = act(scenario, ground, victim, kill_at=number)
        what = f"killed at {number}, {known.operations[number]}"
        if KILLED not in [one["end"] for one in told]:
            found.append(f"{what}: it lives on, {told}")
        found += [f"{what}: {breach}" for breach in breaches(scenario, account, known)]
    assert found == [], "\n".join(found)


def test_a_process_killed_at_any_moment_loses_nothing_and_repeats_nothing(ground: Ground, victim: Victim, record_property: Tell) -> None:
    chance, found = random.Random(8), []
    known = {name: rehearse(SCENARIOS[name], ground, victim) for name in NAMES}
    record_property("kills", MOMENTS)
    for _ in range(MOMENTS):
        name, moment = chance.choice(NAMES), chance.uniform(0.0, 0.4)
        account, told = act(SCENARIOS[name], ground, victim, kill_after=moment)
        reached = told[-1]["points"][-1:] if told else []
        found += [f"{name} killed after {moment:.3f} s, {reached}: {breach}" for breach in breaches(SCENARIOS[name], account, known[name])]
    assert found == [], "\n".join(found)
