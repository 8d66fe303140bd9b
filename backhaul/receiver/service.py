"""`backhaul serve`: the parts put together, and the server that runs them until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
from dataclasses import replace
from datetime import timedelta

import uvicorn

from backhaul.config import Settings
from backhaul.pipeline.session import Clock, utc_now
from backhaul.receiver.admission import Door
from backhaul.receiver.app import Service, make_app
from backhaul.receiver.entrances import Entrances
from backhaul.receiver.metrics import Metrics
from backhaul.receiver.protocol import BACKLOG, BoundedProtocol, most_connections
from backhaul.receiver.worker import MakeWork, Worker
from backhaul.receiver.writer import Writer
from backhaul.store.engine import Store

_GRACE = 10  # seconds for requests under way when told to stop

log = logging.getLogger(__name__)


def make_service(settings: Settings, store: Store, *, oldest_allowed: timedelta = timedelta(minutes=5), clock: Clock = utc_now) -> Service:
    """The service's parts; without a worker, events are only kept. Raises ConfigError when a secret cannot be resolved."""
    return Service(store, Door(settings), Writer(store), Metrics(store, clock), clock, oldest_allowed)


def with_worker(service: Service, config: str | None, make_work: MakeWork) -> Service:
    """The service as it stays: with a process of its own that works on the events, and its word in the store that it is open."""
    worker = Worker(config, make_work, service.metrics.observe)
    service.writer.on_kept = worker.notify
    return replace(service, worker=worker, entrances=Entrances(service.store, service.door.entrances, service.clock))


def serve(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is under way, end the runs, and return. Raises SystemExit when the port is taken."""
    BoundedProtocol.most = most_connections()
    gc.freeze()  # what the imports left behind is never garbage, and need not be looked through again
    config = uvicorn.Config(
        make_app(service),
        host=host,
        port=port,
        loop="asyncio",
        http=BoundedProtocol,
        backlog=BACKLOG,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=int(BoundedProtocol.patience),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal once more when it has stopped; that must not end us unclean
    uvicorn.Server(config).run()
