"""The whole simulated world, as tests and the demo act on it: shoppers start returns, warehouses receive parcels, things go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from backhaul.sandbox.airhouse.state import AirhouseAccount
from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.core.ground import Ground, Keys, Merchant, Units
from backhaul.sandbox.loop.recorded import DOCUMENTED, surface_of
from backhaul.sandbox.loop.state import Line, LoopAccount, Return, Subscription
from backhaul.sandbox.masonhub.state import MasonHubAccount, Rma
from backhaul.sandbox.vendors import VENDORS


class World(Ground):
    """All state of a sandbox: any number of merchants, each with an account at every vendor. Methods may be called from any thread."""

    def __init__(
        self,
        seed: int = 7,
        start: datetime | None = None,
        *,
        merchants: Sequence[str] = ("acme",),
        is_ticking: bool = True,
        surface: str = DOCUMENTED,
    ) -> None:
        super().__init__(seed, start, is_ticking=is_ticking)
        self.surface = surface_of(surface, seed)
        for name in merchants:
            self.add_merchant(name)

    def advance(self, step: timedelta) -> datetime:
        """Move the clock on, and let everything happen that falls due. Returns the new now."""
        with self.lock:
            self.clock.advance(step)
            return self.clock.now

    def reset(self) -> None:
        """As new: empty accounts with default options, no journal, faults, jobs or deliveries. Keys and the clock's time stay."""
        with self.lock:
            names = list(self.merchants)
            self.clear()
            for name in names:
                self.add_merchant(name)

    def add_merchant(self, name: str) -> Merchant:
        """Open an account at every vendor for one more merchant."""
        secrets = {vendor.name: vendor.secrets(self.seed, name) for vendor in VENDORS.values()}
        merchant = Merchant(name, Keys({f"{vendor}_{key}": value for vendor, held in secrets.items() for key, value in held.items()}))
        for vendor in VENDORS.values():
            merchant.accounts[vendor.name] = vendor.open_account(self, merchant)
        merchant.account(LoopAccount).options.surface = self.surface
        self.merchants[name] = merchant
        return merchant

    def loop(self, merchant: str) -> LoopAccount:
        """One merchant's Loop."""
        return self.account(merchant, LoopAccount)

    def masonhub(self, merchant: str) -> MasonHubAccount:
        """One merchant's MasonHub."""
        return self.account(merchant, MasonHubAccount)

    def airhouse(self, merchant: str) -> AirhouseAccount:
        """One merchant's Airhouse."""
        return self.account(merchant, AirhouseAccount)

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

    def receive(self, merchant: str, return_id: int | str, units: Units | str = "all", *, status: str | None = None) -> None:
        """The warehouse that has an RMA for it receives a parcel.

        `units` is SKU → {inventory status: units}, or one of `parcels.OUTCOMES` by name. `status` is the warehouse's own word, such as
        "in-receiving"; without it receiving ends. Raises KeyError when no warehouse has an RMA for it.
        """
        with self.lock:
            key, warehouses = str(return_id), self.merchants[merchant].warehouses
            holder = next((each for each in warehouses if each.find(key) is not None), None)
            if holder is None:
                raise KeyError(f"{merchant} has no RMA {key} at any warehouse")
            holder.receive(key, units, status=status)

    def blind_return(self, merchant: str, units: Units, package_id: str = "9400100000000000000777") -> Rma:
        """MasonHub receives a parcel that nobody announced, and makes the RMA itself."""
        with self.lock:
            return self.masonhub(merchant).blind(units, package_id)

    def subscribe(self, merchant: str, receiver_url: str) -> list[Subscription]:
        """Point every webhook and callback at a receiver, as a person would in the vendors' admins: `receiver_url`/webhooks/{merchant}/…

        Returns Loop's.
        """
        with self.lock:
            root, account = f"{receiver_url.rstrip('/')}/webhooks/{merchant}", self.merchants[merchant]
            for vendor in VENDORS.values():
                vendor.point_hooks(self, account, f"{root}/{vendor.name}")
            return list(self.loop(merchant).subscriptions.values())
