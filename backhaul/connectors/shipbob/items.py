"""ShipBob's inventory ids by SKU, looked up once and kept for a day: a return is announced by them, never by SKU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from backhaul.connectors import parse
from backhaul.connectors.http import Http
from backhaul.connectors.shipbob.endpoints import ITEMS_KEPT, PRODUCTS_PATH, RESTOCK, SKUS_PER_CALL
from backhaul.connectors.shipbob.paging import rows
from backhaul.connectors.shipbob.wire import ProductWire, VariantWire


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its inventory id, and what the merchant wants done with units of it that come back."""

    sku: str
    inventory_id: int
    preferred: str = RESTOCK  # where no preference is set, ShipBob restocks


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a SKU cannot be announced."""

    code: str
    why: str


class Items:
    """The items of one account. Thread-safe. Only what can be announced is kept: the rest is asked for again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: dict[str, tuple[float, Item]] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def by_sku(self, http: Http, skus: Iterable[str]) -> dict[str, Item | Unfit]:
        """An item for each SKU, or why there is none that can be announced."""
        wanted, now = list(dict.fromkeys(skus)), self._clock()
        with self._lock:
            kept = {sku: item for sku, (at, item) in self._kept.items() if sku in wanted and now - at < ITEMS_KEPT.total_seconds()}
        found: dict[str, Item | Unfit] = dict(kept)
        asked = [sku for sku in wanted if sku not in kept]
        for first in range(0, len(asked), SKUS_PER_CALL):
            chunk = asked[first : first + SKUS_PER_CALL]
            query = f"SKU=any:{','.join(quote(sku, safe='') for sku in chunk)}"
            products = list(rows(http, PRODUCTS_PATH, query, "find_products", ProductWire))
            variants = [one for product in products for one in product.variants or ()]
            found |= {sku: _judged(sku, [one for one in variants if parse.text(one.sku) == sku]) for sku in chunk}
        with self._lock:
            self._kept.update((sku, (now, item)) for sku in asked if isinstance(item := found[sku], Item))
        return found


def _judged(sku: str, variants: Sequence[VariantWire]) -> Item | Unfit:
    """The one active, physical item with exactly this SKU: ShipBob's own search may be looser."""
    active = [one for one in variants if (parse.text(one.status) or "active").casefold() == "active"]
    if not active:
        return Unfit("unknown_sku", f"SKU {sku} {'is not active' if variants else 'is not known'} at ShipBob")
    if any(one.bundle_definition for one in active):
        return Unfit("bundle", f"SKU {sku} is a bundle at ShipBob, which takes back its parts only")
    stocked = {own: one for one in active if isinstance(own := parse.count(one.inventory and one.inventory.inventory_id), int)}
    if any(parse.is_true(one.is_digital) for one in active) or not stocked:
        return Unfit("no_stock", f"SKU {sku} has no stock at ShipBob that could come back")
    if len(stocked) > 1:
        return Unfit("ambiguous_sku", f"SKU {sku} stands for {len(stocked)} items at ShipBob ({', '.join(map(str, sorted(stocked)))})")
    own, variant = next(iter(stocked.items()))
    wants = variant.return_preferences
    action = None if wants is None or wants.primary_action is None else parse.text(wants.primary_action.name)
    return Item(sku, own, action or RESTOCK)


_ACCOUNTS: dict[tuple[str, str], Items] = {}
_ACCOUNTS_LOCK = threading.Lock()


def items_for(merchant: str, base_url: str) -> Items:
    """The items of a merchant's account, shared by everybody in the process."""
    with _ACCOUNTS_LOCK:
        return _ACCOUNTS.setdefault((merchant, base_url), Items())
