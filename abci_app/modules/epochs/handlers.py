"""Params change by passed proposals alone, and all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules.epochs.errors import InvalidParams
from abci_app.modules.epochs.rules import params_errors
from abci_app.modules.epochs.state import PARAMS
from protocol.address import module_account
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import MsgUpdateParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

# Their params are there if, and only if, the genesis turned them on.
OPTIONAL = ("guardians", "collateral")


@handles(MsgUpdateParams)
def update_params(ctx: Context, msg: MsgUpdateParams) -> None:
    """Replaces the params; the next record copies them, the running epoch keeps its own."""
    expected = module_account("gov")
    if msg.authority != expected:
        raise Unauthorized(f"invalid authority; expected {expected}, got {msg.authority}")
    if errors := [*params_errors(msg.params), *_switched(PARAMS.require(ctx), msg.params)]:
        raise InvalidParams("; ".join(errors))

    PARAMS.set(ctx, msg.params)
    ctx.emit("params_updated", module="epochs")


def _switched(before: Params, after: Params) -> Iterator[str]:
    for name in OPTIONAL:
        if before.HasField(name) != after.HasField(name):
            wanted = "set" if before.HasField(name) else "left out"
            yield f"{name} must be {wanted}: only a genesis turns it on"
