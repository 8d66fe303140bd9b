"""One simulated ShipBob account: its items, returns and how their units came back. Whatever is not documented is an option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backhaul.sandbox.core.clock import Clock
from backhaul.sandbox.core.ground import Units, Warehouse
from backhaul.sandbox.core.parcels import apportion, outcome_units

FIRST_RETURN, FIRST_ITEM = 3_300_001, 9_500_001
CHANNEL, READ_ONLY_CHANNEL = 100_102, 100_101
CENTER = 22
STATUSES = ("AwaitingArrival", "Arrived", "Processing", "Completed", "Cancelled")
# What is done with units that the sandbox's outcomes call so; any other word is passed on as an action that nobody has heard of.
ACTIONS = {"available": "Restock", "damaged": "Quarantine", "quality-control": "Quarantine", "disposed": "Dispose"}
ASKED = {"quality-control": "Quarantine"}  # nobody was to judge these units, so no grade will come


@dataclass(slots=True)
class Variant:
    """One item of the catalogue. `parts` makes it a bundle."""

    sku: str
    inventory_id: int | None
    is_digital: bool = False
    is_active: bool = True
    parts: tuple[str, ...] = ()
    primary: str | None = "Restock"
    backup: str | None = "Quarantine"
    instructions: str | None = "Check tags are on"


@dataclass(slots=True)
class Return:
    """One return. `lines` are in wire form."""

    id: int
    reference_id: str
    channel_id: int
    center_id: int
    lines: list[dict[str, Any]]
    inserted_at: datetime
    tracking_number: str | None = None
    return_type: str = "Regular"
    status: str = "AwaitingArrival"
    history: list[tuple[str, datetime]] = field(default_factory=list)

    def reached(self, status: str) -> datetime | None:
        """When the return last came to have a status."""
        return next((at for name, at in reversed(self.history) if name == status), None)


@dataclass(slots=True)
class Hook:
    """One webhook subscription."""

    id: str
    url: str
    topics: list[str]
    secret: str
    created_at: datetime
    is_enabled: bool = True
    failures: int = 0


@dataclass(slots=True)
class ShipBobOptions:
    """How the simulated ShipBob behaves where its API is open, or known to be odd."""

    known_skus: frozenset[str] | None = None  # None: every SKU is known
    next_is_path: bool = False  # a path without the version, in other letters, instead of a URL
    empty_is_404: bool = False
    page_cap: int | None = None  # lists that give fewer rows than were asked for
    default_limit: int = 50
    is_filter_ignored: bool = False  # as when its commas were encoded
    has_spaced_words: bool = False  # "Awaiting Arrival", "RTS"
    resolves_default: bool = True  # action_requested shows the item's preference instead of Default
    nothing_taken: list[Any] | None = field(default_factory=list)  # or None: both are legal
    action_reason: str | None = None
    rate_limit: int | None = None
    rate_window: float = 60.0
    hook_body: str = "full"  # or "short", "id", "wrapped": its form is not documented
    has_bad_signatures: bool = False
    disable_hooks_after: int | None = None


Tell = Callable[[str, Return], None]


class ShipBobAccount(Warehouse):
    """The state of one merchant's ShipBob. `tell` is told of every event."""

    def __init__(self, merchant: str, clock: Clock, token: str, tell: Tell) -> None:
        self.merchant, self.clock, self.token = merchant, clock, token
        self.options = ShipBobOptions()
        self.returns: dict[int, Return] = {}
        self.variants: list[Variant] = []
        self.hooks: dict[str, Hook] = {}
        self.channels = {READ_ONLY_CHANNEL: ["returns_read"], CHANNEL: ["returns_read", "returns_write"]}
        self._tell = tell
        self._count = 0

    def find(self, reference: str) -> Return | None:
        """The return with this reference; of several, the latest."""
        return next((item for item in reversed(self.returns.values()) if item.reference_id == reference), None)

    def waiting(self) -> list[str]:
        """The references of the returns that have not arrived."""
        return [item.reference_id for item in self.returns.values() if item.status == "AwaitingArrival"]

    def need(self, reference: str) -> Return:
        """As `find`. Raises KeyError when there is none."""
        found = self.find(reference)
        if found is None:
            raise KeyError(f"{self.merchant} has no return {reference} at ShipBob")
        return found

    def stock(self, sku: str) -> list[Variant]:
        """The variants with a SKU. An unheard-of one is made when it is asked for, unless `known_skus` leaves it out."""
        found = [variant for variant in self.variants if variant.sku == sku]
        if not found and (self.options.known_skus is None or sku in self.options.known_skus):
            found = [self.add_variant(sku)]
        return found

    def add_variant(self, sku: str, **fields: Any) -> Variant:
        """Put one more item into the catalogue; a SKU may have several."""
        inventory_id = None if fields.get("parts") or fields.get("is_digital") else FIRST_ITEM + len(self.variants)
        self.variants.append(Variant(sku, inventory_id, **fields))
        return self.variants[-1]

    def item(self, inventory_id: Any) -> Variant | None:
        """The item with an inventory id."""
        return next((each for each in self.variants if each.inventory_id == inventory_id and inventory_id is not None), None)

    def create(self, body: Mapping[str, Any], channel_id: int, return_type: str = "Regular") -> Return:
        """Keep a new return."""
        lines, center_id = self.lines_of(body["inventory"]), body["fulfillment_center"]["id"]
        item = Return(FIRST_RETURN + len(self.returns), body["reference_id"], channel_id, center_id, lines, self.clock.now)
        item.tracking_number, item.return_type = body.get("tracking_number"), return_type
        self.returns[item.id] = item
        item.history.append((item.status, self.clock.now))
        self._tell("return.created", item)
        return item

    def replace(self, item: Return, body: Mapping[str, Any]) -> None:
        """Take over a whole new body."""
        item.lines, item.tracking_number = self.lines_of(body["inventory"]), body.get("tracking_number")
        item.center_id = body["fulfillment_center"]["id"]

    def move(self, item: Return, status: str) -> None:
        """A new status, and the webhook that tells of it."""
        item.status = status
        item.history.append((status, self.clock.now))
        self._tell("return.completed" if status == "Completed" else "return.updated", item)

    def lines_of(self, inventory: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Announced lines, with nothing done yet."""
        return [self._line(each["id"], each["quantity"], each["requested_action"]) for each in inventory]

    def _line(self, inventory_id: int, quantity: int, asked: str) -> dict[str, Any]:
        variant = self.item(inventory_id)
        is_default = asked == "Default"
        action = (variant.primary if variant else None) or "Restock" if is_default and self.options.resolves_default else asked
        kind = "InventoryDefault" if is_default else "Override"
        instructions = variant.instructions if variant else None
        return {
            "id": inventory_id,
            "name": f"Item {inventory_id}",
            "sku": variant.sku if variant else None,
            "quantity": quantity,
            "action_requested": {"action": action, "action_type": kind, "instructions": instructions},
            "action_taken": self.options.nothing_taken,
            "bundle_parent_sku": None,
            "barcodes": [f"{inventory_id:012d}"],
            "lot_information": {"number": None, "expiration": None, "minimumShelfLife": None},
        }

    def receive(self, reference: str, units: Units | str = "all", *, status: str | None = None) -> Return:
        """Units arrive, by SKU and word, or as a named outcome; what was found before is replaced. May stay in `Processing`."""
        item = self.need(reference)
        item.lines = [line for line in item.lines if line["quantity"]]
        expected = [(str(line["sku"]), int(line["quantity"])) for line in item.lines]
        counts = outcome_units(units, expected) if isinstance(units, str) else units
        received, surplus = apportion(expected, counts)
        extra = [self._line(self.stock(sku)[0].inventory_id or 0, 0, "Default") for sku in surplus]
        for line, graded in zip([*item.lines, *extra], [*received, *surplus.values()], strict=True):
            self._take(line, graded)
        item.lines += extra
        for step in ("Arrived", "Processing"):
            if item.reached(step) is None:
                self.move(item, step)
        last = status or "Completed"
        if units != "partial" and last != item.status:
            self.move(item, last)
        return item

    def _take(self, line: dict[str, Any], graded: Mapping[str, int]) -> None:
        arrived = {word: number for word, number in graded.items() if word != "short" and number}
        asked = next((ASKED[word] for word in arrived if word in ASKED), None)
        if asked is not None:
            line["action_requested"] = line["action_requested"] | {"action": asked}
        reason = self.options.action_reason
        line["action_taken"] = [
            {"action": ACTIONS.get(word, word), "action_reason": reason, "quantity_processed": number, "image_url": None}
            for word, number in arrived.items()
        ] or self.options.nothing_taken

    def blind(self, units: Units, reference: str = "RTS-104458283", return_type: str = "ReturnToSender") -> Return:
        """A return that others made: ShipBob itself (to sender), or somebody at the dashboard (Regular). Received at once."""
        inventory = [
            {"id": self.stock(sku)[0].inventory_id, "quantity": sum(graded.values()), "requested_action": "Default"}
            for sku, graded in units.items()
        ]
        body = {"reference_id": reference, "inventory": inventory, "fulfillment_center": {"id": CENTER}}
        self.create(body, READ_ONLY_CHANNEL, return_type)
        return self.receive(reference, units)

    def register(self, url: str, topics: list[str], secret: str) -> Hook:
        """Add a webhook."""
        self._count += 1
        hook = Hook(str(12_344 + self._count), url, topics, secret, self.clock.now)
        self.hooks[hook.id] = hook
        return hook
