"""The worked epoch of the protocol (section 13) through blocks: draw, PoC, next group, settlement.

The chain is imported as it stands just before S-1 of epoch 8, in the testnet profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from abci_app.app import STORES
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import (
    DENOM,
    FUNDS,
    GOV,
    Chain,
    a_model,
    as_json,
    gov_state,
    key_of,
    validator_key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

S, T, E, V, DUR = 5100, 5130, 5154, 5178, 24
EPOCH = 7
FIRST = 5090  # the first block of the imported chain
SWITCHED = 4458  # V of epoch 7

# Names of keys whose addresses sort as the protocol's alice, bob and carol do.
ALICE, BOB, CAROL = sorted(("worked 1", "worked 2", "worked 3"), key=lambda name: key_of(name).address)
NAMES = {key_of(name).address: short for name, short in ((ALICE, "alice"), (BOB, "bob"), (CAROL, "carol"))}
OWNERS = {"a": ALICE, "b": BOB, "c": CAROL}

NODES = {"a1": ("X", 300), "a2": ("X", 280), "a3": ("Y", 120), "b1": ("X", 260), "b2": ("Y", 140)}
NODES |= {"c1": ("X", 200), "c2": ("X", 60)}
TPN = {"X": 40_000_000, "Y": 90_000_000}
POWERS = {ALICE: 440, BOB: 400, CAROL: 260}


def owner(node_id: str) -> str:
    return OWNERS[node_id[0]]


def members(model: str) -> list[pb.ValidationWeight]:
    """Members of a subgroup of epoch 7, or of the parent group where model is empty."""
    found = []
    for name in (ALICE, BOB, CAROL):
        mine = [(n, w) for n, (m, w) in NODES.items() if owner(n) == name and m == (model or m)]
        if not mine:
            continue
        member = pb.ValidationWeight(member_address=key_of(name).address, weight=sum(w for _, w in mine))
        if model:
            for node_id, weight in mine:
                member.ml_nodes.add(
                    node_id=node_id,
                    throughput=weight * TPN[model] // 10**6,
                    poc_weight=weight,
                    timeslot_allocation=[True, False],
                    weight_source=reasons.REASON_MINED,
                    sequence=list(NODES).index(node_id),
                )
        else:
            member.voting_power = POWERS[name]
            member.validator_key = validator_key_of(name)
            member.url = f"http://{name[-1]}.test"
        found.append(member)
    return found


def group(epoch: int, model: str) -> pb.EpochGroup:
    weight = sum(w for m, w in NODES.values() if m == (model or m))
    made = pb.EpochGroup(
        epoch_index=epoch, model_id=model, total_weight=weight, member_count=len(members(model))
    )
    if model:
        made.model_snapshot.CopyFrom(a_model(model, TPN[model]))
        made.total_throughput = weight * TPN[model] // 10**6
        made.expected_throughput_vector.extend([0, 0])
        made.real_throughput_vector.extend([0, 0])
    else:
        made.sub_group_models.extend(["X", "Y"])
        made.total_voting_power = sum(POWERS.values())
        made.unit_of_compute_price = 100
    return made


def record(index: int) -> pb.EpochRecord:
    start = 60 + (index - 1) * 720
    stages = ("pre_poc_scheduling", "start_of_poc", "end_of_poc", "start_of_poc_validation")
    return pb.EpochRecord(
        index=index,
        height_start=start,
        params=default_params("testnet"),
        stages_done=[*stages, "end_of_poc_validation", "end_of_epoch"],
        height_ready=start + 54,
        height_switched=start + 78,
    )


def epochs_state() -> dict[str, Any]:
    state = pb.GenesisState(
        params=default_params("testnet"),
        state=pb.EpochState(epoch_effective=EPOCH, height_effective=SWITCHED, height_next_poc=S),
        records=[record(6), record(7)],
        groups=[group(epoch, model) for epoch in (6, 7) for model in ("", "X", "Y")],
        members=[
            pb.GenesisMember(epoch_index=7, model_id=model, member=member)
            for model in ("", "X", "Y")
            for member in members(model)
        ],
        validators=[
            pb.ValidatorPower(validator_key=validator_key_of(name), power=power)
            for name, power in sorted(POWERS.items(), key=lambda item: validator_key_of(item[0]))
        ],
    )
    return as_json(state)


def hardware_state() -> dict[str, Any]:
    state = hardware_pb2.GenesisState(
        participants=[
            hardware_pb2.Participant(
                address=key_of(name).address,
                url=f"http://{name[-1]}.test",
                validator_key=validator_key_of(name),
                public_key=key_of(name).public,
                status=hardware_pb2.PARTICIPANT_STATUS_ACTIVE,
            )
            for name in (ALICE, BOB, CAROL)
        ],
        nodes=[
            hardware_pb2.RegisteredNode(
                participant=key_of(owner(node_id)).address,
                node=hardware_pb2.MLNode(node_id=node_id, models=[model], host="127.0.0.1", port=8080),
                sequence=i,
            )
            for i, (node_id, (model, _)) in enumerate(NODES.items())
        ],
        node_sequence=len(NODES),
    )
    return as_json(state)


def inference_state() -> dict[str, Any]:
    """Demand: 5000 and 9600 tokens in [S-dur, S-1], the same rate before; everybody served well up to S."""
    blocks = S - 1 - SWITCHED
    tokens = []
    for model, measured in (("X", 9600), ("Y", 5000)):
        tokens += [
            inference_pb2.BlockTokens(model_id=model, height=S - DUR, tokens=measured),
            inference_pb2.BlockTokens(
                model_id=model, height=SWITCHED + 10, tokens=measured * blocks // DUR - measured
            ),
        ]
    counted = {ALICE: (400, 8), BOB: (150, 0), CAROL: (120, 0)}
    state = inference_pb2.GenesisState(
        tokens=tokens,
        statistics=[
            inference_pb2.InferenceStatistics(
                epoch_index=EPOCH, participant=key_of(name).address, total=total, missed=missed
            )
            for name, (total, missed) in counted.items()
        ],
        missed=[
            inference_pb2.MissedByCreator(
                epoch_index=EPOCH,
                participant=key_of(ALICE).address,
                creator=key_of(CAROL).address,
                missed=8,
            )
        ],
        served=[
            inference_pb2.ServedCount(
                epoch_index=EPOCH, model_id=model, participant=key_of(name).address, finished=5
            )
            for model in ("X", "Y")
            for name in (ALICE, BOB, CAROL)
        ],
    )
    return as_json(state)


def imported(
    mode: str = "COVERAGE_BONUS_MODE_ADDITIONAL", change: Callable[[dict[str, Any]], None] | None = None
) -> Chain:
    """The chain before S-1; `change` may alter each copy of the params, as JSON."""
    epochs_json = epochs_state()
    for each in (epochs_json["params"], *(record["params"] for record in epochs_json["records"])):
        each["rewards"]["coverage_bonus_mode"] = mode
        if change is not None:
            change(each)
    names = (ALICE, BOB, CAROL, "client")
    state = {
        "auth": {"fees": {"denom": DENOM}},
        "bank": {
            "balances": [
                {"address": key_of(n).address, "coins": [{"denom": DENOM, "amount": str(FUNDS)}]}
                for n in names
            ]
        },
        "models": {"models": [as_json(a_model(m, TPN[m])) | {"proposed_by": GOV} for m in ("X", "Y")]},
        "hardware": hardware_state(),
        "epochs": epochs_json,
        "inference": inference_state(),
        "rewards": as_json(
            rewards_pb2.GenesisState(emission=rewards_pb2.Emission(reward_next=1_000_000, epoch_next=EPOCH))
        ),
        "gov": gov_state(600),
    }
    return Chain(state, MemoryStore(STORES), initial_height=FIRST)


def allocations(chain: Chain) -> dict[str, uptime_pb2.SlotAllocation]:
    found = chain.query(
        uptime_pb2.QuerySlotAllocationsRequest(epoch_index=EPOCH + 1), uptime_pb2.QuerySlotAllocationsResponse
    )
    return {each.model_id: each for each in found.allocations}


def drawn(allocation: uptime_pb2.SlotAllocation) -> list[tuple[int, int, str, int]]:
    return [
        (turn.drawn, turn.weight_total, turn.node_id, turn.reason)
        for turn in allocation.turns
        if turn.weight_total
    ]


def poc(chain: Chain) -> None:
    """Batches, the misses of bob behind S, and the verdicts; up to and with the switch."""
    new_node = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(BOB).address)
    new_node.new_or_modified.add(node_id="b3", models=["Y"], host="127.0.0.1", port=8080)
    chain.run_to(S - 3)
    chain.must(BOB, new_node)
    chain.run_to(S)
    mined = {"a1": 310, "b2": 138, "c1": 205, "c2": 58, "b3": 90}
    chain.block(*(chain.sign(owner(node_id), batch(node_id, count)) for node_id, count in mined.items()))
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results
    chain.block(*(chain.sign("client", request(i)) for i in range(50)))
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results
    chain.run_to(T)
    chain.must(ALICE, honest(ALICE, BOB, CAROL))
    chain.must(BOB, honest(BOB, ALICE, CAROL))
    chain.must(CAROL, honest(CAROL, ALICE))
    chain.run_to(V)


def batch(node_id: str, count: int) -> poc_pb2.MsgSubmitPocBatch:
    return poc_pb2.MsgSubmitPocBatch(
        creator=key_of(owner(node_id)).address,
        poc_stage_start_height=S,
        node_id=node_id,
        batch_id=node_id,
        nonce_count=count,
        claims=bytes(4 * count),
    )


def request(i: int) -> inference_pb2.MsgStartInference:
    return inference_pb2.MsgStartInference(
        creator=key_of("client").address,
        inference_id=f"missed-{i}",
        model_id="X",
        executor=key_of(BOB).address,
        prompt_hash="00" * 32,
        max_tokens=1,
    )


def honest(validator: str, *others: str) -> poc_pb2.MsgSubmitPocValidations:
    return poc_pb2.MsgSubmitPocValidations(
        creator=key_of(validator).address,
        poc_stage_start_height=S,
        verdicts=[
            poc_pb2.PocVerdict(participant=key_of(o).address, verdict=poc_pb2.VERDICT_HONEST, sampled=20)
            for o in others
        ],
    )


def group_of(chain: Chain, model: str) -> pb.EpochGroupData:
    request = pb.QueryEpochGroupDataRequest(epoch_index=EPOCH + 1, model_id=model)
    return chain.query(request, pb.QueryEpochGroupDataResponse).epoch_group_data


def test_the_draw_is_the_protocols_number_by_number() -> None:
    chain = imported()

    chain.run_to(S - 1)

    found = allocations(chain)
    y, x = found["Y"], found["X"]
    assert (y.order, x.order) == (0, 1)
    assert (y.capacity, y.limit, y.expected, y.target) == (23400, 11700, 5000, 6250)
    assert (x.capacity, x.limit, x.expected, x.target) == (44000, 22000, 9600, 12000)
    assert drawn(y) == [(297, 1100, "a3", reasons.REASON_SELECTED)]
    assert drawn(x) == [
        (838, 1360, "b1", reasons.REASON_SELECTED),
        (564, 960, "a1", reasons.REASON_OVER_LIMIT),
        (323, 960, "a2", reasons.REASON_SELECTED),
    ]
    assert (y.selected, y.stop) == (10800, reasons.REASON_TARGET_MET)
    assert (x.selected, x.stop) == (21600, reasons.REASON_TARGET_MET)


def test_the_next_group_has_the_protocols_weights_powers_and_throughput() -> None:
    chain = imported()

    poc(chain)

    assert epochs.state(chain.context()).epoch_effective == EPOCH + 1
    parent = group_of(chain, "")
    weights = {NAMES[m.member_address]: m.weight for m in parent.validation_weights}
    powers = {NAMES[m.member_address]: m.voting_power for m in parent.validation_weights}
    assert weights == {"alice": 710, "bob": 488, "carol": 263}
    assert powers == {"alice": 500, "bob": 488, "carol": 263}
    assert (parent.group.total_weight, parent.group.total_voting_power) == (1461, 1251)
    x, y = group_of(chain, "X"), group_of(chain, "Y")
    assert (x.group.total_weight, x.group.total_throughput) == (1113, 44520)
    assert (y.group.total_weight, y.group.total_throughput) == (348, 31320)
    shares = {NAMES[m.member_address]: m.weight for m in x.validation_weights if m.weight}
    assert shares == {"alice": 590, "bob": 260, "carol": 263}
    sources = {n.node_id: n.weight_source for m in x.validation_weights for n in m.ml_nodes}
    assert sources["a1"] == reasons.REASON_MINED
    assert sources["a2"] == sources["b1"] == reasons.REASON_PRESERVED
    assert chain.updates[-1][0] == V


@pytest.mark.parametrize(
    ("mode", "base", "bonus", "pool", "minted"),
    [
        ("COVERAGE_BONUS_MODE_ADDITIONAL", [514705, 220588, 191176], [51470, 22058, 0], 73531, 1073528),
        ("COVERAGE_BONUS_MODE_SHARED", [523809, 224489, 176870], [0, 0, 0], 74832, 1_000_000),
    ],
)
def test_the_settlement_of_epoch_7_is_the_protocols(
    mode: str, base: list[int], bonus: list[int], pool: int, minted: int
) -> None:
    chain = imported(mode)

    poc(chain)

    settled = chain.query(
        rewards_pb2.QuerySettleAmountsRequest(epoch_index=EPOCH), rewards_pb2.QuerySettleAmountsResponse
    )
    amounts = [a for a in settled.amounts if a.participant in NAMES]
    assert [NAMES[a.participant] for a in amounts] == ["alice", "bob", "carol"]
    assert [a.availability_bps for a in amounts] == [10000, 7500, 10000]
    assert [a.covered for a in amounts] == [True, True, False]
    assert [a.base for a in amounts] == base
    assert [a.bonus for a in amounts] == bonus
    assert (settled.settlement.community_pool, settled.settlement.minted) == (pool, minted)
