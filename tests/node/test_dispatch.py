"""The last net: which exceptions become an answer, which end the process, and what has a fixed answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.node.codec import FrameError, FrameReader
from abci_app.node.dispatch import ApplicationFailedError, Dispatcher, decode_request, txs_within
from abci_app.node.metrics import Metrics
from bench.kvstore import KeyValueStore
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.node.client import check_tx_frame


class Broken(KeyValueStore):
    """An application with a bug in each method."""

    def __getattribute__(self, name: str) -> Any:
        def bug(*_: object) -> None:
            raise KeyError(name)

        return (
            bug
            if hasattr(KeyValueStore, name) and not name.startswith("_")
            else super().__getattribute__(name)
        )


def answer(app: KeyValueStore, method: str, request: Any, metrics: Metrics | None = None) -> Any:
    """The arm of the response that the dispatcher frames."""
    reader = FrameReader()
    reader.feed(Dispatcher(app, metrics or Metrics()).answer(method, request))
    body = reader.next_frame()
    assert body is not None
    response = abci.Response.FromString(body)
    assert response.WhichOneof("value") == method
    return getattr(response, method)


def test_a_bug_in_check_tx_refuses_the_transaction_with_the_internal_code() -> None:
    response = answer(Broken(), "check_tx", abci.RequestCheckTx(tx=b"a=1"))

    assert (response.code, response.codespace) == (111222, "undefined")
    assert "KeyError" not in response.log


def test_a_bug_in_a_query_fails_that_query() -> None:
    response = answer(Broken(), "query", abci.RequestQuery(path="/store"))

    assert (response.code, response.codespace) == (111222, "undefined")


def test_a_bug_in_prepare_proposal_proposes_what_was_offered_as_far_as_it_fits() -> None:
    request = abci.RequestPrepareProposal(txs=[b"a" * 10, b"b" * 10, b"c" * 10], max_tx_bytes=24)

    response = answer(Broken(), "prepare_proposal", request)

    assert list(response.txs) == [b"a" * 10, b"b" * 10]


def test_a_bug_in_process_proposal_rejects_the_proposal() -> None:
    response = answer(Broken(), "process_proposal", abci.RequestProcessProposal(txs=[b"a=1"]))

    assert response.status == abci.ResponseProcessProposal.REJECT


def test_a_bug_is_counted_by_its_method() -> None:
    metrics = Metrics()

    answer(Broken(), "check_tx", abci.RequestCheckTx(), metrics)

    labels = {"method": "check_tx"}
    assert metrics.registry.get_sample_value("evergrid_abci_errors_total", labels) == 1
    assert metrics.registry.get_sample_value("evergrid_abci_errors_total", {"method": "query"}) == 0


@pytest.mark.parametrize("method", ["info", "init_chain", "finalize_block", "commit"])
def test_a_bug_where_the_state_is_at_stake_gives_no_answer(method: str) -> None:
    with pytest.raises(ApplicationFailedError, match=f"{method} raised KeyError: '{method}'"):
        Dispatcher(Broken(), Metrics()).answer(method, getattr(abci.Request(), method))


def test_a_missing_transaction_result_gives_no_answer() -> None:
    class Forgetful(KeyValueStore):
        def finalize_block(self, req: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
            return abci.ResponseFinalizeBlock(app_hash=b"\x00" * 32)

    with pytest.raises(ApplicationFailedError, match="0 results for 1 txs at height 7"):
        Dispatcher(Forgetful(), Metrics()).answer(
            "finalize_block", abci.RequestFinalizeBlock(height=7, txs=[b"a=1"])
        )


def test_an_encoded_finalize_block_goes_out_as_it_is() -> None:
    class Encoding(KeyValueStore):
        def finalize_block(self, req: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock | bytes:
            response = super().finalize_block(req)
            assert isinstance(response, abci.ResponseFinalizeBlock)
            return response.SerializeToString()

    request = abci.RequestFinalizeBlock(height=1, txs=[b"a=1", b"b"])

    assert answer(Encoding(), "finalize_block", request) == answer(KeyValueStore(), "finalize_block", request)


def test_snapshots_are_neither_offered_nor_taken() -> None:
    app = KeyValueStore()

    assert not answer(app, "list_snapshots", abci.RequestListSnapshots()).snapshots
    offered = answer(app, "offer_snapshot", abci.RequestOfferSnapshot())
    assert offered.result == abci.ResponseOfferSnapshot.REJECT
    assert answer(app, "load_snapshot_chunk", abci.RequestLoadSnapshotChunk()).chunk == b""
    applied = answer(app, "apply_snapshot_chunk", abci.RequestApplySnapshotChunk())
    assert applied.result == abci.ResponseApplySnapshotChunk.REJECT_SNAPSHOT


@pytest.mark.parametrize(("extension", "status"), [(b"", "ACCEPT"), (b"x", "REJECT")])
def test_only_the_empty_vote_extension_is_accepted(extension: bytes, status: str) -> None:
    app = KeyValueStore()
    request = abci.RequestVerifyVoteExtension(vote_extension=extension)

    assert answer(app, "extend_vote", abci.RequestExtendVote()).vote_extension == b""
    verdict = answer(app, "verify_vote_extension", request)
    assert abci.ResponseVerifyVoteExtension.VerifyStatus.Name(verdict.status) == status


def test_the_calls_of_a_mempool_in_the_application_have_neutral_answers() -> None:
    app = KeyValueStore()

    assert answer(app, "insert_tx", abci.RequestInsertTx(tx=b"a=1")).code == 0
    assert not answer(app, "reap_txs", abci.RequestReapTxs()).txs


def test_every_request_of_the_protocol_has_an_answer() -> None:
    app = KeyValueStore()

    for field in abci.Request.DESCRIPTOR.fields:
        answer(app, field.name, getattr(abci.Request(), field.name))


def test_the_height_is_published_when_a_block_is_committed() -> None:
    metrics = Metrics()
    dispatcher = Dispatcher(KeyValueStore(), metrics)

    dispatcher.answer("finalize_block", abci.RequestFinalizeBlock(height=5))
    before = metrics.registry.get_sample_value("evergrid_block_height")
    dispatcher.answer("commit", abci.RequestCommit())

    assert before == 0
    assert metrics.registry.get_sample_value("evergrid_block_height") == 5


@given(st.lists(st.binary(max_size=200)), st.integers(min_value=0, max_value=3000))
def test_the_transactions_chosen_are_the_longest_head_that_fits(txs: list[bytes], bytes_max: int) -> None:
    chosen = txs_within(txs, bytes_max)

    assert chosen == txs[: len(chosen)]
    assert abci.ResponsePrepareProposal(txs=chosen).ByteSize() <= bytes_max
    one_more = txs[: len(chosen) + 1]
    assert one_more == chosen or abci.ResponsePrepareProposal(txs=one_more).ByteSize() > bytes_max


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_frame_error(body: bytes) -> None:
    try:
        method, _ = decode_request(body)
    except FrameError:
        return

    assert method in abci.Request.DESCRIPTOR.fields_by_name


def test_a_method_that_nobody_knows_is_a_frame_error() -> None:
    unknown_arm = b"\xfa\x06\x00"

    with pytest.raises(FrameError, match=r"ABCI 2\.0 does not know"):
        decode_request(unknown_arm)


def test_a_request_keeps_its_arm() -> None:
    reader = FrameReader()
    reader.feed(check_tx_frame(b"a=1"))
    body = reader.next_frame()
    assert body is not None

    method, request = decode_request(body)

    assert (method, request.tx) == ("check_tx", b"a=1")
