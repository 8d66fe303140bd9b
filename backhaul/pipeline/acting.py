"""What a person does: each act and its row in `operator_actions`, in one transaction. The commands and the console call these.

Nothing here calls a vendor. What is owed after an act goes out with the next deliver, checked against the newest facts as every other.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backhaul.connectors.text import plain
from backhaul.domain.words import ALL_VENDORS, Act, DeliveryKind, ExceptionKind
from backhaul.errors import BackhaulError
from backhaul.pipeline.session import Clock, utc_now
from backhaul.store import by_hand, outbox
from backhaul.store.archive import archive_returns
from backhaul.store.by_hand import Waiting
from backhaul.store.engine import Store
from backhaul.store.exceptions import Settled, assign_exceptions, merchants_with_open, resolve_exception, settle_exceptions
from backhaul.store.guards import note_guards
from backhaul.store.operators import record
from backhaul.store.pauses import Pause, end_pauses, keep_pause, standing_pauses
from backhaul.store.returns import mark_due
from backhaul.store.ties import candidates, has_untied, keep_ties, tied_skus
from backhaul.store.transaction import Transaction
from backhaul.store.whereabouts import settle_whereabouts

Candidate = dict[str, Any]  # a row of recon_candidates
_NAME_LIMIT, _WHY_LIMIT = 64, 500


def login() -> str:
    """Who runs this process, by the machine's own account of it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return f"uid {os.getuid()}"


