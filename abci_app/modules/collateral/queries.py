"""Queries of collateral."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.collateral import keeper, state
from protocol.address import AddressError, decode
from protocol.gen.evergrid.collateral.v1 import collateral_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryDepositsRequest)
def query_deposits(ctx: Context, request: pb.QueryDepositsRequest) -> pb.QueryDepositsResponse:
    """Deposits by participant."""
    walk = (
        (who, pb.Deposit(participant=who, amount=str(amount))) for who, amount in state.DEPOSITS.walk(ctx)
    )
    found, pagination = page(walk, request.pagination)
    return pb.QueryDepositsResponse(deposits=found, pagination=pagination)


@answers(pb.QueryCollateralRequest)
def query_collateral(ctx: Context, request: pb.QueryCollateralRequest) -> pb.QueryCollateralResponse:
    """One participant's deposit and withdrawals."""
    who = request.participant
    try:
        decode(who)
    except AddressError as error:
        raise invalid_argument(f"participant must be an address: {error}") from error
    return pb.QueryCollateralResponse(
        deposit=pb.Deposit(participant=who, amount=str(keeper.deposit_of(ctx, who))),
        unbondings=(
            pb.Unbonding(participant=who, epoch_release=release, amount=str(amount))
            for release, amount in keeper.unbonding_of(ctx, who).items()
        ),
    )


@answers(pb.QueryUnbondingsRequest)
def query_unbondings(ctx: Context, request: pb.QueryUnbondingsRequest) -> pb.QueryUnbondingsResponse:
    """Withdrawals that are not paid back, in the order in which they will be."""
    queue = (
        (
            (release, who),
            pb.Unbonding(
                participant=who,
                epoch_release=release,
                amount=str(state.UNBONDING.require(ctx, (who, release))),
            ),
        )
        for release, who in state.QUEUE.walk(ctx)
    )
    found, pagination = page(queue, request.pagination)
    return pb.QueryUnbondingsResponse(unbondings=found, pagination=pagination)


@answers(pb.QuerySlashesRequest)
def query_slashes(ctx: Context, request: pb.QuerySlashesRequest) -> pb.QuerySlashesResponse:
    """What was slashed in retained epochs."""
    found, pagination = page(state.SLASHES.walk(ctx), request.pagination)
    return pb.QuerySlashesResponse(slashes=found, pagination=pagination)


@answers(pb.QueryWeightsRequest)
def query_weights(ctx: Context, request: pb.QueryWeightsRequest) -> pb.QueryWeightsResponse:
    """How collateral bounded the weights of an epoch, by participant."""
    found, pagination = page(state.WEIGHTS.walk(ctx, (request.epoch_index,)), request.pagination)
    return pb.QueryWeightsResponse(weights=found, pagination=pagination)
