"""uptime: the state as a genesis, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.uptime import state
from abci_app.modules.uptime.performance_steps import keep_validation
from abci_app.modules.uptime.steps import keep_allocation, set_last_preserved
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def init_genesis(ctx: Context, genesis: uptime_pb2.GenesisState) -> None:
    """Writes everything that an export gave."""
    for allocation in genesis.allocations:
        keep_allocation(ctx, allocation)
    preserved: dict[str, dict[str, int]] = {}
    for last in genesis.last_preserved:
        preserved.setdefault(last.participant, {})[last.node_id] = last.epoch_index
    for address in sorted(preserved):
        set_last_preserved(ctx, address, {}, preserved[address])
    for validation in genesis.throughput_validations:
        keep_validation(ctx, validation)


def export_genesis(ctx: Context) -> uptime_pb2.GenesisState:
    """All state of the module."""
    return uptime_pb2.GenesisState(
        allocations=state.ALLOCATIONS.values(ctx),
        last_preserved=[
            uptime_pb2.LastPreserved(
                participant=participant, node_id=each.node_id, epoch_index=each.epoch_index
            )
            for participant, nodes in state.LAST_PRESERVED.walk(ctx)
            for each in nodes.nodes
        ],
        throughput_validations=state.THROUGHPUT_VALIDATIONS.values(ctx),
    )
