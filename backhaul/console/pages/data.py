"""The data: what there is, questions with their SQL and answers, and downloads."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import as_file, desk_of, respond
from backhaul.store.questions import QUESTIONS, answer, columns_of_views
from backhaul.store.tables import metadata


def data(request: Request) -> Response:
    """`/data`; with `?question=NAME` its answer too."""
    name = request.query_params.get("question", "")
    chosen = next((one for one in QUESTIONS if one.name == name), None)
    if name and chosen is None:
        raise HTTPException(404, "There is no such question.")
    with desk_of(request).store.read() as connection:
        columns, rows = answer(connection, chosen) if chosen else ([], [])
        views = columns_of_views(connection)
    told = as_file(request, name or "questions", columns, rows) if chosen else None
    if told is not None:
        return told
    meanings = {column.name: column.comment for table in metadata.sorted_tables for column in table.columns if column.comment}
    values: dict[str, Any] = {
        "chosen": chosen,
        "columns": columns,
        "rows": rows,
        "views": views,
        "meanings": meanings,
    }
    return respond(request, "data.html", title="Data", questions=QUESTIONS, **values)
