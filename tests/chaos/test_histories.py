"""Whatever happens, in whatever order, what is done is what the model of the decisions calls for, once; and all ends at rest."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.ground import Ground
from tests.chaos.histories import Histories

IS_WHOLE = "CHAOS" in os.environ
EACH = 250 if IS_WHOLE else 100
LENGTHS = (10, 10, 10, 10, 10, 10, 24, 24) if IS_WHOLE else (8,)  # steps, at most, of the histories of each part


@pytest.mark.parametrize("part", range(len(LENGTHS)))
def test_every_history_does_what_the_model_calls_for_and_ends_at_rest(
    sqlite_ground: Ground, part: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("histories", EACH)

    @seed(part)
    class Part(Histories):
        ground = sqlite_ground

    run_state_machine_as_test(
        Part,
        settings=settings(
            max_examples=EACH,
            stateful_step_count=LENGTHS[part],
            database=None,
            deadline=None,
            print_blob=False,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
