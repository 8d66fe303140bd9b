"""The command that receives webhooks."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from backhaul.cli.app import Chosen, app, fleet_settings
from backhaul.cli.output import complain
from backhaul.config import Settings, load_fleet, prefect_api_url
from backhaul.errors import ConfigError
from backhaul.pipeline.session import check_secrets
from backhaul.store.engine import Store

if TYPE_CHECKING:
    from backhaul.connectors.http import Observe
    from backhaul.receiver.dispatcher import Work


_CONNECTIONS = 12  # to the store, of the worker's process


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8787,
    ready_limit: Annotated[int, typer.Option(min=1, help="Seconds that an event may wait before /readyz is red.")] = 300,
) -> None:
    """Receive webhooks from Loop and the warehouses, and act on them within seconds."""
    from backhaul.receiver import logs
    from backhaul.receiver.service import make_service, with_worker
    from backhaul.receiver.service import serve as serve_until_told

    readable, _ = fleet_settings()
    chosen = _sound(readable)
    logs.set_up()
    store = Store(chosen.store_url()).ready()
    try:
        service = make_service(chosen, store, oldest_allowed=timedelta(seconds=ready_limit))
        serve_until_told(with_worker(service, Chosen.config, _work), host, port)
    finally:
        store.close()


def _sound(chosen: Settings) -> Settings:
    """The merchants whose secrets can be resolved; the others are named. Raises ConfigError when there is none."""
    from backhaul.receiver.admission import Door

    sound, problem = {}, None
    for name in sorted(chosen.merchants):
        try:
            check_secrets(chosen, [name])
            Door(chosen.model_copy(update={"merchants": {name: chosen.merchants[name]}}))
            sound[name] = chosen.merchants[name]
        except ConfigError as error:
            problem = error
            complain(str(error))
    if problem is not None and not sound:
        raise problem
    return chosen.model_copy(update={"merchants": sound})


def _work(config: str | None, observe: Observe) -> Work:
    """What the worker's process does with a batch of a merchant's events. All that runs share is opened once."""
    from backhaul.pipeline.rounds import Outcome
    from backhaul.store.budgets import ledger_of
    from flows import events, minutes, recorded

    recorded.observe = observe
    settings, _ = load_fleet(config)
    opened = ExitStack()  # until the process ends
    store = Store(settings.store_url(), connections=_CONNECTIONS)
    ground = recorded.Ground(settings, store, opened.enter_context(ledger_of(store)), None)
    is_told = prefect_api_url() is not None
    if is_told:
        minutes.MINUTES.start()

    def work(merchant: str) -> None:
        began, counts, failure = time.monotonic(), dict[str, int](), None
        try:
            with recorded.standing_on(ground):
                counts = events.handle_events.fn(merchant, config=config, trigger="webhook").counts
        except BaseException as error:
            failure = error
            raise
        finally:
            if is_told:
                minutes.MINUTES.add(Outcome(merchant, counts, failure, round(time.monotonic() - began, 3)))

    return work
