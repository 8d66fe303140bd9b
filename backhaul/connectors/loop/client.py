"""Loop's returns API: reading returns without losing any, and acting on them once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self

import msgspec
from pydantic import SecretStr

from backhaul.connectors.base import ReturnBatch
from backhaul.connectors.decoding import shaped
from backhaul.connectors.http import Http, Observe, budget_for
from backhaul.connectors.loop import answers, endpoints
from backhaul.connectors.loop.answers import AsnRow, Webhook
from backhaul.connectors.loop.decode import Record, decode, decode_page, row_of, rows_of
from backhaul.connectors.loop.endpoints import FLAG, NOTE, NOTES, PROCESS, RETURNS, Action
from backhaul.connectors.loop.normalise import batch
from backhaul.connectors.loop.paginate import Ask, Pager, Row
from backhaul.connectors.loop.settings import LoopSettings
from backhaul.connectors.loop.wire import WebhooksWire, WebhookWire
from backhaul.domain.policy import NOTE_LENGTH
from backhaul.errors import PermanentVendorError, RefusedError, StructuralError, TransientVendorError

Found = dict[str, tuple[datetime | None, Record]]  # by return id: its updated_at, and the record

_PATH_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class LoopClient:
    """One merchant's Loop account. Reads raise VendorError when they cannot be made, StructuralError when an answer has no shape to use."""

    def __init__(self, http: Http) -> None:
        self.http = http

    @classmethod
    def connect(cls, settings: LoopSettings, *, merchant: str, api_key: SecretStr, observe: Observe | None = None) -> Self:
        """A client for the account in `settings`, on the merchant's shared call budget."""
        return cls(
            Http(
                settings.base_url,
                {endpoints.AUTH_HEADER: api_key.get_secret_value()},
                vendor="loop",
                merchant=merchant,
                budget=budget_for("loop", merchant, settings.requests_per_minute),
                credential=settings.api_key,
                scope=endpoints.SCOPE,
                observe=observe,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()

    def returns(self, start: datetime, end: datetime, states: Sequence[str] = RETURNS.states) -> ReturnBatch:
        """The returns updated from `start` to `end`, both included, normalised, from one pass a state over the same fixed range.

        A return that two passes show is taken as it was last updated; where that ties, as the later pass saw it.
        Raises ValueError for a range over `RETURNS.max_window`, which Loop refuses: split it.
        """
        found: Found = {}
        for state in states:
            for page in self._pages(state, start, end):
                _keep_newest(found, page)
        return _batch(found)

    def batches(
        self, start: datetime, end: datetime, size: int, states: Sequence[str] = RETURNS.states
    ) -> Iterator[tuple[ReturnBatch, bool]]:
        """The same returns in batches of about `size`, so that what is held in memory does not grow with the range.

        With each comes whether it is the last, which may be empty and is given only once every pass is through. A return that is shown
        twice may come in two batches; the newer sight of it comes last.
        """
        found: Found = {}
        for state in states:
            for page in self._pages(state, start, end):
                _keep_newest(found, page)
                if len(found) >= size:
                    yield _batch(found), False
                    found = {}
        yield _batch(found), True

    def details(self, return_id: str) -> ReturnBatch:
        """One return as it is now, in the first row; none when Loop does not know the id. Others of its order may follow it.

        Raises StructuralError when Loop shows others only.
        """
        body = self.http.read(endpoints.DETAILS_PATH, {"return_id": return_id}, operation="details")
        what = f"{self.http.merchant}: return {return_id}"
        records = sorted(decode(answers.details_records(body, what)), key=lambda record: row_of(record).key != return_id)
        if records and row_of(records[0]).key != return_id:
            raise StructuralError(f"{what}: Loop answered with something that is not this return")
        return batch(records, "details")

    def asn(self, start: date, end: date) -> list[AsnRow]:
        """The advance shipping notice report for these days, both included, in spans as long as Loop takes them."""
        rows: list[AsnRow] = []
        while start <= end:
            last = min(start + endpoints.ASN_SPAN, end)
            body = self.http.read(endpoints.ASN_PATH, {"from": start.isoformat(), "to": last.isoformat()}, operation="asn")
            rows += answers.asn_rows(body, f"{self.http.merchant}: the ASN report")
            start = last + timedelta(days=1)
        return rows

    def process(self, return_id: str) -> None:
        """Ask Loop to process a return. Success means queued, not done. Raises RefusedError when Loop says no."""
        self._act(PROCESS, return_id)

    def flag(self, return_id: str) -> None:
        """Stop a return for a person to look at. Raises RefusedError when Loop says no."""
        self._act(FLAG, return_id)

    def note(self, return_id: str, text: str) -> None:
        """Write a note on a return, under 255 characters (ValueError otherwise). Raises RefusedError when Loop says no."""
        if not text or len(text) > NOTE_LENGTH:
            raise ValueError(f"a note has 1 to {NOTE_LENGTH} characters, this one {len(text)}")
        self._act(NOTE, return_id, {"content": text})

    def notes(self, return_id: str) -> list[str]:
        """The texts of a return's notes."""
        reply = self.http.fetch(_path(NOTES, return_id), accept=(endpoints.NO_NOTES_STATUS,), operation=NOTES.name)
        if reply.status == endpoints.NO_NOTES_STATUS and reply.body.strip() != b"false":
            raise PermanentVendorError(f"{self.http.merchant}: Loop does not give the notes of return {return_id} ({reply.status})")
        return answers.note_texts(reply.body, f"{self.http.merchant}: notes of return {return_id}")

    def webhooks(self) -> list[Webhook]:
        """The shop's webhook subscriptions. Needs the scope developer_tools."""
        body = self.http.read(endpoints.WEBHOOKS_PATH, operation="webhooks")
        return [answers.webhook(wire) for wire in shaped(body, WebhooksWire, f"{self.http.merchant}: Loop's webhook list").webhooks]

    def create_webhook(self, topic: str, trigger: str, url: str) -> Webhook:
        """Subscribe, active at once. Raises TransientVendorError, uncertain, when the answer is not a subscription."""
        wanted = {"topic": topic, "trigger": trigger, "url": url, "status": "active"}  # the default status is contradictory
        body = self.http.write("POST", endpoints.WEBHOOKS_PATH, wanted, operation="create_webhook")
        try:
            return answers.webhook(msgspec.json.decode(body, type=WebhookWire))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            message = f"{self.http.merchant}: Loop's answer to the new webhook is not one"
            raise TransientVendorError(message, is_certain=False) from None

    def update_webhook(self, webhook_id: str, topic: str, trigger: str, url: str, status: str) -> None:
        """Change a subscription; all of it is sent."""
        wanted = {"topic": topic, "trigger": trigger, "url": url, "status": status}
        self.http.write("PUT", f"{endpoints.WEBHOOKS_PATH}/{_safe(webhook_id)}", wanted, operation="update_webhook")

    def _act(self, action: Action, return_id: str, json: dict[str, str] | None = None) -> None:
        body = self.http.write("POST", _path(action, return_id), json, operation=action.name)
        answers.require_done(body, f"{self.http.merchant}: {action.name} of return {return_id}")

    def _pages(self, state: str, start: datetime, end: datetime) -> Iterator[list[tuple[Row, Record]]]:
        """The pages of one state over one range."""
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("a range of time is aware")
        if end - start > RETURNS.max_window:
            raise ValueError(f"Loop lists at most {RETURNS.max_window.days} days at once; split the range")
        pager = Pager(start, end)
        while (ask := pager.next()) is not None:
            records, has_more = self._page(state, ask)
            rows = rows_of(records)
            yield list(zip(rows, records, strict=True))
            pager.feed(rows, has_more)

    def _page(self, state: str, ask: Ask) -> tuple[Sequence[Record], bool]:
        params: dict[str, str | int] = {
            "from": _wire_time(ask.start),
            "to": _wire_time(ask.end, up=True),
            "filter": RETURNS.filter,
            "state": state,
        }
        if ask.is_paginated:
            params |= {"paginate": "true", "pageSize": RETURNS.page_size}
        body = self.http.read(RETURNS.path, params, operation="list_returns")
        return decode_page(body, f"{self.http.merchant}: the list of returns")


def _keep_newest(found: Found, page: list[tuple[Row, Record]]) -> None:
    for row, record in page:
        known = found.get(row.key)
        if known is None or known[0] is None or (row.updated_at is not None and row.updated_at >= known[0]):
            found[row.key] = (row.updated_at, record)


def _batch(found: Found) -> ReturnBatch:
    return batch([record for _, record in found.values()], "list")


def _wire_time(moment: datetime, *, up: bool = False) -> str:
    """`2022-01-01T00:00:00.000Z`. Finer than a millisecond, a start is rounded down and an end up, so that nothing falls between."""
    moment = moment.astimezone(UTC)
    if up and moment.microsecond % 1000:
        moment += timedelta(milliseconds=1)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _path(action: Action, return_id: str) -> str:
    return action.path.format(id=_safe(return_id))


def _safe(ident: str) -> str:
    if not _PATH_SAFE.fullmatch(ident):
        raise RefusedError(f"{ident[:40]!r} is not an id that Loop can have given out; nothing was sent")
    return ident
