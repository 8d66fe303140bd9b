"""The whole simulated world: one clock, any number of merchants, each with a Loop, a MasonHub and an Airhouse account, all in memory."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backhaul.sandbox import loop_hooks, masonhub_events
from backhaul.sandbox.airhouse_state import AirhouseAccount
from backhaul.sandbox.clock import Clock
from backhaul.sandbox.courier import Courier, Posting
from backhaul.sandbox.faults import Fault, FaultPlan
from backhaul.sandbox.journal import Journal
from backhaul.sandbox.loop_recorded import DOCUMENTED, surface_of
from backhaul.sandbox.loop_state import Line, LoopAccount, Return, Subscription
from backhaul.sandbox.masonhub_state import MasonHubAccount, Rma


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one simulated merchant. They open nothing but the sandbox."""

    loop_api_key: str
    loop_webhook_secret: str
    masonhub_token: str
    masonhub_callback_token: str
    airhouse_api_key: str
    airhouse_webhook_secret: str


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant's accounts."""

    name: str
    keys: Keys
    loop: LoopAccount
    masonhub: MasonHubAccount
    airhouse: AirhouseAccount


def _made_up(seed: int, merchant: str, what: str, length: int) -> str:
    return hashlib.sha256(f"{seed}/{merchant}/{what}".encode()).hexdigest()[:length]


def make_keys(seed: int, merchant: str) -> Keys:
    """Made-up secrets in the observed shapes: 40 and 16 hex characters at Loop, a JWT at MasonHub (loop.md 1, masonhub.md 1)."""
    claims = base64.urlsafe_b64encode(f'{{"secret_phrase":"{merchant}-{seed}","iss":"MasonHub"}}'.encode()).decode().rstrip("=")
    return Keys(
        loop_api_key=_made_up(seed, merchant, "loop", 40),
        loop_webhook_secret=_made_up(seed, merchant, "hook", 16),
        masonhub_token=f"eyJhbGciOiJIUzI1NiJ9.{claims}.{_made_up(seed, merchant, 'masonhub', 43)}",
        masonhub_callback_token=_made_up(seed, merchant, "callback", 32),
        airhouse_api_key=_made_up(seed, merchant, "airhouse", 40),
        airhouse_webhook_secret=_made_up(seed, merchant, "airhouse-hook", 32),
    )


