"""Where a person goes on from here: the return in Loop's admin, its warehouse, the run in Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from backhaul.config import Settings, prefect_api_url

LOOP_ADMIN = "https://admin.loopreturns.com/returns/"


def links(settings: Settings, life: Mapping[str, Any]) -> dict[str, str]:
    """The addresses of one return, by what they show. A warehouse's is the host of its API: none documents a page of a record."""
    found = {}
    row = life["return"]
    if row is not None:
        found["Loop"] = f"{LOOP_ADMIN}{quote(life['return_id'], safe='')}"
        section = getattr(settings.merchants.get(life["merchant"]), row["warehouse"], None)
        base = urlsplit(getattr(section, "base_url", "") or "")
        if base.scheme and base.hostname and not base.hostname.startswith(("127.", "localhost", "api.", "sandbox-api.")):
            found["Warehouse"] = f"{base.scheme}://{base.netloc}"
    runs = life["flow_runs"]
    server = prefect_page()
    if server and runs:
        last = next((entry["run_id"] for entry in reversed(life["timeline"]) if entry["run_id"] in runs), None)
        if last:
            found["Prefect run"] = flow_run_page(runs[last]) or server
    return found


def prefect_page() -> str | None:
    """The address of Prefect's own pages, where a server is named."""
    api = prefect_api_url()
    return api.rstrip("/").removesuffix("/api") if api else None


def flow_run_page(flow_run_id: str | None) -> str | None:
    """The page of a flow run, where a server is named and the run is on it."""
    server = prefect_page()
    return f"{server}/runs/flow-run/{quote(flow_run_id)}" if server and flow_run_id else None
