"""Loop's endpoints as data, each constant with the rule of the API that forces it (docs/vendors/loop.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from backhaul.domain.schema import LOOP_STATES


@dataclass(frozen=True, slots=True)
class ListEndpoint:
    """The detailed returns list (docs/vendors/loop.md, 6.1)."""

    path: str
    states: tuple[str, ...]
    filter: str
    max_window: timedelta  # of everything that Loop lists by time, the shipping notice too
    page_size: int


@dataclass(frozen=True, slots=True)
class Action:
    """A write to one return (docs/vendors/loop.md, 6.4). `name` is the operation in metrics."""

    name: str
    path: str


SCOPE = "returns"  # every endpoint here but the webhooks
AUTH_HEADER = "X-Authorization"  # the raw key, no scheme before it

RETURNS = ListEndpoint(
    path="/warehouse/return/list",
    states=LOOP_STATES,  # one at a time; omitted, the API hides cancelled and review
    filter="updated_at",  # the default, created_at, never shows a change
    max_window=timedelta(days=120),  # a longer one is a validation error
    page_size=750,  # the documented maximum
)
DETAILS_PATH = "/warehouse/return/details"  # no match is HTTP 200 with {"error": {"message": …}}
DETAILS_NOT_FOUND = "no return found"  # the words that tell it from any other complaint
ASN_PATH = "/warehouse/reporting/asn"  # never paginated, a bare array, dates as yyyy-mm-dd
ASN_SPAN = RETURNS.max_window - timedelta(days=1)  # both of its ends are included; from version 2026-10 a longer span is refused
PROCESS = Action("process", "/warehouse/return/{id}/process")  # only queues: true is accepted, not done
FLAG = Action("flag", "/warehouse/return/{id}/flag")  # takes no reason; the note before it carries that
NOTE = Action("note", "/warehouse/return/{id}/note")  # singular to write, plural to read
NOTES = Action("notes", "/warehouse/return/{id}/notes")
NO_NOTES_STATUS = 422  # with a body of false, for a return that has none
WEBHOOKS_PATH = "/webhooks"
