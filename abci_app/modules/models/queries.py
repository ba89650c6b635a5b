"""What anyone may ask of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.models.registry import get_governance_model
from abci_app.modules.models.state import MODELS, RETIRING
from protocol.gen.evergrid.models.v1 import models_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryGovernanceModelsRequest)
def governance_models(
    ctx: Context, request: pb.QueryGovernanceModelsRequest
) -> pb.QueryGovernanceModelsResponse:
    """GetGovernanceModels, by id."""
    models, pagination = page(MODELS.walk(ctx), request.pagination)
    return pb.QueryGovernanceModelsResponse(models=models, pagination=pagination)


@answers(pb.QueryGovernanceModelRequest)
def governance_model(
    ctx: Context, request: pb.QueryGovernanceModelRequest
) -> pb.QueryGovernanceModelResponse:
    """GetGovernanceModel, with what is left of its time where it is being retired."""
    if not request.model_id:
        raise invalid_argument("model_id is empty")
    model = get_governance_model(ctx, request.model_id)
    if model is None:
        raise not_found(f"model {request.model_id} is not in the registry")
    formations_left = RETIRING.get(ctx, request.model_id)
    return pb.QueryGovernanceModelResponse(
        model=model, retiring=formations_left is not None, formations_left=formations_left or 0
    )
