"""The command that tells people what needs a look."""

from __future__ import annotations

from typing import Annotated

import typer

from backhaul.cli.app import Chosen, Json, app, settings
from backhaul.cli.output import print_rows, say
from backhaul.cli.running import runner


@app.command()
def notify(
    is_test: Annotated[bool, typer.Option("--test", help="Send a test message to each address of the config.")] = False,
    as_json: Json = False,
) -> None:
    """Tell each address of the config what has come to need a look since it was last told. Exceptions, guards and failed runs do."""
    chosen = settings()
    if is_test:
        from backhaul.pipeline.notifying import send_test

        for reference in send_test(chosen):
            say(f"{reference} took the test message.")
        return
    from flows.notify import notify as flow

    told = runner(flow)(config=Chosen.config)
    rows = [{"address": target, "told_of": count} for target, count in told.items()]
    empty = "nothing new to tell" if chosen.notify.urls else "the config names no address: add urls to its section notify"
    print_rows(rows, as_json=as_json, title="Notified", empty=empty)
