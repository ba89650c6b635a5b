"""The unmodified cosmpy client against a real node, over gRPC and over REST."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from tests.chain import DENOM, FUNDS, key_of
from tests.node.chain_process import CHAIN_ID, NodeProcess, make_home, running

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]

GAS_PRICE_MICRO = 1000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    home = tmp_path_factory.mktemp("cosmpy") / "home"
    info = make_home(home, "alice", "bob", "carol", minimum_gas_price_micro=GAS_PRICE_MICRO)
    with running(info) as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def ledger(request: pytest.FixtureRequest, node: NodeProcess) -> Any:
    return ledger_of(node, request.param)


def ledger_of(node: NodeProcess, transport: str) -> Any:
    from cosmpy.aerial.client import LedgerClient
    from cosmpy.aerial.config import NetworkConfig

    port = getattr(node.info.ports, transport)
    config = NetworkConfig(
        chain_id=CHAIN_ID,
        url=f"{transport}+http://127.0.0.1:{port}",
        fee_minimum_gas_price=GAS_PRICE_MICRO / 10**6,
        fee_denomination=DENOM,
        staking_denomination=DENOM,
    )
    return LedgerClient(config, query_interval_secs=1, query_timeout_secs=20)


def wallet(name: str) -> Any:
    from cosmpy.aerial.wallet import LocalWallet
    from cosmpy.crypto.keypairs import PrivateKey

    return LocalWallet(PrivateKey(key_of(name).private), prefix="evergrid")


def test_a_funded_account_shows_its_balance_and_number(ledger: Any) -> None:
    carol = wallet("carol").address()

    assert ledger.query_bank_balance(carol, DENOM) == FUNDS
    assert [(coin.denom, coin.amount) for coin in ledger.query_bank_all_balances(carol)] == [
        (DENOM, str(FUNDS))
    ]
    assert ledger.query_account(carol).sequence == 0


def test_an_unknown_account_is_not_found(ledger: Any) -> None:
    import grpc

    # cosmpy hands on what the transport says: an error of gRPC, or the gateway's answer in a RuntimeError.
    stranger = wallet("nobody").address()
    text = f"account {stranger} not found"

    with pytest.raises((grpc.RpcError, RuntimeError)) as caught:
        ledger.query_account(stranger)

    if isinstance(caught.value, grpc.Call):
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == text
    else:
        assert f'404, b\'{{"code":5,"message":"{text}","details":[]}}' in str(caught.value)


def test_coins_that_are_sent_with_estimated_gas_arrive(ledger: Any) -> None:
    receiver = wallet("bob").address()
    before = ledger.query_bank_balance(receiver, DENOM)

    submitted = ledger.send_tokens(receiver, 1234, DENOM, wallet("alice"))
    submitted.wait_to_complete()

    response = submitted.response
    assert ledger.query_bank_balance(receiver, DENOM) == before + 1234
    assert response is not None and response.is_successful()
    assert 0 < response.gas_used <= response.gas_wanted
    assert response.events["transfer"]["amount"] == f"1234{DENOM}"
    assert response.hash == submitted.tx_hash
    assert response.timestamp is not None


def test_a_transaction_found_by_its_hash_says_what_it_did(ledger: Any) -> None:
    submitted = ledger.send_tokens(wallet("bob").address(), 5, DENOM, wallet("alice"))
    submitted.wait_to_complete()

    found = ledger.query_tx(submitted.tx_hash)

    assert found.height > 0
    assert found.code == 0
    assert found.events["message"]["sender"] == str(wallet("alice").address())


def test_an_unknown_transaction_is_not_found(ledger: Any) -> None:
    from cosmpy.aerial.exceptions import NotFoundError

    with pytest.raises(NotFoundError):
        ledger.query_tx("AB" * 32)


def prepared(ledger: Any, *, gas_limit: int, fee: str) -> Any:
    """A signed transfer with a fee of the test's own."""
    from cosmpy.aerial.client.bank import create_bank_send_msg
    from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee

    sender = wallet("alice")
    account = ledger.query_account(sender.address())
    tx = Transaction()
    tx.add_message(create_bank_send_msg(sender.address(), wallet("bob").address(), 7, DENOM))
    tx.seal(
        SigningCfg.direct(sender.public_key(), account.sequence), fee=TxFee(amount=fee, gas_limit=gas_limit)
    )
    tx.sign(sender.signer(), CHAIN_ID, account.number)
    return tx.complete()


