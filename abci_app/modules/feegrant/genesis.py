"""Allowances in the genesis state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth
from abci_app.modules.feegrant import rules, state
from abci_app.modules.feegrant.allowances import opened, set_grant
from protocol.gen.cosmos.feegrant.v1beta1 import genesis_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def validate_genesis(genesis: genesis_pb2.GenesisState) -> list[str]:
    """All that is wrong with the allowances of a genesis."""
    return rules.genesis_errors(genesis.allowances)


def init_genesis(ctx: Context, genesis: genesis_pb2.GenesisState) -> None:
    """Writes the allowances, periods as they stand; grantees without an account get one."""
    for grant in genesis.allowances:
        auth.ensure_account(ctx, grant.grantee)
        set_grant(ctx, grant.granter, grant.grantee, opened(grant))


def export_genesis(ctx: Context) -> genesis_pb2.GenesisState:
    """The allowances by grantee and granter."""
    return genesis_pb2.GenesisState(allowances=list(state.ALLOWANCES.values(ctx)))
