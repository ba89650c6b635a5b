"""The registry in the genesis state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.models.rules import model_errors
from abci_app.modules.models.state import MODELS, RETIRING
from protocol.address import module_account
from protocol.gen.evergrid.models.v1.models_pb2 import GenesisState, RetiringModel

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def validate_genesis(state: GenesisState) -> list[str]:
    """All that is wrong with the models of a genesis."""
    errors: list[str] = []
    seen: list[str] = []
    for model in state.models:
        errors += (f"model {model.id}: {error}" for error in model_errors(model))
        if model.id in seen:
            errors.append(f"model {model.id} stands twice")
        seen.append(model.id)
    errors += (
        f"retiring model {retiring.model_id} is not in the registry"
        for retiring in state.retiring
        if retiring.model_id not in seen
    )
    return errors


def init_genesis(ctx: Context, state: GenesisState) -> None:
    """Models that name no proposer are governance's own."""
    for model in state.models:
        stored = type(model)()
        stored.CopyFrom(model)
        stored.proposed_by = model.proposed_by or module_account("gov")
        MODELS.set(ctx, model.id, stored)
    for retiring in state.retiring:
        RETIRING.set(ctx, retiring.model_id, retiring.formations_left)


def export_genesis(ctx: Context) -> GenesisState:
    """The registry, by id."""
    return GenesisState(
        models=MODELS.values(ctx),
        retiring=[
            RetiringModel(model_id=model_id, formations_left=left) for model_id, left in RETIRING.walk(ctx)
        ],
    )
