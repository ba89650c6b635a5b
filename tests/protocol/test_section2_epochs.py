"""Sentences of the protocol's section 2: records, stages, start values, extension."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app import block_ends
from abci_app.modules import bank, epochs
from abci_app.modules.epochs.profiles import default_params
from abci_app.node.genesis import make_app_state
from client.keys import hd_path
from protocol import address
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import DENOM, Chain, key_of, validator_key_of
from tests.protocol.rounds import LENGTH, E, S, V, mine_and_judge, nonces_of, owners
from tests.stages.test_epoch import batch, honest, two_owners

PROTOCOL = Path(__file__).parent.parent.parent / "docs" / "protocol.md"
ROW = re.compile(r"^\| ([a-z_ /]+) \| ([\d/ ]+) \| ([\d/ ]+) \| ([\d/ ]+) \|$", re.MULTILINE)
PROFILES = ("local", "testnet", "mainnet")
FIELDS = {
    "first_poc_height": "epoch",
    "retention_epochs": "epoch",
    "slot_grace": "inference",
    "expiration": "inference",
    "validation_window": "inference",
    "settle_per_block": "rewards",
}


def test_stages_see_what_the_transactions_of_their_block_did() -> None:
    """Stages run after the transactions of their block: verdicts in block E count at E."""
    chain = two_owners()
    chain.run_to(S)
    chain.block(chain.sign("alice", batch("alice", S, 30)), chain.sign("bob", batch("bob", S, 20)))
    chain.run_to(E - 1)

    chain.block(chain.sign("alice", honest("alice", S, "bob")), chain.sign("bob", honest("bob", S, "alice")))
    chain.run_to(V)

    assert chain.height == V
    assert epochs.state(chain.context()).epoch_effective == 1


def test_s_follows_from_the_record_before() -> None:
    """S(N+1) = S(N) + epoch_length of record N; S(1) = first_poc_height."""
    chain = two_owners()
    mine_and_judge(chain, S, {"alice": 300, "bob": 200})
    chain.run_to(S + LENGTH)

    first, second = (epochs.record(chain.context(), index) for index in (1, 2))

    assert first is not None
    assert second is not None
    assert (first.height_start, first.params.epoch.first_poc_height) == (S, S)
    assert second.height_start == first.height_start + first.params.epoch.epoch_length == S + LENGTH
    assert epochs.state(chain.context()).height_next_poc == S + 2 * LENGTH


def test_the_end_of_a_block_runs_its_parts_in_order() -> None:
    """Inferences that expire or become final; stages; matured proposals; the next rewards; pruning."""
    chain = two_owners()
    chain.run_to(S - 2)
    ctx = chain.context()
    ctx.block = replace(ctx.block, height=S - 1)
    seen: list[str] = []

    def around(step: str) -> AbstractContextManager[object]:
        seen.append(step)
        return nullcontext()

    block_ends.end_block(ctx, around)

    parts = ("close_inferences", "assign_poc_slots", "end_proposals", "pay_settlements", "prune")
    assert [step for step in seen if step in parts] == list(parts)


def test_the_profiles_have_the_values_of_the_table() -> None:
    """Every number in the table of start values is that of its profile."""
    rows = [match.groups() for match in ROW.finditer(PROTOCOL.read_text("utf-8"))]

    assert len(rows) >= 7
    for names, *cells in rows:
        if not all("_" in name or name == "expiration" for name in names.split(" / ")):
            continue
        for profile, cell in zip(PROFILES, cells, strict=True):
            params = default_params(profile)
            fields = names.split(" / ")
            found = [getattr(getattr(params, FIELDS.get(field, "epoch")), field) for field in fields]
            assert found == [int(number) for number in cell.split(" / ")], (names, profile)


@pytest.mark.parametrize(
    ("profile", "voting_period", "gas_price_micro"),
    [("local", "10s", "0"), ("testnet", "600s", "1000"), ("mainnet", "172800s", "1000")],
)
def test_the_other_start_values_are_those_of_all_profiles(
    profile: str, voting_period: str, gas_price_micro: str
) -> None:
    """Other start values of all profiles: denom, prefix, coin type, emission, prices, limits, governance."""
    state = make_app_state(profile)
    params = default_params(profile)

    assert state["auth"]["fees"] == {"denom": "nevg", "minimum_gas_price_micro": gas_price_micro}
    assert (address.PREFIX, hd_path()) == ("evergrid", "m/44'/118'/0'/0/0")
    assert (params.rewards.initial_epoch_reward, params.rewards.reward_supply_cap) == (
        323_000 * 10**9,
        68 * 10**16,
    )
    assert params.rewards.decay_per_trillion == 474_887_205
    assert (params.inference.unit_price, params.epoch.free_messages_per_epoch) == (100, 100_000)
    assert (params.poc.max_nonces_per_batch, params.poc.max_nonces_per_node) == (100_000, 10**7)
    assert (params.poc.inline_batches, params.poc.committed_batches) == (True, False)
    assert (params.poc.validation_slots, params.poc.acceptance_bps) == (0, 10_000)
    gov = state["gov"]["params"]
    assert [gov[name][:5] for name in ("quorum", "threshold", "veto_threshold")] == [
        "0.334",
        "0.500",
        "0.334",
    ]
    assert (gov["min_deposit"], gov["voting_period"]) == (
        [{"denom": "nevg", "amount": "10000000"}],
        voting_period,
    )


def test_retained_power_leaves_out_who_is_invalid() -> None:
    """INVALID members count on neither side of the retained power."""
    chain = owners("alice", "bob", "carol")
    chain.run_to(2)
    chain.block(misbehaving=[validator_key_of("carol")])

    mine_and_judge(chain, S, {"alice": 30, "bob": 20})

    chain.run_to(V)
    record = epochs.record(chain.context(), 1)
    assert record is not None
    assert (record.effective_power, record.retained_power) == (20, 20)


def test_an_extended_epoch_is_settled_once_and_brings_one_reward() -> None:
    """An epoch is settled once, when it ends: an extension earns fees, no second reward."""
    chain = two_owners()
    mine_and_judge(chain, S, {"alice": 300, "bob": 200})
    chain.run_to(V)
    before = bank.supply(chain.context(), DENOM)

    chain.run_to(S + 2 * LENGTH)
    extended = epochs.state(chain.context()).extensions
    while_extended = bank.supply(chain.context(), DENOM)
    mine_and_judge(chain, S + 2 * LENGTH, nonces_of(chain, 1, {"alice": 300, "bob": 200}), "alice", "bob")
    chain.run_to(V + 2 * LENGTH)

    assert extended == 1
    assert while_extended == before
    assert epochs.state(chain.context()).epoch_effective == 2
    assert bank.supply(chain.context(), DENOM) == before + 323_000 * 10**9
    settled = chain.query(
        rewards_pb2.QuerySettleAmountsRequest(epoch_index=1), rewards_pb2.QuerySettleAmountsResponse
    )
    assert settled.settlement.height == V + 2 * LENGTH
    assert {each.participant for each in settled.amounts} == {key_of(n).address for n in ("alice", "bob")}


def test_misbehaviour_acts_before_the_transactions_of_its_block() -> None:
    """Misbehaviour that CometBFT reports acts before the transactions."""
    chain = owners("alice", "bob", "carol")
    chain.run_to(S)

    results = chain.block(
        chain.sign("bob", batch("bob", S, 20)),
        chain.sign("carol", batch("carol", S, 20)),
        misbehaving=[validator_key_of("bob")],
    )

    assert [result.code == 0 for result in results] == [False, True]
    assert "participant_invalid" in results[0].log


def test_a_stage_whose_height_is_past_runs_in_the_first_block_there_is() -> None:
    """A stage runs in the first block at or past its height whose flag is unset, in table order."""
    state = two_owners().state
    chain = Chain(state, initial_height=S + 6)

    chain.block()
    first = [kind for kind, _ in chain.events if kind.startswith("poc_")]
    chain.block()

    assert first == ["poc_slots_allocated", "poc_started", "poc_ended"]
    assert [kind for kind, _ in chain.events if kind.startswith("poc_")] == []
