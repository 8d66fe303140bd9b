"""A round: one flow over many merchants, on threads, in which no merchant waits for another.

| a merchant            | is                                                                                                      |
|-----------------------|---------------------------------------------------------------------------------------------------------|
| that waits            | started in its order when a slot is free: the longest waiting first                                     |
| under way             | given until its deadline: its calls to vendors end by then, whatever a vendor does                      |
| slow                  | still under way after `slot` seconds; its slot goes to the next, so that a vendor who hangs holds none  |
| failed                | named in the round's outcomes; its next turn is the next round                                          |
| left                  | still waiting or under way at the round's own deadline; the next round takes it up                      |
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backhaul.connectors.deadline import within
from backhaul.errors import BackhaulError, StoreError
from backhaul.store.turns import LEASE, Turns

_TICK = 0.2  # seconds between two looks at who has become slow
_GRACE = 5.0  # seconds, after the last deadline, for runs to write how they ended
_ASK_AGAIN = 1.0  # seconds until what other workers hold is asked for once more
_RENEW_EVERY = LEASE.total_seconds() / 3

log = logging.getLogger(__name__)

Do = Callable[[str], Mapping[str, int]]  # one merchant's run; returns its counts


@dataclass(frozen=True, slots=True)
class Pace:
    """How a round goes. Times are in seconds."""

    at_once: int  # slots: on two cores with vendors at 200 ms, more than 32 bring nothing
    slot: float  # after which a merchant's slot is another's
    most: int  # merchants under way, the slow ones among them
    merchant: float  # one merchant's deadline
    whole: float  # the round's own


SYNC = Pace(at_once=32, slot=10.0, most=256, merchant=240.0, whole=270.0)  # the schedule is five minutes
RECONCILE = Pace(at_once=8, slot=30.0, most=64, merchant=600.0, whole=3_000.0)  # an hour
AUDIT = Pace(at_once=8, slot=60.0, most=64, merchant=3_600.0, whole=6 * 3_600.0)  # a night


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one merchant in a round. `error` is for the operator; `is_left` says that the next round takes the merchant up."""

    merchant: str
    counts: Mapping[str, int] = field(default_factory=dict)
    error: BaseException | None = None
    seconds: float = 0.0
    is_left: bool = False


class Round:
    """One process's part of a round."""

    def __init__(self, do: Do, pace: Pace, turns: Turns) -> None:
        self._do, self._pace, self._turns = do, pace, turns
        self._ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._going: dict[str, float] = {}  # since when
        self._called_off = threading.Event()
        self._ends_at = time.monotonic() + pace.whole

    def through(self, merchants: Sequence[str], *, is_share: bool = False) -> list[Outcome]:
        """Run every merchant, in this order; returns what came of those that this process has run or left.

        A share of another's round takes what is free, and does not wait for what others hold.
        """
        try:
            waiting, outcomes = self._go_round(list(merchants), is_share)
        except BaseException:  # told to stop: what is under way ends at its next call, and says so in its run
            self._called_off.set()
            self._end()
            raise
        outcomes += self._end()
        now = time.monotonic()
        outcomes += [Outcome(name, seconds=round(now - since, 3), is_left=True) for name, since in sorted(self._going.items())]
        return outcomes + [Outcome(name, is_left=True) for name in waiting]

    def _go_round(self, waiting: list[str], is_share: bool) -> tuple[list[str], list[Outcome]]:
        """Until all are through, or the round's deadline; gives who waits still, and what has come of the others."""
        outcomes: list[Outcome] = []
        renewed = asked = time.monotonic()
        while waiting or self._going:
            now = time.monotonic()
            if now >= self._ends_at:
                break
            if (free := self._free_slots(now)) and waiting and now >= asked:
                taken = self._turns.take(waiting, free)
                for merchant in taken:
                    self._start(merchant)
                waiting = [name for name in waiting if name not in self._going]
                if len(taken) < free and waiting:  # others hold what is left, or have done it
                    waiting, asked = [] if is_share else self._turns.undone(waiting), now + _ASK_AGAIN
            if now - renewed > _RENEW_EVERY:
                renewed = now
                self._renew()
            outcomes += self._wait()
        return waiting, outcomes

    def _end(self) -> list[Outcome]:
        """Give those under way a moment to write how they ended."""
        outcomes: list[Outcome] = []
        grace_ends = time.monotonic() + _GRACE
        while self._going and time.monotonic() < grace_ends:
            outcomes += self._wait()
        return outcomes

    def _free_slots(self, now: float) -> int:
        quick = sum(now - since < self._pace.slot for since in self._going.values())
        return max(0, min(self._pace.at_once - quick, self._pace.most - len(self._going)))

    def _start(self, merchant: str) -> None:
        self._going[merchant] = time.monotonic()
        # A daemon, so that one that outlives its deadline does not keep the process; a run may be ended anywhere (I8).
        threading.Thread(target=self._run, args=(merchant,), name=f"round-{merchant}", daemon=True).start()

    def _run(self, merchant: str) -> None:
        began = time.monotonic()
        counts: Mapping[str, int] = {}
        failure: BaseException | None = None
        try:
            with within(max(0.0, min(self._pace.merchant, self._ends_at - began)), called_off=self._called_off):
                counts = self._do(merchant)
        except BackhaulError as error:
            failure = error
        except BaseException as error:  # whatever befell one merchant, the others' customers wait for their money too
            log.exception("%s: the run failed", merchant)
            failure = error
        try:
            self._turns.finish(merchant)
        except StoreError as error:  # its lease runs out
            log.warning("%s: %s", merchant, error)
        self._ended.put(Outcome(merchant, counts, failure, round(time.monotonic() - began, 3)))

    def _wait(self) -> list[Outcome]:
        """What has ended by now, or does within a moment."""
        found: list[Outcome] = []
        try:
            found.append(self._ended.get(timeout=_TICK))
            while True:
                found.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        for outcome in found:
            self._going.pop(outcome.merchant, None)
        return found

    def _renew(self) -> None:
        try:
            self._turns.renew(tuple(self._going))
        except StoreError as error:
            log.warning("the turns of this round could not be renewed: %s", error)
