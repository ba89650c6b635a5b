"""uptime: whether models served through the PoC what was expected, and what their nodes lose. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS
from abci_app.modules.poc import weight_performed
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.gen.evergrid.epochs.v1 import params_pb2


@dataclass(frozen=True, slots=True)
class Served:
    """A node that served a model through the PoC: its preserved weight, its participant's requests on it."""

    participant: str
    node_id: str
    weight: int
    finished: int
    missed: int


def is_short(expected: int, real: int, params: params_pb2.UptimeParams) -> bool:
    """Whether a model served less than the least part of what was expected; never without expectation."""
    return expected > 0 and real * BPS < expected * params.min_throughput_ratio_bps


def throughput_performance(
    model_id: str, expected: int, real: int, served: Iterable[Served], params: params_pb2.UptimeParams
) -> uptime_pb2.ThroughputValidation:
    """What the nodes of one model keep of their preserved weights, with the trace (protocol, section 6).

    Throughput in tokens per PoC window. Missing demand alone costs nothing: only what a participant itself
    missed is taken from its own nodes.
    """
    short = is_short(expected, real, params)
    return uptime_pb2.ThroughputValidation(
        model_id=model_id,
        expected=expected,
        real=real,
        min_throughput_ratio_bps=params.min_throughput_ratio_bps,
        short=short,
        nodes=[_performance(each) for each in served] if short else [],
    )


def _performance(node: Served) -> uptime_pb2.ServingPerformance:
    return uptime_pb2.ServingPerformance(
        participant=node.participant,
        node_id=node.node_id,
        finished=node.finished,
        missed=node.missed,
        weight_before=node.weight,
        weight_after=weight_performed(node.weight, node.finished, node.missed),
        reason=reasons_pb2.REASON_THROUGHPUT_SHORTFALL if node.missed else reasons_pb2.REASON_PRESERVED,
    )
