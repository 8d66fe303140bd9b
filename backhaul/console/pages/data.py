"""The data: what there is, questions with their SQL and answers, and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import as_file, desk_of, respond
from backhaul.store import dictionary
from backhaul.store.export import kinds_of, rows_of
from backhaul.store.questions import QUESTIONS, answer
from backhaul.store.views import VIEWS


def data(request: Request) -> Response:
    """`/data`; with `?question=NAME` its answer too; `?view=NAME` with a `format` is a view whole."""
    view = request.query_params.get("view")
    if view is not None:
        return _whole(request, view)
    name = request.query_params.get("question", "")
    chosen = next((one for one in QUESTIONS if one.name == name), None)
    if name and chosen is None:
        raise HTTPException(404, "There is no such question.")
    with desk_of(request).store.read() as connection:
        columns, rows = answer(connection, chosen) if chosen else ([], [])
    told = as_file(request, name or "questions", columns, rows) if chosen else None
    if told is not None:
        return told
    values: dict[str, Any] = {"chosen": chosen, "columns": columns, "rows": rows, "views": {view: dictionary.view(view) for view in VIEWS}}
    return respond(request, "data.html", title="Data", questions=QUESTIONS, **values)


def _whole(request: Request, view: str) -> Response:
    columns = list(kinds_of(view)) if view in VIEWS else []
    answered = as_file(request, view, columns, _rows(request, view, columns)) if columns else None
    if answered is None:
        raise HTTPException(404, "There is no such view; one that there is needs format=csv or format=json.")
    return answered


def _rows(request: Request, view: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    with desk_of(request).store.snapshot() as connection:
        for row in rows_of(connection, view, ()):
            yield dict(zip(columns, row, strict=True))
