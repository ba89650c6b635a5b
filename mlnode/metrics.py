"""What Prometheus may scrape from the MLNode; no labels of ids, hashes, addresses or paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from mlnode.sensors import Sensors

SCHEMA_VERSION = "1"
STATES = ("stopped", "loading", "draining", "inference", "pow_idle", "pow_generate", "pow_validate")
LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


def package_version() -> str:
    try:
        return version("evergrid")
    except PackageNotFoundError:
        return "0"


class Metrics:
    """One registry per service, so that two services in a process do not mix."""

    def __init__(self, sensors: Sensors | None = None) -> None:
        self.registry = CollectorRegistry()
        self._sensors = sensors or Sensors()
        self.registry.register(self._sensors)
        ProcessCollector(registry=self.registry)
        Info("mlnode_version", "Version of this MLNode", registry=self.registry).info(
            {"version": package_version()}
        )
        schema = Info("mlnode_metrics_schema", "Version of these names and labels", registry=self.registry)
        schema.info({"version": SCHEMA_VERSION})
        self._define_node()
        self._define_poc()
        self._define_inference()

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=LATENCY_BUCKETS_S)

    def _define_node(self) -> None:
        self.state = self._gauge("mlnode_state", "1 for the state the node is in", "state")
        self.switch_seconds = self._histogram(
            "mlnode_switch_seconds", "Duration of switches of state", "from_state", "to_state", "result"
        )
        self.drain_seconds = self._histogram("mlnode_drain_seconds", "Wait for running answers at a switch")
        self.compute_up = self._gauge("mlnode_compute_up", "Whether a compute process is ready", "process")
        self.compute_restarts = self._counter(
            "mlnode_compute_restarts_total", "Ends of a compute process", "process"
        )
        self.compute_memory = self._gauge(
            "mlnode_compute_device_memory_bytes",
            "What torch has of a card: allocated for tensors, reserved in all; absent without a card",
            "process",
            "device",
            "kind",
        )
        self.config = self._gauge(
            "mlnode_config_info", "What is served; absent while nothing is", "model_name", "dtype", "engine"
        )

    def _define_poc(self) -> None:
        self.nonces = self._counter(
            "mlnode_poc_nonces_total",
            "Nonces by what became of them: generated, sent, dropped, validated, mismatch",
            "model",
            "result",
        )
        self.computed_nonces = self._counter(
            "mlnode_poc_computed_nonces_total", "Nonces computed by a process", "process", "kind"
        )
        self.batch_seconds = self._histogram(
            "mlnode_poc_batch_seconds",
            "Time for one piece of work, which holds several batches: generate, validate",
            "process",
            "kind",
        )
        self.batch_nonces = self._gauge(
            "mlnode_poc_batch_nonces", "Nonces of one forward pass; absent without a puzzle", "process"
        )
        self.nonces_unsent = self._gauge(
            "mlnode_poc_nonces_unsent", "Nonces that no callback has acknowledged"
        )
        self.validations_pending = self._gauge(
            "mlnode_poc_validations_pending", "Batches whose verdict is not acknowledged"
        )
        self.validations = self._counter("mlnode_poc_validations_total", "Batches re-computed", "verdict")
        self.callbacks = self._counter(
            "mlnode_poc_callbacks_total", "Posts to the callback", "kind", "result"
        )

    def _define_inference(self) -> None:
        self.model_load_seconds = self._gauge(
            "mlnode_model_load_seconds", "Duration of the last load by phase", "model", "phase"
        )
        self.download_bytes = self._gauge(
            "mlnode_model_download_bytes", "Of the last download: done, total", "model", "kind"
        )
        self.artifact_verified = self._gauge(
            "mlnode_model_artifact_verified", "1 if the files match their checksums, absent without", "model"
        )
        self.engine_restarts = self._counter(
            "mlnode_engine_restarts_total", "Ends of an engine's own process", "engine"
        )
        self.requests = self._counter(
            "mlnode_inference_requests_total", "Requests by outcome", "model", "outcome"
        )
        self.requests_in_flight = self._gauge("mlnode_requests_in_flight", "Answers running or waiting")
        self.tokens = self._counter("mlnode_inference_tokens_total", "Tokens served", "model", "kind")
        self.scores = self._counter("mlnode_scores_total", "Given answers that were judged", "outcome")
        self.first_token_seconds = self._histogram(
            "mlnode_time_to_first_token_seconds", "Wait for an answer's start"
        )
        self.request_seconds = self._histogram("mlnode_request_duration_seconds", "Duration of whole answers")

    def poc_piece(self, kind: str, process: int, count: int, seconds: float) -> None:
        """A piece that a process has generated or re-computed."""
        self.computed_nonces.labels(str(process), kind).inc(count)
        self.batch_seconds.labels(str(process), kind).observe(seconds)

    def poc_nonces(self, result: str, count: int) -> None:
        # Proof of Compute belongs to no model; the label stays, so that the series' shape does.
        self.nonces.labels(model="", result=result).inc(count)

    def update(self, state: str, compute_up: Sequence[bool], compute_pids: Sequence[int | None]) -> None:
        """What the node knows of itself and its compute processes at a scrape."""
        for name in STATES:
            self.state.labels(state=name).set(name == state)
        for process, is_up in enumerate(compute_up):
            self.compute_up.labels(str(process)).set(is_up)
            self.compute_restarts.labels(str(process))  # from 0 on, so that the first one shows
        self._sensors.compute_pids = tuple(compute_pids)

    def update_batches(self, sizes: Mapping[int, int]) -> None:
        """Nonces of one forward pass, by process; those without a puzzle have no series."""
        self.batch_nonces.clear()
        for process, nonces in sizes.items():
            self.batch_nonces.labels(str(process)).set(nonces)

    def update_memory(self, process: int, devices: Sequence[Mapping[str, Any]]) -> None:
        """What a process says that torch holds on its cards; a process that is gone holds nothing."""
        self.compute_memory.remove_by_labels({"process": str(process)})
        for each in devices:
            for kind in ("allocated", "reserved"):
                self.compute_memory.labels(str(process), each["device"], kind).set(each[kind])

    def update_config(self, served: tuple[str, str, str] | None) -> None:
        """Model, dtype and engine that are served; None: none."""
        self.config.clear()
        if served is not None:
            self.config.labels(*served).set(1)

    def render(self) -> bytes:
        """The text that a scrape gets; waits for sensors, so it belongs into a thread."""
        return generate_latest(self.registry)
