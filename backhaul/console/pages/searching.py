"""The search: one match is opened, several are listed."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backhaul.console.desk import as_file, desk_of, respond
from backhaul.store.search import search

COLUMNS = ("merchant", "return_id", "order_name", "loop_state", "what", "shown", "is_exact")


def find(request: Request) -> Response:
    """`/search?q=`."""
    words = request.query_params.get("q", "")
    with desk_of(request).store.read() as connection:
        result = search(connection, words, request.query_params.get("merchant") or None)
    answer = as_file(request, "found", COLUMNS, [asdict(one) for one in result.found])
    if answer is not None:
        return answer
    if result.only is not None:
        return RedirectResponse(f"/returns/{quote(result.only.merchant)}/{quote(result.only.return_id, safe='')}", status_code=302)
    title = f"Nothing is called {result.words}" if result.words and not result.found else "Search"
    return respond(request, "search.html", title=title, result=result)
