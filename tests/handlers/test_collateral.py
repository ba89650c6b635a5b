"""Collateral through blocks: deposits, withdrawals by epochs, slashes, weight; and a chain without it."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.invariants import broken
from abci_app.kernel.errors import QueryError
from abci_app.kernel.store import MemoryStore
from abci_app.modules import bank, collateral, epochs
from abci_app.modules.epochs.profiles import default_params
from protocol import address
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.collateral.v1 import collateral_pb2 as pb
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT
from protocol.gen.evergrid.explain.v1 import explain_pb2
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MsgAnnounceMaintenance
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from tests.chain import (
    DENOM,
    FUNDS,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
    validator_key_of,
)
from tests.handlers.test_inference import start
from tests.simulation.driver import genesis_chain
from tests.stages.test_epoch import LENGTH, MODEL, E, S, T, V, batch, group_of, honest, weights_of

ALICE, BOB = key_of("alice").address, key_of("bob").address
ACCOUNT = address.module_account(collateral.ACCOUNT)


def a_chain(weight: int = 10, others: tuple[str, ...] = (), **changes: Any) -> Chain:
    """alice and bob, one node each; weight needs 2 nevg a unit from epoch 1 on, a fifth of it none."""
    owners = [GenesisParticipant(name, weight, (GenesisNode("gpu", (MODEL,)),)) for name in ("alice", "bob")]
    owners += [GenesisParticipant(name) for name in others]
    params = default_params("local")
    own = params.collateral
    own.unbonding_epochs, own.slash_invalid_bps, own.slash_downtime_bps = 1, 2_000, 1_000
    own.min_availability_bps, own.collateral_per_weight, own.base_weight_bps = 8_000, 2, 2_000
    own.release_per_block = 5
    for name, value in changes.items():
        setattr(own, name, value)
    params.rewards.min_inferences_measured = 1
    chain = Chain(app_state(owners, [a_model()], params, funded=["client"]))
    chain.run_to(1)
    return chain


def deposit(name: str, amount: int, denom: str = DENOM) -> pb.MsgDepositCollateral:
    return pb.MsgDepositCollateral(creator=key_of(name).address, amount=Coin(denom=denom, amount=str(amount)))


def withdraw(name: str, amount: int) -> pb.MsgWithdrawCollateral:
    return pb.MsgWithdrawCollateral(
        creator=key_of(name).address, amount=Coin(denom=DENOM, amount=str(amount))
    )


def held(chain: Chain, name: str = "alice") -> tuple[int, dict[int, int]]:
    """The deposit, and by epoch of release what was withdrawn; the invariants hold."""
    assert broken(chain.context()) == []
    request = pb.QueryCollateralRequest(participant=key_of(name).address)
    found = chain.query(request, pb.QueryCollateralResponse)
    unbonding = {each.epoch_release: int(each.amount) for each in found.unbondings}
    return int(found.deposit.amount), unbonding


def slashes(chain: Chain) -> list[tuple[str, int, reasons.Reason, int, int]]:
    found = chain.query(pb.QuerySlashesRequest(), pb.QuerySlashesResponse).slashes
    names = {ALICE: "alice", BOB: "bob"}
    return [
        (names[s.participant], s.epoch_index, s.reason, int(s.from_deposit), int(s.from_unbonding))
        for s in found
    ]


def next_epoch(chain: Chain, weight: int = 30) -> None:
    """One PoC to its switch: who is preserved serves, the other mines; who is INVALID does neither."""
    first = epochs.state(chain.context()).height_next_poc
    chain.run_to(first)
    ctx = chain.context()
    kept = {
        member.member_address
        for member in epochs.members(ctx, epochs.state(ctx).epoch_effective, MODEL)
        if any(node.timeslot_allocation[POC_SLOT] for node in member.ml_nodes)
    }
    standing = [name for name in ("alice", "bob") if key_of(name).address in epochs.voting_powers(ctx)]
    mining = [name for name in standing if key_of(name).address not in kept]
    for name in mining:
        chain.must(name, batch(name, first, weight))
    chain.run_to(first + T - S)
    for judge in standing:
        if judged := [name for name in mining if name != judge or len(standing) == 1]:
            chain.must(judge, honest(judge, first, *judged))
    chain.run_to(first + V - S)
    assert epochs.state(chain.context()).height_effective == chain.height


def test_a_withdrawal_is_paid_back_from_the_switch_behind_whole_epochs_on() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 700))
    chain.must("alice", deposit("alice", 300))

    chain.must("alice", withdraw("alice", 400))
    chain.must("alice", withdraw("alice", 100))
    locked = (held(chain), chain.balance("alice"), chain.balance(ACCOUNT))
    next_epoch(chain)
    chain.block()
    still = held(chain)
    next_epoch(chain)
    rewards_before = chain.balance("alice")
    chain.block()

    assert locked == ((500, {2: 500}), FUNDS - 1_000, 1_000)
    assert still == (500, {2: 500})
    assert held(chain) == (500, {})
    assert chain.balance(ACCOUNT) == 500
    assert chain.balance("alice") == rewards_before + 500


def test_what_is_due_is_paid_in_the_order_of_the_queue_so_many_a_block() -> None:
    chain = a_chain(release_per_block=1)
    for name in ("alice", "bob"):
        chain.must(name, deposit(name, 10))
        chain.must(name, withdraw(name, 10))
    next_epoch(chain)
    next_epoch(chain)

    left = []
    for _ in range(5):
        left.append(chain.balance(ACCOUNT))
        chain.block()

    # Two blocks look at one each, a third finds that there is nobody else; then one is paid a block.
    assert left == [20, 20, 20, 10, 0]


def test_withdrawals_are_paid_back_however_many_have_to_be_looked_at_for_downtime() -> None:
    # Given more holders than an epoch has blocks, one of them looked at in each
    others = tuple(f"holder{i}" for i in range(LENGTH + 5))
    chain = a_chain(others=others, release_per_block=1)
    chain.block(*(chain.sign(name, deposit(name, 1)) for name in others))
    chain.must("alice", deposit("alice", 500))
    chain.must("alice", withdraw("alice", 500))

    # When epochs pass
    for _ in range(4):
        next_epoch(chain)

    # Then it does not wait for an end of the looking that never comes
    assert held(chain) == (0, {})


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (deposit("alice", 0), "amount of nevg is not positive"),
        (deposit("alice", 5, "gold"), "collateral is paid in nevg, not in gold"),
        (deposit("alice", FUNDS + 1), "spendable balance"),
        (withdraw("alice", 101), "101nevg is more than the deposit of 100"),
        (withdraw("alice", 0), "amount of nevg is not positive"),
        (pb.MsgDepositCollateral(creator=ALICE), "invalid denom"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason_and_changes_nothing(message: Any, why: str) -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 100))

    result = chain.deliver("alice", message)

    assert result.code != 0
    assert why in result.log
    assert held(chain) == (100, {})


def test_only_participants_deposit() -> None:
    chain = a_chain()

    result = chain.deliver("client", deposit("client", 5))

    assert (result.codespace, result.code) == ("collateral", 2)
    assert "unknown_participant" in result.log
    assert chain.balance(ACCOUNT) == 0


def test_who_becomes_invalid_loses_a_fraction_of_deposit_and_withdrawals_once_and_it_is_burned() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 1_000))
    chain.must("alice", withdraw("alice", 401))
    supply = bank.supply(chain.context(), DENOM)

    chain.block(misbehaving=[validator_key_of("alice")])
    chain.block(misbehaving=[validator_key_of("alice")])

    assert held(chain) == (599 - 119, {2: 401 - 80})
    assert slashes(chain) == [("alice", 0, reasons.REASON_MISBEHAVIOUR, 119, 80)]
    assert bank.supply(chain.context(), DENOM) == supply - 199


def miss(chain: Chain) -> None:
    """Four requests to alice that she never answers: of one creator one counts, so 7500 are left of 10000."""
    for number in range(4):
        chain.must("client", start(inference_id=f"missed-{number}"))


def test_downtime_of_a_proved_epoch_is_charged_at_its_end_also_on_what_is_unbonding() -> None:
    chain = a_chain()
    next_epoch(chain)
    chain.must("alice", deposit("alice", 1_000))
    chain.must("bob", deposit("bob", 1_000))
    chain.must("alice", withdraw("alice", 400))
    miss(chain)
    before = held(chain)

    next_epoch(chain)

    assert before == (600, {3: 400})
    assert held(chain) == (540, {3: 360})
    assert held(chain, "bob") == (1_000, {})
    assert slashes(chain) == [("alice", 1, reasons.REASON_MISSED_INFERENCES, 60, 40)]


@pytest.mark.parametrize(("announced", "left"), [(True, 1_000), (False, 900)])
def test_announced_maintenance_excuses_from_the_slash_as_from_every_penalty(
    announced: bool, left: int
) -> None:
    chain = a_chain()
    chain.state = export_genesis(chain.context())
    chain.state["maintenance"] = {"credits": [{"participant": ALICE, "blocks": "30"}]}
    chain = Chain(chain.state, MemoryStore(STORES), initial_height=2)
    next_epoch(chain)
    chain.must("alice", deposit("alice", 1_000))
    if announced:
        # V + 1 to S - 2 of the next PoC are blocks 26 to 38, and the notice is 8.
        chain.must("alice", MsgAnnounceMaintenance(creator=ALICE, height_from=35, height_to=38))
    chain.run_to(34)
    miss(chain)
    assert chain.height == 38

    next_epoch(chain)

    assert held(chain) == (left, {})


def test_who_is_invalid_is_not_charged_for_downtime_as_well() -> None:
    chain = a_chain()
    next_epoch(chain)
    chain.must("alice", deposit("alice", 1_000))
    miss(chain)
    chain.block(misbehaving=[validator_key_of("alice")])

    next_epoch(chain)

    assert [slash[2] for slash in slashes(chain)] == [reasons.REASON_MISBEHAVIOUR]


def test_weight_is_what_collateral_covers_while_nodes_keep_what_they_proved() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 20))

    next_epoch(chain)

    # alice: 6 of 30 need none, 10 are paid for. bob has no collateral.
    assert weights_of(chain, 1) == {"alice": 16, "bob": 6}
    assert weights_of(chain, 1, MODEL) == {"alice": 16, "bob": 6}
    members = group_of(chain, 1, MODEL).validation_weights
    assert [[node.poc_weight for node in member.ml_nodes] for member in members] == [[30], [30]]
    group = epochs.group(chain.context(), 1)
    assert group is not None
    assert (group.total_weight, group.total_voting_power) == (22, sum(epochs.power_cap([16, 6], 2_500)))
    assert broken(chain.context()) == []


@pytest.mark.parametrize(("height", "weight"), [(E, 16), (E + 1, 6)])
def test_the_deposit_is_read_behind_the_transactions_of_the_block_that_forms_the_group(
    height: int, weight: int
) -> None:
    chain = a_chain()
    mined_and_judged(chain)
    chain.run_to(height - 1)

    chain.must("alice", deposit("alice", 20))

    chain.run_to(V)
    assert weights_of(chain, 1) == {"alice": weight, "bob": 6}


@pytest.mark.parametrize(("height", "weight"), [(E, 6), (E + 1, 16)])
def test_what_is_being_withdrawn_covers_nothing(height: int, weight: int) -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 20))
    mined_and_judged(chain)
    chain.run_to(height - 1)

    chain.must("alice", withdraw("alice", 20))

    chain.run_to(V)
    assert weights_of(chain, 1) == {"alice": weight, "bob": 6}


def mined_and_judged(chain: Chain) -> None:
    """The first PoC up to its verdicts."""
    chain.run_to(S)
    for name in ("alice", "bob"):
        chain.must(name, batch(name, S, 30))
    chain.run_to(T)
    chain.must("alice", honest("alice", S, "bob"))
    chain.must("bob", honest("bob", S, "alice"))


def test_a_preserved_node_is_not_cut_twice() -> None:
    chain = a_chain()

    next_epoch(chain)
    next_epoch(chain)

    assert weights_of(chain, 1) == weights_of(chain, 2) == {"alice": 6, "bob": 6}


def test_the_cut_is_explained_with_its_numbers() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 20))
    next_epoch(chain)

    weight = chain.query(
        explain_pb2.QueryExplainWeightRequest(epoch_index=1, participant=ALICE),
        explain_pb2.QueryExplainResponse,
    ).explanations[0]
    validator = chain.query(
        explain_pb2.QueryExplainValidatorRequest(epoch_index=1, participant=ALICE),
        explain_pb2.QueryExplainResponse,
    ).explanations[0]

    step = next(each for each in weight.steps if each.rule == "collateral")
    assert step.reason == reasons.REASON_COLLATERAL_SHORT
    assert {each.name: each.value for each in step.figures} == {
        "proved_weight": "30",
        "base": "6",
        "deposit": "20",
        "collateral_per_weight": "2",
        "covered": "10",
        "weight": "16",
    }
    assert weight.results == weight.results_stored
    assert list(validator.reasons) == [reasons.REASON_COLLATERAL_SHORT] == list(validator.reasons_stored)
    assert "sums to 30; its collateral leaves 16" in " ".join(each.text for each in validator.steps)


@pytest.mark.parametrize("changes", [{"grace_end_epoch": 1}, {"collateral_per_weight": 0}])
def test_weight_needs_nothing_in_the_grace_or_without_a_price(changes: dict[str, Any]) -> None:
    chain = a_chain(**changes)

    next_epoch(chain)

    assert weights_of(chain, 1) == {"alice": 30, "bob": 30}
    weights = chain.query(pb.QueryWeightsRequest(epoch_index=1), pb.QueryWeightsResponse).weights
    assert list(weights) == []


def test_an_export_between_the_chunks_of_a_charge_builds_it_again_and_goes_on_alike() -> None:
    chain = a_chain(release_per_block=1)
    next_epoch(chain)
    for name in ("alice", "bob"):
        chain.must(name, deposit(name, 1_000))
        chain.must(name, withdraw(name, 300))
    miss(chain)
    next_epoch(chain)
    exported = export_genesis(chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=chain.height + 1)

    assert exported["collateral"]["downtime_due"]
    assert export_genesis(imported.context()) == exported
    for each in (chain, imported):
        next_epoch(each)
        each.run_to(each.height + 5)
    assert export_genesis(imported.context()) == export_genesis(chain.context())
    assert held(chain)[1] == {}


def test_slashes_and_weights_are_forgotten_with_their_epoch() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 1_000))
    chain.block(misbehaving=[validator_key_of("alice")])
    next_epoch(chain)

    before = (len(slashes(chain)), export_genesis(chain.context())["collateral"].get("weights", []))
    for _ in range(8):
        next_epoch(chain)

    after = export_genesis(chain.context())["collateral"]
    oldest = epochs.oldest_retained(chain.context())
    assert before[0] == 1
    assert before[1]
    assert oldest > 1
    assert after.get("slashes", []) == []
    assert all(int(each["epoch_index"]) >= oldest for each in after.get("weights", []))


def test_a_genesis_whose_coins_are_not_there_or_that_is_off_and_holds_some_is_refused() -> None:
    chain = a_chain()
    chain.must("alice", deposit("alice", 10))
    short, off = export_genesis(chain.context()), export_genesis(chain.context())
    short["collateral"]["deposits"][0]["amount"] = "11"
    del off["epochs"]["params"]["collateral"]

    with pytest.raises(ValueError, match="the account collateral holds 10 and owes 11"):
        Chain(short, initial_height=9)
    with pytest.raises(ValueError, match=r"without params\.collateral of epochs there is none"):
        Chain(off, initial_height=9)


def test_a_chain_without_them_has_the_app_hash_of_one_that_never_knew_the_two_modules() -> None:
    known = genesis_chain()
    never = Chain(
        known.state, MemoryStore(tuple(name for name in STORES if name not in {"collateral", "guardians"}))
    )

    refused = [chain.deliver("ann", deposit("ann", 5)) for chain in (known, never)]
    for chain in (known, never):
        chain.run_to(S + LENGTH + 5)

    assert [result.log for result in refused] == [refused[0].log] * 2
    assert "its genesis did not turn it on" in refused[0].log
    assert known.store.app_hash == never.store.app_hash


def test_a_query_for_what_is_no_address_says_so_instead_of_nothing_deposited() -> None:
    request = pb.QueryCollateralRequest(participant="evergrid1xxx")

    with pytest.raises(QueryError, match="participant must be an address: decoding bech32 failed"):
        a_chain().query(request, pb.QueryCollateralResponse)
