"""What one verdict costs: it is free to its sender, so it may not cost the network a look at everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.poc import keeper
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import MsgSubmitNewParticipant
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of, validator_key_of
from tests.stages.test_epoch import MODEL, S, T, batch

if TYPE_CHECKING:
    from protocol.gen.tendermint.abci import types_pb2 as abci

FEW, MANY = 3, 60


def at_validation(voters: int, slots: int = 0) -> Chain:
    """At T, with so many voters of which two mined, and a participant that is no member."""
    params = default_params("local")
    params.poc.validation_slots = slots
    owners = [GenesisParticipant(f"v{i}", 10, (GenesisNode("gpu", (MODEL,), 0),)) for i in range(voters)]
    chain = Chain(app_state(owners, [a_model(MODEL)], params, funded=["eve"]))
    chain.must("eve", MsgSubmitNewParticipant(creator=key_of("eve").address, url="http://eve.test"))
    chain.run_to(S)
    for name in ("v0", "v1"):
        message = batch(name, S, 20)
        message.node_id = "gpu"
        chain.must(name, message)
    chain.run_to(T)
    return chain


def says(chain: Chain, name: str, *places: int, start: int = S) -> abci.ExecTxResult:
    group = poc_pb2.PocVerdictGroup(verdict=poc_pb2.VERDICT_HONEST, sampled=20, places=places)
    message = poc_pb2.MsgSubmitPocValidations(
        creator=key_of(name).address, poc_stage_start_height=start, groups=[group]
    )
    return chain.deliver(name, message)


@pytest.mark.parametrize(
    ("sender", "place", "start", "code"),
    [("eve", 0, S, 3), ("v2", 0, S + 1, 3), ("v2", 99, S, 3), ("v0", 0, S, 3), ("v2", 0, S, 0)],
    ids=["no member", "wrong PoC", "unknown place", "itself", "taken"],
)
def test_a_verdict_costs_the_same_among_few_voters_and_many(
    sender: str, place: int, start: int, code: int
) -> None:
    few, many = (says(at_validation(voters), sender, place, start=start) for voters in (FEW, MANY))

    assert few.code == many.code == code
    # Addresses are of one length, heights and numbers nearly so.
    assert abs(many.gas_used - few.gas_used) < 500


def test_a_drawn_verdict_costs_the_same_on_a_node_that_has_the_draw_and_on_one_that_lost_it() -> None:
    kept, lost = at_validation(FEW, slots=64), at_validation(FEW, slots=64)
    says(kept, "v2", 1)
    keeper.forget_draw()
    says(lost, "v2", 1)
    has_it = says(kept, "v2", 0)
    keeper.forget_draw()
    lost_it = says(lost, "v2", 0)

    assert has_it.code == lost_it.code == 0
    assert has_it.gas_used == lost_it.gas_used
    assert kept.app.store.app_hash == lost.app.store.app_hash


@pytest.mark.parametrize("fallen", [0, 1, 2, 3])
def test_one_voters_power_is_what_it_is_among_all(fallen: int) -> None:
    chain = at_validation(FEW)
    chain.block(misbehaving=[validator_key_of(f"v{i}") for i in range(fallen)])
    ctx = chain.context()
    powers = epochs.voting_powers(ctx)

    names = ["eve", *(f"v{i}" for i in range(FEW))]
    addresses = [key_of(name).address for name in names]
    assert {who: epochs.voting_power(ctx, who) for who in addresses} == {
        who: powers.get(who, 0) for who in addresses
    }
    assert [who for who in addresses if epochs.is_only_voter(ctx, who)] == (
        list(powers) if len(powers) == 1 else []
    )
