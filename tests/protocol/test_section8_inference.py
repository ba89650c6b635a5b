"""Sentences of the protocol's section 8: who may execute, which messages are free, how long a count lasts."""

from __future__ import annotations

from abci_app import ante
from abci_app.modules import epochs, hardware
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.inference import validation
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from tests.chain import Chain, key_of
from tests.handlers.test_inference import start
from tests.protocol.rounds import LENGTH, MODEL, S, V, mine_and_judge, nonces_of, owners, serving

OTHER = "model/y"
NAMES = ("alice", "bob", "carol", "dan")


def refused(chain: Chain, inference_id: str, executor: str) -> bool:
    result = chain.deliver("client", start(inference_id=inference_id, executor=executor))
    assert result.code == 0 or "no_slot_in_force" in result.log, result.log
    return result.code != 0


def test_a_start_counts_within_the_grace_of_a_slot_that_ended() -> None:
    """The executor's slot was in force at some height in [h - slot_grace, h]."""
    chain = owners("alice", "bob")
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(S + LENGTH)
    held = serving(chain, 1)
    miner = next(key_of(n).address for n in ("alice", "bob") if key_of(n).address not in held)
    grace = epochs.effective_record(chain.context()).params.inference.slot_grace

    within = [refused(chain, f"within-{i}", miner) for i in range(1, grace)]
    behind = refused(chain, "behind", miner)

    # PRE_POC_SLOT was in force up to S-1, so up to S-1+grace a start may rely on it.
    assert chain.height == S + LENGTH + grace
    assert within == [False] * (grace - 1)
    assert behind


def test_behind_a_switch_those_count_who_served_the_poc_period_of_the_former_group() -> None:
    """Behind a switch those count too that served the PoC period of the former group."""
    declared = dict.fromkeys(NAMES, (MODEL, OTHER))
    chain = owners(*NAMES, models=(MODEL, OTHER), nodes=declared)
    everyone = dict.fromkeys(NAMES, 30)
    mine_and_judge(chain, S, everyone)
    chain.run_to(S + LENGTH)
    (server,) = (name for name in NAMES if key_of(name).address in serving(chain, 1))
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(server).address)
    diff.new_or_modified.add(node_id="gpu", models=[OTHER], host="127.0.0.1", port=8080)
    chain.must(server, diff)
    mine_and_judge_from_here(chain, nonces_of(chain, 1, everyone))
    chain.run_to(V + LENGTH)
    member = epochs.member(chain.context(), 2, MODEL, key_of(server).address)
    grace = epochs.effective_record(chain.context()).params.inference.slot_grace

    within = [refused(chain, f"within-{i}", key_of(server).address) for i in range(1, grace)]
    behind = refused(chain, "behind", key_of(server).address)

    assert member is None
    # POC_SLOT was in force up to V-1.
    assert within == [False] * (grace - 1)
    assert behind


def mine_and_judge_from_here(chain: Chain, nonces: dict[str, int]) -> None:
    mine_and_judge(chain, S + LENGTH, nonces, *NAMES)


def test_a_measurement_window_is_a_count_of_its_own() -> None:
    """Each measurement_window of validated inferences is a count of its own."""
    params = default_params("local")
    params.inference.measurement_window = 10
    chain = owners("alice", "bob", params=params)
    alice, bob, ctx = key_of("alice").address, key_of("bob").address, chain.context()

    # Four invalid ones end alice's window, the fifth begins the next; bob's five stand in one.
    for invalid in [False] * 6 + [True] * 4 + [True]:
        validation.measure(ctx, alice, invalid=invalid)
    for _ in range(5):
        validation.measure(ctx, bob, invalid=True)

    standing = validation.standing(ctx, alice)
    assert (standing.measured, standing.invalid) == (1, 1)
    statuses = [
        found.status for found in (hardware.get_participant(ctx, who) for who in (alice, bob)) if found
    ]
    assert statuses == [hardware_pb2.PARTICIPANT_STATUS_ACTIVE, hardware_pb2.PARTICIPANT_STATUS_INVALID]


def test_the_free_messages_are_those_of_the_protocol() -> None:
    """Hardware, batches, verdicts, start, finish, validate cost no fee; all else pays."""
    assert sorted(url.rpartition(".")[2] for url in ante.FREE_MESSAGES) == [
        "MsgFinishInference",
        "MsgStartInference",
        "MsgSubmitHardwareDiff",
        "MsgSubmitPocBatch",
        "MsgSubmitPocValidations",
        "MsgValidateInference",
    ]
