"""Which simulated ShipBob account belongs to which merchant of a world."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from backhaul.sandbox.shipbob.hooks import tell, token_of
from backhaul.sandbox.shipbob.state import Return, ShipBobAccount
from backhaul.sandbox.world import Merchant, World

_ACCOUNTS: WeakKeyDictionary[World, dict[str, tuple[Merchant, ShipBobAccount]]] = WeakKeyDictionary()


def account_of(world: World, merchant: str) -> ShipBobAccount:
    """One merchant's ShipBob. A world that was reset has a new one, empty, as it has of every vendor."""
    with world.lock:
        accounts, owner = _ACCOUNTS.setdefault(world, {}), world.merchants[merchant]
        if merchant not in accounts or accounts[merchant][0] is not owner:
            accounts[merchant] = (owner, _opened(world, merchant))
        return accounts[merchant][1]


def _opened(world: World, merchant: str) -> ShipBobAccount:
    def told(topic: str, item: Return) -> None:
        tell(world.courier, account, topic, item)

    account = ShipBobAccount(merchant, world.clock, token_of(world.seed, merchant), told)
    return account
