"""One run: its counts, which add up, and how it ended."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import as_file, desk_of, respond
from backhaul.links import flow_run_page
from backhaul.store import overview as asked

_HEAD = ("run_id", "flow", "merchant", "trigger", "state", "started_at", "finished_at", "duration_s")
_COUNTS = ("records_in", "records_out", "unchanged", "quarantined", "delivered", "refused", "counts", "error", "flow_run_id")


def one_run(request: Request) -> Response:
    """`/runs/{run_id}`."""
    desk = desk_of(request)
    run_id = request.path_params["run_id"]
    with desk.store.read() as connection:
        run = asked.one_run(connection, run_id) if run_id.isprintable() else None
    if run is None:
        raise HTTPException(404, f"No run {run_id} is in the store.")
    answer = as_file(request, f"run-{run_id}", _HEAD + _COUNTS, [run])
    if answer is not None:
        return answer
    title = f"{run['flow'].capitalize()} of {run['merchant']}"
    return respond(request, "run.html", title=title, run=run, address=flow_run_page(run["flow_run_id"]))
