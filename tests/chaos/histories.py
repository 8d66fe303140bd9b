"""Histories: anything that can happen to returns, to vendors and to Backhaul itself, in any order, held against the model at every step.

Each step of a history is a method here, so that a history that once failed can be told again as a test with a name. A write to a vendor
is judged as it leaves: by what the store has been told at that moment, or had when the delivery was claimed, the model must call for it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backhaul.errors import BackhaulError
from backhaul.sandbox.core.courier import Posting
from backhaul.sandbox.core.parcels import outcome_units
from tests.chaos.ground import START, Account, Ground
from tests.chaos.invariants import check
from tests.chaos.model import Decision, expected, on_receipt, told_facts, true_facts
from tests.chaos.operations import Crash, Mode, Operations, answer, watched
from tests.chaos.scenarios import BY_FILE, FIGURES, bring_figures, figures_file
from tests.chaos.sweep import heal

SKU, OTHER = "TEE-NVY-M", "CAP-RED-1"
CARTS = ((SKU,), (SKU, OTHER), (SKU, SKU), (SKU, None), (None,))
PARCELS = ("all", "damaged", "short", "empty", "over", "unexpected", "quality_control", "partial")
TROUBLES = ("429", "500", "503", "503 done", "401", "reset_before", "lost_after", "malformed", "html", "redirect")
TARGETS = ("loop.*", "loop.process", "loop.flag", "loop.note", "loop.details", "warehouse.*", "warehouse.c*")
OUTCOME_HOURS = timedelta(hours=25)  # after which what is undone is told to a person
CALL_LASTS = timedelta(seconds=45)  # a slow call, within its deadline
CALLS_FOR = {"process": {"process"}, "flag": {"flag"}, "note": {"flag"}, "close": {"process", "flag"}}
BOUND = ("accepted", "confirmed", "refused", "failed")

AIRHOUSE_BY_FILE = "airhouse by file"

places = st.integers(0, 3)


class Watch(Operations):
    """Judges every write to Loop, and every close at the warehouse, as it leaves; and lets another worker run while a call lasts."""

    def __init__(self, account: Account, fails: int | None = None, mode: Mode = "once") -> None:
        super().__init__(fails, mode)
        self.account = account
        self.breaches: list[str] = []
        self.meanwhile: Callable[[], object] | None = None  # what another worker does while this one waits for each answer
        self.ends_in: str | None = None  # how such a call ends: "401", with nothing done, or "lost"
        self._claimed: dict[str, str] = {}
        self._is_aside = False

    def on_point(self, name: str) -> None:
        """A claim is judged by what is known when it is made."""
        if name == "delivery.claim":
            self._claimed = {return_id: self._verdict(return_id) for return_id in self._known()}
        super().on_point(name)

    def on_call(self, send: Any, request: httpx.Request) -> httpx.Response:
        """A call to a vendor, judged before it leaves."""
        act, return_id = self._act(request)
        if act is not None and not {self._verdict(return_id), self._claimed.get(return_id)} & CALLS_FOR[act]:
            told = told_facts(self.account, return_id)
            self.breaches.append(f"{act} of {return_id} while the facts call for {self._verdict(return_id)}: {told}")
        if self.meanwhile is None or self._is_aside or act is None:
            return super().on_call(send, request)
        response = answer(401, "Unauthorized.") if self.ends_in == "401" else super().on_call(send, request)
        self._is_aside, claimed = True, self._claimed
        try:
            self.account.wait(CALL_LASTS)
            self.meanwhile()
        finally:
            self._is_aside, self._claimed = False, claimed
        if self.ends_in == "lost":
            response.close()
            raise httpx.ReadTimeout("the answer never came", request=request)
        return response

    def _verdict(self, return_id: str) -> str:
        facts = told_facts(self.account, return_id)
        if facts is None or facts.is_history or self.account.mode == "shadow":
            return "nothing"
        return expected(facts, self.account.ground.now())[0]

    def _known(self) -> list[str]:
        return [str(item.id) for item in self.account.loop]

    def _act(self, request: httpx.Request) -> tuple[str | None, str]:
        parts = request.url.path.rstrip("/").split("/")
        if request.method != "POST" or parts[-1] not in CALLS_FOR:
            return None, ""
        held = self.account.world.airhouse(self.account.merchant).returns.get(parts[-2])
        return parts[-1], parts[-2] if held is None else str(held.external_id)


class Histories(RuleBasedStateMachine):
    """One merchant's history. `ground` is set by the test."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.breaches: list[str] = []
        self.postings: list[Posting] = []
        self._past: dict[str, int] = {}  # when each return that only a backfill has seen last changed
        self._received: dict[str, int] = {}  # of figures in a file: how many days after the start
        self.is_open = False

    @initialize(warehouse=st.sampled_from(["masonhub", "masonhub", "airhouse", AIRHOUSE_BY_FILE]), cart=st.sampled_from(CARTS[:3]))
    def begin(self, warehouse: str = "masonhub", cart: tuple[str | None, ...] = (SKU,)) -> None:
        """A merchant with one return that is announced, or that waits for a file."""
        if warehouse == AIRHOUSE_BY_FILE:
            self.account = self.ground.open("airhouse", **BY_FILE)
            self.account.figures = {}
        else:
            self.account = self.ground.open(warehouse)
        self.account.subscribe()
        self.is_open = True
        self.shop(cart)
        self.sync()

    # Loop: shoppers and people

    @precondition(lambda self: len(self.ids) < 3)
    @rule(cart=st.sampled_from(CARTS))
    def shop(self, cart: tuple[str | None, ...] = (SKU,)) -> None:
        """One more return."""
        self.account.wait()
        self.ids.append(self.account.shop(*cart, order_number=1000 + len(self.ids)))

    @rule(place=places, cart=st.sampled_from(CARTS[:4]))
    def edit(self, place: int, cart: tuple[str | None, ...]) -> None:
        """The shopper changes what comes back."""
        if self._state(place) in ("open", "review"):
            self.account.wait()
            self.account.world.edit_return(self.account.merchant, self._at(place), cart)

    @rule(place=places, state=st.sampled_from(["review", "open", "open", "cancelled", "expired", "closed"]))
    def move(self, place: int, state: str) -> None:
        """A person, or time, moves a return to another state; a closed one stays so."""
        item = self.account.loop.need(self._at(place))
        if item.state == state or item.state == "closed":
            return
        self.account.wait()
        if state == "closed":
            self.account.loop.close(item.id)
        else:
            self.account.loop.change(item, "return.updated", state=state, is_flagged=False, is_queued=False)

    @rule(place=places, number=st.integers(1, 3))
    def label(self, place: int, number: int) -> None:
        """A label exists."""
        self.account.wait()
        self.account.world.set_tracking(self.account.merchant, self._at(place), f"940010000000000000000{number}")

    @rule(is_slow=st.booleans())
    def hurry(self, is_slow: bool) -> None:
        """Loop takes ten minutes to process, or no time."""
        self.account.loop.options.process_delay = timedelta(minutes=10 if is_slow else 0)

    @rule(place=places, is_undone=st.booleans())
    def leave_undone(self, place: int, is_undone: bool) -> None:
        """Loop closes what it processes and pays nothing, or pays it after all."""
        self.account.loop.leave_undone(self._at(place), *(["refund"] if is_undone else []))

    @rule(place=places)
    def will_fail(self, place: int) -> None:
        """Loop will take the next process call of a return, then fail."""
        self.account.world.fail_processing(self.account.merchant, self._at(place))

    # The warehouse

    @rule(place=places, parcel=st.sampled_from(PARCELS))
    def receive(self, place: int, parcel: str = "all") -> None:
        """A parcel is received, or its receipt corrected; a person exports what was counted, where that is how results come."""
        if self.account.figures is not None:
            self.account.wait()
            self._key_in(place, parcel, self.account.figures)
        elif self._is_announced(place):
            self.account.wait()
            self.account.receive(self._at(place), parcel)

    def _key_in(self, place: int, parcel: str, figures: dict[str, dict[str, tuple[int, int, int]]]) -> None:
        """The dashboard's whole table, each return with its newest figures and a received date that moves with them."""
        expected = Counter(line.sku for line in self.account.loop.need(self._at(place)).lines if line.sku)
        if not expected:
            return
        counted = {sku: Counter(graded) for sku, graded in outcome_units(parcel, list(expected.items())).items()}
        skus = sorted({*expected, *counted})
        found = {sku: (expected[sku], counted.get(sku, Counter()).total(), counted.get(sku, Counter())["available"]) for sku in skus}
        figures.pop(self._at(place), None)
        figures[self._at(place)] = found
        self._received[self._at(place)] = max(self._received.values(), default=0) + 1
        lines = [
            f"{return_id},#1,{sku},{','.join(map(str, counts))},Processed,2026-03-02,2026-03-07,{START + timedelta(days=on):%Y-%m-%d}"
            for return_id, on in self._received.items()
            for sku, counts in figures[return_id].items()
        ]
        figures_file(self.account).write_text("\n".join([FIGURES, *lines, ""]), encoding="utf-8")
        self._run(bring_figures)

    @rule(place=places)
    def garble(self, place: int) -> None:
        """The warehouse tells of a receipt that cannot be."""
        if self.account.figures is not None or not self._is_announced(place):
            return
        self.account.wait()
        if self.account.warehouse == "airhouse":
            airhouse = self.account.world.airhouse(self.account.merchant)
            held = airhouse.need(self._at(place))
            held.items[0]["restocked_quantity"] = held.items[0]["received_quantity"] + 1
            airhouse.move(held, "processed")
        else:
            rma = self.account.rmas.need(self._at(place))
            expected_lines = [line for line in rma.lines if not line["not_on_original_rma"]]
            expected_lines[0]["receiving_details"] = {"available": [{"notes": "", "quantity": -1}]}
            self.account.rmas.touch(rma)
            rma.status, rma.received_at = "received", self.account.world.now
            self.account.rmas._announce("received", rma)

    # Trouble

    @rule(what=st.sampled_from(TARGETS), trouble=st.sampled_from(TROUBLES), times=st.sampled_from([1, 2, 8, None]))
    def strike(self, what: str, trouble: str, times: int | None = None) -> None:
        """A vendor's next calls go wrong, or all of them until it is well again."""
        kind, _, is_done = trouble.partition(" ")
        more = {"after_effect": True} if is_done else {}
        target = what.replace("warehouse", self.account.warehouse)
        self.account.world.fault(kind, target, times=times, merchant=self.account.merchant, **more)

    @rule(place=places, parcel=st.sampled_from(PARCELS[:4]), trouble=st.sampled_from(TROUBLES), times=st.sampled_from([1, 2, None]))
    def decide_in_vain(self, place: int, parcel: str, trouble: str, times: int | None = None) -> None:
        """A parcel is received and decided on, while Loop takes no process and no flag."""
        self.receive(place, parcel)
        for what in ("loop.process", "loop.flag"):
            self.strike(what, trouble, times)
        self.sync()

    @rule()
    def recover(self) -> None:
        """Every vendor is well."""
        self.account.world.faults.clear()

    @rule(minutes=st.sampled_from([0.3, 1.2, 6, 16, 3 * 24 * 60]))
    def wait(self, minutes: float) -> None:
        """Time passes."""
        self.account.wait(timedelta(minutes=minutes))

    @rule(minutes=st.sampled_from([0.1, 3, 40]))
    def set_back(self, minutes: float) -> None:
        """Our clock is set back; it is right again in the end."""
        self.ground.skew -= timedelta(minutes=minutes)

    # Webhooks

    @rule(order=st.randoms(use_true_random=False), loses=st.integers(0, 2), doubles=st.integers(0, 2))
    def hand_over(self, order: Any, loses: int = 0, doubles: int = 0) -> None:
        """The vendors' postings arrive: in another order, some never, some twice."""
        fresh = [*self.postings, *self.account.fresh_postings()]
        order.shuffle(fresh)
        self.postings = fresh[:doubles]  # and once more, much later
        self.account.post(fresh[loses:])

    # Backhaul

    @rule()
    def sync(self) -> None:
        """A sync."""
        self._run(Account.sync)

    @rule()
    def deliver(self) -> None:
        """A worker at the outbox."""
        self._run(Account.deliver)

    @rule()
    def take_in(self) -> None:
        """The events are taken in."""
        self._run(Account.take_in)

    @rule(number=st.integers(20, 240), mode=st.sampled_from(["once", "for good", "crash"]))
    def sync_failing(self, number: int, mode: Mode) -> None:
        """A sync of which one operation fails."""
        self._run(Account.sync, fails=number, mode=mode)

    @rule(other=st.sampled_from(["deliver", "sync"]), ends_in=st.sampled_from([None, "lost", "401"]))
    def sync_beside(self, other: str, ends_in: str | None = None) -> None:
        """A sync whose calls last long, while another worker runs beside it."""
        self._run(Account.sync, meanwhile=other, ends_in=ends_in)

    @precondition(lambda self: len(self.ids) < 3)
    @rule(cart=st.sampled_from(CARTS[:2]))
    def look_back(self, cart: tuple[str | None, ...] = (SKU,)) -> None:
        """A return from before any sync has looked, which a backfill alone sees: history, until it changes."""
        began = self.account.world.now - timedelta(days=9)
        self.ids.append(self.account.shop(*cart, order_number=1000 + len(self.ids), at=began))
        days = [f"{began + timedelta(days=number):%Y-%m-%d}" for number in (0, 1)]
        self._run(lambda account: account.backfill(*days))
        told = told_facts(self.account, self.ids[-1])
        if told is not None and told.is_history:  # it is not where the backfill failed, or had read these days before
            self._past[self.ids[-1]] = self.account.loop.need(self.ids[-1]).updated_at

    @rule(mode=st.sampled_from(["shadow", "live"]))
    def turn(self, mode: str) -> None:
        """The merchant is in shadow mode from now on, or live."""
        self.account.mode = mode
        self.account.write_config()

    @rule(place=places)
    def release(self, place: int) -> None:
        """A person has what was decided in shadow sent."""
        if self.account.mode == "live":
            self._run(lambda account: account.send_shadowed([self._at(place)]))

    @rule(place=places)
    def retry(self, place: int) -> None:
        """An operator has what was given up tried again."""
        return_id = self._at(place)
        self.account.retried[return_id] += self.account.state(return_id, "loop.process") in ("refused", "failed", "dead")
        self._run(lambda account: account.deliver(retry=return_id))

    def _run(self, flow: Callable[[Account], object], meanwhile: str | None = None, ends_in: str | None = None, **fails: Any) -> None:
        watch = Watch(self.account, **fails)
        watch.ends_in = ends_in
        if meanwhile is not None:
            watch.meanwhile = lambda: _quietly(getattr(Account, meanwhile), self.account)
        with watched(watch):
            _quietly(flow, self.account)
        assert watch.breaches == [], "\n".join(watch.breaches)

    # What must be so in the end

    def teardown(self) -> None:
        """All is well again: what the model calls for has been done, once, and nothing else."""
        if not self.is_open or sys.exc_info()[0] is not None:  # it has failed already, or hypothesis has cut it short and does not count it
            return
        self.is_open = False
        self.account.world.faults.clear()
        self.account.loop.options.process_delay, self.ground.skew = timedelta(), timedelta()
        self.turn("live")
        watch = Watch(self.account)
        with watched(watch):
            found = self._heal()
            if any(item.undone for item in self.account.loop):
                self.account.wait(OUTCOME_HOURS)
                found += self._heal()
        found += [*watch.breaches, *check(self.account), *(breach for return_id in self.ids for breach in self._standing(return_id))]
        assert found == [], "\n".join(found)

    def _heal(self) -> list[str]:
        """All goes well until all is quiet; then a person sends what was decided in shadow, and all goes well again."""
        by_file = [bring_figures] if self._received else []
        steps = (lambda account: account.post(account.fresh_postings()), Account.take_in, *by_file, Account.sync)
        found = heal(steps, self.account)
        shadowed = self.account.rows("SELECT DISTINCT return_id FROM deliveries WHERE merchant = :m AND state = 'shadow'")
        if shadowed:
            self.account.send_shadowed([row["return_id"] for row in shadowed])
            found += heal(steps, self.account)
        return found

    def _standing(self, return_id: str) -> list[str]:
        """What is wrong with where a return stands, by the model."""
        account, facts, told = self.account, true_facts(self.account, return_id), told_facts(self.account, return_id)
        row = account.rows("SELECT decision, reasons FROM decisions WHERE merchant = :m AND return_id = :r AND is_current", r=return_id)
        decided = row[0]["decision"] if row else "nothing"
        states = {kind: account.state(return_id, f"loop.{kind}") for kind in ("process", "flag")}
        bound = next((kind for kind, state in states.items() if state in BOUND), None)
        wanted: Decision = (bound, ()) if bound is not None else expected(facts, account.world.now)
        found = []
        if decided != wanted[0]:
            found.append(f"return {return_id} is decided {decided}, the model says {wanted}: {facts}, deliveries {states}")
        if self._past.get(return_id) == account.loop.need(return_id).updated_at and return_id in str(account.effects()):
            found.append(f"return {return_id} is history, and was acted on: {account.effects()}")
        if bound is None and wanted[0] in ("process", "flag") and not (told is not None and told.is_history):
            found.append(f"return {return_id} is to {wanted[0]}, and was not: {facts}, deliveries {states}")
        return found + self._unexplained(return_id, bound, on_receipt(facts, account.world.now)[0], facts.is_withheld)

    def _unexplained(self, return_id: str, bound: str | None, would_be: str, is_withheld: bool) -> list[str]:
        """The exceptions that must be open, and are not; or are, and must not."""
        kinds = {kind for kind, subject in self.account.exceptions() if return_id in subject}
        must = {
            "receipt_quarantined": is_withheld,
            "correction_after_process": bound == "process" and would_be in ("flag", "hold"),
            "clean_after_flag": bound == "flag" and would_be == "process",
        }
        item = self.account.loop.need(return_id)
        if bound == "process" and item.state == "closed" and item.was_processed:
            must["outcome_undone"] = bool(item.undone)
        return [f"return {return_id}: {kind} is {'not ' * must[kind]}open" for kind in must if must[kind] != (kind in kinds)]

    def _at(self, place: int) -> str:
        return self.ids[place % len(self.ids)]

    def _state(self, place: int) -> str:
        return self.account.loop.need(self._at(place)).state

    def _is_announced(self, place: int) -> bool:
        if self.account.warehouse == "airhouse":
            held = self.account.world.airhouse(self.account.merchant).find(self._at(place))
            return held is not None and held.status not in ("closed", "cancelled")
        return self.account.rmas.find(self._at(place)) is not None


def _quietly(flow: Callable[[Account], object], account: Account) -> None:
    """Run a flow as a schedule does; what it raises on purpose, or a crash, is a failed run and no more."""
    try:
        flow(account)
    except (BackhaulError, Crash):
        return
