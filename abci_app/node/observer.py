"""Chain metrics: counters from each block's report, gauges from the state that it left.

The chain calls `on_commit` on its own thread. What is cheap is read there; what walks an epoch's members is
read on a thread beside it, from the height just committed, and only where the block changed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from abci_app.modules import epochs
from abci_app.node import gauges
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from abci_app.app import App, BlockReport
    from abci_app.kernel.block import TxResult
    from abci_app.kernel.context import Context, Event

log = structlog.get_logger(__name__)

SCHEMA_VERSION: Final = "1"
NEVG_PER_EVG: Final = 10**9
OTHERS: Final = "others"
STEP_BUCKETS_SECONDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

# After a block with one of these the epoch's data or a registry is not what it was.
CHANGES: Final = frozenset(
    {
        "poc_slots_allocated",
        "next_epoch_ready",
        "epoch_started",
        "epoch_extended",
        "participant_invalidated",
        "quarantine_ended",
        "model_registered",
        "model_retiring",
        "model_retired",
        "participant_submitted",
    }
)
BATCH_TYPE_URL: Final = "/" + poc_pb2.MsgSubmitPocBatch.DESCRIPTOR.full_name
HARDWARE_TYPE_URL: Final = "/" + hardware_pb2.MsgSubmitHardwareDiff.DESCRIPTOR.full_name
TRANSITIONS: Final = {"epoch_started": "switched", "epoch_extended": "extended"}
_REASON: Final = re.compile(r"(?:^|[:;] )([a-z_]+): ", re.ASCII)
_REASONS: Final = frozenset(name.removeprefix("REASON_").lower() for name, _ in reasons_pb2.Reason.items())


def reasons_in(text: str) -> list[str]:
    """The words of reasons in a refusal's text, in order; "unknown" where there is none."""
    return [found for found in _REASON.findall(text) if found in _REASONS] or ["unknown"]


