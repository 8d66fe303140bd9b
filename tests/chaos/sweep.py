"""The sweep: a scenario once without a fault, to count its operations and see where it ends; then once for each operation that fails."""

from __future__ import annotations

import difflib
import pprint
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backhaul.errors import BackhaulError
from tests.chaos.ground import LONG, Account, Ground
from tests.chaos.invariants import check, digest
from tests.chaos.moments import LIVE, Moment, Rows, read_rows
from tests.chaos.operations import LASTING, MODES, Crash, Mode, Operations, watched
from tests.chaos.scenarios import Scenario, Step

ROUNDS = 6  # of healing; two bring it about (a process is looked up when its time is over, then read back), one shows that it is over


@dataclass(frozen=True)
class Baseline:
    """A scenario without a fault: what it does, and where it ends. Every trial of it begins at `start`.

    `ends`: what was found wrong at the end of every trial so far, by the moment at which healing began. What follows depends on that
    moment alone, so that two trials which leave the same one behind are healed once.
    """

    account: Account
    start: Moment
    operations: tuple[str, ...]
    end: dict[str, Any]
    ends: dict[str, list[str]] = field(default_factory=dict)


def baseline(ground: Ground, scenario: Scenario) -> Baseline:
    """Run a scenario without a fault."""
    account = scenario.open(ground)
    start = Moment.of(account)
    with watched(Operations()) as seen:
        _do(scenario.steps, account)
    found = [*heal(scenario.heal, account), *check(account)]
    assert found == [], found
    return Baseline(account, start, tuple(seen.seen), digest(account))


def cases(operations: Sequence[str]) -> Iterator[tuple[int, Mode]]:
    """Every operation in every mode; but of crashes, only those beside something that lasts: a commit, or a call that reaches a vendor.

    A program that ends at any other moment leaves what one leaves that ends at the next of these.
    """
    for number, kind in enumerate(operations):
        for mode in MODES:
            if mode != "crash" or kind in LASTING:
                yield number, mode


def struck(scenario: Scenario, known: Baseline, number: int, mode: Mode) -> list[str]:
    """Run a scenario with one operation failing, heal it, and say what is then wrong; empty when nothing is."""
    known.start.go_back(known.account)
    with watched(Operations(number, mode)) as seen:
        _do(scenario.steps, known.account)
    what = f"operation {number} ({known.operations[number]}) failing {mode}"
    if len(seen.seen) <= number:
        return [f"{what}: it never came"]
    return [f"{what}: {breach}" for breach in breaches(scenario, known)]


def breaches(scenario: Scenario, known: Baseline) -> list[str]:
    """Heal what a trial has left behind, and say what is then wrong."""
    account, key = known.account, Moment.of(known.account).key()
    if key not in known.ends:
        found = [*heal(scenario.heal, account), *check(account)]
        end = digest(account)
        known.ends[key] = found if end == known.end else [*found, f"it ends otherwise:\n{difference(known.end, end)}"]
    return known.ends[key]


def _do(steps: Sequence[Step], account: Account) -> None:
    """Each step by itself; whatever it raises is what an operator would have seen."""
    for step in steps:
        try:
            step(account)
        except (BackhaulError, Crash):
            continue


def heal(steps: Sequence[Step], account: Account) -> list[str]:
    """Go on, now that nothing fails, until nothing changes any more; says what still does."""
    before = _but_runs(account)
    for _ in range(ROUNDS):
        account.wait(LONG)
        for step in steps:
            step(account)
        after = _but_runs(account)
        if after == before:
            return []
        before, last = after, before
    return [f"I6: after {ROUNDS} rounds it still changes:\n{difference(last, after)}"]


def _but_runs(account: Account) -> Rows:
    return {name: sorted(rows, key=repr) for name, rows in read_rows(account.store).items() if name not in ("runs", *LIVE)}


def difference(expected: Any, found: Any) -> str:
    lines = [pprint.pformat(value, width=150).splitlines() for value in (expected, found)]
    return "\n".join(line for line in difflib.unified_diff(*lines, "without a fault", "with it", lineterm="", n=0))