@dataclass(frozen=True, slots=True)
class Operator:
    """One person at one store. Every act takes `why` in the person's own words, and leaves a row that says who, when, what and why."""

    store: Store
    name: str
    clock: Clock = utc_now

    def pause(self, merchant: str, why: str, vendor: str | None = None) -> Pause:
        """Have nothing sent to a vendor of a merchant, or to any, from the next call on. One that stands keeps its time."""
        with self._write(merchant) as tx:
            wanted = Pause(merchant, vendor or ALL_VENDORS, tx.now, self._who, _said(why) or "no reason given")
            before = [one for one in standing_pauses(tx.connection, merchant) if one.vendor == wanted.vendor]
            if before:
                wanted = Pause(merchant, wanted.vendor, before[0].paused_at, wanted.operator, wanted.why)
            keep_pause(tx, wanted)
            record(tx, self._who, Act.PAUSE, wanted.vendor, why=wanted.why)
        return wanted

    def resume(self, merchant: str, why: str | None = None, vendor: str | None = None) -> list[Pause]:
        """Lift a merchant's pause of a vendor, or all of its pauses; returns what was lifted. Raises BackhaulError where there is none."""
        with self._write(merchant) as tx:
            standing = standing_pauses(tx.connection, merchant)
            lifted = [one for one in standing if vendor in (None, one.vendor)]
            if not lifted:
                rest = f"; all of {merchant} is, resume it without a vendor" if standing and vendor is not None else ""
                raise BackhaulError(f"{merchant}: {vendor or 'nothing'} is {'not ' if vendor else ''}paused{rest}")
            end_pauses(tx, [one.vendor for one in lifted])
            outbox.owe_from_now(tx, [one.vendor for one in lifted])
            for one in lifted:
                record(tx, self._who, Act.RESUME, one.vendor, detail=f"paused since {one.paused_at:%Y-%m-%d %H:%M} UTC", why=_said(why))
        return lifted

    def resolve(self, subject: str, why: str | None = None, *, kind: str | None = None, merchant: str | None = None) -> list[Settled]:
        """Mark open exceptions about a subject, or a return, as dealt with; returns them. They open again only for another cause."""
        found: list[Settled] = []
        with self.store.read() as connection:
            merchants = merchants_with_open(connection, subject, kind, merchant)
        for name in merchants:
            with self._write(name) as tx:
                for one in settle_exceptions(tx, subject, kind):
                    record(tx, self._who, Act.RESOLVE, one.subject, return_id=one.return_id, detail=one.kind, why=_said(why))
                    found.append(one)
        return found

    def assign(
        self, subject: str, to: str | None, why: str | None = None, *, kind: str | None = None, merchant: str | None = None
    ) -> list[Settled]:
        """Have a person, or nobody, take open exceptions about a subject, or a return; returns those that were not theirs before."""
        taker = _named(to) if to else None
        found: list[Settled] = []
        with self.store.read() as connection:
            merchants = merchants_with_open(connection, subject, kind, merchant)
        for name in merchants:
            with self._write(name) as tx:
                for one in assign_exceptions(tx, subject, taker, kind):
                    detail = f"{one.kind}, to {taker or 'nobody'}"
                    record(tx, self._who, Act.ASSIGN, one.subject, return_id=one.return_id, detail=detail, why=_said(why))
                    found.append(one)
        return found

    def release(self, merchant: str, return_ids: Sequence[str], why: str | None = None) -> list[Waiting]:
        """Let go what guards hold of these returns; returns what that was. Raises BackhaulError for one of which nothing is held."""
        with self._write(merchant) as tx:
            found = _held(tx, return_ids)
            by_hand.release(tx, return_ids)
            note_guards(tx)
            for one in found:
                detail = f"{one.kind}, held by {one.held_by}"
                record(tx, self._who, Act.RELEASE, one.return_id, return_id=one.return_id, detail=detail, why=_said(why))
            mark_due(tx, return_ids)
        return found

    def reject(self, merchant: str, return_ids: Sequence[str], why: str) -> list[Waiting]:
        """Drop what guards hold of these returns for good; returns what that was. Raises BackhaulError for one of which nothing is held."""
        with self._write(merchant) as tx:
            found = _held(tx, return_ids)
            by_hand.reject(tx, return_ids, f"rejected by {self._who}: {_said(why) or 'no reason given'}")
            note_guards(tx)
            for one in found:
                detail = f"{one.kind}, held by {one.held_by}"
                record(tx, self._who, Act.REJECT, one.return_id, return_id=one.return_id, detail=detail, why=_said(why))
            mark_due(tx, return_ids)
        return found

    def retry(self, merchant: str, return_ids: Sequence[str], why: str | None = None, kinds: Sequence[str] | None = None) -> int:
        """Have what was refused, failed or dead for these returns owed again; returns how many deliveries that is."""
        with self._write(merchant) as tx:
            return sum(len(retry(tx, self.name, return_id, kinds, why)) for return_id in return_ids)

    def send_shadowed(self, merchant: str, return_ids: Sequence[str], why: str | None = None) -> list[Waiting]:
        """Owe what was decided in shadow for these returns; returns what that was."""
        with self._write(merchant) as tx:
            return send_shadowed(tx, self.name, return_ids, why)

    def archive(self, merchant: str, before: datetime, why: str | None = None) -> int:
        """Set aside the returns that are over and that nothing has touched since `before`; returns how many. Nothing is deleted."""
        with self._write(merchant) as tx:
            number = archive_returns(tx.connection, merchant, before, tx.now)
            if number:
                subject = f"untouched since {before:%Y-%m-%d %H:%M} UTC"
                record(tx, self._who, Act.ARCHIVE, subject, detail=f"{number} returns", why=_said(why))
        return number

    def confirm(self, merchant: str, rma_key: str, return_id: str, why: str | None = None, sku: str | None = None) -> list[Candidate]:
        """Keep that units which came under an RMA, and which no line of its own takes, are a return's; returns which.

        The next deliver decides on them.
        Of all SKUs for which the return is a candidate, or of one. Returns none where that is kept already. Raises BackhaulError where the
        return is no candidate, or the units are another's.
        """
        with self._write(merchant) as tx:
            kept = {one: to for one, to in tied_skus(tx.connection, merchant, [rma_key]).get(rma_key, {}).items() if sku in (None, one)}
            found = [one for one in candidates(tx.connection, merchant, rma_key) if sku in (None, one["sku"])]
            mine = {one["sku"]: one for one in reversed(found) if one["candidate_return_id"] == return_id}
            if not mine:
                return _unless_kept(merchant, rma_key, return_id, kept)
            keep_ties(tx, rma_key, mine, return_id)
            if not has_untied(tx.connection, merchant, rma_key):
                resolve_exception(tx, ExceptionKind.BLIND_RECEIPT, rma_key)
            record(tx, self._who, Act.CONFIRM, rma_key, return_id=return_id, detail=", ".join(sorted(mine)), why=_said(why))
            mark_due(tx, [rma_key, return_id])
        return [one for one in found if one["candidate_return_id"] == return_id]

    @property
    def _who(self) -> str:
        return _named(self.name)

    @contextmanager
    def _write(self, merchant: str) -> Iterator[Transaction]:
        """A transaction beside which the merchant has no other, so that it takes effect before the next claim."""
        with self.store.write(merchant) as connection:
            tx = Transaction(connection, merchant, f"operator:{self._who}", self.clock())
            yield tx
            settle_whereabouts(tx)


