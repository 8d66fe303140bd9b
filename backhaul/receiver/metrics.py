"""What Prometheus reads: counters of this process, and the store's own numbers, asked for at most every ten seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from backhaul.pipeline.session import Clock
from backhaul.store import events
from backhaul.store.by_hand import held_by_guard
from backhaul.store.circuits import open_circuits
from backhaul.store.deliveries import owed_by_state
from backhaul.store.engine import DATABASE_ERRORS, Store
from backhaul.store.pauses import Pause, standing_pauses
from backhaul.store.quarantine import held_by_source
from backhaul.store.runs import running_since
from backhaul.store.watermarks import Watermark, all_watermarks

_KEPT_SECONDS = 10.0


class Metrics:
    """The metrics of one service."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "backhaul_webhook_requests_total", "Webhook requests by answer.", ("source", "status"), registry=self.registry
        )
        self.events = Counter(
            "backhaul_events_total", "Events stored, duplicates included.", ("merchant", "source"), registry=self.registry
        )
        self.seconds = Histogram(
            "backhaul_webhook_seconds",
            "From a request's last byte to its answer.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0),
            registry=self.registry,
        )
        self.vendor_seconds = Histogram(
            "backhaul_vendor_seconds",
            "Latency of calls to vendors.",
            ("vendor", "operation", "status"),
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0),
            registry=self.registry,
        )
        self.registry.register(_Stored(store, clock))

    def observe(self, vendor: str, operation: str, status: int, seconds: float) -> None:
        """Note one call to a vendor (see `connectors.http.Observe`)."""
        self.vendor_seconds.labels(vendor, operation, str(status)).observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus's format."""
        return generate_latest(self.registry)


class _Stored(Collector):
    """Gauges read from the store. When it cannot be read they are absent, and `backhaul_store_up` is 0."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at > _KEPT_SECONDS:
                self._families = self._read()
                self._read_at = time.monotonic()
            yield from self._families

    def _read(self) -> list[Metric]:
        try:
            with self._store.read() as connection:
                backlog, marks = events.backlog(connection, self._clock()), all_watermarks(connection)
                under_way = running_since(connection)
                owed, held, left_alone = owed_by_state(connection), held_by_source(connection), open_circuits(connection)
                stopped, guarded = standing_pauses(connection), held_by_guard(connection)
        except DATABASE_ERRORS:
            return [GaugeMetricFamily("backhaul_store_up", "Whether the store can be read.", value=0)]
        is_up = GaugeMetricFamily("backhaul_store_up", "Whether the store can be read.", value=1)
        return [
            is_up,
            *self._waiting(backlog),
            self._under_way(under_way),
            self._lag(marks),
            *_brake(stopped, guarded),
            _deliveries(owed),
            _circuits(left_alone),
            _quarantine(held),
        ]

    def _waiting(self, backlog: Sequence[events.Backlog]) -> tuple[Metric, Metric]:
        now = self._clock()
        size = GaugeMetricFamily("backhaul_events_waiting", "Events that no run has taken in.", labels=("merchant",))
        age = GaugeMetricFamily("backhaul_events_oldest_seconds", "Age of the oldest event that waits.", labels=("merchant",))
        for one in backlog:
            size.add_metric((one.merchant,), one.waiting)
            age.add_metric((one.merchant,), (now - one.oldest_at).total_seconds())
        return size, age

    def _under_way(self, runs: Mapping[tuple[str, str], datetime]) -> Metric:
        gauge = GaugeMetricFamily(
            "backhaul_run_seconds", "For how long the oldest run that goes on has done so.", labels=("merchant", "flow")
        )
        for labels, since in runs.items():
            gauge.add_metric(labels, (self._clock() - since).total_seconds())
        return gauge

    def _lag(self, marks: Sequence[Watermark]) -> Metric:
        gauge = GaugeMetricFamily(
            "backhaul_watermark_lag_seconds", "Time since the newest source time taken in.", labels=("merchant", "source")
        )
        for row in marks:
            gauge.add_metric((row.merchant, row.source), (self._clock() - row.high_water_at).total_seconds())
        return gauge


def _deliveries(owed: Mapping[tuple[str, str, str], int]) -> Metric:
    gauge = GaugeMetricFamily(
        "backhaul_deliveries", "Writes to vendors that are not through, by how far they have come.", labels=("merchant", "kind", "state")
    )
    for labels, number in owed.items():
        gauge.add_metric(labels, number)
    return gauge


def _circuits(left_alone: Sequence[Mapping[str, Any]]) -> Metric:
    gauge = GaugeMetricFamily(
        "backhaul_circuit_open", "1 for a vendor that is left alone, because calls to it keep failing.", labels=("merchant", "vendor")
    )
    for row in left_alone:
        gauge.add_metric((row["merchant"], row["vendor"]), 1)
    return gauge


def _brake(stopped: Sequence[Pause], guarded: Mapping[tuple[str, str], int]) -> tuple[Metric, Metric]:
    pauses = GaugeMetricFamily(
        "backhaul_paused", "1 for a vendor that a person has stopped all writes to; vendor * is all of them.", labels=("merchant", "vendor")
    )
    for pause in stopped:
        pauses.add_metric((pause.merchant, pause.vendor), 1)
    held = GaugeMetricFamily(
        "backhaul_held_by_guard", "Returns whose process or flag a guard holds for a person.", labels=("merchant", "guard")
    )
    for labels, number in guarded.items():
        held.add_metric(labels, number)
    return pauses, held


def _quarantine(held: Mapping[tuple[str, str], int]) -> Metric:
    gauge = GaugeMetricFamily("backhaul_quarantined", "Records in quarantine.", labels=("merchant", "source"))
    for labels, number in held.items():
        gauge.add_metric(labels, number)
    return gauge
