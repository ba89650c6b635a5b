"""The registry changes by passed proposals alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules.models.errors import CannotRetire, InvalidModel
from abci_app.modules.models.rules import FORMATIONS_LEFT, model_errors, retirement_errors
from abci_app.modules.models.state import MODELS, RETIRING
from protocol.address import AddressError, decode, module_account
from protocol.gen.evergrid.models.v1.models_pb2 import MsgRegisterModel, MsgRetireModel

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@handles(MsgRegisterModel)
def register_model(ctx: Context, msg: MsgRegisterModel) -> None:
    """Inserts a model or updates it; one that is being retired stays after all."""
    _check_authority(msg.authority)
    model = msg.model
    if not model.proposed_by:
        model.proposed_by = msg.authority
    errors = model_errors(model) + _proposer_errors(model.proposed_by)
    if errors:
        raise InvalidModel("; ".join(errors))

    updated = MODELS.has(ctx, model.id)
    RETIRING.remove(ctx, model.id)
    MODELS.set(ctx, model.id, model)
    ctx.emit("model_registered", model_id=model.id, proposed_by=model.proposed_by, updated=updated)


@handles(MsgRetireModel)
def retire_model(ctx: Context, msg: MsgRetireModel) -> None:
    """Takes a model out of the registry once the next formation has counted it."""
    _check_authority(msg.authority)
    registered, retiring = list(MODELS.keys(ctx)), list(RETIRING.keys(ctx))
    if errors := retirement_errors(msg.model_id, registered, retiring):
        raise CannotRetire("; ".join(errors))

    RETIRING.set(ctx, msg.model_id, FORMATIONS_LEFT)
    ctx.emit("model_retiring", model_id=msg.model_id, formations_left=FORMATIONS_LEFT)


def _check_authority(authority: str) -> None:
    expected = module_account("gov")
    if authority != expected:
        raise Unauthorized(f"invalid authority; expected {expected}, got {authority}")


def _proposer_errors(proposed_by: str) -> list[str]:
    try:
        decode(proposed_by)
    except AddressError as error:
        return [f"proposed_by: {error}"]
    return []
