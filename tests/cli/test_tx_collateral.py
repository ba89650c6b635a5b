"""Collateral and guardians by the command line, of a chain that has both."""

from __future__ import annotations

import pytest

from abci_app.modules.epochs.profiles import default_params
from abci_app.node.gauges import state_gauges
from tests.chain import FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.cli.conftest import Command

ALICE, BOB = (key_of(name).address for name in ("alice", "bob"))
SIGN = ("--from", "alice", "-y", "-b", "block")


@pytest.fixture
def chain() -> Chain:
    owners = [
        GenesisParticipant(name, nodes=(GenesisNode("n1", ("model/x",), weight),))
        for name, weight in (("alice", 100), ("bob", 20))
    ]
    params = default_params("local")
    params.guardians.maturity_weight, params.guardians.multiplier_bps = 1_000, 9_999
    own = params.collateral
    own.unbonding_epochs, own.base_weight_bps, own.release_per_block = 2, 2_000, 10
    state = app_state(owners, [a_model()], params)
    state["guardians"] = {"guardians": [BOB]}
    chain = Chain(state)
    chain.run_to(2)
    return chain


def test_deposit_and_withdraw_are_sent_and_shown(online: Command, chain: Chain) -> None:
    deposited = online.json("tx", "collateral", "deposit", "500nevg", *SIGN)
    withdrawn = online.json("tx", "collateral", "withdraw", "200nevg", *SIGN)
    shown = online.json("query", "collateral", "collateral", ALICE)
    waiting = online.json("query", "collateral", "unbondings")

    assert (deposited["code"], withdrawn["code"]) == (0, 0)
    assert shown["deposit"]["amount"] == "300"
    assert [(each["epoch_release"], each["amount"]) for each in shown["unbondings"]] == [("3", "200")]
    assert waiting["unbondings"] == shown["unbondings"]
    assert chain.balance("alice") == FUNDS - 500
    gauges = {
        (sample.name, *sample.labels.values()): sample.value
        for family in state_gauges(chain.context(), 10)
        for sample in family.samples
    }
    assert gauges["evergrid_collateral_nevg", "deposited"] == 300
    assert gauges["evergrid_collateral_nevg", "unbonding"] == 200
    # Behind the cap alice has 40 and bob 20; 9999 of 10000 of 40 are 39.
    assert gauges["evergrid_guardian_extra_power",] == 19


def test_more_than_one_amount_is_refused(online: Command) -> None:
    refused = online("tx", "collateral", "deposit", "5nevg,7other", *SIGN)

    assert refused.exit_code != 0
    assert "AMOUNT must be one amount" in refused.output


def test_guardians_and_why_one_has_its_power_are_shown(online: Command) -> None:
    asked = online.json("query", "guardians", "guardians")
    decision = online.json("query", "guardians", "decision", "0")["decision"]
    told = online("explain", "validator", BOB, "--epoch", "0")

    assert asked["guardians"] == [BOB]
    assert asked["last"] == decision
    assert (decision["reason"], decision["extra_power"]) == ("REASON_GUARDIANS_RAISED", "19")
    assert "each gets 19 on top, in blocks alone" in told.output
    assert "not retained" in online.fails("query", "guardians", "decision", "7")


def test_announced_downtime_is_sent_and_refused_where_there_is_no_credit(online: Command) -> None:
    message = online.json(
        "tx", "maintenance", "announce", "20", "22", "--node-id", "n1", *SIGN, "--generate-only"
    )
    refused = online.fails("tx", "maintenance", "announce", "20", "22", *SIGN)

    assert message["body"]["messages"][0]["height_to"] == "22"
    assert message["body"]["messages"][0]["node_id"] == "n1"
    assert "3 blocks are more than the credit of 0" in refused
