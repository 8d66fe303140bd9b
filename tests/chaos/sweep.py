"""The sweep: a scenario once without a fault, to count its operations and see where it ends; then once for each operation that fails."""

from __future__ import annotations

import difflib
import pprint
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.ground import LONG, Account, Ground
from tests.chaos.invariants import check, digest
from tests.chaos.operations import MODES, Crash, Mode, Operations, watched
from tests.chaos.scenarios import Scenario, Step

ROUNDS = 3  # of healing: an uncertain process is looked up once its time is over, and read back by the round after


@dataclass(frozen=True)
class Baseline:
    """What a scenario does when all goes well."""

    operations: tuple[str, ...]
    end: dict[str, Any]


def baseline(ground: Ground, scenario: Scenario) -> Baseline:
    """Run a scenario without a fault."""
    account = scenario.open(ground)
    with watched(Operations()) as seen:
        _do(scenario.steps, account)
    _heal(scenario, account)
    found = check(account)
    assert found == [], found
    return Baseline(tuple(seen.seen), digest(account))


def cases(operations: Sequence[str]) -> Iterator[tuple[int, Mode]]:
    """Every operation in every mode."""
    for number in range(len(operations)):
        for mode in MODES:
            yield number, mode


def struck(ground: Ground, scenario: Scenario, known: Baseline, number: int, mode: Mode) -> list[str]:
    """Run a scenario with one operation failing, heal it, and say what is then wrong; empty when nothing is."""
    account = scenario.open(ground)
    with watched(Operations(number, mode)) as seen:
        _do(scenario.steps, account)
    what = f"operation {number} ({known.operations[number]}) failing {mode}"
    if len(seen.seen) <= number:
        return [f"{what}: it never came"]
    _heal(scenario, account)
    found = check(account)
    end = digest(account)
    if end != known.end:
        found.append(f"it ends otherwise:\n{_difference(known.end, end)}")
    before = account.dump()
    _do(scenario.heal, account)
    if account.dump() != before:
        found.append(f"I6: once more changes something:\n{_difference(before, account.dump())}")
    return [f"{what}: {breach}" for breach in found]


def _do(steps: Sequence[Step], account: Account) -> None:
    """Each step by itself; whatever it raises is what an operator would have seen."""
    for step in steps:
        try:
            step(account)
        except (Exception, Crash):
            continue


def _heal(scenario: Scenario, account: Account) -> None:
    for _ in range(ROUNDS):
        account.wait(LONG)
        for step in scenario.heal:
            step(account)


def _difference(expected: Any, found: Any) -> str:
    lines = [pprint.pformat(value, width=150).splitlines() for value in (expected, found)]
    return "\n".join(line for line in difflib.unified_diff(*lines, "without a fault", "with it", lineterm="", n=0))
