"""What is wrong with a message or a genesis state of bank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from abci_app.modules.bank.coins import AMOUNT_BOUND, ERRORS_MAX, Amounts, amounts_of, coin_errors, is_denom
from protocol import address as addresses
from protocol.gen.cosmos.bank.v1beta1 import bank_pb2, genesis_pb2, tx_pb2


def multi_send_errors(msg: tx_pb2.MsgMultiSend) -> list[str]:
    """All that is wrong with the addresses and coins of a transfer to many."""
    inputs = [(each.address, each.coins) for each in msg.inputs]
    outputs = [(each.address, each.coins) for each in msg.outputs]
    errors: list[str] = []
    for name, parts in (("input", inputs), ("output", outputs)):
        for index, (address, coins) in enumerate(parts):
            found = [*addresses.problems({name: address}), *coin_errors(coins)]
            if not coins:
                found.append("no coins")
            errors += (f"{name}s[{index}]: {text}" for text in found)
            if len(errors) >= ERRORS_MAX:
                return errors[:ERRORS_MAX]
    return errors


def disabled_denoms(params: bank_pb2.Params, denoms: Iterable[str]) -> list[str]:
    """The denominations that the params keep from being sent."""
    enabled = {entry.denom: entry.enabled for entry in params.send_enabled}
    return [denom for denom in denoms if not enabled.get(denom, params.default_send_enabled)]


def genesis_errors(genesis: genesis_pb2.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    errors: list[str] = []
    seen: set[str] = set()
    sums: dict[str, int] = {}
    for index, entry in enumerate(genesis.balances):
        found = [*addresses.problems({"account": entry.address}), *coin_errors(entry.coins)]
        if entry.address in seen:
            found.append(f"{entry.address} stands twice")
        seen.add(entry.address)
        errors += (f"balances[{index}]: {text}" for text in found)
        if not found:
            for denom, amount in amounts_of(entry.coins).items():
                sums[denom] = sums.get(denom, 0) + amount
    if not errors:
        errors += _supply_errors(genesis, sums)
    return errors + _metadata_errors(genesis.denom_metadata)


def _supply_errors(genesis: genesis_pb2.GenesisState, sums: Amounts) -> list[str]:
    errors = [f"supply: {text}" for text in coin_errors(genesis.supply)]
    errors += (f"the balances of {denom} pass 2^256" for denom in sorted(sums) if sums[denom] >= AMOUNT_BOUND)
    if not errors and genesis.supply and amounts_of(genesis.supply) != dict(sorted(sums.items())):
        errors.append("supply: it is not the sum of the balances")
    return errors


def _metadata_errors(metadata: Sequence[bank_pb2.Metadata]) -> list[str]:
    errors: list[str] = []
    seen: set[str] = set()
    for index, entry in enumerate(metadata):
        if not is_denom(entry.base):
            errors.append(f"denom_metadata[{index}]: invalid base denom: {entry.base!r}")
        if entry.base in seen:
            errors.append(f"denom_metadata[{index}]: {entry.base} stands twice")
        seen.add(entry.base)
    return errors
