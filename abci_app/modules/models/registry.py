"""What other modules may ask of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.models.state import MODELS, RETIRING

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.models.v1.models_pb2 import Model


def get_governance_models(ctx: Context) -> list[Model]:
    """Every model of the registry, by id; those being retired count until they are gone."""
    return list(MODELS.values(ctx))


def get_governance_model(ctx: Context, model_id: str) -> Model | None:
    """One model, or None."""
    return MODELS.get(ctx, model_id) if _may_be_key(model_id) else None


def is_valid_governance_model(ctx: Context, model_id: str) -> bool:
    """The one check that all callers use: whether governance has registered the model."""
    return _may_be_key(model_id) and MODELS.has(ctx, model_id)


def models_for_formation(ctx: Context) -> list[Model]:
    """The models that the next formation counts, by id."""
    return get_governance_models(ctx)


def on_formation(ctx: Context) -> None:
    """Called once a formation stands: a model being retired has counted once more, or is gone."""
    for model_id, formations_left in list(RETIRING.walk(ctx)):
        if formations_left > 1:
            RETIRING.set(ctx, model_id, formations_left - 1)
            continue
        RETIRING.remove(ctx, model_id)
        MODELS.remove(ctx, model_id)
        ctx.emit("model_retired", model_id=model_id)


def _may_be_key(model_id: str) -> bool:
    return "\0" not in model_id
