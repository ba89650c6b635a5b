"""Sentences of the protocol's sections 3 and 4: two tiers of models, snapshots of hardware."""

from __future__ import annotations

from abci_app.modules import epochs, models
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from tests.chain import GOV, Chain, a_model, key_of
from tests.handlers.test_inference import PRICE, finish, found, start
from tests.protocol.rounds import LENGTH, MODEL, S, V, mine_and_judge, nonces_of, owners
from tests.stages.test_governance import passed, register

OTHER = "model/y"


def test_is_valid_governance_model_is_the_check_of_an_id() -> None:
    """IsValidGovernanceModel(id) tells whether governance has registered a model; no text makes it raise."""
    ctx = owners("alice").context()

    assert models.is_valid_governance_model(ctx, MODEL)
    assert not any(
        models.is_valid_governance_model(ctx, text) for text in ("", "model", "model/x\0", MODEL + "2")
    )


def test_get_governance_models_and_get_governance_model_read_the_registry() -> None:
    """GetGovernanceModels, GetGovernanceModel: the latest approved models, by id."""
    ctx = owners("alice", models=(OTHER, MODEL)).context()

    assert [model.id for model in models.get_governance_models(ctx)] == [MODEL, OTHER]
    one = models.get_governance_model(ctx, OTHER)
    assert one == a_model(OTHER, proposed_by=GOV)
    assert models.get_governance_model(ctx, "model/z") is None


def test_get_epoch_model_is_the_frozen_one() -> None:
    """GetEpochModel: the model as the epoch froze it, also once the registry has another."""
    chain = owners("alice", "bob")
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)

    passed(chain, register(MODEL, throughput_per_nonce=7))

    frozen = epochs.get_epoch_model(chain.context(), 1, MODEL)
    assert frozen is not None
    assert frozen.throughput_per_nonce == 40_000_000
    assert epochs.get_epoch_model(chain.context(), 1, OTHER) is None


def test_a_changed_registry_leaves_a_running_inference_alone() -> None:
    """Inference and price use the snapshot of the epoch in which the inference started."""
    chain = owners("alice", "bob")
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)
    dearer = register(MODEL)
    dearer.model.units_of_compute_per_token = 1000

    passed(chain, dearer)
    chain.must("client", start())
    chain.must("alice", finish())

    assert found(chain).cost == 30 * PRICE
    assert found(chain).status == inference_pb2.INFERENCE_STATUS_FINISHED


def served_by_alice(chain: Chain, epoch: int) -> list[str]:
    address = key_of("alice").address
    return [
        model
        for model in (MODEL, OTHER)
        for member in epochs.members(chain.context(), epoch, model)
        if member.member_address == address and member.weight
    ]


def test_a_hardware_change_waits_for_the_next_formation() -> None:
    """Formation freezes a copy; a change counts from the next formation on."""
    chain = owners("alice", "bob", models=(MODEL, OTHER), nodes={"alice": (MODEL,), "bob": (MODEL, OTHER)})
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of("alice").address)
    diff.new_or_modified.add(node_id="gpu", models=[OTHER], host="127.0.0.1", port=8080)

    chain.must("alice", diff)
    right_behind = served_by_alice(chain, 1)
    chain.run_to(S + LENGTH)
    mine_and_judge(chain, S + LENGTH, nonces_of(chain, 1, {"alice": 30, "bob": 20}), "alice", "bob")
    chain.run_to(V + LENGTH)

    assert right_behind == served_by_alice(chain, 1) == [MODEL]
    assert served_by_alice(chain, 2) == [OTHER]
