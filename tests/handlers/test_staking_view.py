"""Validators as the staking queries show them: power, no bonded coins."""

from __future__ import annotations

import pytest

from abci_app.kernel.errors import QueryError
from abci_app.node.rest_routes import as_json
from abci_app.staking import operator_of
from protocol.gen.cosmos.crypto.ed25519.keys_pb2 import PubKey
from protocol.gen.cosmos.staking.v1beta1 import query_pb2 as pb
from protocol.gen.cosmos.staking.v1beta1.staking_pb2 import BOND_STATUS_BONDED
from tests.chain import DENOM, Chain, GenesisParticipant, app_state, key_of, validator_key_of


@pytest.fixture
def chain() -> Chain:
    participants = [GenesisParticipant("alice", 30), GenesisParticipant("bob", 30)]
    chain = Chain(app_state(participants, funded=("carol",)))
    chain.block()
    return chain


def test_validators_have_their_voting_power_as_tokens(chain: Chain) -> None:
    answer = chain.query(pb.QueryValidatorsRequest(), pb.QueryValidatorsResponse)

    shown = {each.operator_address: each for each in answer.validators}
    alice = shown[operator_of(key_of("alice").address)]
    assert sorted(int(each.tokens) for each in answer.validators) == [30, 30]
    assert (alice.status, alice.tokens, alice.delegator_shares) == (BOND_STATUS_BONDED, "30", f"30{'0' * 18}")
    assert PubKey.FromString(alice.consensus_pubkey.value).key == validator_key_of("alice")
    pool = chain.query(pb.QueryPoolRequest(), pb.QueryPoolResponse).pool
    assert (pool.bonded_tokens, pool.not_bonded_tokens) == ("60", "0")


def test_of_a_status_that_nobody_has_there_is_none_and_an_unknown_one_is_refused(chain: Chain) -> None:
    request = pb.QueryValidatorsRequest(status="BOND_STATUS_UNBONDING")

    assert not chain.query(request, pb.QueryValidatorsResponse).validators
    with pytest.raises(QueryError, match="invalid validator status"):
        chain.query(pb.QueryValidatorsRequest(status="AWAKE"), pb.QueryValidatorsResponse)


def test_who_has_no_power_is_no_validator(chain: Chain) -> None:
    request = pb.QueryValidatorRequest(validator_addr=operator_of(key_of("carol").address))

    with pytest.raises(QueryError, match="not found") as caught:
        chain.query(request, pb.QueryValidatorResponse)

    assert caught.value.status == "NotFound"


def test_nobody_has_delegated(chain: Chain) -> None:
    alice = key_of("alice").address
    request = pb.QueryDelegatorDelegationsRequest(delegator_addr=alice)

    assert not chain.query(request, pb.QueryDelegatorDelegationsResponse).delegation_responses
    with pytest.raises(QueryError, match=f"delegation with delegator {alice} not found"):
        chain.query(
            pb.QueryDelegationRequest(delegator_addr=alice, validator_addr=operator_of(alice)),
            pb.QueryDelegationResponse,
        )


def test_rest_writes_decimals_with_their_point(chain: Chain) -> None:
    answer = chain.query(pb.QueryValidatorsRequest(), pb.QueryValidatorsResponse)

    text = as_json(answer).decode()

    assert f'"delegator_shares":"30.{"0" * 18}"' in text
    assert f'"max_rate":"0.{"0" * 18}"' in text
    assert chain.query(pb.QueryParamsRequest(), pb.QueryParamsResponse).params.bond_denom == DENOM
