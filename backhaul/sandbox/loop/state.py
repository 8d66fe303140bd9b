"""One simulated Loop account: its returns, indexed by time, and what shoppers, people and the processing queue do to them.

Ids, states and their meaning: docs/vendors/loop.md 3 and 6.1. Processing is queued and ends later, or fails: docs/vendors/loop.md 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from backhaul.sandbox.core.clock import Clock
from backhaul.sandbox.core.ground import Account
from backhaul.sandbox.loop.time_index import TimeIndex

DEFAULT_STATES = ("open", "closed", "expired")  # what a list without `state` shows
FIRST_RETURN_ID = 37_600_001
FIRST_LINE_ID = 293_480_001
ALL_SCOPES = frozenset({"returns", "developer_tools", "destinations:read", "orders"})


@dataclass(slots=True)
class Line:
    """One returned unit; Loop has no quantity. Money is whole cents here and a decimal string on the wire."""

    line_item_id: int
    sku: str | None
    title: str = "Crew Tee"
    variant: str = "M / Navy"
    price: int = 4200
    discount: int = 0
    tax: int = 336
    reason: str = "Too small"
    parent_reason: str = "Item didn't fit"
    comment: str = ""
    barcode: str = ""
    product_id: int = 29_871_298_310_292
    variant_id: int = 23_498_287_203_948
    extra: dict[str, Any] = field(default_factory=dict)  # wire fields to override, to make a record malformed


@dataclass(slots=True)
class Return:
    """One return. Times are whole seconds since 1970; `shopper` picks a fictional customer."""

    id: int
    order_number: int
    created_at: int
    updated_at: int
    lines: list[Line]
    state: str = "open"
    outcome: str = "refund"
    edited_at: int | None = None
    closed_at: int | None = None
    processed_at: int | None = None
    was_processed: bool = False
    is_queued: bool = False
    is_flagged: bool = False
    removed: list[Line] = field(default_factory=list)  # taken off by the remove call; they stay on the wire, without amounts
    undone: tuple[str, ...] = ()  # outcomes that processing leaves undone: refund, exchange, credit
    handling_fee: int = 0
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    carrier: str | None = None
    tracking_number: str | None = None
    label_status: str = "N/A"
    label_updated_at: int | None = None
    destination_id: int | None = None
    currency: str = "USD"
    shopper: int = 0
    type: str = "standard"
    extra: dict[str, Any] = field(default_factory=dict)
    list_json: bytes | None = None  # the list's record, serialised once

    @property
    def order_name(self) -> str:
        """The order as the customer knows it."""
        return f"#{self.order_number}"

    @property
    def return_total(self) -> int:
        """Product - discount + tax, in cents."""
        return sum(line.price - line.discount + line.tax for line in self.lines)


@dataclass(slots=True)
class LoopOptions:
    """How one simulated Loop behaves where the contract leaves it open (docs/vendors/loop.md 9). Delays are simulated time."""

    order: str = "descending"  # or "ascending"
    surface: str = "documented"  # or "recorded", as it was seen live (loop_recorded.py)
    process_delay: timedelta = timedelta()
    was_processed_lag: timedelta = timedelta()
    flag_to_review: bool = True  # else the return stays open, with its flag
    can_process_flagged: bool = False  # the shop setting "Allow flagged returns to process"
    rate_limit: int | None = None  # calls a minute and key
    rate_window: float = 60.0  # real seconds
    unauthorised_form: str = "gateway"  # or "errors"
    success_literal: bytes = b"true"  # or b'"true"'
    notes_in_object: bool = False
    webhook_status: str = "active"  # what a new subscription without a status gets
    disable_webhooks_after: int | None = None  # consecutive failures


@dataclass(slots=True)
class Subscription:
    """One webhook: a topic picks the payload, a trigger picks when (docs/vendors/loop.md 7)."""

    id: int
    topic: str
    trigger: str
    url: str
    status: str
    failures: int = 0


Announce = Callable[[str, Return, dict[str, Any]], None]


class Store(Protocol):
    """Very many returns that are written only when asked for: see `bulk.py`."""

    def __contains__(self, return_id: int) -> bool: ...
    def moment(self, return_id: int, column: str) -> int: ...
    def make(self, return_id: int) -> Return: ...
    def record_json(self, return_id: int) -> bytes: ...


class LoopAccount(Account):
    """The state of one merchant's Loop. Methods are what people do; every change restamps `updated_at` and tells `announce`."""

    def __init__(self, merchant: str, clock: Clock, key: str, secret: str, announce: Announce) -> None:
        self.merchant = merchant
        self.clock = clock
        self.options = LoopOptions()
        self.keys: dict[str, frozenset[str]] = {key: ALL_SCOPES}
        self.webhook_secret = secret
        self.shop_id = 10_000 + sum(merchant.encode())
        self.by_created, self.by_updated = TimeIndex(), TimeIndex()
        self.notes: dict[int, list[dict[str, Any]]] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.failing: dict[int, str] = {}  # return id -> why processing will fail
        self.bulk: Store | None = None
        self._announce = announce
        self._returns: dict[int, Return] = {}
        self._next_return, self._next_line, self._next_hook = FIRST_RETURN_ID, FIRST_LINE_ID, 12_345

    def __len__(self) -> int:
        return len(self.by_created)

    def __iter__(self) -> Iterator[Return]:
        """The returns that are held one by one (those of a bulk only once touched), by id."""
        return iter([self._returns[key] for key in sorted(self._returns)])

    def get(self, return_id: int | str) -> Return | None:
        """One return, or None."""
        try:
            number = int(return_id)
        except ValueError:
            return None
        found = self._returns.get(number)
        if found is None and self.bulk is not None and number in self.bulk:
            found = self._returns[number] = self.bulk.make(number)
        return found

    def peek(self, return_id: int) -> Return:
        """A return to read, not to change: one that only the bulk has is made afresh and not kept."""
        item = self._returns.get(return_id)
        if item is None and self.bulk is not None:
            return self.bulk.make(return_id)
        return item or self.need(return_id)

    def held(self, return_id: int) -> Return | None:
        """A return held one by one; None for one that only the bulk has."""
        return self._returns.get(return_id)

    def moment(self, return_id: int, column: str) -> int:
        """`created_at` or `updated_at` of a return, in seconds."""
        item = self._returns.get(return_id)
        if item is None and self.bulk is not None:
            return self.bulk.moment(return_id, column)
        item = item or self.need(return_id)
        return item.updated_at if column == "updated_at" else item.created_at

    def of_order(self, order_number: int) -> list[Return]:
        """The returns of one order, oldest first."""
        return [item for item in self if item.order_number == order_number]

    def need(self, return_id: int | str) -> Return:
        """One return. Raises KeyError when there is none."""
        found = self.get(return_id)
        if found is None:
            raise KeyError(f"{self.merchant} has no return {return_id}")
        return found

    def new_line_id(self) -> int:
        """The next line id."""
        self._next_line += 1
        return self._next_line - 1

    def reserve(self, returns: int, lines: int) -> tuple[int, int]:
        """Set ids aside for a bulk. Returns the first return id and the first line id."""
        first = self._next_return, self._next_line
        self._next_return += returns
        self._next_line += lines
        return first

    def create(self, lines: list[Line], *, order_number: int, at: int | None = None, is_silent: bool = False, **fields: Any) -> Return:
        """A shopper starts a return. `at` backdates it; `is_silent` sends no webhook."""
        moment = self.clock.seconds if at is None else at
        created = Return(self._next_return, order_number, moment, moment, lines, **fields)
        self._next_return += 1
        self._returns[created.id] = created
        self.by_created.add(created.state, moment, created.id)
        self.by_updated.add(created.state, moment, created.id)
        if not is_silent:
            self._announce("return.created", created, {})
        return created

    def change(self, item: Return, *triggers: str, at: int | None = None, **fields: Any) -> Return:
        """Set fields of a return, restamp it, and announce each trigger."""
        self.by_created.remove(item.state, item.created_at, item.id)
        self.by_updated.remove(item.state, item.updated_at, item.id)
        for name, value in fields.items():
            setattr(item, name, value)
        item.updated_at = max(item.updated_at, self.clock.seconds) if at is None else at
        item.list_json = None
        self.by_created.add(item.state, item.created_at, item.id)
        self.by_updated.add(item.state, item.updated_at, item.id)
        for trigger in triggers:
            self._announce(trigger, item, {})
        return item

    def edit(self, return_id: int | str, lines: list[Line]) -> Return:
        """The lines of a return are replaced."""
        return self.change(self.need(return_id), "return.updated", lines=lines, edited_at=self.clock.seconds)

    def remove(self, return_id: int | str, lines: list[Line]) -> Return:
        """These lines are taken off."""
        item = self.need(return_id)
        left = [line for line in item.lines if line not in lines]
        return self.change(item, "return.updated", lines=left, removed=[*item.removed, *lines], edited_at=self.clock.seconds)

    def leave_undone(self, return_id: int | str, *outcomes: str, out_of_stock: int = 0) -> Return:
        """Processing will not do these outcomes (refund, exchange, credit), or does them now; so many exchanged units are out of stock."""
        item = self.need(return_id)
        item.exchanges = [each | {"out_of_stock": place < out_of_stock} for place, each in enumerate(item.exchanges)]
        return self.change(item, undone=outcomes, at=item.updated_at)

    def cancel(self, return_id: int | str) -> Return:
        """The return is withdrawn."""
        return self.change(self.need(return_id), "return.updated", state="cancelled", is_queued=False)

    def expire(self, return_id: int | str) -> Return:
        """The parcel was never sent back."""
        return self.change(self.need(return_id), "return.updated", state="expired", is_queued=False)

    def close(self, return_id: int | str) -> Return:
        """A person closes the return without paying anything out."""
        item = self.need(return_id)
        return self.change(item, "return.updated", "return.closed", state="closed", closed_at=self.clock.seconds, is_queued=False)

    def review(self, return_id: int | str) -> Return:
        """The return needs a person (out of stock, insufficient funds), without a flag."""
        return self.change(self.need(return_id), "return.updated", state="review")

    def flag(self, return_id: int | str) -> Return:
        """The return is flagged: it goes to review, or stays open with a mark (`flag_to_review`)."""
        item = self.need(return_id)
        return self.change(item, "return.updated", is_flagged=True, state="review" if self.options.flag_to_review else item.state)

    def unflag(self, return_id: int | str) -> Return:
        """A person takes the flag away again."""
        return self.change(self.need(return_id), "return.updated", is_flagged=False, state="open")

    def set_tracking(self, return_id: int | str, tracking_number: str, carrier: str = "USPS", status: str = "new") -> Return:
        """A label exists, or its status changes."""
        item, now = self.need(return_id), self.clock.seconds
        item.tracking_number, item.carrier, item.label_status, item.label_updated_at = tracking_number, carrier, status, now
        return self.change(item, "return.updated", "label.updated")

    def corrupt(self, return_id: int | str, line: int | None = None, **wire: Any) -> Return:
        """Override wire fields of a return, or of its line at this place, with anything at all."""
        item = self.need(return_id)
        (item.extra if line is None else item.lines[line].extra).update(wire)
        return self.change(item)

    def queue_processing(self, item: Return) -> None:
        """Loop accepts a process call: it happens `process_delay` later."""
        item.is_queued = True
        self.clock.after(self.options.process_delay, lambda: self._process(item))

    def _process(self, item: Return) -> None:
        if not item.is_queued:
            return  # a person was faster
        reason = self.failing.pop(item.id, None)
        if reason is not None:
            self.change(item, "return.updated", state="review", is_queued=False)
            details = {"return_state": item.state, "message": reason, "source": "api"}
            self._announce("return.processing.failed", item, details)
            return
        now = self.clock.seconds
        self.change(item, "return.updated", "return.closed", state="closed", is_queued=False, closed_at=now, processed_at=now)
        self.clock.after(self.options.was_processed_lag, lambda: self._mark_processed(item))

    def _mark_processed(self, item: Return) -> None:
        self.change(item, was_processed=True, at=item.updated_at)

    def add_note(self, return_id: int, content: str) -> None:
        """Append a note."""
        notes = self.notes.setdefault(return_id, [])
        notes.append({"id": 900_000 + return_id % 10_000 * 10 + len(notes), "content": content, "created_at": self.clock.seconds})

    def subscribe(self, topic: str, trigger: str, url: str, status: str | None = None) -> Subscription:
        """Add a webhook."""
        hook = Subscription(self._next_hook, topic, trigger, url, status or self.options.webhook_status)
        self._next_hook += 1
        self.subscriptions[hook.id] = hook
        return hook


def copy_lines(lines: Iterable[Line]) -> list[Line]:
    """Lines that can be changed without touching the originals."""
    return [replace(line, extra=dict(line.extra)) for line in lines]
