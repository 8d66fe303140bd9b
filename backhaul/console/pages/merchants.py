"""One merchant: mode, routes, whether its webhooks come, how far each source is taken in, and the reasons that no code is given for."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backhaul.console.desk import desk_of, respond
from backhaul.setup.webhooks import troubles
from backhaul.store import overview as asked
from backhaul.store.by_hand import held_by_guard
from backhaul.store.pauses import standing_pauses


def one_merchant(request: Request) -> Response:
    """`/merchants/{merchant}`."""
    desk = desk_of(request)
    name = request.path_params["merchant"]
    found = desk.settings.merchants.get(name)
    if found is None:
        raise HTTPException(404, f"No merchant {name} is in the config.")
    now = desk.clock()
    with desk.store.read() as connection:
        values: dict[str, Any] = {
            "watermarks": asked.sources(connection, name),
            "news": [row for row in asked.last_news(connection, now) if row["merchant"] == name],
            "pauses": standing_pauses(connection, name),
            "held": {guard: number for (whose, guard), number in held_by_guard(connection).items() if whose == name},
            "acts": asked.acts(connection, name),
            "gaps": asked.reason_gaps(connection, name),
            "codes": asked.reason_table(connection, name),
            "recent": asked.last_runs(connection, name),
            "backlog": asked.backlogs(connection).get(name, {}),
            "troubles": troubles(connection, name, found, now),
            "kinds": [row for row in asked.exceptions_by_age(connection) if row["merchant"] == name],
        }
    return respond(request, "merchant.html", title=name, name=name, merchant=found, **values)
