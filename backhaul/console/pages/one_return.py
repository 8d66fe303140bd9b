"""One return, explained."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import as_file, desk_of, respond
from backhaul.links import links
from backhaul.store.explaining import explained


def one_return(request: Request) -> Response:
    """`/returns/{merchant}/{return_id}`."""
    desk = desk_of(request)
    merchant, return_id = request.path_params["merchant"], request.path_params["return_id"]
    now = desk.clock()
    with desk.store.read() as connection:
        life = explained(connection, merchant, return_id, now) if (merchant + return_id).isprintable() else None
    if life is None:
        raise HTTPException(404, f"No return {return_id} of {merchant} is in the store. 'backhaul backfill' brings older ones in.")
    answer = as_file(request, f"{merchant}-{return_id}", ("at", "what", "said", "detail", "run_id"), life["timeline"])
    if answer is not None:
        return answer
    name = (life["return"] or {}).get("order_name") or return_id
    return respond(request, "return.html", title=f"{name} · {merchant}", life=life, links=links(desk.settings, life))
