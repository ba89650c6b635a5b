"""The genesis of bank, read and written; one is the inverse of the other."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from abci_app.modules import auth
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import amounts_of, coin, coins_of
from abci_app.modules.bank.fees import FEE_COLLECTOR
from protocol.gen.cosmos.bank.v1beta1 import bank_pb2, genesis_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

COMMUNITY_POOL = "community_pool"
PARAMS_DEFAULT = bank_pb2.Params(default_send_enabled=True)


def init_genesis(ctx: Context, genesis: genesis_pb2.GenesisState) -> None:
    """Writes balances and their sums; whoever has coins has an account."""
    state.PARAMS.set(ctx, genesis.params if genesis.HasField("params") else PARAMS_DEFAULT)
    auth.create_module_accounts(ctx, (FEE_COLLECTOR, COMMUNITY_POOL))
    sums: dict[str, int] = {}
    for entry in genesis.balances:
        auth.ensure_account(ctx, entry.address)
        for denom, amount in amounts_of(entry.coins).items():
            state.BALANCES.set(ctx, (entry.address, denom), amount)
            sums[denom] = sums.get(denom, 0) + amount
    for denom, amount in sorted(sums.items()):
        state.SUPPLY.set(ctx, denom, amount)
    for metadata in genesis.denom_metadata:
        state.METADATA.set(ctx, metadata.base, metadata)


def export_genesis(ctx: Context) -> genesis_pb2.GenesisState:
    """Balances by address, supply and metadata by denom."""
    balances = [
        genesis_pb2.Balance(address=address, coins=[coin(denom, amount) for (_, denom), amount in entries])
        for address, entries in groupby(state.BALANCES.walk(ctx), key=lambda entry: entry[0][0])
    ]
    return genesis_pb2.GenesisState(
        params=state.PARAMS.get(ctx),
        balances=balances,
        supply=coins_of(dict(state.SUPPLY.walk(ctx))),
        denom_metadata=list(state.METADATA.values(ctx)),
    )
