"""Commands that need no vendor: the sandbox, and the demo that runs on it."""

from __future__ import annotations

from typing import Annotated

import typer

from backhaul.cli.app import Chosen, app
from backhaul.cli.consoling import console


@app.command()
def sandbox(
    merchants: Annotated[list[str] | None, typer.Argument(help="Merchants to simulate.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8899,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
    returns: Annotated[int, typer.Option(min=0, help="Returns to start with, for each merchant.")] = 100,
    count: Annotated[int, typer.Option("--merchants", min=0, help="So many merchants more: m001, m002, …")] = 0,
    latency: Annotated[int, typer.Option(min=0, help="Milliseconds that each answer takes.")] = 0,
) -> None:
    """Serve a simulated Loop and its warehouses on loopback, for training and trials."""
    from backhaul.sandbox.serving import serve

    names = [*(merchants or []), *(f"m{number:03}" for number in range(1, count + 1))] or ["acme"]
    serve(host, port, seed=seed, merchants=tuple(names), returns=returns, latency=latency / 1000)


@app.command()
def demo(
    returns: Annotated[int, typer.Option(min=20, help="Returns in all.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
    is_shown: Annotated[bool, typer.Option("--console", help="Open the console on its world afterwards.")] = False,
) -> None:
    """Watch the whole job on a simulated world: every warehouse, three syncs, every kind of outcome."""
    from backhaul.cli.demonstration import FOLDER, demonstrate

    failed = demonstrate(returns, seed)
    if is_shown and not failed:
        Chosen.config = str(FOLDER / "backhaul.toml")
        console(host="127.0.0.1", port=8788)
    raise typer.Exit(failed)
