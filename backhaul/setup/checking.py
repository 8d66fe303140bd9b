"""Running checks side by side, so that none stops or delays another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from backhaul.connectors.findings import Check, Finding, fail, unchecked
from backhaul.errors import BackhaulError


def run_checks(lanes: Sequence[Sequence[Check]], patience: float) -> list[Finding]:
    """Run lanes of checks side by side, each lane in its order; what is not answered after `patience` seconds is a failure of its own.

    Threads are daemons: a vendor that never answers must not keep the command from ending.
    """
    answers: dict[tuple[int, int], Finding] = {}

    def run_lane(number: int) -> None:
        for place, check in enumerate(lanes[number]):
            answers[number, place] = _answer(check)

    threads = [threading.Thread(target=run_lane, args=(number,), daemon=True) for number in range(len(lanes))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    answered = dict(answers)  # as it stands now: a late thread may still be writing
    return [found for number, lane in enumerate(lanes) for found in _in_order(lane, number, answered, patience)]


def _in_order(lane: Sequence[Check], number: int, answered: Mapping[tuple[int, int], Finding], patience: float) -> Iterator[Finding]:
    """A lane's findings; the first that is lacking is the one that hangs, the others had to wait for it."""
    hanging: str | None = None
    for place, check in enumerate(lane):
        if (number, place) in answered:
            yield answered[number, place]
        elif hanging is None:
            hanging = check.name
            yield fail(check.name, check.subject, f"no answer within {patience:g} seconds", check.remedy)
        else:
            yield unchecked(check.name, check.subject, f"{hanging} did not end")


def _answer(check: Check) -> Finding:
    try:
        return check.look()
    except BackhaulError as error:
        return fail(check.name, check.subject, str(error), check.remedy)
    except Exception as error:  # a defect in one check must not hide what the others find
        return fail(
            check.name, check.subject, f"the check itself broke: {error.__class__.__name__}", "Report this as a defect of Backhaul."
        )
