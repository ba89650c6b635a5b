"""The modules and the versions of their state, as the queries about upgrades tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.genesis import MODULES
from abci_app.kernel.errors import not_found
from abci_app.kernel.module import answers
from protocol.gen.cosmos.upgrade.v1beta1 import query_pb2 as pb
from protocol.gen.cosmos.upgrade.v1beta1 import upgrade_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

# No upgrade has changed how a module keeps its state.
LAYOUT_VERSION: Final = 1


@answers(pb.QueryModuleVersionsRequest)
def module_versions(_ctx: Context, request: pb.QueryModuleVersionsRequest) -> pb.QueryModuleVersionsResponse:
    """The version of one module, or of all by their names; raises QueryError for one that is not there."""
    names = sorted(module.name for module in MODULES)
    if request.module_name:
        if request.module_name not in names:
            raise not_found(f"x/upgrade: QueryModuleVersions module {request.module_name[:100]} not found")
        names = [request.module_name]
    return pb.QueryModuleVersionsResponse(
        module_versions=[upgrade_pb2.ModuleVersion(name=name, version=LAYOUT_VERSION) for name in names]
    )
