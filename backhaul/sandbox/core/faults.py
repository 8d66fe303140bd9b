"""Faults on request: what goes wrong, on which operation, how often (docs/vendors/loop.md 2 and 5, docs/vendors/masonhub.md 3 and 7)."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

AFTER_EFFECT = frozenset({"lost_after", "malformed", "slow"})
KINDS = frozenset({"hang", "slow", "reset_before", "lost_after", "malformed", "html", "redirect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    `target` is an operation such as `loop.process` (or `loop.*`, or `*`). `kind` is an HTTP status such as "429" or "503", or:

    kind          the client sees                              effect by default
    hang          nothing for `seconds`, then a closed socket  not done
    slow          the right answer after `seconds`             done
    reset_before  a TCP reset                                  not done
    lost_after    a TCP reset                                  done
    malformed     half of the right JSON                       done
    html          200 and an HTML page                         not done
    redirect      302 to /login                                not done

    `after_effect` overrides the last column. The fault spares the first `after` matching calls, then strikes `times` of them
    (None: all of them), each with `probability`. `record` limits it to calls whose path, query or body has that text.
    `retry_after` is sent as it stands: seconds, or an HTTP date.
    """

    target: str = "*"
    kind: str
    times: int | None = 1
    after: int = 0
    retry_after: str | int | None = None
    probability: float = 1.0
    seconds: float = 30.0
    after_effect: bool | None = None
    merchant: str | None = None
    record: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not (self.kind.isdigit() and len(self.kind) == 3):
            raise ValueError(f"unknown kind of fault {self.kind!r}: an HTTP status or one of {', '.join(sorted(KINDS))}")

    @property
    def is_after_effect(self) -> bool:
        """Whether the operation really happens."""
        return self.kind in AFTER_EFFECT if self.after_effect is None else self.after_effect

    def strikes(self, operation: str, merchant: str, text: str) -> bool:
        """Whether the fault is meant for this call."""
        return fnmatchcase(operation, self.target) and self.merchant in (None, merchant) and (self.record is None or self.record in text)


class FaultPlan:
    """The faults still to come, in the order in which they were asked for."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._faults: list[Fault] = []
        self.struck = 0

    def add(self, fault: Fault) -> None:
        """Add one fault to the plan."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Let everything go well from now on."""
        self._faults.clear()

    @property
    def pending(self) -> list[Fault]:
        """What is still to come, its counters as they now stand."""
        return list(self._faults)

    def take(self, operation: str, merchant: str, text: str) -> Fault | None:
        """The fault that strikes this call, if one does; its counters go down."""
        for index, fault in enumerate(self._faults):
            if not fault.strikes(operation, merchant, text):
                continue
            if fault.after > 0:
                self._faults[index] = replace(fault, after=fault.after - 1)
                continue
            if fault.probability < 1 and self._rng.random() >= fault.probability:
                continue
            if fault.times is not None:
                if fault.times <= 1:
                    del self._faults[index]
                else:
                    self._faults[index] = replace(fault, times=fault.times - 1)
            self.struck += 1
            return fault
        return None
