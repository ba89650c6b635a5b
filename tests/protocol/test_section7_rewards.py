"""Sentences of the protocol's section 7: what belongs to which epoch, who is paid when."""

from __future__ import annotations

from abci_app.modules import bank, inference
from abci_app.modules.epochs.profiles import default_params
from protocol import address
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import DENOM, FUNDS, Chain, as_json, key_of
from tests.handlers.test_inference import PRICE, finish, found, start
from tests.protocol.rounds import LENGTH, S, V, mine_and_judge, nonces_of, owners

POOL = address.module_account("community_pool")
COST = 30 * PRICE
WINDOW = 16


def settled(chain: Chain, epoch: int) -> rewards_pb2.QuerySettleAmountsResponse:
    request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch)
    return chain.query(request, rewards_pb2.QuerySettleAmountsResponse)


def answered_before_the_first_poc(*names: str) -> Chain:
    """alice answers in block S; that becomes final one block behind V."""
    params = default_params("local")
    params.inference.validation_window = WINDOW
    chain = owners(*names, params=params, node_weight=10)
    chain.run_to(S - 2)
    chain.must("client", start())
    chain.must("alice", finish())
    assert chain.height + WINDOW == V + 1
    return chain


def test_the_genesis_epoch_mints_nothing() -> None:
    """Epoch 0 has no reward."""
    chain = owners("alice", "bob")
    before = bank.supply(chain.context(), DENOM)

    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)

    assert settled(chain, 0).settlement.minted == 0
    assert bank.supply(chain.context(), DENOM) == before


def test_an_inference_belongs_to_the_epoch_in_which_it_becomes_final() -> None:
    """It belongs for pay and statistics to the epoch effective in the block in which it becomes final."""
    chain = answered_before_the_first_poc("alice", "bob")

    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)
    at_the_switch = found(chain).status
    chain.block()

    assert at_the_switch == inference_pb2.INFERENCE_STATUS_FINISHED
    assert (found(chain).epoch_index, found(chain).epoch_closed) == (0, 1)
    assert inference.statistics(chain.context(), 0) == []
    assert [(each.participant, each.accrued) for each in inference.statistics(chain.context(), 1)] == [
        (key_of("alice").address, COST)
    ]


def test_an_executor_that_is_no_member_any_more_is_paid() -> None:
    """It accrues there to its executor, member or not."""
    chain = answered_before_the_first_poc("alice", "bob", "carol", "dan")
    others = {"bob": 30, "carol": 30, "dan": 30}
    mine_and_judge(chain, S, others)
    chain.run_to(S + LENGTH)

    mine_and_judge(chain, S + LENGTH, nonces_of(chain, 1, others), *others)
    chain.run_to(V + LENGTH + 5)

    amounts = {each.participant: each for each in settled(chain, 1).amounts}
    alice = amounts[key_of("alice").address]
    assert (alice.weight, alice.base, alice.fees, alice.total) == (0, 0, COST, COST)
    assert chain.balance("alice") == FUNDS + COST


def unpaid(count: int) -> dict[str, object]:
    """The genesis of a chain that owes one nevg each to so many strangers."""
    names = [key_of(f"stranger {i}").address for i in range(count)]
    state = rewards_pb2.GenesisState(
        settlements=[rewards_pb2.EpochSettlement(epoch_index=0, participants=count)],
        amounts=[rewards_pb2.SettleAmount(epoch_index=0, participant=name, total=1) for name in names],
    )
    return as_json(state)


def test_rewards_are_paid_in_address_order_so_many_a_block() -> None:
    """It is paid in address order, settle_per_block a block, the rest at the next V at the latest."""
    params = default_params("local")
    params.rewards.settle_per_block = 2
    chain = owners("alice", "bob", params=params)
    count = 2 * V + 7
    genesis = dict(chain.state)
    held = {
        "address": address.module_account("inference"),
        "coins": [{"denom": DENOM, "amount": str(count)}],
    }
    genesis["bank"] = {"balances": [*genesis["bank"]["balances"], held]}
    chain = Chain(genesis | {"rewards": unpaid(count)})
    paid: list[list[str]] = []

    def look() -> None:
        paid.append([facts["participant"] for kind, facts in chain.events if kind == "reward_paid"])

    for _ in range(S):
        chain.block()
        look()
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V - 1)
    chain.block()
    look()

    expected = sorted(key_of(f"stranger {i}").address for i in range(count))
    assert paid[:S] == [expected[2 * i : 2 * i + 2] for i in range(S)]
    assert paid[-1] == expected[2 * (V - 1) :]


def test_fees_of_transactions_go_to_the_community_pool_at_a_settlement() -> None:
    """Transaction fees go to the community pool at each settlement."""
    chain = owners("alice", "bob")
    coins = [Coin(denom=DENOM, amount="5")]
    gift = MsgSend(from_address=key_of("client").address, to_address=key_of("bob").address, amount=coins)

    assert chain.deliver("client", gift, fee=1234).code == 0
    before = chain.balance(POOL)
    mine_and_judge(chain, S, {"alice": 30, "bob": 20})
    chain.run_to(V)

    assert (before, chain.balance(POOL)) == (0, 1234)
