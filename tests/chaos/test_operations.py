"""The fault sweep: whichever operation of a scenario fails, once, for good, or as the program's last, all ends as without it.

By default every tenth operation is tried, its mode and its database in turn; `make chaos` tries every one in every mode on both.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.chaos.ground import Ground
from tests.chaos.operations import MODES
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.sweep import baseline, cases, struck

IS_WHOLE = "CHAOS" in os.environ
SHARE = 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # where the door's own thread is what ends
@pytest.mark.parametrize("name", SCENARIOS)
def test_whichever_operation_fails_it_ends_as_without_a_fault(
    ground: Ground, name: str, record_property: Callable[[str, object], None]
) -> None:
    scenario = SCENARIOS[name]
    known = baseline(ground, scenario)
    tried = list(cases(known.operations))
    if not IS_WHOLE:
        tried = [case for case in tried if is_of_the_tenth(*case, list(SCENARIOS).index(name), ground.store.is_sqlite)]
    record_property("operations", len(tried))
    found = [breach for number, mode in tried for breach in struck(scenario, known, number, mode)]
    record_property("moments", len(known.ends))
    assert found == [], f"{len(found)} breaches in {len(tried)} cases:\n" + "\n".join(found)


def is_of_the_tenth(number: int, mode: str, seed: int, is_sqlite: bool) -> bool:
    """Whether a case is tried by default: of every tenth operation one mode, on one of the databases."""
    place, rest = divmod(number + seed, SHARE)
    return rest == 0 and mode == MODES[place % len(MODES)] and is_sqlite == (place // len(MODES) % 2 == 0)
