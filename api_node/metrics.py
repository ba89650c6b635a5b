"""What Prometheus may scrape from the API node; no labels of ids of requests, hashes or addresses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client import generate_latest as render

LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
SCHEMA_VERSION = "1"


def package_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("evergrid")
    except PackageNotFoundError:
        return "0"


class Metrics:
    """One registry per API node, so that two in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._breakers_shown: set[tuple[str, str]] = set()
        ProcessCollector(registry=self.registry)
        self._info("apinode_build", "Version of this API node", version=package_version())
        self._info("apinode_metrics_schema", "Version of names and labels", version=SCHEMA_VERSION)
        self.chain_height = self._gauge("apinode_chain_height", "Height of the last view")
        self.chain_lag = self._gauge(
            "apinode_chain_lag_blocks", "Blocks between the chain's newest and the view"
        )
        self.snapshot_epoch = self._gauge("apinode_epoch_snapshot_epoch", "Epoch of the epoch data in use")
        self.participant_weight = self._gauge(
            "apinode_participant_weight", "Weight of this participant in the effective epoch", "participant"
        )
        self.node_state = self._gauge(
            "apinode_mlnode_state", "1 for the state that a node is in", "node_id", "state"
        )
        self.node_state_seconds = self._gauge(
            "apinode_mlnode_time_in_state_seconds", "How long a node has been in its state", "node_id"
        )
        self.node_deadline = self._gauge(
            "apinode_mlnode_deadline_height", "Where the node's intent ends or must be so, 0: none", "node_id"
        )
        self.node_requests = self._gauge(
            "apinode_mlnode_requests", "Requests that a node works on", "node_id"
        )
        self.node_as_intended = self._gauge(
            "apinode_mlnode_as_intended", "1 where a node does what it should, else 0", "node_id"
        )
        self.node_tests = self._counter(
            "apinode_mlnode_tests_total", "Tests of nodes that operators asked for", "node_id", "result"
        )
        self.reconcile = self._counter(
            "apinode_mlnode_reconcile_total", "Commands to MLNodes", "node_id", "action", "result"
        )
        self.requests = self._counter("apinode_requests_total", "Chat requests", "model", "outcome", "reason")
        self.request_seconds = self._histogram("apinode_request_duration_seconds", "Whole chat requests")
        self.attempts = self._counter(
            "apinode_executor_attempts_total",
            "What became of requests given to an executor",
            "model",
            "result",
        )
        self.queue_length = self._gauge(
            "apinode_queue_length", "Requests that wait until somebody may serve them", "model"
        )
        self.breakers = self._gauge(
            "apinode_breakers",
            "Executors that are left alone after failures, or on probation",
            "model",
            "state",
        )
        self.ttft_seconds = self._histogram("apinode_ttft_seconds", "Time to the first byte of an answer")
        self.tx_broadcast = self._counter(
            "apinode_tx_broadcast_total", "What became of messages", "msg", "result"
        )
        self.tx_queue = self._gauge("apinode_tx_queue", "Messages that are not in a block yet")
        self.nonces = self._counter("apinode_poc_nonces_total", "Nonces of own nodes", "node_id", "result")
        self.verdicts = self._counter("apinode_poc_verdicts_total", "Verdicts on others", "verdict")

        self.validations_pending = self._gauge(
            "apinode_validations_pending", "Inferences of others that wait for this participant's verdict"
        )
        self.validations = self._counter(
            "apinode_validations_total",
            "Verdicts on others' inferences, and those that were not given",
            "result",
            "reason",
        )

    def _info(self, name: str, text: str, **labels: str) -> None:
        Info(name, text, registry=self.registry).info(labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=LATENCY_BUCKETS_S)

    def show_breakers(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many breakers of each model and state there are; the others are zero."""
        for model_id, state in self._breakers_shown - set(counts):
            self.breakers.labels(model_id, state).set(0)
        for (model_id, state), count in counts.items():
            self.breakers.labels(model_id, state).set(count)
        self._breakers_shown |= set(counts)

    def show_node(self, node_id: str, state: str, states: Iterable[str], seconds: float) -> None:
        """One node's state as one-hot gauges."""
        for each in states:
            self.node_state.labels(node_id, each).set(each == state)
        self.node_state_seconds.labels(node_id).set(seconds)

    def show_load(self, node_id: str, *, requests: int, as_intended: bool) -> None:
        """What one node works on, and whether it does what it should."""
        self.node_requests.labels(node_id).set(requests)
        self.node_as_intended.labels(node_id).set(as_intended)

    def forget_node(self, node_id: str, states: Iterable[str]) -> None:
        """A node is gone, and so are its gauges."""
        for each in states:
            self.node_state.remove(node_id, each)
        self.node_state_seconds.remove(node_id)
        for gauge in (self.node_deadline, self.node_requests, self.node_as_intended):
            with contextlib.suppress(KeyError):
                gauge.remove(node_id)

    def render(self) -> bytes:
        """The exposition text."""
        return render(self.registry)
