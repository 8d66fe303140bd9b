"""MasonHub as a warehouse: RMAs in batches of 30, looked up by their key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self

import msgspec
from pydantic import SecretStr

from backhaul.connectors import parse
from backhaul.connectors.base import News, Outcome, ReceiptBatch, Rejected
from backhaul.connectors.decoding import shaped
from backhaul.connectors.http import Http, Observe, budget_for
from backhaul.connectors.masonhub import normalise as receipts
from backhaul.connectors.masonhub.drafts import wire_form
from backhaul.connectors.masonhub.endpoints import CALLBACKS_PATH, RMA_EVENT, RMAS, SCOPE, TERMINAL
from backhaul.connectors.masonhub.normalise import Fact
from backhaul.connectors.masonhub.results import Write, outcomes
from backhaul.connectors.masonhub.settings import MasonHubSettings
from backhaul.connectors.masonhub.wire import CallbackRecordWire, ListWire
from backhaul.connectors.text import fingerprint
from backhaul.domain.rma import RmaDraft
from backhaul.errors import PermanentVendorError, StructuralError


@dataclass(frozen=True, slots=True)
class Callback:
    """A registered callback: what MasonHub tells, to which URL, in which version."""

    id: str | None
    url: str | None
    message_type: str | None
    api_version: str | None


class MasonHub:
    """One merchant's MasonHub account, a `Warehouse`.

    Writes answer per record. A record that MasonHub's answer does not mention has no `Outcome`: take it as uncertain, and look it up.
    """

    name = "masonhub"
    batch_size = RMAS.batch_size
    keys_per_find = RMAS.ids_per_call
    must_close = False

    def __init__(self, http: Http, *, send_order_id: bool = False) -> None:
        self.http = http
        self._send_order_id = send_order_id

    @classmethod
    def connect(cls, settings: MasonHubSettings, *, merchant: str, token: SecretStr, observe: Observe | None = None) -> Self:
        """A client for the account in `settings`, on the merchant's shared call budget."""
        http = Http(
            settings.base_url,
            {"Authorization": f"Bearer {token.get_secret_value().strip()}"},
            vendor="masonhub",
            merchant=merchant,
            budget=budget_for("masonhub", merchant, settings.requests_per_minute),
            credential=settings.token,
            scope=SCOPE,
            observe=observe,
        )
        return cls(http, send_order_id=settings.send_order_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Announce RMAs. EXISTS means that the key is taken: find it and adopt it."""
        return self._write(Write.CREATE, "POST", [draft.return_id for draft in drafts], self._wire_forms(drafts))

    def update(self, drafts: Sequence[RmaDraft]) -> list[Outcome]:
        """Replace open RMAs, whole. NOT_OPEN once receiving has begun."""
        return self._write(Write.UPDATE, "PUT", [draft.return_id for draft in drafts], self._wire_forms(drafts))

    def cancel(self, return_ids: Sequence[str]) -> list[Outcome]:
        """Withdraw open RMAs, by a DELETE with a body."""
        return self._write(Write.CANCEL, "DELETE", return_ids, [{"customer_identifier": return_id} for return_id in return_ids])

    def close(self, return_ids: Sequence[str]) -> list[Outcome]:
        """MasonHub closes its RMAs itself (`must_close` is False), so this is never right to call."""
        raise PermanentVendorError(f"{self.http.merchant}: MasonHub has no call that closes an RMA ({len(return_ids)} asked for)")

    def find(self, return_ids: Sequence[str]) -> ReceiptBatch:
        """The RMAs with these keys, as they are now, 30 a call; a deleted one only where no other has the key."""
        facts: list[Fact] = []
        rejected: list[Rejected] = []
        wanted = list(dict.fromkeys(return_ids))
        for first in range(0, len(wanted), RMAS.ids_per_call):
            asked = wanted[first : first + RMAS.ids_per_call]
            read, bad = receipts.decoded(self._with_keys(asked))
            facts += [fact for fact in read if fact.return_id in asked]  # a server that does not know cid sends everything
            rejected += bad
        return receipts.batch(receipts.newest(facts), rejected)

    def news(self, since: datetime, until: datetime, calls: int | None = None, cursor: str | None = None) -> News:
        """RMAs that the warehouse made itself and has received, by creation date: no other filter is offered.

        A cursor is the range that was asked for first, and the place in it. The list shifts while it is read in parts; what that hides is
        met when it is next read from its start.
        """
        start, end, place = cursor.split() if cursor else (_wire_time(since), _wire_time(until), "0")
        pages = list(
            islice(self._pages({"status": TERMINAL, "sdt": start, "edt": end}, "list_rmas", int(place)), calls or RMAS.pages_longest)
        )
        made, more = len(pages), pages[-1][1]
        if calls is None and more is not None:
            raise StructuralError(f"{self.http.merchant}: MasonHub's list of RMAs from {start} to {end} has not ended after {made} pages")
        facts, rejected = receipts.decoded([record for records, _ in pages for record in records])
        batch = receipts.batch(receipts.newest([fact for fact in facts if fact.return_id is None]), rejected)
        return News(batch, made, None if more is None else f"{start} {end} {more}")

    def callbacks(self) -> list[Callback]:
        """The registered callbacks, of every message type."""
        body = self.http.read(CALLBACKS_PATH, {"message_type": "all"}, operation="callbacks")
        wires = shaped(body, list[CallbackRecordWire], f"{self.http.merchant}: MasonHub's list of callbacks")
        return [
            Callback(parse.ident(wire.id), parse.text(wire.url), parse.text(wire.message_type), parse.text(wire.api_version))
            for wire in wires
        ]

    def register_callback(self, url: str, token: str, version: str = "2.0") -> None:
        """Have RMA events sent to `url`, with `token`. It may replace the one there is; the answer has two shapes, so read it back."""
        wanted = [{"url": url, "message_type": RMA_EVENT, "api_version": version, "token": token}]
        self.http.write("POST", CALLBACKS_PATH, wanted, operation="register_callback")

    def _wire_forms(self, drafts: Sequence[RmaDraft]) -> list[Any]:
        return [wire_form(draft, send_order_id=self._send_order_id) for draft in drafts]

    def _write(self, write: Write, method: str, return_ids: Sequence[str], records: Sequence[Any]) -> list[Outcome]:
        if len(records) > RMAS.batch_size:
            raise ValueError(f"MasonHub takes {RMAS.batch_size} records a call, not {len(records)}")
        if not records:
            return []
        operation = f"{write.value}_rmas"
        body = self.http.write(method, RMAS.path, records, operation=operation)
        return outcomes(body, return_ids, write, f"{self.http.merchant}: {operation}")

    def _with_keys(self, asked: Sequence[str]) -> list[bytes]:
        """The records with these keys; reading stops when each has been met."""
        found: list[bytes] = []
        missing = set(asked)
        for made, (records, more) in enumerate(self._pages({"cid": ",".join(asked)}, "find_rmas"), 1):
            found += records
            missing -= {fact.return_id for fact in receipts.decoded(records)[0] if fact.return_id is not None}
            if not missing:
                break
            if more is not None and made == RMAS.pages_of_keys:
                why = f"MasonHub answers a search for {len(asked)} keys with over {made} pages; it seems to pass over the filter cid"
                raise StructuralError(f"{self.http.merchant}: {why}")
        return found

    def _pages(self, params: dict[str, str], operation: str, offset: int = 0) -> Iterator[tuple[list[bytes], int | None]]:
        """The pages of a search, a call each: the records that no page before had, and the next offset, None after the last page.

        A page that is not full is the last (docs/vendors/masonhub.md, 4.5). Raises StructuralError when pages repeat.
        """
        seen: set[str] = set()  # of the records' own bytes: pages shift while they are read
        while True:
            page: dict[str, str | int] = {**params, "limit": RMAS.page_size, "offset": offset}
            reply = self.http.fetch(RMAS.path, page, accept=(404,), operation=operation)
            if reply.status == 404:  # "the records could not be found"
                yield [], None
                return
            records, limit = self._page(reply.body)
            fresh = {key: record for record in records if (key := fingerprint(record)) not in seen}
            offset += len(records)
            is_last = len(records) < limit
            yield list(fresh.values()), None if is_last else offset
            if is_last:
                return
            if not fresh:
                raise StructuralError(f"{self.http.merchant}: MasonHub sends the same page of RMAs at every offset")
            seen.update(fresh)

    def _page(self, body: bytes) -> tuple[list[bytes], int]:
        """One page, and the size that the server keeps pages to: it says when it caps what was asked for."""
        what = f"{self.http.merchant}: MasonHub's list of RMAs"
        if body.lstrip().startswith(b"["):
            return [bytes(raw) for raw in shaped(body, list[msgspec.Raw], what)], RMAS.page_size
        page = shaped(body, ListWire, what)
        limit = parse.count(page.limit)
        return [bytes(raw) for raw in page.data], min(limit, RMAS.page_size) if isinstance(limit, int) and limit > 0 else RMAS.page_size


def _wire_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a range of time is aware")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
