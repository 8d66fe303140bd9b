"""The ground of a simulated world: one clock, one journal, one courier, and each merchant's accounts, whoever the vendors are."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from backhaul.sandbox.core.clock import Clock
from backhaul.sandbox.core.courier import Courier
from backhaul.sandbox.core.faults import FaultPlan
from backhaul.sandbox.core.journal import Journal

Units = Mapping[str, Mapping[str, int]]  # SKU -> inventory status -> units
Kind = TypeVar("Kind", bound="Account")


class Account(ABC):
    """One merchant's account at a simulated vendor; `options` is a dataclass of how that vendor behaves."""

    options: Any


class Warehouse(Account):
    """An account where parcels arrive. `key` is what our side calls a return."""

    @abstractmethod
    def find(self, key: str) -> object | None:
        """The record that the warehouse has under a key."""

    @abstractmethod
    def waiting(self) -> list[str]:
        """The keys of all that is announced and has not arrived, oldest first."""

    @abstractmethod
    def receive(self, key: str, units: Units | str = "all", *, status: str | None = None) -> object:
        """Units arrive, by SKU and inventory status, or as a named outcome. `status` is the vendor's word; without it receiving ends."""


class Keys(dict[str, str]):
    """The secrets of one simulated merchant by `vendor_setting`, also as attributes. They open nothing but the sandbox."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant: its secrets, and its accounts by vendor."""

    name: str
    keys: Keys
    accounts: dict[str, Account] = field(default_factory=dict)

    def account(self, kind: type[Kind]) -> Kind:
        """The account of a kind. Raises LookupError when there is none."""
        for each in self.accounts.values():
            if isinstance(each, kind):
                return each
        raise LookupError(f"{self.name} has no {kind.__name__}")

    @property
    def warehouses(self) -> list[Warehouse]:
        """The accounts where parcels arrive, in the order of the vendors."""
        return [each for each in self.accounts.values() if isinstance(each, Warehouse)]


def made_up(seed: int, merchant: str, what: str, length: int = 64) -> str:
    """Hex characters that look like a secret and are the same in every run."""
    return hashlib.sha256(f"{seed}/{merchant}/{what}".encode()).hexdigest()[:length]


class Ground:
    """The state that all simulated vendors share. Everything takes `lock`."""

    def __init__(self, seed: int, start: datetime | None, *, is_ticking: bool) -> None:
        self.seed = seed
        self.lock = threading.RLock()
        self.clock = Clock(start, is_ticking=is_ticking)
        self.journal = Journal()
        self.faults = FaultPlan(random.Random(seed + 1))
        self.courier = Courier(random.Random(seed + 2), self.tick)
        self.merchants: dict[str, Merchant] = {}
        self.latency = 0.0  # real seconds that every answer of a vendor takes, at least
        self._windows: dict[str, tuple[float, int]] = {}  # of the rate limits, by key

    @property
    def now(self) -> datetime:
        """The simulated now."""
        return self.clock.now

    def tick(self) -> None:
        """Let happen what is due."""
        with self.lock:
            self.clock.run_due()

    def clear(self) -> None:
        """No merchants, journal, faults, jobs or deliveries. The clock's time stays."""
        self.merchants.clear()
        self._windows.clear()
        self.clock.clear()
        self.journal.clear()
        self.faults.clear()
        self.courier.clear()

    def account(self, merchant: str, kind: type[Kind]) -> Kind:
        """One merchant's account at a vendor. Raises KeyError for a merchant that there is not."""
        return self.merchants[merchant].account(kind)

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
