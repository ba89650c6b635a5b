"""Whole rounds of Proof of Compute for any number of owners, which the tests of the sentences share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_epoch import LENGTH, MODEL, E, S, T, V, batch, honest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

__all__ = ["LENGTH", "MODEL", "E", "S", "T", "V", "mine_and_judge", "nonces_of", "owners", "serving"]


def owners(
    *names: str,
    models: Sequence[str] = (MODEL,),
    params: Params | None = None,
    nodes: Mapping[str, Sequence[str]] | None = None,
    node_weight: int = 0,
) -> Chain:
    """One node each that declares all models, or those in `nodes`; weight 10 of the owner, or of its node."""
    declared = nodes or {}
    participants = [
        GenesisParticipant(
            name,
            0 if node_weight else 10,
            (GenesisNode("gpu", tuple(declared.get(name, models)), node_weight),),
        )
        for name in names
    ]
    registry = [a_model(model) for model in models]
    return Chain(app_state(participants, registry, params or default_params("local"), ("client",)))


def serving(chain: Chain, epoch: int, models: Collection[str] = (MODEL,)) -> set[str]:
    """The addresses whose node holds POC_SLOT for one of the models."""
    return {
        member.member_address
        for model in models
        for member in epochs.members(chain.context(), epoch, model)
        for node in member.ml_nodes
        if node.timeslot_allocation[POC_SLOT]
    }


def mine_and_judge(chain: Chain, start: int, nonces: Mapping[str, int], *voters: str) -> None:
    """Up to E: batches of those with nonces, honest verdicts of all voters on the others."""
    chain.run_to(start)
    chain.block(*(chain.sign(name, batch(name, start, count)) for name, count in nonces.items()))
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results
    chain.run_to(start + T - S)
    judged = {voter: [name for name in nonces if name != voter] for voter in voters or nonces}
    chain.block(
        *(chain.sign(voter, honest(voter, start, *others)) for voter, others in judged.items() if others)
    )
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results
    chain.run_to(start + E - S)


def nonces_of(chain: Chain, epoch: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """The wanted nonces without those of owners whose node serves through the PoC."""
    held = serving(chain, epoch)
    return {name: count for name, count in wanted.items() if key_of(name).address not in held}
