"""The modules in their order, and the genesis state: read, written, exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from abci_app import formation
from abci_app.kernel.context import Context
from abci_app.kernel.store import Overlay
from abci_app.modules import (
    auth,
    authz,
    bank,
    collateral,
    epochs,
    feegrant,
    gov,
    guardians,
    hardware,
    inference,
    maintenance,
    models,
    poc,
    rewards,
    upgrade,
    uptime,
)
from protocol.pool import POOL

if TYPE_CHECKING:
    from abci_app.kernel.module import Module

# Genesis runs in this order: a module may read those before it.
MODULES: tuple[Module, ...] = (
    upgrade.MODULE,
    auth.MODULE,
    bank.MODULE,
    authz.MODULE,
    feegrant.MODULE,
    models.MODULE,
    hardware.MODULE,
    guardians.MODULE,
    epochs.MODULE,
    maintenance.MODULE,
    collateral.MODULE,
    poc.MODULE,
    inference.MODULE,
    uptime.MODULE,
    rewards.MODULE,
    gov.MODULE,
)


class GenesisError(ValueError):
    """The genesis state cannot work; the text lists every reason."""


def parse_genesis(app_state: dict[str, Any]) -> dict[str, Any]:
    """Each module's genesis state from JSON; raises GenesisError that lists everything that is wrong."""
    known = {module.name: module for module in MODULES}
    errors = [f"{name}: no module of this name" for name in sorted(app_state) if name not in known]
    states: dict[str, Any] = {}
    for module in MODULES:
        state = module.genesis()
        try:
            json_format.ParseDict(app_state.get(module.name, {}), state, descriptor_pool=POOL)
        except json_format.ParseError as error:
            errors.append(f"{module.name}: {error}")
            continue
        states[module.name] = state
        errors += (f"{module.name}: {text}" for text in module.validate_genesis(state))
    errors += _switch_errors(states)
    if errors:
        raise GenesisError("the genesis state is refused:\n" + "\n".join(errors))
    return states


def _switch_errors(states: dict[str, Any]) -> list[str]:
    """What is on by half: a module that is off by default needs both its params and what it starts from."""
    if "epochs" not in states:
        return []
    params, errors = states["epochs"].params, []
    named = "guardians" in states and bool(states["guardians"].guardians)
    if named != params.HasField("guardians"):
        errors.append(
            "guardians: the genesis must name guardians and give params.guardians of epochs, or neither"
        )
    return errors


def load_genesis(ctx: Context, app_state: dict[str, Any]) -> None:
    """Writes the genesis state of all modules, in their order."""
    states = parse_genesis(app_state)
    for module in MODULES:
        module.init_genesis(ctx, states[module.name])
        if module is auth.MODULE:
            # From the first block on, so that nobody can send coins to them.
            auth.create_module_accounts(ctx, [name for each in MODULES for name in each.accounts])


def export_genesis(ctx: Context) -> dict[str, Any]:
    """The state as a genesis that builds it again; a formation under way is taken to its end for it."""
    if epochs.formation(ctx) is not None:
        ctx = Context(ctx.block, Overlay(ctx.kv))
        formation.finish(ctx)
    return {
        module.name: json_format.MessageToDict(
            module.export_genesis(ctx), preserving_proto_field_name=True, descriptor_pool=POOL
        )
        for module in MODULES
    }
