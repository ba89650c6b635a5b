"""guardians: the state as a genesis, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import hardware
from abci_app.modules.guardians import state
from protocol.gen.evergrid.guardians.v1 import guardians_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

GUARDIANS_MAX = 100


def validate_genesis(genesis: pb.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    errors = []
    if len(genesis.guardians) > GUARDIANS_MAX:
        errors.append(f"{len(genesis.guardians)} guardians are more than {GUARDIANS_MAX}")
    if twice := sorted({who for who in genesis.guardians if list(genesis.guardians).count(who) > 1}):
        errors.append(f"named more than once: {', '.join(twice)}")
    if not genesis.guardians and (genesis.HasField("ended") or genesis.decisions):
        errors.append("without guardians nothing was decided of them")
    return errors


def init_genesis(ctx: Context, genesis: pb.GenesisState) -> None:
    """Writes everything that an export gave; raises ValueError that names all who are no participants."""
    unknown = [who for who in genesis.guardians if hardware.get_participant(ctx, who) is None]
    if unknown:
        raise ValueError(f"guardians: no participants: {', '.join(unknown)}")
    for who in genesis.guardians:
        state.NAMED.add(ctx, who)
    if genesis.HasField("ended"):
        state.ENDED.set(ctx, genesis.ended)
    for decision in genesis.decisions:
        state.DECISIONS.set(ctx, decision.epoch_index, decision)


def export_genesis(ctx: Context) -> pb.GenesisState:
    """All state of the module."""
    return pb.GenesisState(
        guardians=state.NAMED.walk(ctx), ended=state.ENDED.get(ctx), decisions=state.DECISIONS.values(ctx)
    )
