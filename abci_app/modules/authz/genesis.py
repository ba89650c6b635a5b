"""Grants in the genesis state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import MESSAGES
from abci_app.modules import auth
from abci_app.modules.authz import rules, state
from abci_app.modules.authz.grants import set_grant
from protocol.gen.cosmos.authz.v1beta1 import genesis_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def validate_genesis(genesis: genesis_pb2.GenesisState) -> list[str]:
    """All that is wrong with the grants of a genesis."""
    return rules.genesis_errors(genesis.authorization, MESSAGES)


def init_genesis(ctx: Context, genesis: genesis_pb2.GenesisState) -> None:
    """Writes the grants; grantees without an account get one."""
    for entry in genesis.authorization:
        grant = rules.as_grant(entry)
        type_url = rules.granted_type(grant)
        assert type_url is not None, "the genesis was checked"
        auth.ensure_account(ctx, entry.grantee)
        set_grant(ctx, entry.granter, entry.grantee, type_url, grant)


def export_genesis(ctx: Context) -> genesis_pb2.GenesisState:
    """The grants by granter, grantee and type."""
    return genesis_pb2.GenesisState(
        authorization=[
            rules.as_entry(granter, grantee, grant) for (granter, grantee, _), grant in state.GRANTS.walk(ctx)
        ]
    )