def test_a_fee_below_the_minimum_is_refused_as_such(ledger: Any) -> None:
    from cosmpy.aerial.exceptions import InsufficientFeesError

    tx = prepared(ledger, gas_limit=200_000, fee=f"1{DENOM}")

    with pytest.raises(InsufficientFeesError) as caught:
        ledger.broadcast_tx(tx)

    assert caught.value.minimum_required_fee == f"200{DENOM}"


def test_too_little_gas_is_refused_as_such(ledger: Any) -> None:
    from cosmpy.aerial.exceptions import OutOfGasError

    tx = prepared(ledger, gas_limit=1_000, fee=f"100{DENOM}")

    with pytest.raises(OutOfGasError) as caught:
        ledger.broadcast_tx(tx)

    assert caught.value.gas_wanted == 1_000
    assert caught.value.gas_used > 1_000


def test_a_second_broadcast_of_one_transaction_is_an_answer_with_code_19(ledger: Any) -> None:
    from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import BroadcastMode, BroadcastTxRequest

    tx = prepared(ledger, gas_limit=200_000, fee=f"1000{DENOM}")
    first = ledger.broadcast_tx(tx)
    request = BroadcastTxRequest(tx_bytes=tx.tx.SerializeToString(), mode=BroadcastMode.BROADCAST_MODE_SYNC)

    second = ledger.txs.BroadcastTx(request).tx_response

    assert (second.code, second.codespace, second.raw_log) == (19, "sdk", "")
    assert second.txhash == first.tx_hash
    first.wait_to_complete()


def test_the_node_tells_who_it_is_and_which_block_is_the_latest(ledger: Any, node: NodeProcess) -> None:
    info = ledger.query_node_info()
    latest = ledger.query_latest_block()
    second = ledger.query_block(2)

    assert info.app_name == "evergrid"
    assert info.app_version.release and info.cosmos_sdk_version.release
    assert latest.chain_id == CHAIN_ID
    assert 1 <= latest.height <= node.height()
    assert second.height == 2
    assert second.time < latest.time or latest.height == 2
    assert ledger.query_chain_id() == CHAIN_ID
    assert ledger.query_height() >= latest.height


def test_the_gas_strategy_learns_the_block_limit_from_the_chain(ledger: Any) -> None:
    assert ledger.gas_strategy.block_gas_limit() == 200_000_000


def stub(node: NodeProcess, service: str) -> Any:
    """A gRPC stub of cosmpy's own declarations, for what its client has no method for."""
    import importlib

    import grpc

    importlib.import_module("cosmpy.protos")
    package = importlib.import_module(f"cosmpy.protos.{service}_pb2_grpc")
    kind = getattr(package, "ServiceStub", None) or package.QueryStub
    return kind(grpc.insecure_channel(f"127.0.0.1:{node.info.ports.grpc}"))


def test_a_block_is_read_with_its_transactions_and_each_is_decoded_and_encoded_again(
    ledger: Any, node: NodeProcess
) -> None:
    from cosmpy.protos.cosmos.tx.v1beta1 import service_pb2

    submitted = ledger.send_tokens(wallet("bob").address(), 6, DENOM, wallet("alice"))
    submitted.wait_to_complete()
    height = submitted.response.height
    txs = stub(node, "cosmos.tx.v1beta1.service")

    found = txs.GetBlockWithTxs(service_pb2.GetBlockWithTxsRequest(height=height))
    raw = next(each for each in found.block.data.txs if sha256(each).hexdigest().upper() == submitted.tx_hash)
    decoded = txs.TxDecode(service_pb2.TxDecodeRequest(tx_bytes=raw)).tx
    again = txs.TxEncode(service_pb2.TxEncodeRequest(tx=decoded)).tx_bytes

    assert found.block.header.height == height
    assert decoded in found.txs
    assert again == raw


