"""Who erred decides what happens: the rows of the table in ARCHITECTURE.md, one test or more each."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app import app as app_module
from abci_app.app import STORES
from abci_app.kernel.module import MESSAGES, QUERIES, QueryRoute
from abci_app.kernel.store import DiskStore
from abci_app.modules import models
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.node.v1beta1 import query_pb2 as node_query
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import DENOM, FUNDS, Chain, app_state, key_of
from tests.stages.test_epoch import two_owners
from tests.stages.test_governance import propose, register, vote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEND = "/cosmos.bank.v1beta1.MsgSend"


def a_chain() -> Chain:
    chain = Chain(app_state(funded=["alice", "bob"]))
    chain.block()
    return chain


def send(amount: int, sender: str = "alice", recipient: str = "bob") -> MsgSend:
    return MsgSend(
        from_address=key_of(sender).address,
        to_address=key_of(recipient).address,
        amount=[Coin(denom=DENOM, amount=str(amount))],
    )


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """MsgSend raises this from within its handler, behind a write."""
    handler: Callable[..., Any] = MESSAGES[SEND].handler

    def broken(ctx: Any, message: Any) -> None:
        handler(ctx, message)
        raise error

    monkeypatch.setitem(MESSAGES, SEND, replace(MESSAGES[SEND], handler=broken))


def test_a_senders_mistake_is_a_coded_result_that_keeps_fee_and_sequence() -> None:
    chain = a_chain()

    result = chain.deliver("alice", send(FUNDS + 1), fee=500)

    assert (result.codespace, result.code) == ("sdk", 5)
    assert result.log.startswith("failed to execute message; message index: 0: ")
    assert chain.balance("alice") == FUNDS - 500
    assert chain.balance("bob") == FUNDS
    assert chain.sequence("alice") == 1


def test_messages_of_one_transaction_succeed_or_fail_together() -> None:
    chain = a_chain()

    result = chain.deliver("alice", send(1), send(FUNDS))

    assert result.code == 5
    assert "message index: 1" in result.log
    assert chain.balance("bob") == FUNDS


def test_our_bug_in_a_transaction_is_counted_and_the_block_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = a_chain()
    failing(monkeypatch, KeyError("whatever"))

    raw = chain.app.finalize_block(chain.request([chain.sign("alice", send(7), fee=3)]))
    chain.app.commit()

    result = abci.ResponseFinalizeBlock.FromString(raw).tx_results[0]
    assert (result.codespace, result.code, result.log) == ("undefined", 111222, "internal error")
    assert [where for where, _ in chain.bugs] == [SEND]
    assert chain.balance("bob") == FUNDS
    assert chain.balance("alice") == FUNDS - 3
    assert chain.sequence("alice") == 1


def test_our_bug_in_a_passed_proposal_fails_it_is_counted_and_the_block_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a proposal that every vote is for
    chain = two_owners()
    proposal_id = propose(chain, register("model/new"))
    vote(chain, proposal_id, "alice", "bob")
    url = "/evergrid.models.v1.MsgRegisterModel"

    # When its message fails by an error of our own
    def broken(_ctx: Any, _message: Any) -> None:
        raise KeyError("whatever")

    monkeypatch.setitem(MESSAGES, url, replace(MESSAGES[url], handler=broken))
    while not chain.bugs:
        chain.app.finalize_block(chain.request())
        chain.app.commit()
        chain.height += 1

    # Then the operator is told where, the proposal has failed, and the next block comes
    assert [(where, type(bug)) for where, bug in chain.bugs] == [(f"proposal: {url}", KeyError)]
    chain.bugs.clear()
    chain.block()
    assert not models.is_valid_governance_model(chain.context(), "model/new")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), OSError("disk")])
def test_what_the_machine_got_wrong_is_never_a_result(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    chain = a_chain()
    before = chain.store.app_hash
    failing(monkeypatch, error)

    with pytest.raises(type(error)):
        chain.app.finalize_block(chain.request([chain.sign("alice", send(7))]))

    assert (chain.store.version, chain.store.app_hash) == (1, before)


@pytest.mark.parametrize("reading", ["a key", "a walk"])
def test_a_disk_that_fails_within_a_handler_stops_the_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reading: str
) -> None:
    chain = Chain(app_state(funded=["alice", "bob"]), DiskStore(tmp_path, STORES))
    chain.block()
    tx = chain.sign("alice", send(7))

    def on_a_broken_disk(ctx: Any, _message: Any) -> None:
        backend: Any = chain.store._backend
        if reading == "a key":
            monkeypatch.setattr(backend, "_get", broken_read)
            ctx.kv.get(b"bank/anything")
        else:
            monkeypatch.setattr(backend, "_db", SimpleNamespace(items=broken_items, close=backend._db.close))
            list(ctx.kv.iterate(b"bank/", b"bank0"))

    monkeypatch.setitem(MESSAGES, SEND, replace(MESSAGES[SEND], handler=on_a_broken_disk))
    with pytest.raises(OSError, match="Input/output error"):
        chain.app.finalize_block(chain.request([tx]))

    assert chain.bugs == []
    monkeypatch.undo()
    chain.store.close()


def broken_read(_key: bytes) -> bytes:
    raise Exception("IO error: Input/output error")  # noqa: TRY002 - all that rocksdict raises


def broken_items(**_options: Any) -> Iterator[tuple[bytes, bytes]]:
    yield b"bank/a", b""
    broken_read(b"")


@pytest.mark.parametrize("where", ["begin_block", "end_block"])
def test_our_bug_at_an_end_of_the_block_stops_before_commit(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    chain = a_chain()
    before = chain.store.app_hash

    def broken(*_args: object) -> None:
        raise KeyError("whatever")

    monkeypatch.setattr(app_module, where, broken)
    with pytest.raises(KeyError):
        chain.app.finalize_block(chain.request())

    assert (chain.store.version, chain.store.app_hash) == (1, before)


def test_the_same_block_can_be_executed_again_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, other = a_chain(), a_chain()
    tx = chain.sign("alice", send(7))
    with monkeypatch.context() as patch:
        failing(patch, OSError("disk"))
        with pytest.raises(OSError, match="disk"):
            chain.app.finalize_block(chain.request([tx]))

    chain.block(tx)
    other.block(tx)

    assert chain.store.app_hash == other.store.app_hash


def test_a_bug_in_a_query_is_an_answer_not_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = a_chain()
    path = "/cosmos.bank.v1beta1.Query/Balance"

    def broken(_ctx: object, _request: object) -> Any:
        raise KeyError("whatever")

    monkeypatch.setitem(QUERIES, path, QueryRoute(QUERIES[path].route, broken))
    answer = chain.app.query(abci.RequestQuery(path=path))

    assert (answer.codespace, answer.code, answer.log) == ("undefined", 111222, "internal error")
    assert [where for where, _ in chain.bugs] == [path]


def test_malformed_transactions_in_a_block_get_one_result_each() -> None:
    chain = a_chain()

    results = chain.block(b"", b"\xff" * 40, chain.sign("alice", send(1)), b"\x0a\x00")

    assert [result.code for result in results] == [18, 2, 0, 2]


def test_a_proposal_with_a_transaction_that_does_not_decode_is_rejected() -> None:
    chain = a_chain()
    good = chain.sign("alice", send(1))

    accepted = chain.app.process_proposal(abci.RequestProcessProposal(txs=[good]))
    rejected = chain.app.process_proposal(abci.RequestProcessProposal(txs=[good, b"\xff"]))

    assert accepted.status == abci.ResponseProcessProposal.ACCEPT
    assert rejected.status == abci.ResponseProcessProposal.REJECT


def test_a_proposal_keeps_the_bytes_and_drops_what_cannot_run() -> None:
    chain = a_chain()
    first, second = chain.sign("alice", send(1)), chain.sign("alice", send(2))
    request = abci.RequestPrepareProposal(txs=[b"\xff", second, first, second], max_tx_bytes=10**6, height=2)

    chosen = list(chain.app.prepare_proposal(request).txs)
    request.max_tx_bytes = len(first) + 20
    tight = list(chain.app.prepare_proposal(request).txs)

    assert chosen == [first, second]
    assert tight == [first]


SHARED = a_chain()


@given(st.binary(max_size=300))
def test_no_bytes_make_check_tx_raise(raw: bytes) -> None:
    answer = abci.ResponseCheckTx.FromString(SHARED.app.check_tx(raw, recheck=False))

    assert answer.code != 0


@given(st.sampled_from(sorted(QUERIES)), st.binary(max_size=120), st.integers(-5, 10**20 % 2**62))
def test_no_bytes_make_a_query_raise(path: str, data: bytes, height: int) -> None:
    answer = SHARED.app.query(abci.RequestQuery(path=path, data=data, height=height))

    assert answer.codespace != "undefined", answer.log
    assert SHARED.bugs == []


@given(st.text(max_size=60), st.binary(max_size=60))
def test_no_path_makes_a_query_raise(path: str, data: bytes) -> None:
    answer = SHARED.app.query(abci.RequestQuery(path=path, data=data))

    assert answer.code != 0 or path.startswith("/store/")


def test_a_store_query_gives_the_raw_value_with_a_proof() -> None:
    key = key_of("alice").address
    request = bank_query.QueryBalanceRequest(address=key, denom=DENOM)
    balance = SHARED.query(request, bank_query.QueryBalanceResponse).balance
    stored = abci.RequestQuery(
        path="/store/bank/key", data=b"balances/" + key.encode() + b"\0" + DENOM.encode() + b"\0", prove=True
    )

    answer = SHARED.app.query(stored)

    assert int.from_bytes(answer.value, "big") == int(balance.amount)
    assert [op.type for op in answer.proof_ops.ops] == ["ics23:iavl", "ics23:simple"]


def test_wallets_learn_the_minimum_gas_price_through_abci_too() -> None:
    state = app_state(funded=["alice"])
    state["auth"]["fees"]["minimum_gas_price_micro"] = "1000"
    chain = Chain(state)
    chain.block()

    answer = chain.app.query(abci.RequestQuery(path="/cosmos.base.node.v1beta1.Service/Config"))

    assert node_query.ConfigResponse.FromString(answer.value).minimum_gas_price == "0.001nevg"
