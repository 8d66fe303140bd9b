"""The command that opens the desk in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from backhaul.cli.app import As, app, settings
from backhaul.cli.output import say


@app.command()
def console(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8788,
    is_operator: Annotated[bool, typer.Option("--operator", help="Allow acts: retry, release, resolve, pause.")] = False,
    who: As = None,
) -> None:
    """See in a browser where every return stands, and why. It only reads, unless --operator allows acts."""
    from backhaul.console.service import refuse_strangers, serve
    from backhaul.console.setting_up import make_desk

    refuse_strangers(host)
    desk = make_desk(settings(), is_operator=is_operator, name=who)
    say(f"The console is on http://{host}:{port}/ (Ctrl-C ends it).")
    try:
        serve(desk, host, port)
    finally:
        desk.store.close()
