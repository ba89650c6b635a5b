"""A warm key signs for a cold one: what was granted, as long as it is granted, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from abci_app.ante import FREE_GAS_MAX, FREE_MESSAGES
from abci_app.genesis import export_genesis
from abci_app.kernel.errors import Unauthorized
from abci_app.kernel.module import MESSAGES
from abci_app.modules import authz, epochs
from abci_app.modules.authz import state
from cli.tx_authz import protocol_messages
from client.tx import pack
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2, genesis_pb2, query_pb2, tx_pb2
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import DENOM, GENESIS_TIME_S, GOV, Chain, GenesisParticipant, a_model, app_state, key_of

ALICE, WARM, BOB = (key_of(name).address for name in ("alice", "warm", "bob"))
SEND = "/cosmos.bank.v1beta1.MsgSend"
DIFF = "/evergrid.hardware.v1.MsgSubmitHardwareDiff"
EXEC = "/cosmos.authz.v1beta1.MsgExec"


@pytest.fixture
def chain() -> Chain:
    return Chain(app_state([GenesisParticipant("alice", 10)], [a_model()], funded=["bob", "warm"]))


@pytest.fixture
def priced() -> Chain:
    """A chain where gas costs."""
    state = app_state([GenesisParticipant("alice", 10)], [a_model()], funded=["bob", "warm"])
    state["auth"]["fees"]["minimum_gas_price_micro"] = "1000"
    return Chain(state)


def grant(type_url: str, granter: str = ALICE, grantee: str = WARM, seconds: int = 0) -> tx_pb2.MsgGrant:
    """A grant that ends so many seconds after the genesis; 0: never."""
    found = authz_pb2.Grant(authorization=pack(authz_pb2.GenericAuthorization(msg=type_url)))
    if seconds:
        found.expiration.seconds = GENESIS_TIME_S + seconds
    return tx_pb2.MsgGrant(granter=granter, grantee=grantee, grant=found)


def wrapped(*messages: Message, grantee: str = WARM) -> tx_pb2.MsgExec:
    return tx_pb2.MsgExec(grantee=grantee, msgs=[pack(message) for message in messages])


def send(amount: int = 7, sender: str = ALICE) -> MsgSend:
    return MsgSend(from_address=sender, to_address=BOB, amount=[Coin(denom=DENOM, amount=str(amount))])


def diff(*node_ids: str) -> hardware_pb2.MsgSubmitHardwareDiff:
    nodes = [
        hardware_pb2.MLNode(node_id=each, models=["model/x"], host="127.0.0.1", port=8080)
        for each in node_ids
    ]
    return hardware_pb2.MsgSubmitHardwareDiff(creator=ALICE, new_or_modified=nodes)


def types_of(chain: Chain, grantee: str = WARM) -> list[str]:
    request = query_pb2.QueryGranteeGrantsRequest(grantee=grantee)
    answer = chain.query(request, query_pb2.QueryGranteeGrantsResponse)
    return [
        authz_pb2.GenericAuthorization.FromString(entry.authorization.value).msg for entry in answer.grants
    ]


def test_what_is_granted_moves_the_granters_coins(chain: Chain) -> None:
    before, bob = chain.balance("alice"), chain.balance("bob")

    chain.must("alice", grant(SEND))
    result = chain.must("warm", wrapped(send(7)))

    assert (before - chain.balance("alice"), chain.balance("bob") - bob) == (7, 7)
    shown = [(e.type, {a.key: a.value for a in e.attributes}) for e in result.events]
    inner = [attributes for kind, attributes in shown if attributes.get("authz_msg_index") == "0"]
    assert {"action": SEND, "sender": ALICE}.items() <= inner[0].items()
    assert any(kind == "transfer" and "authz_msg_index" in attributes for kind, attributes in shown)


@pytest.mark.parametrize(
    ("given", "when", "code", "text"),
    [
        (None, send(), 2, "authorization not found"),
        (grant(DIFF), send(), 2, "authorization not found"),
        (grant(SEND), send(sender=BOB), 2, "authorization not found"),
        (grant(SEND, grantee=BOB), send(), 2, "authorization not found"),
        (grant(SEND, seconds=3), send(), 6, "authorization expired"),
        (grant(SEND, seconds=4), send(), 0, ""),
    ],
)
def test_only_the_granted_type_of_the_granter_counts_until_it_ends(
    chain: Chain, given: tx_pb2.MsgGrant | None, when: MsgSend, code: int, text: str
) -> None:
    if given is not None:
        chain.must("alice", given)
    chain.run_to(2)  # the block that follows has the time of genesis and three seconds

    result = chain.deliver("warm", wrapped(when))

    assert (result.code, result.codespace) == (code, "authz" if code else "")
    assert text in result.log


def test_metrics_count_the_message_within(chain: Chain) -> None:
    chain.must("alice", grant(DIFF))
    chain.must("warm", wrapped(diff("a")))
    chain.deliver("warm", tx_pb2.MsgExec(grantee=WARM))

    kinds = [[kind for kind, _ in report.results] for report in chain.reports[-2:]]
    assert kinds == [[DIFF], [EXEC]]


def test_a_grantee_may_wrap_what_is_its_own(chain: Chain) -> None:
    before = chain.balance("warm")

    chain.must("warm", wrapped(send(3, sender=WARM)))

    assert before - chain.balance("warm") == 3


def test_one_refused_message_takes_the_others_with_it_and_keeps_its_own_code(chain: Chain) -> None:
    chain.must("alice", grant(SEND))
    before = chain.balance("alice")

    result = chain.deliver("warm", wrapped(send(7), send(10**18)))

    assert (result.codespace, result.code) == ("sdk", 5)
    assert "authorized message 1: " in result.log
    assert chain.balance("alice") == before


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (tx_pb2.MsgExec(grantee=WARM), "messages cannot be empty"),
        (wrapped(wrapped(send())), "a MsgExec within a MsgExec"),
    ],
)
def test_an_empty_or_nested_exec_is_refused(chain: Chain, message: tx_pb2.MsgExec, text: str) -> None:
    result = chain.deliver("warm", message)

    assert (result.codespace, result.code) == ("sdk", 18)
    assert text in result.log


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (grant(SEND, grantee=ALICE), ("authz", 7), "should be different"),
        (grant(SEND, grantee="evergrid1x"), ("sdk", 7), "invalid grantee address"),
        (grant("/no.such.Msg"), ("sdk", 18), "no message of this chain"),
        (grant(EXEC), ("sdk", 18), "cannot be granted"),
        (grant(SEND, seconds=1), ("authz", 3), "should be more than current time"),
        (tx_pb2.MsgGrant(granter=ALICE, grantee=WARM), ("authz", 4), "unknown authorization type"),
        (
            tx_pb2.MsgRevoke(granter=ALICE, grantee=WARM, msg_type_url=SEND),
            ("authz", 2),
            "authorization not found",
        ),
    ],
)
def test_a_grant_that_cannot_be_is_refused(
    chain: Chain, message: Message, code: tuple[str, int], text: str
) -> None:
    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == code
    assert text in result.log


def test_the_strict_decoder_walks_the_messages_within(chain: Chain) -> None:
    chain.must("alice", grant(SEND))
    padded = wrapped(send())
    padded.msgs[0].value += b"\xf8\x07\x01"  # a field that MsgSend does not have

    result = chain.deliver("warm", padded)
    packed_key = pack(authz_pb2.GenericAuthorization(msg=SEND))
    no_message = chain.deliver("warm", tx_pb2.MsgExec(grantee=WARM, msgs=[packed_key]))

    assert (result.codespace, result.code) == ("sdk", 2)
    assert "cosmos.bank.v1beta1.MsgSend: unknown field 127" in result.log
    assert (no_message.codespace, no_message.code) == ("sdk", 2)


def test_a_revoked_grant_counts_no_more(chain: Chain) -> None:
    chain.must("alice", grant(SEND), grant(DIFF))
    chain.must("alice", tx_pb2.MsgRevoke(granter=ALICE, grantee=WARM, msg_type_url=SEND))

    assert chain.deliver("warm", wrapped(send())).code == 2
    assert types_of(chain) == [DIFF]


def test_an_ended_grant_is_not_shown_and_is_pruned(chain: Chain) -> None:
    chain.must("alice", grant(SEND, seconds=4), grant(DIFF))
    shown = types_of(chain)
    chain.run_to(5)

    assert shown == [SEND, DIFF]
    assert types_of(chain) == [DIFF]
    assert [key[2] for key in state.GRANTS.keys(chain.context())] == [DIFF]
    assert list(state.EXPIRATIONS.walk(chain.context())) == []


def test_the_queries_agree_and_page(chain: Chain) -> None:
    chain.must("alice", grant(SEND), grant(DIFF))
    by_pair = chain.query(
        query_pb2.QueryGrantsRequest(granter=ALICE, grantee=WARM), query_pb2.QueryGrantsResponse
    )
    one = chain.query(
        query_pb2.QueryGrantsRequest(granter=ALICE, grantee=WARM, msg_type_url=DIFF),
        query_pb2.QueryGrantsResponse,
    )
    request = query_pb2.QueryGranterGrantsRequest(granter=ALICE)
    request.pagination.limit = 1
    first = chain.query(request, query_pb2.QueryGranterGrantsResponse)
    request.pagination.key = first.pagination.next_key
    second = chain.query(request, query_pb2.QueryGranterGrantsResponse)

    assert list(by_pair.grants) == [grant(SEND).grant, grant(DIFF).grant]
    assert list(one.grants) == [grant(DIFF).grant]
    assert [e.authorization for e in (*first.grants, *second.grants)] == [
        each.authorization for each in by_pair.grants
    ]
    assert {e.grantee for e in (*first.grants, *second.grants)} == {WARM}


def test_protocol_messages_of_the_granter_cost_no_fee_and_count_as_its_own(priced: Chain) -> None:
    priced.deliver("alice", grant(DIFF), fee=10**6)
    free_before = free_left(priced)

    checked = check_tx(priced, wrapped(diff("a"), diff("b")))
    result = priced.deliver("warm", wrapped(diff("a"), diff("b")), gas=10**7)

    assert (checked.code, result.code) == (0, 0)
    assert free_before - free_left(priced) == 2
    assert priced.balance("warm") == 10**15


def check_tx(chain: Chain, message: Message) -> abci.ResponseCheckTx:
    """What the mempool says to the message of the warm key without a fee."""
    raw = chain.app.check_tx(chain.sign("warm", message, gas=10**7), recheck=False)
    chain.run_to(chain.height + 1)  # a test's sequences begin anew with each block
    return abci.ResponseCheckTx.FromString(raw)


def test_beyond_its_gas_limit_a_protocol_message_pays_like_any_other(priced: Chain) -> None:
    priced.deliver("alice", grant(DIFF), fee=10**6)
    before = free_left(priced)

    checked = [
        abci.ResponseCheckTx.FromString(priced.app.check_tx(raw, recheck=False))
        for raw in (
            priced.sign("warm", wrapped(diff("a")), gas=FREE_GAS_MAX),
            asking_more(priced, 0),
            asking_more(priced, 10**5),
        )
    ]

    assert [each.code for each in checked] == [0, 13, 0]
    assert "protocol messages are free up to a gas limit of 40000000, this is 40000001" in checked[1].log
    assert free_left(priced) == before


def asking_more(chain: Chain, fee: int) -> bytes:
    """The same without or with its fee; what was refused before leaves no sequence behind."""
    chain._sequences["warm"] = 1
    return chain.sign("warm", wrapped(diff("a")), gas=FREE_GAS_MAX + 1, fee=fee)


def free_left(chain: Chain) -> int:
    ctx = chain.context()
    left = 0
    while epochs.free_message(ctx, ALICE):
        left += 1
    return left


@pytest.mark.parametrize("messages", [[diff("a")], [], [send(1, sender=WARM)]])
def test_a_stranger_uses_up_nobodys_free_messages(priced: Chain, messages: list[Message]) -> None:
    before = free_left(priced)

    checked = check_tx(priced, wrapped(*messages))
    priced.deliver("warm", wrapped(*messages))

    assert (checked.codespace, checked.code) == ("sdk", 13)
    assert free_left(priced) == before


def test_the_grant_of_a_modules_account_is_refused(chain: Chain) -> None:
    handler = MESSAGES["/cosmos.authz.v1beta1.MsgGrant"].handler

    with pytest.raises(Unauthorized, match="is a module's account"):
        handler(chain.context(), grant(SEND, granter=GOV))


def test_the_exported_grants_build_the_same_state_again(chain: Chain) -> None:
    chain.must("alice", grant(SEND, seconds=100), grant(DIFF))
    exported = export_genesis(chain.context())

    again = Chain(exported, initial_height=chain.height + 1)

    assert export_genesis(again.context())["authz"] == exported["authz"]
    assert len(exported["authz"]["authorization"]) == 2
    assert list(state.EXPIRATIONS.walk(again.context())) == list(state.EXPIRATIONS.walk(chain.context()))


def test_a_genesis_names_all_that_is_wrong_with_its_grants() -> None:
    entry: dict[str, Any] = {"granter": ALICE, "grantee": ALICE}
    wrong = genesis_pb2.GenesisState(authorization=[entry, {"granter": "x", "grantee": WARM}])

    errors = authz.MODULE.validate_genesis(wrong)

    assert any(text.startswith("authorization[0]: granter and grantee are the same") for text in errors)
    assert any(text.startswith("authorization[1]: invalid granter address") for text in errors)


def test_every_free_message_is_one_that_grant_api_node_grants() -> None:
    granted = protocol_messages()

    assert set(granted) >= FREE_MESSAGES | {"/evergrid.hardware.v1.MsgSubmitNewParticipant"}
    assert not [each for each in granted if "Params" in each or not each.startswith("/evergrid.")]


@pytest.mark.parametrize("seconds", [18_446_744_073, 253_402_300_799])
def test_a_grant_ends_before_the_nanoseconds_are_beyond_64_bits(chain: Chain, seconds: int) -> None:
    last, later = grant(SEND), grant(SEND)
    last.grant.expiration.seconds = 18_446_744_072
    later.grant.expiration.seconds = seconds

    refused = chain.deliver("alice", later)

    assert (refused.codespace, refused.code) == ("sdk", 18)
    assert "expiration is no time" in refused.log
    chain.must("alice", last)
    chain.must("warm", wrapped(send(7)))
