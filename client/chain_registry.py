"""What wallets and explorers read about a chain: the files of the chain registry, and Keplr's record.

The shapes are those of the registry's chain.json and assetlist.json, and Keplr's `experimentalSuggestChain`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from client.keys import COIN_TYPE
from protocol import address

CONSENSUS_VERSION = "0.38.26"
# Wallets offer three prices: the least that validators ask, and twice and four times as much.
PRICE_FACTORS = {"low": 1, "average": 2, "high": 4}
NETWORK_TYPES = ("mainnet", "testnet", "devnet")
# Keplr tells forks of a chain apart by the number at the end of its id.
_VERSIONED = re.compile(r"(.+)-([1-9][0-9]*)", re.ASCII)


class RegistryError(ValueError):
    """A genesis or an address that wallets could not use; the text names all that is wrong."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses under which a chain is reached from outside, each as a URL; empty: none."""

    rpc: Sequence[str] = ()
    rest: Sequence[str] = ()
    grpc: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What of a genesis the files need."""

    chain_id: str
    denom: str
    price: Fraction
    metadata: Mapping[str, Any]

    @property
    def chain_name(self) -> str:
        """The registry's name of the chain: the id without its version, letters and digits alone."""
        found = _VERSIONED.fullmatch(self.chain_id)
        return re.sub(r"[^a-z0-9]", "", (found[1] if found else self.chain_id).lower())


def facts_of(genesis: Mapping[str, Any]) -> ChainFacts:
    """The facts of a genesis document; raises RegistryError."""
    wrong: list[str] = []
    state = genesis.get("app_state") or {}
    fees = (state.get("auth") or {}).get("fees") or {}
    denom = str(fees.get("denom") or "")
    chain_id = str(genesis.get("chain_id") or "")
    entries = (state.get("bank") or {}).get("denom_metadata") or []
    metadata = next((entry for entry in entries if entry.get("base") == denom), None)
    if not chain_id:
        wrong.append("chain_id is missing")
    if not denom:
        wrong.append("app_state.auth.fees.denom is missing")
    if metadata is None:
        wrong.append(f"app_state.bank.denom_metadata has no entry of base {denom!r}")
    if wrong:
        raise RegistryError("; ".join(wrong))
    assert metadata is not None
    price = Fraction(int(fees.get("minimum_gas_price_micro") or 0), 10**6)
    return ChainFacts(chain_id, denom, price, metadata)


def chain_json(
    facts: ChainFacts, endpoints: Endpoints, *, network_type: str, provider: str = "", version: str = ""
) -> dict[str, Any]:
    """The registry's chain.json."""
    codebase: dict[str, Any] = {
        "language": {"type": "other"},
        "consensus": {"type": "cometbft", "version": CONSENSUS_VERSION},
    }
    if version:
        codebase = {"recommended_version": version, **codebase}
    named = {"provider": provider} if provider else {}
    apis = {
        kind: [{"address": each, **named} for each in getattr(endpoints, kind)]
        for kind in ("rpc", "rest", "grpc")
        if getattr(endpoints, kind)
    }
    return {
        "$schema": "../chain.schema.json" if network_type == "mainnet" else "../../chain.schema.json",
        "chain_name": facts.chain_name,
        "chain_type": "cosmos",
        "chain_id": facts.chain_id,
        "pretty_name": facts.metadata.get("name") or facts.chain_name,
        "status": "live",
        "network_type": network_type,
        "bech32_prefix": address.PREFIX,
        "daemon_name": "evergrid",
        "node_home": "$HOME/.evergrid",
        "key_algos": ["secp256k1"],
        "slip44": COIN_TYPE,
        "fees": {
            "fee_tokens": [
                {"denom": facts.denom, "fixed_min_gas_price": _number(facts.price)}
                | {f"{name}_gas_price": _number(facts.price * by) for name, by in PRICE_FACTORS.items()}
            ]
        },
        "staking": {"staking_tokens": [{"denom": facts.denom}]},
        "codebase": codebase,
        **({"apis": apis} if apis else {}),
    }


def assetlist_json(facts: ChainFacts, *, network_type: str) -> dict[str, Any]:
    """The registry's assetlist.json."""
    asset = {
        "description": facts.metadata.get("description", ""),
        "denom_units": _units(facts),
        "type_asset": "sdk.coin",
        **{name: facts.metadata[name] for name in ("base", "name", "display", "symbol")},
    }
    depth = "../" if network_type == "mainnet" else "../../"
    return {
        "$schema": f"{depth}assetlist.schema.json",
        "chain_name": facts.chain_name,
        "assets": [{name: value for name, value in asset.items() if value != ""}],
    }


def keplr_json(facts: ChainFacts, endpoints: Endpoints) -> dict[str, Any]:
    """The record of `experimentalSuggestChain`; raises RegistryError where Keplr would refuse it."""
    wrong = []
    if not _VERSIONED.fullmatch(facts.chain_id):
        wrong.append(f"Keplr wants a chain id such as {facts.chain_name or 'name'}-1, not {facts.chain_id!r}")
    wrong += [f"Keplr needs an address of {kind}" for kind in ("rpc", "rest") if not getattr(endpoints, kind)]
    if wrong:
        raise RegistryError("; ".join(wrong))
    display = facts.metadata["display"]
    exponents = {unit["denom"]: int(unit.get("exponent") or 0) for unit in facts.metadata["denom_units"]}
    currency = {
        "coinDenom": facts.metadata["symbol"],
        "coinMinimalDenom": facts.denom,
        "coinDecimals": exponents[display],
    }
    prefix = address.PREFIX
    return {
        "chainId": facts.chain_id,
        "chainName": facts.metadata.get("name") or facts.chain_name,
        "rpc": endpoints.rpc[0],
        "rest": endpoints.rest[0],
        "bip44": {"coinType": COIN_TYPE},
        "bech32Config": {
            "bech32PrefixAccAddr": prefix,
            "bech32PrefixAccPub": f"{prefix}pub",
            "bech32PrefixValAddr": address.VALOPER_PREFIX,
            "bech32PrefixValPub": f"{address.VALOPER_PREFIX}pub",
            "bech32PrefixConsAddr": address.VALCONS_PREFIX,
            "bech32PrefixConsPub": f"{address.VALCONS_PREFIX}pub",
        },
        "currencies": [currency],
        "feeCurrencies": [
            currency
            | {"gasPriceStep": {name: _number(facts.price * by) for name, by in PRICE_FACTORS.items()}}
        ],
        "stakeCurrency": currency,
        "features": [],
    }


def _units(facts: ChainFacts) -> list[dict[str, Any]]:
    units = []
    for unit in facts.metadata["denom_units"]:
        aliases = {"aliases": list(unit["aliases"])} if unit.get("aliases") else {}
        units.append({"denom": unit["denom"], "exponent": int(unit.get("exponent") or 0), **aliases})
    return units


def _number(value: Fraction) -> int | float:
    """As JSON writes it; prices are millionths, so a float shows them exactly."""
    return int(value) if value.denominator == 1 else float(value)
