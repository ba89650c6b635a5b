"""Messages of maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import handles
from abci_app.modules import hardware
from abci_app.modules.maintenance import rules, state, windows
from abci_app.modules.maintenance.errors import MaintenanceRefused
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow, MsgAnnounceMaintenance

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@handles(MsgAnnounceMaintenance)
def announce_maintenance(ctx: Context, msg: MsgAnnounceMaintenance) -> None:
    """Announces downtime of a node, or of all of them, and takes its blocks from the credit."""
    errors = []
    if hardware.get_participant(ctx, msg.creator) is None:
        errors.append(f"unknown_participant: {msg.creator} is no participant")
    elif msg.node_id and hardware.get_node(ctx, msg.creator, msg.node_id) is None:
        errors.append(f"unknown_node: {msg.creator} has no node {msg.node_id!r}")
    window = MaintenanceWindow(
        participant=msg.creator,
        node_id=msg.node_id,
        height_from=msg.height_from,
        height_to=msg.height_to,
        height_announced=ctx.height,
    )
    credit = state.CREDITS.get(ctx, msg.creator) or 0
    allowed = windows.open_heights(ctx)
    # What lies elsewhere is refused anyway, and heights below zero are no keys.
    inside = allowed.first <= msg.height_from <= msg.height_to <= allowed.last
    errors += rules.announcement_errors(
        window,
        rules.Standing(allowed, credit, tuple(windows.windows_from(ctx, msg.creator, ctx.height))),
        windows.model_loads(ctx, window) if inside else (),
        windows.params(ctx),
    )
    if errors:
        raise MaintenanceRefused("; ".join(errors))

    windows.keep(ctx, window)
    state.CREDITS.set(ctx, msg.creator, credit - (msg.height_to - msg.height_from + 1))
    ctx.emit(
        "maintenance_announced",
        participant=msg.creator,
        node_id=msg.node_id,
        height_from=msg.height_from,
        height_to=msg.height_to,
    )
