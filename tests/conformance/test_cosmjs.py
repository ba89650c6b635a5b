"""The unmodified @cosmjs/stargate, over CometBFT's RPC alone, against a real node: one test a check."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abci_app.node.genesis import GenesisParticipant, make_app_state, make_genesis
from abci_app.node.home import Ports, init_home, write_genesis
from protocol import address
from tests.chain import FUNDS, GOV, a_model, as_json, key_of
from tests.conformance.cosmjs_checks import Outcome, cosmjs_or_skip, names_of, run_script
from tests.node.chain_process import CHAIN_ID, ROOT, NodeProcess, running

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]

NAMES = ("alice", "bob", "carol", "dora")
POWER = 10
VOTING_PERIOD = "4s"
CHECKS = names_of("checks.mjs")


def a_home(home: Path) -> Any:
    """A chain whose validator is alice's, with a short voting period and a price of gas."""
    info = init_home(home, CHAIN_ID, ports=Ports.free(), timeout_commit="200ms")
    operator = GenesisParticipant(key_of("alice").public, info.validator_key, POWER)
    balances = {key_of(name).address: FUNDS for name in NAMES}
    state = make_app_state("local", balances=balances, participants=[operator], models=[a_model("model/x")])
    state["auth"]["fees"]["minimum_gas_price_micro"] = "1000"
    state["gov"]["params"] |= {"voting_period": VOTING_PERIOD, "expedited_voting_period": "2s"}
    write_genesis(home, make_genesis(CHAIN_ID, "local", state, [(info.validator_key, POWER)]))
    return info


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    cosmjs_or_skip()
    with running(a_home(tmp_path_factory.mktemp("cosmjs") / "home")) as started:
        yield started


def config_of(node: NodeProcess) -> dict[str, Any]:
    return {
        "rpc": f"http://127.0.0.1:{node.info.ports.rpc}",
        "chainId": CHAIN_ID,
        "protoRoot": str(ROOT / "proto"),
        "keys": {name: key_of(name).private.hex() for name in (*NAMES, "stranger")},
        "funds": FUNDS,
        "power": POWER,
        "deposit": 10_000_000,
        "operator": address.encode(address.decode(key_of("alice").address), address.VALOPER_PREFIX),
        "registerModel": {"authority": GOV, "model": as_json(a_model("model/new"))},
    }


@pytest.fixture(scope="module")
def outcomes(node: NodeProcess) -> dict[str, Outcome]:
    return run_script("checks.mjs", config_of(node))


@pytest.mark.parametrize("check", CHECKS)
def test_cosmjs(check: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[check].ok, outcomes[check].error
