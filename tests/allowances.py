"""Allowances as tests grant them: alice pays for the warm key, which has no coins of its own."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from abci_app.kernel.context import Context
from abci_app.modules.feegrant import rules, state
from client.tx import pack
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2
from protocol.gen.cosmos.authz.v1beta1 import tx_pb2 as authz_tx
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, query_pb2, tx_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import DENOM, GENESIS_TIME_S, Chain, GenesisParticipant, a_model, app_state, key_of

ALICE, WARM, BOB = (key_of(name).address for name in ("alice", "warm", "bob"))
SEND = "/cosmos.bank.v1beta1.MsgSend"
EXEC = "/cosmos.authz.v1beta1.MsgExec"


def a_chain() -> Chain:
    """Alice and bob have coins."""
    return Chain(app_state([GenesisParticipant("alice", 10)], [a_model()], funded=["bob"]))


def coins(amount: int, denom: str = DENOM) -> list[Coin]:
    return [Coin(denom=denom, amount=str(amount))]


def basic(limit: int = 0, seconds: int = 0) -> feegrant_pb2.BasicAllowance:
    """So much in all (0: any amount), up to so many seconds after the genesis (0: for ever)."""
    found = feegrant_pb2.BasicAllowance(spend_limit=coins(limit) if limit else [])
    if seconds:
        found.expiration.seconds = GENESIS_TIME_S + seconds
    return found


def periodic(per_period: int, period_s: int, limit: int = 0, now: int = 0) -> feegrant_pb2.PeriodicAllowance:
    found = feegrant_pb2.PeriodicAllowance(basic=basic(limit), period_spend_limit=coins(per_period))
    found.period_can_spend.extend(coins(now or per_period))
    found.period.seconds = period_s
    return found


def only_for(allowance: Message, *types: str) -> feegrant_pb2.AllowedMsgAllowance:
    return feegrant_pb2.AllowedMsgAllowance(allowance=pack(allowance), allowed_messages=types)


def grant(allowance: Message, granter: str = ALICE, grantee: str = WARM) -> tx_pb2.MsgGrantAllowance:
    return tx_pb2.MsgGrantAllowance(granter=granter, grantee=grantee, allowance=pack(allowance))


def revoke(granter: str = ALICE, grantee: str = WARM) -> tx_pb2.MsgRevokeAllowance:
    return tx_pb2.MsgRevokeAllowance(granter=granter, grantee=grantee)


def send(amount: int = 1, sender: str = WARM) -> MsgSend:
    return MsgSend(from_address=sender, to_address=BOB, amount=coins(amount))


def idle() -> Message:
    """What its sender needs no coins for, and is no MsgSend."""
    generic = authz_pb2.GenericAuthorization(msg=SEND)
    return authz_tx.MsgGrant(granter=WARM, grantee=BOB, grant=authz_pb2.Grant(authorization=pack(generic)))


def paid_by_alice(chain: Chain, fee: int, *messages: Message, **options: Any) -> abci.ExecTxResult:
    """A transaction of the warm key, which has no coins of its own."""
    return chain.deliver("warm", *(messages or (idle(),)), fee=fee, granter=ALICE, **options)


def shown(chain: Chain, granter: str = ALICE, grantee: str = WARM) -> rules.Opened | None:
    """The allowance as the query tells it."""
    request = query_pb2.QueryAllowancesRequest(grantee=grantee)
    answer = chain.query(request, query_pb2.QueryAllowancesResponse)
    found = [each for each in answer.allowances if each.granter == granter]
    return rules.opened(found[0].allowance) if found else None


def left_in_all(chain: Chain) -> int:
    found = shown(chain)
    assert found is not None
    return int(found.basic.spend_limit[0].amount)


def left_of_period(chain: Chain) -> int:
    found = shown(chain)
    assert found is not None
    assert isinstance(found.limits, feegrant_pb2.PeriodicAllowance)
    return sum(int(coin.amount) for coin in found.limits.period_can_spend)


def events_of(result: abci.ExecTxResult) -> list[tuple[str, dict[str, str]]]:
    return [(event.type, {a.key: a.value for a in event.attributes}) for event in result.events]


def indexes(ctx: Context) -> tuple[list[Any], list[Any], list[Any]]:
    """Keys of the allowances, of those by granter, of those with an end."""
    return (
        list(state.ALLOWANCES.keys(ctx)),
        [key[::-1] for key in state.BY_GRANTER.walk(ctx)],
        list(state.EXPIRATIONS.walk(ctx)),
    )


def idle_type() -> str:
    return f"/{idle().DESCRIPTOR.full_name}"
