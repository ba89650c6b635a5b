"""The governed switch by which nodes that mined serve again while nonces are validated; off by default.

Local profile: S 10, generation until 15, T 18, E 22, V 25; grace of 2 blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from abci_app.modules import epochs, uptime
from abci_app.modules.epochs.profiles import PROFILES, default_params
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.slots import serves_validation
from tests.chain import (
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
    validator_key_of,
)
from tests.handlers.test_inference import start
from tests.stages import test_worked_epoch as worked
from tests.stages.test_epoch import MODEL, E, S, T, V, batch, honest, run_poc

if TYPE_CHECKING:
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params, UptimeParams

END = 15  # no more nonces are generated
MODEL_MIB, POC_MIB = 1024, 4096
ENOUGH = MODEL_MIB + POC_MIB
ALICE = key_of("alice").address


def switched_on() -> Params:
    params = default_params("local")
    params.uptime.serve_during_validation, params.uptime.poc_v_ram = True, POC_MIB
    return params


def a_chain(params: Params | None = None, alice_mib: int = ENOUGH, bob_mib: int = 0) -> Chain:
    """alice and bob serve one model with a node each, of so much memory; client pays."""
    owners = [
        GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50, memory_mib),))
        for name, memory_mib in (("alice", alice_mib), ("bob", bob_mib))
    ]
    chain = Chain(app_state(owners, [a_model()], params, funded=["client"]))
    chain.run_to(1)
    return chain


def executors(chain: Chain) -> list[str]:
    """Who may be asked in the next block."""
    found = chain.query(pb.QueryExecutorsRequest(model_id=MODEL), pb.QueryExecutorsResponse)
    names = {key_of(name).address: name for name in ("alice", "bob")}
    return sorted(names[each.participant] for each in found.executors)


def accepted(chain: Chain, name: str, first: int, last: int) -> list[int]:
    """The heights of a range at which a start that names this executor is accepted."""
    chain.run_to(first - 1)
    found = []
    for height in range(first, last + 1):
        message = start(inference_id=f"{name}-{height}", executor=key_of(name).address)
        result = chain.deliver("client", message)
        assert result.code == 0 or "no_slot_in_force" in result.log
        found += [height] if result.code == 0 else []
    return found


# the rule


@pytest.mark.parametrize(
    ("on", "memory_mib", "v_ram", "expected"),
    [
        (True, ENOUGH, MODEL_MIB, reasons.REASON_SERVES_VALIDATION),
        (True, ENOUGH - 1, MODEL_MIB, reasons.REASON_LOW_MEMORY),
        (True, 0, MODEL_MIB, reasons.REASON_LOW_MEMORY),
        (True, 10 * ENOUGH, 0, reasons.REASON_LOW_MEMORY),
        (False, 10 * ENOUGH, MODEL_MIB, reasons.REASON_SWITCHED_OFF),
    ],
)
def test_memory_must_hold_the_model_and_the_poc_and_the_switch_must_be_on(
    on: bool,
    memory_mib: int,
    v_ram: int,
    expected: reasons.Reason,
) -> None:
    params: UptimeParams = switched_on().uptime
    params.serve_during_validation = on

    assert serves_validation(memory_mib, v_ram, params) == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_has_it_on(profile: str) -> None:
    assert not default_params(profile).uptime.serve_during_validation


def test_the_switch_is_refused_without_the_memory_of_the_poc() -> None:
    params = switched_on()
    params.uptime.poc_v_ram = 0

    assert epochs.params_errors(params) == [
        "uptime.poc_v_ram must be at least 1 MiB where serve_during_validation is on"
    ]


# through blocks


@pytest.mark.parametrize(("mined", "last"), [(True, V - 1), (False, E)])
def test_a_node_with_the_memory_serves_from_the_end_of_the_generation_until_the_switch_or_extension(
    mined: bool, last: int
) -> None:
    chain = a_chain(switched_on())
    pairs = (("alice", "bob"), ("bob", "alice"))
    during = {}

    for height in range(S - 1, V):
        chain.run_to(height - 1)
        txs = []
        if mined and height == S + 1:
            txs = [chain.sign(name, batch(name, S, 20)) for name, _ in pairs]
        if mined and height == T + 1:
            txs = [chain.sign(name, honest(name, S, other)) for name, other in pairs]
        chain.block(*txs)
        assert all(result.code == 0 for result in chain.last.tx_results)
        during[height + 1] = executors(chain)

    assert during == {
        **{height: [] for height in range(S, END + 1)},
        **{height: ["alice"] for height in range(END + 1, last + 1)},
        **{height: ["alice", "bob"] for height in range(last + 1, V + 1)},
    }


def test_starts_are_accepted_at_both_edges_with_the_grace_and_not_between() -> None:
    on, off = a_chain(switched_on()), a_chain()
    grace = epochs.effective_record(on.context()).params.inference.slot_grace

    served_on, served_off = accepted(on, "alice", S - 1, V), accepted(off, "alice", S - 1, V)

    before = list(range(S - 1, S + grace))
    assert served_on == before + list(range(END + 1, V + 1))
    assert served_off == before + list(range(E + 1, V + 1))
    assert accepted(a_chain(switched_on()), "bob", S - 1, V) == served_off


def test_behind_the_switch_the_former_groups_nodes_that_served_again_have_the_grace() -> None:
    # alice does not mine, so she is no member of the next group; she served until the switch
    params = switched_on()
    params.epoch.min_retained_power_numerator = 0
    chains = {mib: a_chain(params, mib) for mib in (ENOUGH, 0)}
    found = {}
    for memory_mib, chain in chains.items():
        run_poc(chain, S, {"bob": 20})
        assert epochs.state(chain.context()).epoch_effective == 1
        found[memory_mib] = accepted(chain, "alice", V + 1, V + 4)

    assert found == {ENOUGH: [V + 1], 0: []}


def test_memory_that_is_declared_later_counts_from_the_next_formation_on() -> None:
    chain = a_chain(switched_on())
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of("bob").address)
    node = diff.new_or_modified.add(node_id="gpu", models=[MODEL], host="127.0.0.1", port=8080)
    node.hardware.add(type="gpu", count=2, memory_mib=ENOUGH // 2)
    chain.must("bob", diff)

    chain.run_to(END + 1)
    first = executors(chain)
    chain = a_chain(switched_on())
    chain.must("bob", diff)
    run_poc(chain, S, {"alice": 20, "bob": 20})
    member = epochs.member(chain.context(), 1, MODEL, key_of("bob").address)
    chain.run_to(S + 30 + END - S)
    second = executors(chain)

    assert first == ["alice"]
    assert member is not None
    assert [each.memory_mib for each in member.ml_nodes] == [ENOUGH]
    assert second == ["alice", "bob"]


def test_a_participant_that_becomes_invalid_does_not_serve_again() -> None:
    chain = a_chain(switched_on())
    chain.run_to(END)
    serving = executors(chain)

    key = next(key for _, keys in chain.updates for key, _ in keys)
    chain.block(misbehaving=[key])

    name = next(n for n in ("alice", "bob") if key == validator_key_of(n))
    assert serving == ["alice"]
    assert executors(chain) == [each for each in serving if each != name]


def test_nonces_of_a_node_that_serves_again_count_until_the_batches_close() -> None:
    chain = a_chain(switched_on())
    chain.run_to(END)

    results = chain.block(
        chain.sign("client", start()),
        *(chain.sign(name, batch(name, S, 20)) for name in ("alice", "bob")),
    )
    chain.run_to(T)
    chain.must("alice", honest("alice", S, "bob"))
    chain.must("bob", honest("bob", S, "alice"))
    chain.run_to(V)

    assert [result.code for result in results] == [0, 0, 0]
    mined = epochs.member(chain.context(), 1, MODEL, ALICE)
    assert mined is not None
    assert (mined.weight, mined.ml_nodes[0].weight_source) == (20, reasons.REASON_MINED)


def test_explain_slot_says_whether_a_node_serves_again_and_by_which_numbers() -> None:
    on, off = a_chain(switched_on()), a_chain()
    for chain in (on, off):
        chain.run_to(S)

    told = {}
    for label, chain, name in (("on", on, "alice"), ("low", on, "bob"), ("off", off, "alice")):
        (found,) = uptime.explain_slot(chain.context(), 1, key_of(name).address)
        told[label] = [step for step in found.steps if step.rule == "validation"]

    assert told["off"] == []
    assert [step.reason for step in told["on"]] == [reasons.REASON_SERVES_VALIDATION]
    assert [step.reason for step in told["low"]] == [reasons.REASON_LOW_MEMORY]
    assert told["on"][0].text == (
        f"its memory is {ENOUGH} MiB, the model needs {MODEL_MIB} and the PoC {POC_MIB} beside it: "
        f"it serves again from {END + 1} to {V - 1}"
    )


# what it must not touch


def decisions(chain: Chain) -> dict[str, Any]:
    """Draws, groups, settlement and validators, without what the nodes declare of their memory."""
    ctx = chain.context()
    groups = []
    for model in ("", "X", "Y"):
        group = epochs.group(ctx, worked.EPOCH + 1, model)
        assert group is not None
        groups.append(group.SerializeToString(deterministic=True))
        for member in epochs.members(ctx, worked.EPOCH + 1, model):
            for node in member.ml_nodes:
                node.memory_mib = 0
            groups.append(member.SerializeToString(deterministic=True))
    settled = chain.query(
        rewards_pb2.QuerySettleAmountsRequest(epoch_index=worked.EPOCH),
        rewards_pb2.QuerySettleAmountsResponse,
    )
    draws = worked.allocations(chain)
    return {
        "draws": {model: draws[model].SerializeToString(deterministic=True) for model in sorted(draws)},
        "groups": groups,
        "settled": settled.SerializeToString(deterministic=True),
        "updates": chain.updates,
    }


def worked_epoch(monkeypatch: pytest.MonkeyPatch, memory_mib: int, *, on: bool) -> Chain:
    """The protocol's worked epoch with declared memory on all nodes, past its switch."""
    plain = worked.members

    def remembered(model: str) -> list[epochs_pb2.ValidationWeight]:
        found = plain(model)
        for member in found:
            for node in member.ml_nodes:
                node.memory_mib = memory_mib
        return found

    def change(params: dict[str, Any]) -> None:
        if on:
            params["uptime"] |= {"serve_during_validation": True, "poc_v_ram": str(POC_MIB)}

    with monkeypatch.context() as patch:
        patch.setattr(worked, "members", remembered)
        chain = worked.imported(change=change)
    worked.poc(chain)
    chain.run_to(worked.V + 5)
    return chain


def test_off_it_leaves_every_byte_and_on_it_leaves_draw_preservation_weights_and_pay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = worked.imported()
    worked.poc(plain)
    plain.run_to(worked.V + 5)

    off = worked_epoch(monkeypatch, 0, on=False)
    declared = worked_epoch(monkeypatch, ENOUGH, on=False)
    on = worked_epoch(monkeypatch, ENOUGH, on=True)

    assert off.app.store.app_hash == plain.app.store.app_hash
    assert decisions(declared) == decisions(plain)
    assert decisions(on) == decisions(plain)
    assert on.app.store.app_hash != plain.app.store.app_hash  # the params differ, and so do the snapshots