def test_bytes_that_are_no_transaction_are_an_invalid_argument(node: NodeProcess) -> None:
    import grpc
    from cosmpy.protos.cosmos.tx.v1beta1 import service_pb2

    with pytest.raises(grpc.RpcError) as caught:
        stub(node, "cosmos.tx.v1beta1.service").TxDecode(service_pb2.TxDecodeRequest(tx_bytes=b"\x0a\x01"))

    refusal: Any = caught.value
    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "tx parse error" in refusal.details()


def test_the_validators_of_a_height_are_those_of_comet(node: NodeProcess) -> None:
    from cosmpy.protos.cosmos.base.tendermint.v1beta1 import query_pb2

    service = stub(node, "cosmos.base.tendermint.v1beta1.query")

    at_one = service.GetValidatorSetByHeight(query_pb2.GetValidatorSetByHeightRequest(height=1))
    latest = service.GetLatestValidatorSet(query_pb2.GetLatestValidatorSetRequest())

    assert at_one.block_height == 1
    assert [(each.address, each.voting_power) for each in at_one.validators] == [
        (each.address, each.voting_power) for each in latest.validators
    ]
    assert latest.validators[0].voting_power == 10


def test_a_query_by_path_passes_through_grpc(node: NodeProcess) -> None:
    from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest, QueryBalanceResponse
    from cosmpy.protos.cosmos.base.tendermint.v1beta1 import query_pb2

    asked = QueryBalanceRequest(address=str(wallet("carol").address()), denom=DENOM)
    request = query_pb2.ABCIQueryRequest(
        path="/cosmos.bank.v1beta1.Query/Balance", data=asked.SerializeToString()
    )

    answer = stub(node, "cosmos.base.tendermint.v1beta1.query").ABCIQuery(request)

    assert (answer.code, QueryBalanceResponse.FromString(answer.value).balance.amount) == (0, str(FUNDS))
    assert 0 < answer.height <= node.height()


def test_the_status_of_the_node_is_that_of_its_last_block(node: NodeProcess) -> None:
    from cosmpy.protos.cosmos.base.node.v1beta1 import query_pb2

    status = stub(node, "cosmos.base.node.v1beta1.query").Status(query_pb2.StatusRequest())

    header = node.rpc(f"block?height={status.height}")["block"]["header"]
    assert status.app_hash.hex().upper() == header["app_hash"]
    assert status.validator_hash.hex().upper() == header["validators_hash"]
    assert status.earliest_store_height == 1


def delivered(ledger: Any, name: str, *messages: Any, granter: Any = None) -> Any:
    """What became of messages that cosmpy signed and sent; `granter`: the address that pays the fee."""
    from cosmpy.aerial.exceptions import BroadcastError
    from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee

    sender = wallet(name)
    account = ledger.query_account(sender.address())
    tx = Transaction()
    for message in messages:
        tx.add_message(message)
    fee = TxFee(amount=f"400{DENOM}", gas_limit=400_000, granter=granter)
    tx.seal(SigningCfg.direct(sender.public_key(), account.sequence), fee=fee)
    tx.sign(sender.signer(), CHAIN_ID, account.number)
    sent = ledger.broadcast_tx(tx.complete())
    try:
        sent.wait_to_complete()
    except BroadcastError:
        return ledger.query_tx(sent.tx_hash)
    return sent.response


def test_two_messages_happen_together_or_not_at_all(ledger: Any) -> None:
    from cosmpy.aerial.client.bank import create_bank_send_msg

    alice, dave = wallet("alice").address(), wallet("dave").address()
    before = ledger.query_bank_balance(dave, DENOM)
    good = create_bank_send_msg(alice, dave, 3, DENOM)

    failed = delivered(ledger, "alice", good, create_bank_send_msg(alice, dave, 10 * FUNDS, DENOM))
    both = delivered(ledger, "alice", good, good)

    assert failed.code == 5
    assert both.code == 0
    assert ledger.query_bank_balance(dave, DENOM) - before == 6


