"""`backhaul serve`: the parts put together, and the server that runs them until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from datetime import timedelta

import uvicorn

from backhaul.config import Settings
from backhaul.pipeline.session import Clock, utc_now
from backhaul.receiver.admission import Door
from backhaul.receiver.app import Service, make_app
from backhaul.receiver.dispatcher import Dispatcher, Work
from backhaul.receiver.metrics import Metrics
from backhaul.receiver.writer import Writer
from backhaul.store.engine import Store

_SWITCH_INTERVAL = 0.0005  # seconds; a run's long computations let an answer through ten times sooner than by default
_GRACE = 10  # seconds for requests under way when told to stop

log = logging.getLogger(__name__)


def make_service(
    settings: Settings, store: Store, work: Work | None, *, oldest_allowed: timedelta = timedelta(minutes=5), clock: Clock = utc_now
) -> Service:
    """The service's parts. Without `work` events are only kept. Raises ConfigError when a secret cannot be resolved."""
    door = Door(settings)
    dispatcher = None if work is None else Dispatcher(store, settings.merchants, work, clock=clock)
    writer = Writer(store, dispatcher.notify if dispatcher is not None else lambda: None)
    return Service(store, door, writer, dispatcher, Metrics(store, clock), clock, oldest_allowed)


def serve(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is under way, end the runs, and return. Raises SystemExit when the port is taken."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.freeze()  # what the imports left behind is never garbage, and need not be looked through again
    config = uvicorn.Config(
        make_app(service),
        host=host,
        port=port,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal once more when it has stopped; that must not end us unclean
    uvicorn.Server(config).run()
