"""Queries of maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.maintenance import state, windows
from protocol.address import AddressError, decode
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryWindowsRequest)
def query_windows(ctx: Context, request: pb.QueryWindowsRequest) -> pb.QueryWindowsResponse:
    """Retained windows by participant, node and first height."""
    if "\0" in request.participant:
        raise invalid_argument("participant must be an address, or empty")
    prefix = (request.participant,) if request.participant else ()
    found, pagination = page(state.WINDOWS.walk(ctx, prefix), request.pagination)
    return pb.QueryWindowsResponse(windows=found, pagination=pagination)


@answers(pb.QueryCreditRequest)
def query_credit(ctx: Context, request: pb.QueryCreditRequest) -> pb.QueryCreditResponse:
    """What a participant may still announce, and where a window may lie now."""
    try:
        decode(request.participant)
    except AddressError as error:
        raise invalid_argument(f"participant must be an address: {error}") from error
    allowed = windows.open_heights(ctx)
    response = pb.QueryCreditResponse(
        credit=pb.Credit(
            participant=request.participant, blocks=state.CREDITS.get(ctx, request.participant) or 0
        )
    )
    if allowed.first <= allowed.last:
        response.height_first, response.height_last = allowed.first, allowed.last
    return response