def test_a_fee_is_paid_by_the_account_that_grants_it(ledger: Any, node: NodeProcess) -> None:
    from cosmpy.aerial.client.bank import create_bank_send_msg
    from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
    from cosmpy.protos.cosmos.feegrant.v1beta1 import feegrant_pb2, query_pb2, tx_pb2

    alice, erin = wallet("alice").address(), wallet("erin").address()
    parties = {"granter": str(alice), "grantee": str(erin)}
    basic = feegrant_pb2.BasicAllowance(spend_limit=[Coin(denom=DENOM, amount="700")])
    grant = tx_pb2.MsgGrantAllowance(**parties)
    grant.allowance.Pack(basic, type_url_prefix="/")
    assert delivered(ledger, "alice", grant, create_bank_send_msg(alice, erin, 1, DENOM)).code == 0
    before, had = ledger.query_bank_balance(alice, DENOM), ledger.query_bank_balance(erin, DENOM)

    used = delivered(ledger, "erin", create_bank_send_msg(erin, alice, 1, DENOM), granter=alice)

    left = stub(node, "cosmos.feegrant.v1beta1.query").Allowances(
        query_pb2.QueryAllowancesRequest(grantee=str(erin))
    )
    found = feegrant_pb2.BasicAllowance.FromString(left.allowances[0].allowance.value)
    issued = f"http://127.0.0.1:{node.info.ports.rest}/cosmos/feegrant/v1beta1/issued/{alice}"
    shown = httpx2.get(issued, trust_env=False, timeout=10).json()["allowances"]
    assert (used.code, used.events["use_feegrant"]["granter"]) == (0, str(alice))
    assert before - ledger.query_bank_balance(alice, DENOM) == 400 - 1
    assert had - ledger.query_bank_balance(erin, DENOM) == 1
    assert found.spend_limit[0].amount == "300"
    assert [each["allowance"]["spend_limit"] for each in shown] == [[{"denom": DENOM, "amount": "300"}]]
    assert delivered(ledger, "alice", tx_pb2.MsgRevokeAllowance(**parties)).code == 0


def test_a_message_of_our_own_is_signed_and_runs(node: NodeProcess) -> None:
    from protocol.gen.evergrid.hardware.v1 import hardware_pb2

    ledger = ledger_of(node, "grpc")
    creator = str(wallet("bob").address())
    message = hardware_pb2.MsgSubmitNewParticipant(creator=creator, url="http://bob.example:9000")

    assert delivered(ledger, "bob", message).code == 0


def test_a_proposal_of_gov_v1_is_submitted_voted_on_and_tallied(node: NodeProcess) -> None:
    from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
    from cosmpy.protos.cosmos.gov.v1 import gov_pb2, query_pb2, tx_pb2

    ledger = ledger_of(node, "grpc")
    alice = str(wallet("alice").address())
    deposit = [Coin(denom=DENOM, amount="10000000")]
    proposal = tx_pb2.MsgSubmitProposal(
        initial_deposit=deposit, proposer=alice, metadata="text", title="A text", summary="To be voted on"
    )
    submitted = delivered(ledger, "alice", proposal)
    number = int(submitted.events["submit_proposal"].get("proposal_id") or 1)
    vote = tx_pb2.MsgVote(proposal_id=number, voter=alice, option=gov_pb2.VOTE_OPTION_YES)

    voted = delivered(ledger, "alice", vote)

    gov = stub(node, "cosmos.gov.v1.query")
    votes = gov.Votes(query_pb2.QueryVotesRequest(proposal_id=number)).votes
    tally = gov.TallyResult(query_pb2.QueryTallyResultRequest(proposal_id=number)).tally
    assert (submitted.code, voted.code) == (0, 0)
    assert [(each.voter, each.options[0].option) for each in votes] == [(alice, gov_pb2.VOTE_OPTION_YES)]
    # Alice has no share in the computing, so her vote weighs nothing.
    assert tally.yes_count == "0"


def test_validators_and_stakes_are_asked_for_as_anywhere(ledger: Any) -> None:
    summary = ledger.query_staking_summary(wallet("alice").address())

    assert (summary.total_staked, summary.total_rewards, summary.total_unbonding) == (0, 0, 0)
    assert ledger.query_validators() == []
