"""What every page needs: the settings, a store that is only read, the clock; and how a page, a list or a file is answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from backhaul import __version__, printable, table_files
from backhaul.config import Settings
from backhaul.console.broken import broken_fields
from backhaul.domain import plainly
from backhaul.domain.story import decided
from backhaul.domain.telling import DUTIES, STATES
from backhaul.links import flow_run_page
from backhaul.store.engine import Store

_HERE = Path(__file__).parent
MENU = (
    ("/", "Overview"),
    ("/returns", "Returns"),
    ("/exceptions", "Exceptions"),
    ("/quarantine", "Quarantine"),
    ("/deliveries", "Deliveries"),
    ("/events", "Events"),
    ("/runs", "Runs"),
    ("/trends", "Trends"),
    ("/data", "Data"),
)
# How a state is shown: its tone, and a sign beside the word, so that colour is never alone.
TONES = {
    "good": ("✓", "process processed confirmed completed available released live taken_in accepted"),
    "bad": ("✕", "exception refused failed dead damaged missing quarantined unreadable never_shown"),
    "warn": ("!", "flag flagged hold held unverifiable unexpected over unknown_return review shadow warn"),
    "wait": ("◔", "wait announced unannounced receiving decided pending sending running awaited waiting open"),
}
_TONE_OF = {word: (tone, sign) for tone, (sign, words) in TONES.items() for word in words.split()}


def tone(word: str | None) -> tuple[str, str]:
    """The tone and the sign of a state."""
    return _TONE_OF.get(word or "", ("plain", "·"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who has signed in: a person by their login, or a machine."""

    name: str
    is_operator: bool = False
    is_person: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of the console. `operator` is None while it only reads, `sign_in` while it asks nobody who they are."""

    settings: Settings
    store: Store
    clock: Any
    operator: Any = None
    sign_in: Any = None


def desk_of(request: Request) -> Desk:
    """The desk that a request is for."""
    desk: Desk = request.app.state.desk
    return desk


def visitor_of(request: Request) -> Visitor | None:
    """Who has signed in; None for a stranger, and where nobody is asked."""
    return getattr(request.state, "visitor", None)


def acting_of(request: Request) -> Any:
    """What the one who asks may do, in their own name; None for those who only read."""
    desk = desk_of(request)
    if desk.operator is None or desk.sign_in is None:
        return desk.operator
    visitor = visitor_of(request)
    return desk.operator.on_behalf_of(visitor.name) if visitor and visitor.is_operator else None


def _environment() -> Environment:
    loader = FileSystemLoader(_HERE / "templates")
    made = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    made.filters |= {"money": plainly.money, "shown": _shown, "number": lambda value: "" if value is None else f"{value:,}"}
    made.globals |= {
        "tone": tone,
        "plural": plainly.plural,
        "broken_fields": broken_fields,
        "decided": decided,
        "duties": DUTIES,
        "states": STATES,
        "menu": MENU,
        "version": __version__,
        "flow_run_page": flow_run_page,
    }
    return made


def _shown(value: Any) -> str:
    """A vendor's text with whatever is not printable written as its escape; what is no text as JSON."""
    return printable.line(value if isinstance(value, str) else json.dumps(value, default=printable.plain, ensure_ascii=False))


_TEMPLATES = _environment()


def when(now: datetime) -> Any:
    """The template's way to write a moment: `2 h ago`, the exact one on hover and for machines."""

    def written(moment: datetime | None) -> Markup:
        if moment is None:
            return Markup('<span class="none">never</span>')
        exact = moment.astimezone(UTC)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            exact.isoformat(timespec="seconds"), f"{exact:%a %-d %b %Y, %H:%M:%S} UTC", plainly.ago(moment, now)
        )

    return written


def respond(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page. `title` is its heading; what the frame needs is added here."""
    desk = desk_of(request)
    acting, visitor = acting_of(request), visitor_of(request)
    now = desk.clock()
    query = request.query_params
    frame = {
        "path": request.url.path,
        "now": now,
        "when": when(now),
        "q": query.get("q", "") if request.url.path == "/search" else "",
        "merchants": sorted(desk.settings.merchants),
        "is_operator": acting is not None,
        "token": acting.token(request) if acting is not None else "",
        "said": acting.said(query.get("done", "")) if acting is not None else "",
        "visitor": visitor,
        "may_read": desk.sign_in is None or visitor is not None,
        "link": lambda **changes: with_changes(request, **changes),
    }
    response = HTMLResponse(_TEMPLATES.get_template(template).render(frame | values), status_code=status)
    if acting is not None:
        acting.remember(request, response)
    return response


def with_changes(request: Request, **changes: Any) -> str:
    """This page's address with some parameters changed; None or an empty text takes one away."""
    kept = {name: value for name, value in request.query_params.items() if name not in changes and name != "done"}
    parameters = kept | {name: value for name, value in changes.items() if value not in (None, "")}
    return f"{request.url.path}?{urlencode(parameters)}" if parameters else request.url.path


def as_file(request: Request, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response | None:
    """The rows as `?format=` asks for them, row by row; None where it asks for a page."""
    kind = request.query_params.get("format")
    if kind == "json":
        return StreamingResponse(table_files.json_array(rows), media_type="application/json")
    if kind == "csv":
        told = {"content-disposition": f'attachment; filename="{name}.csv"'}
        values = ([row[name] for name in columns] for row in rows)
        return StreamingResponse(table_files.csv_text(columns, values), media_type="text/csv; charset=utf-8", headers=told)
    return None
