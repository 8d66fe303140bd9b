"""The command that opens the desk in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from backhaul.cli.app import As, app, settings
from backhaul.cli.output import say


@app.command()
def console(
    host: Annotated[str, typer.Option(help="Address to listen on; off loopback people sign in ([console]).")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8788,
    is_operator: Annotated[bool, typer.Option("--operator", help="Allow acts: retry, release, resolve, pause.")] = False,
    who: As = None,
) -> None:
    """See in a browser where every return stands, and why. It only reads, unless --operator allows acts."""
    from backhaul.console.service import refuse_strangers, serve
    from backhaul.console.setting_up import make_desk

    config = settings()
    refuse_strangers(host, config)
    desk = make_desk(config, is_operator=is_operator, name=who)
    signed = f", for those who sign in at {config.console.url}" if config.console else ""
    say(f"The console is on http://{host}:{port}/{signed} (Ctrl-C ends it).")
    try:
        serve(desk, host, port)
    finally:
        desk.store.close()
