"""What this software knows to do at planned heights, and the halt before a height that it does not know.

A change of consensus rules ships as a function here, under the plan's name, for what it has to change in the
state, and as code paths that ask `upgrade.is_applied`. Software that has both executes the blocks on either
side of the height, so a node may be updated at any time before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.context import Context

# By the plan's name: changes the state in the first block of the new rules, before its transactions.
HANDLERS: dict[str, Callable[[Context], None]] = {}


class UpgradeNeededError(Exception):
    """This software must not execute the next block; the text says which upgrade is needed."""


def run_due(ctx: Context) -> None:
    """Applies the plan whose height this is; raises UpgradeNeededError where this software lacks it."""
    plan = upgrade.plan(ctx)
    if plan is None or ctx.height < plan.height:
        return
    handler = HANDLERS.get(plan.name)
    if handler is None:
        told = f" ({plan.info})" if plan.info else ""
        raise UpgradeNeededError(
            f"upgrade {plan.name!r} is due at height {plan.height} and this software does not have it: "
            f"nothing of this height was executed; start software that has it on the same home{told}"
        )
    handler(ctx)
    upgrade.mark_applied(ctx, plan)


def check_known(ctx: Context) -> None:
    """Raises UpgradeNeededError where the state has been through an upgrade that this software lacks."""
    unknown = [name for name in upgrade.applied(ctx) if name not in HANDLERS]
    if unknown:
        raise UpgradeNeededError(
            f"the state has been through upgrades that this software does not have: {', '.join(unknown)}; "
            "start software that has them"
        )
