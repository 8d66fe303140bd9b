"""The warm process that works on events: apart from the one that answers, so that no computation of a run delays an answer."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from backhaul import config as configuration
from backhaul.connectors.http import Observe
from backhaul.errors import BackhaulError
from backhaul.receiver import logs
from backhaul.receiver.dispatcher import Dispatcher, Work
from backhaul.store.engine import Store

MakeWork = Callable[[str | None, Observe], Work]  # config path, whom to tell of calls to vendors; imported by name in the new process

_RESTART_AFTER = 1.0  # seconds
_STOPS_WITHIN = 60.0  # seconds; a call to a vendor may take 45

log = logging.getLogger(__name__)


class Worker:
    """A process that runs a dispatcher. It is started anew when it dies, and ends when this process does."""

    def __init__(self, config: str | None, make_work: MakeWork, observe: Observe) -> None:
        self._config, self._make_work, self._observe = config, make_work, observe
        self._context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        self._wake = self._context.Event()
        self._stopping = self._context.Event()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._thread = threading.Thread(target=self._watch, name="worker-watch", daemon=True)

    def start(self) -> None:
        """Start the process, and keep it going."""
        self._thread.start()

    def notify(self) -> None:
        """Say that there may be work."""
        self._wake.set()

    def stop(self) -> None:
        """Let the runs under way end, then the process. What they leave waits in the store."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=_STOPS_WITHIN)
        if self._process is not None and self._process.is_alive():
            log.error("the worker does not end; its events are taken up again when their claims run out")
            self._process.kill()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            ours, theirs = self._context.Pipe(duplex=False)
            arguments = (self._config, self._make_work, self._wake, self._stopping, theirs)
            self._process = self._context.Process(target=_work, args=arguments, name="events-worker", daemon=True)
            self._process.start()
            theirs.close()
            self._listen(ours)
            self._process.join()
            if not self._stopping.is_set():
                log.error("the worker ended", extra={"fields": {"exit_code": self._process.exitcode}})
                time.sleep(_RESTART_AFTER)

    def _listen(self, told: Connection) -> None:
        """Pass on the vendor calls that the process tells of, until it ends."""
        while True:
            try:
                self._observe(*told.recv())
            except (EOFError, OSError):
                return


def _work(config: str | None, make_work: MakeWork, wake: threading.Event, stopping: threading.Event, tell: Connection) -> None:
    """The process: dispatch until told to stop, or until the parent is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # a service manager signals both; the parent says when it is time
    logs.set_up()
    lock = threading.Lock()

    def observe(vendor: str, operation: str, status: int, seconds: float) -> None:
        with lock:
            tell.send((vendor, operation, status, seconds))

    parent = multiprocessing.parent_process()
    store: Store | None = None
    try:
        settings, _ = configuration.load_fleet(config)
        store = Store(settings.store_url()).ready()
        dispatcher = Dispatcher(store, settings.merchants, make_work(config, observe), wake=wake)
        dispatcher.start()
        while not stopping.wait(1.0) and dispatcher.is_alive and (parent is None or parent.is_alive()):
            pass
        dispatcher.stop()
    except BackhaulError as error:
        log.error("the worker cannot start", extra={"fields": {"error": str(error)}})
    finally:
        if store is not None:
            store.close()