def retry(tx: Transaction, operator: str, return_id: str, kinds: Sequence[str] | None, why: str | None) -> list[DeliveryKind]:
    """Have what was refused, failed or dead for a return owed again, in a run's own transaction; returns what that was."""
    retried = by_hand.retry(tx, return_id, kinds)
    if retried:
        detail = ", ".join(retried)
        record(tx, _named(operator), Act.RETRY, return_id, return_id=return_id, detail=detail, why=_said(why))
    mark_due(tx, [return_id])
    return retried


def send_shadowed(tx: Transaction, operator: str, return_ids: Sequence[str], why: str | None) -> list[Waiting]:
    """Owe what was decided in shadow for these returns, in a run's own transaction; returns what that was."""
    found = by_hand.shadowed(tx.connection, tx.merchant, return_ids=return_ids)
    by_hand.send_shadowed(tx, [one.return_id for one in found])
    for one in found:
        record(tx, _named(operator), Act.FROM_SHADOW, one.return_id, return_id=one.return_id, detail=one.kind, why=_said(why))
    mark_due(tx, [one.return_id for one in found])
    return found


def retry_quarantine(tx: Transaction, operator: str, held: int, why: str | None) -> None:
    """Keep that a person had everything in quarantine read again."""
    record(tx, _named(operator), Act.QUARANTINE_RETRY, "quarantine", detail=f"{held} records in quarantine", why=_said(why))


def _held(tx: Transaction, return_ids: Sequence[str]) -> list[Waiting]:
    found = by_hand.held(tx.connection, tx.merchant, return_ids=return_ids)
    missing = sorted(set(return_ids) - {one.return_id for one in found})
    if missing:
        raise BackhaulError(
            f"{tx.merchant}: no guard holds anything of return {', '.join(missing)}; 'backhaul guard list' tells what is held"
        )
    return found


def _unless_kept(merchant: str, rma_key: str, return_id: str, kept: Mapping[str, str]) -> list[Candidate]:
    """Nothing, where all that is kept of an RMA says the same. Raises BackhaulError."""
    others = sorted(f"{sku} is tied to return {to}" for sku, to in kept.items() if to != return_id)
    if others:
        raise BackhaulError(f"{merchant}: of RMA {rma_key}, {', '.join(others)}; what is confirmed once stays")
    if kept:
        return []
    raise BackhaulError(
        f"{merchant}: return {return_id} is no candidate for units of RMA {rma_key}; 'backhaul candidates list' tells whose they may be"
    )


def _named(name: str) -> str:
    return plain(name, _NAME_LIMIT).strip() or "unnamed"


def _said(why: str | None) -> str | None:
    return (plain(why, _WHY_LIMIT).strip() or None) if why else None
