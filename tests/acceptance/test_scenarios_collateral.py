"""Scenarios of collateral through blocks, where the genesis turns it on; README.md has the list."""

from __future__ import annotations

import pytest

from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.collateral.v1 import collateral_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISSED_INFERENCES
from tests.acceptance.network import (
    PRICE,
    X,
    a_network,
    a_start,
    amounts,
    an_epoch,
    epoch_of,
    local_params,
    nodes,
    powers,
    supply,
    together,
    weights,
)
from tests.chain import DENOM, FUNDS, Chain, key_of

EXPIRATION = 8


def with_collateral(weight_price: int = 0, grace_end_epoch: int = 0) -> Chain:
    """A fifth of weight is free; 20 % for who is INVALID, 10 % for who misses more than 5 %."""
    params = local_params()
    params.collateral.unbonding_epochs = 1
    params.collateral.slash_invalid_bps = 2_000
    params.collateral.slash_downtime_bps = 1_000
    params.collateral.min_availability_bps = 9_500
    params.collateral.collateral_per_weight = weight_price
    params.collateral.base_weight_bps = 2_000
    params.collateral.grace_end_epoch = grace_end_epoch
    params.collateral.release_per_block = 100
    return a_network(params=params)


def a_coin(amount: int) -> Coin:
    return Coin(denom=DENOM, amount=str(amount))


def deposit(chain: Chain, name: str, amount: int) -> None:
    chain.must(name, pb.MsgDepositCollateral(creator=key_of(name).address, amount=a_coin(amount)))


def withdraw(chain: Chain, name: str, amount: int) -> None:
    chain.must(name, pb.MsgWithdrawCollateral(creator=key_of(name).address, amount=a_coin(amount)))


def held(chain: Chain, name: str) -> tuple[str, list[tuple[int, str]]]:
    """The deposit, and what is being paid back by the epoch of its release."""
    request = pb.QueryCollateralRequest(participant=key_of(name).address)
    found = chain.query(request, pb.QueryCollateralResponse)
    return found.deposit.amount, [(each.epoch_release, each.amount) for each in found.unbondings]


def test_a_deposit_is_withdrawn_over_whole_epochs() -> None:
    """Deposit and withdraw. Ours counts whole epochs behind the one of the withdrawal: with a period of one,
    what is withdrawn in epoch 0 comes back with the switch to epoch 2.
    """
    chain = with_collateral()
    deposit(chain, "alice", 1_000)
    paid = chain.balance("alice")
    over = chain.deliver(
        "alice", pb.MsgWithdrawCollateral(creator=key_of("alice").address, amount=a_coin(1_001))
    )

    withdraw(chain, "alice", 400)
    after = (chain.balance("alice"), held(chain, "alice"))
    an_epoch(chain)
    chain.block()
    waits = held(chain, "alice")
    before = chain.balance("alice")
    an_epoch(chain)
    for _ in range(2):  # what is due is paid behind the slashes of the epoch that ended
        chain.block()

    assert paid == FUNDS - 1_000
    assert "more than the deposit of 1000" in over.log
    assert after == (FUNDS - 1_000, ("600", [(2, "400")]))
    assert waits == after[1]
    assert held(chain, "alice") == ("600", [])
    earned = amounts(chain, 1)["alice"].total
    assert chain.balance("alice") - before == earned + 400


def test_downtime_costs_a_tenth_of_what_is_deposited_and_of_what_is_being_paid_back() -> None:
    """Slashed for downtime: 600 active and 400 unbonding lose 10 % each. Ours burns it behind the switch, and
    of all misses one requester alone accounts for a quarter at most: 2 of the 10 here.
    """
    chain = with_collateral()
    an_epoch(chain)
    deposit(chain, "alice", 1_000)
    deposit(chain, "bob", 1_000)
    withdraw(chain, "alice", 400)
    together(chain, *(("client", a_start(f"missed-{i}", "alice")) for i in range(10)))
    chain.run_to(chain.height + EXPIRATION)
    total = supply(chain)

    an_epoch(chain)
    for _ in range(2):
        chain.block()

    found = amounts(chain, 1)
    minted = 323_000 * 10**9 + sum(each.bonus for each in found.values())
    slashes = chain.query(pb.QuerySlashesRequest(), pb.QuerySlashesResponse).slashes
    assert found["alice"].availability_bps == 8_000
    assert held(chain, "alice") == ("540", [(3, "360")])
    assert held(chain, "bob") == ("1000", [])
    assert [(s.participant, s.epoch_index, s.reason, s.from_deposit, s.from_unbonding) for s in slashes] == [
        (key_of("alice").address, 1, REASON_MISSED_INFERENCES, "60", "40")
    ]
    assert supply(chain) == total + minted - 100
    assert chain.balance("client") == FUNDS


@pytest.mark.parametrize(
    ("grace_end_epoch", "deposited", "weight"),
    [(1, 0, 100), (0, 0, 20), (0, 400, 60), (0, 800, 100), (0, 5_000, 100)],
)
def test_weight_beyond_its_free_fifth_needs_collateral_behind_the_grace(
    grace_end_epoch: int, deposited: int, weight: int
) -> None:
    """Collateral in its grace, none, partial, full, and more than that: at 10 a unit of 100 proved.

    Ours leaves each node what it proved, and cuts the member's weight.
    """
    chain = with_collateral(weight_price=10, grace_end_epoch=grace_end_epoch)
    for name in ("bob", "carol"):
        deposit(chain, name, 1_000)
    if deposited:
        deposit(chain, "alice", deposited)

    an_epoch(chain, dict.fromkeys(((name, "gpu") for name in ("alice", "bob", "carol")), 100))

    assert epoch_of(chain) == 1
    assert weights(chain) == weights(chain, X) == {"alice": weight, "bob": 100, "carol": 100}
    assert {node.poc_weight for node in nodes(chain).values()} == {100}
    assert powers(chain)["alice"] == weight


def test_without_collateral_in_the_genesis_its_messages_are_refused() -> None:
    """Ours is off unless the genesis turns it on."""
    chain = a_network()

    result = chain.deliver(
        "alice", pb.MsgDepositCollateral(creator=key_of("alice").address, amount=a_coin(PRICE))
    )

    assert (result.codespace, result.code > 0) == ("collateral", True)
    assert chain.balance("alice") == FUNDS
