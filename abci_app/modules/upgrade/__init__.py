"""upgrade: at which height the software changes, and which changes have been."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import Module
from abci_app.modules.upgrade import handlers as _handlers  # noqa: F401 - registers
from abci_app.modules.upgrade import queries as _queries  # noqa: F401 - registers
from abci_app.modules.upgrade import state
from abci_app.modules.upgrade.rules import genesis_errors
from protocol.gen.evergrid.upgrade.v1 import upgrade_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.cosmos.upgrade.v1beta1.upgrade_pb2 import Plan

__all__ = ["MODULE", "applied", "is_applied", "mark_applied", "plan", "set_plan"]


def plan(ctx: Context) -> Plan | None:
    """The plan that waits for its height, or None."""
    return state.PLAN.get(ctx)


def set_plan(ctx: Context, found: Plan) -> None:
    """Writes the plan past all checks: for the rehearsal on a copy."""
    state.PLAN.set(ctx, found)


def mark_applied(ctx: Context, found: Plan) -> None:
    """The plan has run in this block."""
    state.APPLIED.set(ctx, found.name, ctx.height)
    state.PLAN.remove(ctx)
    ctx.emit("upgrade_applied", name=found.name, height=found.height)


def is_applied(ctx: Context, name: str) -> bool:
    """Whether code of this upgrade is in force: what a path gated by height asks."""
    return state.APPLIED.has(ctx, name)


def applied(ctx: Context) -> list[str]:
    """The names of the upgrades that have been, sorted."""
    return list(state.APPLIED.keys(ctx))


def _init_genesis(ctx: Context, genesis: upgrade_pb2.GenesisState) -> None:
    if genesis.HasField("plan"):
        state.PLAN.set(ctx, genesis.plan)
    for each in genesis.applied:
        state.APPLIED.set(ctx, each.name, each.height)


def _export_genesis(ctx: Context) -> upgrade_pb2.GenesisState:
    return upgrade_pb2.GenesisState(
        plan=state.PLAN.get(ctx),
        applied=[
            upgrade_pb2.AppliedUpgrade(name=name, height=height) for name, height in state.APPLIED.walk(ctx)
        ],
    )


MODULE = Module("upgrade", upgrade_pb2.GenesisState, _init_genesis, _export_genesis, genesis_errors)