class World:
    """All state of a sandbox. Methods may be called from any thread; everything takes `lock`."""

    def __init__(
        self,
        seed: int = 7,
        start: datetime | None = None,
        *,
        merchants: Sequence[str] = ("acme",),
        is_ticking: bool = True,
        surface: str = DOCUMENTED,
    ) -> None:
        self.seed = seed
        self.surface = surface_of(surface, seed)
        self.lock = threading.RLock()
        self.clock = Clock(start, is_ticking=is_ticking)
        self.journal = Journal()
        self.rng = random.Random(seed)
        self.faults = FaultPlan(random.Random(seed + 1))
        self.courier = Courier(random.Random(seed + 2), self.tick)
        self._windows: dict[str, tuple[float, int]] = {}  # of the rate limits, by key
        self.merchants: dict[str, Merchant] = {}
        for name in merchants:
            self.add_merchant(name)

    @property
    def now(self) -> datetime:
        """The simulated now."""
        return self.clock.now

    def advance(self, step: timedelta) -> datetime:
        """Move the clock on, and let everything happen that falls due. Returns the new now."""
        with self.lock:
            self.clock.advance(step)
            return self.clock.now

    def tick(self) -> None:
        """Let happen what is due."""
        with self.lock:
            self.clock.run_due()

    def reset(self) -> None:
        """As new: empty accounts with default options, no journal, faults, jobs or deliveries. Keys and the clock's time stay."""
        with self.lock:
            names = list(self.merchants)
            self.merchants.clear()
            self._windows.clear()
            self.clock.clear()
            self.journal.clear()
            self.faults.clear()
            self.courier.clear()
            for name in names:
                self.add_merchant(name)

    def add_merchant(self, name: str) -> Merchant:
        """Open accounts for one more merchant."""
        keys = make_keys(self.seed, name)
        loop = LoopAccount(name, self.clock, keys.loop_api_key, keys.loop_webhook_secret, lambda *told: self._tell_loop(name, *told))
        loop.options.surface = self.surface
        masonhub = MasonHubAccount(name, self.clock, keys.masonhub_token, self.seed, lambda *told: self._tell_masonhub(name, *told))
        airhouse = AirhouseAccount(name, self.clock, keys.airhouse_api_key, self.courier.post)
        self.merchants[name] = Merchant(name, keys, loop, masonhub, airhouse)
        return self.merchants[name]

    def loop(self, merchant: str) -> LoopAccount:
        """One merchant's Loop."""
        return self.merchants[merchant].loop

    def masonhub(self, merchant: str) -> MasonHubAccount:
        """One merchant's MasonHub."""
        return self.merchants[merchant].masonhub

    def airhouse(self, merchant: str) -> AirhouseAccount:
        """One merchant's Airhouse."""
        return self.merchants[merchant].airhouse

    def over_limit(self, key: str, limit: int | None, window: float) -> int | None:
        """Count one call of a key in a fixed window of real time. Returns the seconds to wait when it is one too many."""
        if limit is None:
            return None
        now = time.monotonic()
        began, used = self._windows.get(key, (now, 0))
        if now - began >= window:
            began, used = now, 0
        self._windows[key] = (began, used + 1)
        return None if used < limit else max(1, round(began + window - now))

    def effects(self, merchant: str, name: str, key: str | int | None = None) -> int:
        """How often something really happened: `loop.process`, `loop.flag`, `loop.note`, `masonhub.create`, … to one record or to all."""
        return self.journal.effects(merchant, name, key)

    def fault(self, kind: str, target: str = "*", **rest: Any) -> None:
        """Ask for a fault: see `Fault` for the arguments."""
        with self.lock:
            self.faults.add(Fault(kind=kind, target=target, **rest))

    def create_return(
        self,
        merchant: str,
        skus: Sequence[str | None] = ("TEE-NVY-M",),
        *,
        order_number: int = 1001,
        at: datetime | None = None,
        **fields: Any,
    ) -> Return:
        """A shopper starts a return, one line a SKU. `fields` are those of `Return`; `reasons` gives each line its reason."""
        with self.lock:
            account = self.loop(merchant)
            reasons = fields.pop("reasons", None) or ["Too small"] * len(skus)
            lines = [Line(account.new_line_id(), sku, reason=reason) for sku, reason in zip(skus, reasons, strict=True)]
            return account.create(lines, order_number=order_number, at=None if at is None else int(at.timestamp()), **fields)

    def edit_return(self, merchant: str, return_id: int | str, skus: Sequence[str | None]) -> Return:
        """The shopper changes what comes back. Lines whose SKU stays keep their ids."""
        with self.lock:
            account = self.loop(merchant)
            kept = list(account.need(return_id).lines)
            lines = []
            for sku in skus:
                same = next((line for line in kept if line.sku == sku), None)
                if same is not None:
                    kept.remove(same)
                lines.append(same or Line(account.new_line_id(), sku))
            return account.edit(return_id, lines)

    def cancel_return(self, merchant: str, return_id: int | str) -> Return:
        """The return is withdrawn in Loop."""
        with self.lock:
            return self.loop(merchant).cancel(return_id)

    def expire_return(self, merchant: str, return_id: int | str) -> Return:
        """The parcel was never sent."""
        with self.lock:
            return self.loop(merchant).expire(return_id)

    def close_return(self, merchant: str, return_id: int | str) -> Return:
        """A person closes the return in Loop."""
        with self.lock:
            return self.loop(merchant).close(return_id)

    def flag_return(self, merchant: str, return_id: int | str) -> Return:
        """A person flags the return in Loop."""
        with self.lock:
            return self.loop(merchant).flag(return_id)

    def set_tracking(self, merchant: str, return_id: int | str, number: str, carrier: str = "USPS", status: str = "new") -> Return:
        """The label exists, or its status changes."""
        with self.lock:
            return self.loop(merchant).set_tracking(return_id, number, carrier, status)

    def fail_processing(self, merchant: str, return_id: int | str, message: str = "Return failed to process") -> None:
        """Loop will accept the next process call of this return, then fail."""
        with self.lock:
            self.loop(merchant).failing[int(return_id)] = message

    def receive(
        self, merchant: str, return_id: int | str, units: Mapping[str, Mapping[str, int]] | str = "all", *, status: str = "received"
    ) -> None:
        """The warehouse receives a parcel.

        `units` is SKU → {inventory status: units}, or one of `receiving.OUTCOMES` by name. At MasonHub `status` may be "in-receiving";
        at Airhouse `available` is restocked and anything else received only. Raises KeyError when no warehouse has an RMA for it.
        """
        with self.lock:
            account = self.merchants[merchant]
            if account.airhouse.find(str(return_id)) is not None:
                account.airhouse.receive(str(return_id), units)
            else:
                account.masonhub.receive(str(return_id), units, status=status)

    def blind_return(self, merchant: str, units: Mapping[str, Mapping[str, int]], package_id: str = "9400100000000000000777") -> Rma:
        """MasonHub receives a parcel that nobody announced, and makes the RMA itself."""
        with self.lock:
            return self.masonhub(merchant).blind(units, package_id)

    def subscribe(self, merchant: str, receiver_url: str, *, api_version: str = "2.0") -> list[Subscription]:
        """Point every webhook and callback at a receiver, as a person would in the vendors' admins: `receiver_url`/webhooks/{merchant}/…"""
        with self.lock:
            root, account = f"{receiver_url.rstrip('/')}/webhooks/{merchant}", self.merchants[merchant]
            account.masonhub.register(f"{root}/masonhub", "rmaEvent", api_version, account.keys.masonhub_callback_token)
            account.airhouse.register(f"{root}/airhouse", [], account.keys.airhouse_webhook_secret)
            return [account.loop.subscribe(topic, trigger, f"{root}/loop", "active") for topic, trigger in loop_hooks.USUAL]

    def _tell_loop(self, merchant: str, trigger: str, item: Return, details: dict[str, Any]) -> None:
        account = self.loop(merchant)
        for hook in list(account.subscriptions.values()):
            if hook.trigger != trigger or hook.status != "active":
                continue
            body = loop_hooks.php_json(loop_hooks.payload(account, hook.topic, trigger, item, details))
            headers = {"Content-Type": "application/json", "X-Loop-Signature": loop_hooks.signature(account.webhook_secret, body)}
            self.courier.post(Posting(merchant, "loop", trigger, str(item.id), hook.url, body, headers, done=_health(account, hook)))

    def _tell_masonhub(self, merchant: str, event: str, rma: Rma) -> None:
        for callback in list(self.masonhub(merchant).callbacks.values()):
            if callback.message_type == "rmaEvent":
                self.courier.post(masonhub_events.posting(self.masonhub(merchant), callback, event, rma))


def _health(account: LoopAccount, hook: Subscription) -> Any:
    def done(is_delivered: bool) -> None:
        limit = account.options.disable_webhooks_after
        hook.failures = 0 if is_delivered else hook.failures + 1
        if limit is not None and hook.failures > limit:
            hook.status = "inactive"

    return done
