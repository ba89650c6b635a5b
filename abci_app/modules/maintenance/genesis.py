"""maintenance: the state as a genesis, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.maintenance import state, windows
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def validate_genesis(genesis: pb.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    return [
        f"the window of {each.participant} from {each.height_from} to {each.height_to} cannot be"
        for each in genesis.windows
        if not each.participant or not 0 < each.height_from <= each.height_to
    ]


def init_genesis(ctx: Context, genesis: pb.GenesisState) -> None:
    """Writes everything that an export gave."""
    for window in genesis.windows:
        windows.keep(ctx, window)
    for credit in genesis.credits:
        state.CREDITS.set(ctx, credit.participant, credit.blocks)


def export_genesis(ctx: Context) -> pb.GenesisState:
    """All state of the module."""
    return pb.GenesisState(
        windows=state.WINDOWS.values(ctx),
        credits=(pb.Credit(participant=who, blocks=blocks) for who, blocks in state.CREDITS.walk(ctx)),
    )