class Observer:
    """Fills the metrics of one chain; give its two methods to the application, and close it at the end."""

    def __init__(self, registry: CollectorRegistry, participants_max: int = 100) -> None:
        self._participants_max = participants_max
        self._stage: list[GaugeMetricFamily] = []
        self._state: list[GaugeMetricFamily] = []
        self._labelled: set[str] = set()
        self._stale = True
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="observer")
        info = Gauge(
            "evergrid_metrics_schema_info",
            "Always 1; the version of the names and labels.",
            ["version"],
            registry=registry,
        )
        info.labels(SCHEMA_VERSION).set(1)
        self._declare(registry)
        registry.register(self)

    def _declare(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"evergrid_{name}_total", text, labels, registry=registry)

        self._txs = counter(
            "tx", "Transactions in blocks, by first message and CODESPACE/CODE.", "msg", "code"
        )
        self._gas = counter("tx_gas_used", "Gas used by transactions in blocks.", "msg")
        self._transitions = counter("epoch_transition", "Ends of epochs, by result.", "result")
        self._nonces = counter(
            "poc_nonces", "Nonces in accepted batches, in all epochs.", "participant", "node_id"
        )
        self._rejected = counter("poc_batches_rejected", "Batches refused in blocks, by reason.", "reason")
        self._votes = counter("poc_validation_votes", "Verdicts on participants, by verdict.", "result")
        self._stops = counter("slot_allocation_stop", "Draws, by why they stopped.", "model_id", "reason")
        self._pruned = counter("prune_deleted", "Entries removed as too old, by module.", "collection")
        self._keys = Gauge(
            "evergrid_state_keys", "Keys in the state, by their first part.", ["prefix"], registry=registry
        )
        self._steps = Histogram(
            "evergrid_end_block_step_seconds",
            "Time that a step at the end of a block took.",
            ["step"],
            buckets=STEP_BUCKETS_SECONDS,
            registry=registry,
        )
        self._settled = counter("reward_settled_coins", "Rewards and fees paid, in EVG.", "participant")
        self._bugs = counter("internal_errors", "Errors of the node's own code, by place.", "where")

    # What the application calls.

    def on_commit(self, app: App, report: BlockReport) -> None:
        """Takes in a block; never raises, since metrics must not stop a chain."""
        try:
            self._take_in(app, report)
        except Exception as bug:  # noqa: BLE001 - counted and logged by the next line
            self.on_bug("observer", bug)

    def around_step(self, step: str) -> AbstractContextManager[object]:
        """Takes the time of a step."""
        return self._steps.labels(step).time()

    def on_bug(self, where: str, bug: BaseException) -> None:
        """Counts an error of our own and writes its traceback to the log."""
        self._bugs.labels(where).inc()
        log.error("internal error", where=where, exc_info=bug)

    # What Prometheus and the process call.

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as they were last read."""
        yield from self._stage
        yield from self._state

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: the registry shall not read gauges before there are any."""
        return []

    def settle(self) -> None:
        """Waits until what was read so far is shown."""
        self._reader.submit(lambda: None).result()

    def close(self) -> None:
        self._reader.shutdown(cancel_futures=True)

    # Within

    def _take_in(self, app: App, report: BlockReport) -> None:
        for kind, result in report.results:
            self._count_tx(kind, result)
        for event in report.events:
            self._count_event(event)
        for prefix, size in app.store.sizes().items():
            self._keys.labels(prefix).set(size)
        for module, count in report.pruned:
            self._pruned.labels(module).inc(count)
        # Made here, where this height is still the latest: older ones have no bulk data.
        ctx = app.context_at(report.height)
        self._stage = gauges.stage_gauges(ctx)
        types = {event.type for event in report.events}
        types |= {event.type for _, result in report.results for event in result.events}
        changed_hardware = any(kind == HARDWARE_TYPE_URL for kind, _ in report.results)
        if self._stale or changed_hardware or not types.isdisjoint(CHANGES):
            self._stale = False
            self._reader.submit(self._read, ctx, types)

    def _count_tx(self, kind: str, result: TxResult) -> None:
        msg = kind.removeprefix("/") or "undecoded"
        code = f"{result.codespace}/{result.code}" if result.code else "0"
        self._txs.labels(msg, code).inc()
        self._gas.labels(msg).inc(result.gas_used)
        if result.code and kind == BATCH_TYPE_URL:
            for reason in reasons_in(result.log) if result.codespace == "poc" else [result.codespace]:
                self._rejected.labels(reason).inc()
        for event in result.events:
            if event.type == "poc_batch_submitted":
                values = dict(event.attributes)
                participant = self._label(values["participant"])
                node_id = values["node_id"] if participant != OTHERS else OTHERS
                self._nonces.labels(participant, node_id).inc(int(values["nonce_count"]))

    def _count_event(self, event: Event) -> None:
        if event.type in TRANSITIONS:
            self._transitions.labels(TRANSITIONS[event.type]).inc()
        elif event.type == "reward_paid":
            values = dict(event.attributes)
            paid = int(values["amount"]) / NEVG_PER_EVG
            self._settled.labels(self._label(values["participant"])).inc(paid)

    def _label(self, participant: str) -> str:
        """The participant, or `others` once so many have a series of their own."""
        if participant not in self._labelled:
            if len(self._labelled) >= self._participants_max:
                return OTHERS
            self._labelled.add(participant)
        return participant

    def _read(self, ctx: Context, types: set[str]) -> None:
        """On the reader's thread: the gauges, and what the events of the block left in the state."""
        try:
            self._state = gauges.state_gauges(ctx, self._participants_max)
            upcoming = epochs.upcoming_record(ctx)
            if upcoming is not None and "poc_slots_allocated" in types:
                for draw in gauges.slot_allocations(ctx, upcoming.index):
                    self._stops.labels(draw.model_id, gauges.word(draw.stop)).inc()
            if upcoming is not None and "next_epoch_ready" in types:
                request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=upcoming.height_start)
                for given in gauges.ask(ctx, request, poc_pb2.QueryPocValidationsResponse).validations:
                    name = poc_pb2.Verdict.Name(given.verdict).removeprefix("VERDICT_").lower()
                    self._votes.labels(name).inc()
        except Exception as bug:  # noqa: BLE001 - counted and logged by the next line
            self.on_bug("observer", bug)
