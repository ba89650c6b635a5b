"""Governance plans an upgrade, or takes the plan back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidRequest, NotFound, Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules.upgrade import state
from abci_app.modules.upgrade.rules import plan_errors
from protocol.address import module_account
from protocol.gen.cosmos.upgrade.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def _check_authority(authority: str) -> None:
    expected = module_account("gov")
    if authority != expected:
        raise Unauthorized(f"invalid authority; expected {expected}, got {authority[:100]}")


@handles(tx_pb2.MsgSoftwareUpgrade)
def software_upgrade(ctx: Context, msg: tx_pb2.MsgSoftwareUpgrade) -> None:
    """Nodes whose software lacks the upgrade stop before its height; a new plan replaces a former one."""
    _check_authority(msg.authority)
    has_been = bool(msg.plan.name) and "\0" not in msg.plan.name and state.APPLIED.has(ctx, msg.plan.name)
    if errors := plan_errors(msg.plan, ctx.height, has_been):
        raise InvalidRequest("; ".join(errors))

    state.PLAN.set(ctx, msg.plan)
    ctx.emit("upgrade_planned", name=msg.plan.name, height=msg.plan.height, info=msg.plan.info)


@handles(tx_pb2.MsgCancelUpgrade)
def cancel_upgrade(ctx: Context, msg: tx_pb2.MsgCancelUpgrade) -> None:
    """Takes the plan back."""
    _check_authority(msg.authority)
    plan = state.PLAN.get(ctx)
    if plan is None:
        raise NotFound("no upgrade is planned")

    state.PLAN.remove(ctx)
    ctx.emit("upgrade_cancelled", name=plan.name, height=plan.height)
