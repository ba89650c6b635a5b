"""What wallets and explorers read about a chain, against the rules that the registry publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from abci_app.node.genesis import make_app_state, make_genesis
from cli.main import cli
from client import chain_registry as registry

RPC, REST, GRPC = "https://rpc.example", "https://api.example", "grpc.example:443"
ENDPOINTS = registry.Endpoints((RPC,), (REST,), (GRPC,))
TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "number"}
ADDRESSES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["address"],
        "properties": {"address": TEXT, "provider": TEXT},
        "additionalProperties": False,
    },
}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


# The rules of the registry's two schemas for the fields that are written here, and no field beside them.
CHAIN = closed(
    ["chain_name", "chain_type"],
    **{"$schema": {"type": "string", "pattern": r"^(\.\./)+chain\.schema\.json$"}},
    chain_name={"type": "string", "pattern": "^[a-z0-9]+$"},
    chain_type={"enum": ["cosmos"]},
    chain_id=TEXT,
    pretty_name=TEXT,
    status={"enum": ["live", "upcoming", "killed"]},
    network_type={"enum": ["mainnet", "testnet", "devnet"]},
    bech32_prefix=TEXT,
    daemon_name=TEXT,
    node_home=TEXT,
    key_algos={"type": "array", "items": {"enum": ["secp256k1"]}},
    slip44=NUMBER,
    fees=closed(
        ["fee_tokens"],
        fee_tokens={
            "type": "array",
            "items": closed(
                ["denom"],
                denom=TEXT,
                fixed_min_gas_price=NUMBER,
                low_gas_price=NUMBER,
                average_gas_price=NUMBER,
                high_gas_price=NUMBER,
            ),
        },
    ),
    staking=closed(
        ["staking_tokens"], staking_tokens={"type": "array", "items": closed(["denom"], denom=TEXT)}
    ),
    codebase=closed(
        [],
        recommended_version=TEXT,
        language=closed(["type"], type={"enum": ["go", "rust", "solidity", "other"]}),
        consensus=closed(
            ["type"],
            type={"enum": ["tendermint", "cometbft", "sei-tendermint"]},
            version={"type": "string", "pattern": r"^v?\d+(\.\d+){0,2}$"},
        ),
    ),
    apis=closed([], rpc=ADDRESSES, rest=ADDRESSES, grpc=ADDRESSES),
)
ASSETS = closed(
    ["chain_name", "assets"],
    **{"$schema": {"type": "string", "pattern": r"^(\.\./)+assetlist\.schema\.json$"}},
    chain_name=TEXT,
    assets={
        "type": "array",
        "minItems": 1,
        "items": closed(
            ["denom_units", "base", "display", "name", "symbol"],
            description=TEXT,
            denom_units={
                "type": "array",
                "items": closed(["denom", "exponent"], denom=TEXT, exponent={"type": "integer"}),
            },
            type_asset={"enum": ["sdk.coin"]},
            base=TEXT,
            name={"type": "string", "maxLength": 30},
            display=TEXT,
            symbol=TEXT,
        ),
    },
)


@pytest.fixture
def genesis() -> dict[str, Any]:
    state = make_app_state("local")
    state["auth"]["fees"]["minimum_gas_price_micro"] = "2500"
    return make_genesis("evergrid-7", "local", state, [(b"v" * 32, 1)])


@pytest.mark.parametrize("network_type", registry.NETWORK_TYPES)
def test_both_files_follow_the_rules_of_the_registry(genesis: dict[str, Any], network_type: str) -> None:
    facts = registry.facts_of(genesis)

    chain = registry.chain_json(facts, ENDPOINTS, network_type=network_type, provider="us", version="1.0")
    assets = registry.assetlist_json(facts, network_type=network_type)

    assert [error.message for error in Draft7Validator(CHAIN).iter_errors(chain)] == []
    assert [error.message for error in Draft7Validator(ASSETS).iter_errors(assets)] == []
    assert chain["chain_name"] == assets["chain_name"] == "evergrid"


def test_prices_are_those_of_the_genesis(genesis: dict[str, Any]) -> None:
    chain = registry.chain_json(registry.facts_of(genesis), ENDPOINTS, network_type="testnet")

    assert chain["fees"]["fee_tokens"] == [
        {
            "denom": "nevg",
            "fixed_min_gas_price": 0.0025,
            "low_gas_price": 0.0025,
            "average_gas_price": 0.005,
            "high_gas_price": 0.01,
        }
    ]


def test_the_asset_has_units_whose_display_one_wallets_show(genesis: dict[str, Any]) -> None:
    asset = registry.assetlist_json(registry.facts_of(genesis), network_type="testnet")["assets"][0]

    assert asset["base"] in {unit["denom"] for unit in asset["denom_units"]}
    assert {unit["denom"]: unit["exponent"] for unit in asset["denom_units"]}[asset["display"]] == 9


def test_keplr_gets_prefixes_currencies_and_addresses(genesis: dict[str, Any]) -> None:
    record = registry.keplr_json(registry.facts_of(genesis), ENDPOINTS)

    assert (record["chainId"], record["rpc"], record["rest"]) == ("evergrid-7", RPC, REST)
    assert record["bip44"] == {"coinType": 118}
    assert record["bech32Config"]["bech32PrefixValAddr"] == "evergridvaloper"
    currency = {"coinDenom": "EVG", "coinMinimalDenom": "nevg", "coinDecimals": 9}
    assert record["currencies"] == [currency] == [record["stakeCurrency"]]
    steps = record["feeCurrencies"][0]["gasPriceStep"]
    assert steps == {"low": 0.0025, "average": 0.005, "high": 0.01}


def test_what_keplr_would_refuse_is_named_at_once(genesis: dict[str, Any]) -> None:
    genesis["chain_id"] = "evergrid"

    with pytest.raises(registry.RegistryError) as caught:
        registry.keplr_json(registry.facts_of(genesis), registry.Endpoints())

    assert "chain id such as evergrid-1" in str(caught.value)
    assert "an address of rpc; Keplr needs an address of rest" in str(caught.value)


def test_a_genesis_without_what_is_needed_is_refused_with_all_that_is_missing() -> None:
    with pytest.raises(registry.RegistryError) as caught:
        registry.facts_of({})

    assert str(caught.value) == (
        "chain_id is missing; app_state.auth.fees.denom is missing; "
        "app_state.bank.denom_metadata has no entry of base ''"
    )


def test_the_command_writes_the_three_files(genesis: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps(genesis))
    words = ["chain-registry", "--genesis", str(file), "--rpc", RPC, "--rest", REST, "--out", str(tmp_path)]

    done = CliRunner().invoke(cli, [*words, "--output", "json"])

    assert done.exit_code == 0, done.output
    made = [Path(name).name for name in json.loads(done.output)["files"]]
    assert made == ["chain.json", "assetlist.json", "keplr.json"]
    assert json.loads((tmp_path / "chain.json").read_text())["apis"]["rpc"] == [{"address": RPC}]
    assert json.loads((tmp_path / "keplr.json").read_text())["chainId"] == "evergrid-7"
