"""One search for all that has a name: order, return, RMA, tracking number, package, SKU; of every merchant, history and quarantine too.

Each way to be found has an index of its own (`indexed.Findable`), which serves whole values and beginnings, so that a search costs the same
in a store of a million returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from backhaul.domain.searching import as_tracking_number, tidied
from backhaul.store import bulk
from backhaul.store.indexed import BY_HELD_ORDER, BY_ORDER, BY_PACKAGE, BY_RECORD, BY_RETURN, BY_RMA, BY_SKU, BY_TRACKING, Findable
from backhaul.store.tables import returns

_END = "\U0010ffff"  # after every text that begins with the words


class _Way(NamedTuple):
    """One way to be found: its word, what is searched, the columns for the return and for what is shown, and whether it is a parcel's."""

    what: str
    form: Findable
    key: str
    shown: str
    is_parcel: bool = False


_WAYS = (
    _Way("order", BY_ORDER, "return_id", "order_name"),
    _Way("return", BY_RETURN, "return_id", "return_id"),
    _Way("tracking number", BY_TRACKING, "return_id", "tracking_number", is_parcel=True),
    _Way("RMA", BY_RMA, "coalesce(return_id, rma_key)", "rma_id"),
    _Way("package", BY_PACKAGE, "coalesce(return_id, rma_key)", "package_id", is_parcel=True),
    _Way("quarantined record", BY_RECORD, "record_key", "record_key"),
    _Way("quarantined order", BY_HELD_ORDER, "record_key", "order_name"),
    _Way("SKU", BY_SKU, "return_id", "sku"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A return (or a parcel that nobody announced, or a quarantined record) and how it was found. `is_exact`: by the whole of the words."""

    merchant: str
    return_id: str
    what: str
    shown: str
    is_exact: bool
    order_name: str | None = None
    loop_state: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, whole values first. `is_cut`: there is more than was asked for."""

    words: str
    found: tuple[Found, ...]
    is_cut: bool = False

    @property
    def only(self) -> Found | None:
        """The one that is meant: the only one, or the only one that is the words as a whole."""
        exact = [one for one in self.found if one.is_exact]
        chosen = exact or list(self.found)
        return chosen[0] if len(chosen) == 1 and not self.is_cut else None


def search(connection: sa.Connection, words: str, merchant: str | None = None, limit: int = 50) -> Search:
    """Find by order name, with or without `#`; by the beginning of any id, number or SKU; of one merchant if one is named."""
    plain, bare = tidied(words), as_tracking_number(words)
    found: dict[tuple[str, str], Found] = {}
    is_cut = False
    for is_exact in (True, False):
        for way in _WAYS:
            looked_for = bare if way.is_parcel else plain
            if looked_for:
                rows = list(_look(connection, way, looked_for, merchant, limit + 1, is_exact=is_exact))
                is_cut |= len(rows) > limit
                for row in rows:
                    found.setdefault((row.merchant, row.return_id), row)
    ordered = sorted(found.values(), key=lambda one: (not one.is_exact, one.merchant))
    return Search(plain, tuple(_with_orders(connection, ordered[:limit])), is_cut or len(ordered) > limit)


def _look(connection: sa.Connection, way: _Way, words: str, merchant: str | None, limit: int, *, is_exact: bool) -> Iterator[Found]:
    is_folded = way.form.words.startswith(("upper", "case"))
    bound = "upper(CAST(:words AS text))" if is_folded else "CAST(:words AS text)"
    from_, below = ("~>=~", "~<~") if connection.dialect.name == "postgresql" else (">=", "<")
    form = way.form.words
    condition = f"({form}) = {bound}" if is_exact else f"({form}) {from_} {bound} AND ({form}) {below} ({bound} || :end)"
    one = "" if merchant is None else " AND merchant = :merchant"
    # Every word but the bound ones is of this module and of `tables`.
    statement = f"SELECT merchant, {way.key} AS return_id, {way.shown} AS shown FROM {way.form.table} WHERE {condition}{one} LIMIT :limit"  # noqa: S608
    values = {"words": words, "limit": limit} | ({} if is_exact else {"end": _END}) | ({"merchant": merchant} if merchant else {})
    for row in connection.execute(sa.text(statement), values):
        yield Found(row.merchant, row.return_id, way.what, row.shown, is_exact)


def _with_orders(connection: sa.Connection, found: Sequence[Found]) -> Iterator[Found]:
    """What was found, with the order's name and the state in Loop of those that are returns."""
    heads = {}
    for merchant in sorted({one.merchant for one in found}):
        keys = [one.return_id for one in found if one.merchant == merchant]
        query = sa.select(returns.c.return_id, returns.c.order_name, returns.c.loop_state).where(returns.c.merchant == merchant)
        for row in bulk.select_by_keys(connection, query, returns.c.return_id, keys):
            heads[merchant, row.return_id] = (row.order_name, row.loop_state)
    for one in found:
        head = heads.get((one.merchant, one.return_id), (None, None))
        yield Found(one.merchant, one.return_id, one.what, one.shown, one.is_exact, *head)
