"""The validators as the staking queries of wallets and explorers show them; nothing of it is stored.

Nobody bonds coins here: power comes from proof of compute. So `tokens` is voting power, the weight
of votes on proposals, there are no delegations, and whoever has no power is not in the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules import auth, epochs, hardware
from protocol import address as addresses
from protocol.gen.cosmos.crypto.ed25519 import keys_pb2
from protocol.gen.cosmos.staking.v1beta1 import query_pb2 as pb
from protocol.gen.cosmos.staking.v1beta1 import staking_pb2
from protocol.gen.google.protobuf import any_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context

BONDED: Final = staking_pb2.BOND_STATUS_BONDED
STATUSES: Final = frozenset({"", *staking_pb2.BondStatus.keys()})
# Decimals travel as integers of so many digits behind the point.
DECIMAL: Final = 10**18


def operator_of(address: str) -> str:
    """The address under which staking knows an account as a validator."""
    return addresses.encode(addresses.decode(address), addresses.VALOPER_PREFIX)


def _account(text: str, prefix: str = addresses.PREFIX) -> str:
    """The account behind an address of either kind; raises QueryError where it is none."""
    try:
        return addresses.encode(addresses.decode(text, prefix))
    except addresses.AddressError as error:
        raise invalid_argument(f"invalid address {text[:100]!r}: {error}") from error


def _validator(ctx: Context, address: str, power: int) -> staking_pb2.Validator:
    member = epochs.member(ctx, epochs.state(ctx).epoch_effective, "", address)
    participant = hardware.get_participant(ctx, address)
    assert member is not None, "who has power is a member"
    key = keys_pb2.PubKey(key=member.validator_key)
    packed = any_pb2.Any(type_url="/" + key.DESCRIPTOR.full_name, value=key.SerializeToString())
    name = participant.url if participant is not None and participant.url else address
    return staking_pb2.Validator(
        operator_address=operator_of(address),
        consensus_pubkey=packed,
        status=BONDED,
        tokens=str(power),
        delegator_shares=str(power * DECIMAL),
        description=staking_pb2.Description(moniker=name),
        commission=staking_pb2.Commission(
            commission_rates=staking_pb2.CommissionRates(rate="0", max_rate="0", max_change_rate="0")
        ),
        min_self_delegation="0",
    )


@answers(pb.QueryValidatorsRequest)
def validators(ctx: Context, request: pb.QueryValidatorsRequest) -> pb.QueryValidatorsResponse:
    """Those with voting power, by address; of any other status there is none."""
    if request.status not in STATUSES:
        raise invalid_argument(f"invalid validator status {request.status[:100]}")
    powers = epochs.voting_powers(ctx)
    if request.status not in {"", staking_pb2.BondStatus.Name(BONDED)}:
        powers = {}

    def entries() -> Iterator[tuple[str, staking_pb2.Validator]]:
        return ((address, _validator(ctx, address, power)) for address, power in powers.items())

    found, pagination = page(entries(), request.pagination)
    return pb.QueryValidatorsResponse(validators=found, pagination=pagination)


@answers(pb.QueryValidatorRequest)
def validator(ctx: Context, request: pb.QueryValidatorRequest) -> pb.QueryValidatorResponse:
    """One of them by its operator address."""
    address = _account(request.validator_addr, addresses.VALOPER_PREFIX)
    power = epochs.voting_power(ctx, address)
    if not power:
        raise not_found(f"validator {request.validator_addr} not found")
    return pb.QueryValidatorResponse(validator=_validator(ctx, address, power))


@answers(pb.QueryValidatorDelegationsRequest)
def validator_delegations(
    _ctx: Context, request: pb.QueryValidatorDelegationsRequest
) -> pb.QueryValidatorDelegationsResponse:
    """None: no coins are bonded."""
    _account(request.validator_addr, addresses.VALOPER_PREFIX)
    _, pagination = page((), request.pagination)
    return pb.QueryValidatorDelegationsResponse(pagination=pagination)


@answers(pb.QueryDelegationRequest)
def delegation(_ctx: Context, request: pb.QueryDelegationRequest) -> pb.QueryDelegationResponse:
    """Not found, in the words that clients know."""
    _account(request.delegator_addr)
    _account(request.validator_addr, addresses.VALOPER_PREFIX)
    who, whom = request.delegator_addr, request.validator_addr
    raise not_found(f"delegation with delegator {who} not found for validator {whom}")


@answers(pb.QueryDelegatorDelegationsRequest)
def delegator_delegations(
    _ctx: Context, request: pb.QueryDelegatorDelegationsRequest
) -> pb.QueryDelegatorDelegationsResponse:
    """None: no coins are bonded."""
    _account(request.delegator_addr)
    _, pagination = page((), request.pagination)
    return pb.QueryDelegatorDelegationsResponse(pagination=pagination)


@answers(pb.QueryDelegatorUnbondingDelegationsRequest)
def unbonding_delegations(
    _ctx: Context, request: pb.QueryDelegatorUnbondingDelegationsRequest
) -> pb.QueryDelegatorUnbondingDelegationsResponse:
    """None: no coins are bonded."""
    _account(request.delegator_addr)
    _, pagination = page((), request.pagination)
    return pb.QueryDelegatorUnbondingDelegationsResponse(pagination=pagination)


@answers(pb.QueryDelegatorValidatorsRequest)
def delegator_validators(
    _ctx: Context, request: pb.QueryDelegatorValidatorsRequest
) -> pb.QueryDelegatorValidatorsResponse:
    """None: no coins are bonded."""
    _account(request.delegator_addr)
    _, pagination = page((), request.pagination)
    return pb.QueryDelegatorValidatorsResponse(pagination=pagination)


@answers(pb.QueryPoolRequest)
def pool(ctx: Context, _request: pb.QueryPoolRequest) -> pb.QueryPoolResponse:
    """All voting power is bonded."""
    power = sum(epochs.voting_powers(ctx).values())
    return pb.QueryPoolResponse(pool=staking_pb2.Pool(not_bonded_tokens="0", bonded_tokens=str(power)))


@answers(pb.QueryParamsRequest)
def params(ctx: Context, _request: pb.QueryParamsRequest) -> pb.QueryParamsResponse:
    """The denomination; nothing takes time to unbond, and the set is as large as the group."""
    shown = staking_pb2.Params(
        max_validators=len(epochs.voting_powers(ctx)),
        bond_denom=auth.fee_params(ctx).denom,
        min_commission_rate="0",
    )
    shown.unbonding_time.SetInParent()
    return pb.QueryParamsResponse(params=shown)
