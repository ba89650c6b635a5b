"""Queries over gRPC on a chain in memory; a real CometBFT is behind it in tests/conformance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message

from abci_app.node.comet import CometRpc
from abci_app.node.grpc_server import GrpcServer, status_code
from abci_app.node.rest_routes import STATUSES
from abci_app.node.services import HEIGHT_HEADER, Services
from client.chain import route_of
from protocol.gen.cosmos.auth.v1beta1 import query_pb2 as auth_query
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2
from protocol.gen.cosmos.base.tendermint.v1beta1 import query_pb2 as tendermint
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.tx.v1beta1 import service_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from tests.chain import DENOM, FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

# A port on which nothing listens.
NO_COMET = "http://127.0.0.1:9"


@pytest.fixture
def chain() -> Chain:
    participant = GenesisParticipant("alice", nodes=(GenesisNode("a1", ("model/x",), 10),))
    made = Chain(app_state([participant], [a_model()], funded=["bob"]))
    made.run_to(3)
    return made


@pytest.fixture
def bugs() -> list[tuple[str, BaseException]]:
    return []


@pytest.fixture
def services(chain: Chain, bugs: list[tuple[str, BaseException]]) -> Iterator[Services]:
    comet = CometRpc(NO_COMET)
    yield Services(chain.app, comet, on_bug=lambda where, bug: bugs.append((where, bug)))
    comet.close()


@pytest.fixture
def channel(services: Services) -> Iterator[grpc.Channel]:
    server = GrpcServer(services, "127.0.0.1", 0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened
    server.stop()


def method(channel: grpc.Channel, path: str) -> Any:
    """A method that takes and gives bytes; the stubs of grpc demand functions where None does."""
    unary: Any = channel.unary_unary
    return unary(path)


def status_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """How a call ended, with its details."""
    try:
        call()
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), failed.details()
    return grpc.StatusCode.OK, ""


def ask(channel: grpc.Channel, request: Message, height: str = "") -> tuple[Any, dict[str, str]]:
    """The answer and the metadata that came before it."""
    route = route_of(type(request))
    metadata = ((HEIGHT_HEADER, height),) if height else ()
    raw, done = method(channel, route.path).with_call(
        request.SerializeToString(), metadata=metadata, timeout=20
    )
    return route.response.FromString(raw), dict(done.initial_metadata())


def refusal(channel: grpc.Channel, request: Message, height: str = "") -> tuple[grpc.StatusCode, str]:
    code, details = status_of(lambda: ask(channel, request, height))
    assert code is not grpc.StatusCode.OK, "it was answered"
    return code, details


def a_balance(name: str = "bob") -> bank_query.QueryBalanceRequest:
    return bank_query.QueryBalanceRequest(address=key_of(name).address, denom=DENOM)


def test_every_service_answers_each_of_its_methods(channel: grpc.Channel, services: Services) -> None:
    allowed = {
        grpc.StatusCode.OK,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        # Without CometBFT.
        grpc.StatusCode.UNAVAILABLE,
    }

    outcomes = {
        path: status_of(partial(method(channel, path), b"", timeout=20))[0] for path in services.routes
    }

    assert len(outcomes) > 40
    assert {path: code for path, code in outcomes.items() if code not in allowed} == {}


def test_an_answer_carries_the_height_that_it_holds_for(channel: grpc.Channel) -> None:
    answer, metadata = ask(channel, a_balance())

    assert answer.balance.amount == str(FUNDS)
    assert metadata[HEIGHT_HEADER] == "3"


def test_metadata_selects_a_former_height(channel: grpc.Channel, chain: Chain) -> None:
    send = bank_tx.MsgSend(
        from_address=key_of("bob").address,
        to_address=key_of("carol").address,
        amount=[Coin(denom=DENOM, amount="7")],
    )
    chain.must("bob", send)

    former, metadata = ask(channel, a_balance("carol"), "3")
    now, _ = ask(channel, a_balance("carol"))

    assert (former.balance.amount, metadata[HEIGHT_HEADER]) == ("0", "3")
    assert now.balance.amount == "7"


@pytest.mark.parametrize("height", ["-1", "1.5", "1_0", "9" * 30, "99"])
def test_a_height_that_is_none_or_not_there_is_an_invalid_argument(
    channel: grpc.Channel, height: str
) -> None:
    code, _ = refusal(channel, a_balance(), height)

    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_account_is_not_found_in_the_words_that_clients_read(channel: grpc.Channel) -> None:
    address = key_of("nobody").address

    code, details = refusal(channel, auth_query.QueryAccountRequest(address=address))

    assert code is grpc.StatusCode.NOT_FOUND
    assert details == f"account {address} not found"


def test_a_method_that_nobody_declares_is_unimplemented(channel: grpc.Channel) -> None:
    call = method(channel, "/cosmos.bank.v1beta1.Query/Riches")

    code, _ = status_of(lambda: call(b"", timeout=20))

    assert code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/cosmos.bank.v1beta1.Query/Balance", "/cosmos.tx.v1beta1.Service/GetTx"])
def test_bytes_that_are_no_request_are_an_invalid_argument(channel: grpc.Channel, path: str) -> None:
    call = method(channel, path)

    code, _ = status_of(lambda: call(b"\xff\xff\xff", timeout=20))

    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_simulation_counts_gas_and_changes_nothing(channel: grpc.Channel, chain: Chain) -> None:
    send = bank_tx.MsgSend(
        from_address=key_of("bob").address,
        to_address=key_of("carol").address,
        amount=[Coin(denom=DENOM, amount="7")],
    )
    raw = chain.sign("bob", send, gas=0)

    answer, _ = ask(channel, service_pb2.SimulateRequest(tx_bytes=raw))

    assert answer.gas_info.gas_used > 0
    (response,) = abci_pb2.TxMsgData.FromString(answer.result.data).msg_responses
    assert response.type_url == "/cosmos.bank.v1beta1.MsgSendResponse"
    assert list(answer.result.msg_responses) == [response]
    assert chain.balance("carol") == 0


def test_a_simulation_that_fails_says_why_and_what_it_used(channel: grpc.Channel, chain: Chain) -> None:
    send = bank_tx.MsgSend(
        from_address=key_of("bob").address,
        to_address=key_of("carol").address,
        amount=[Coin(denom=DENOM, amount=str(FUNDS + 1))],
    )

    code, details = refusal(channel, service_pb2.SimulateRequest(tx_bytes=chain.sign("bob", send, gas=0)))

    assert code is grpc.StatusCode.UNKNOWN
    assert "insufficient funds" in details
    assert "with gas used: '" in details


def test_what_needs_comet_is_unavailable_without_it(channel: grpc.Channel) -> None:
    code, details = refusal(channel, tendermint.GetLatestBlockRequest())

    assert code is grpc.StatusCode.UNAVAILABLE
    assert NO_COMET in details


def test_a_broadcast_names_the_modes_that_there_are(channel: grpc.Channel) -> None:
    request = service_pb2.BroadcastTxRequest(tx_bytes=b"x", mode=service_pb2.BROADCAST_MODE_BLOCK)

    code, details = refusal(channel, request)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == "unsupported return type BROADCAST_MODE_BLOCK; supported types: sync, async"


@pytest.mark.parametrize("text", ["", "AB", "XY" * 32])
def test_a_hash_that_is_none_is_an_invalid_argument(channel: grpc.Channel, text: str) -> None:
    code, _ = refusal(channel, service_pb2.GetTxRequest(hash=text))

    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_bug_of_ours_is_counted_and_its_text_stays_here(
    channel: grpc.Channel,
    chain: Chain,
    bugs: list[tuple[str, BaseException]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the secret of line 7")

    monkeypatch.setattr(chain.app.queries, "answer", broken)

    code, details = refusal(channel, a_balance())

    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in details
    assert [where for where, _ in bugs] == ["/cosmos.bank.v1beta1.Query/Balance"]


def test_reflection_lists_the_services_and_describes_them(channel: grpc.Channel) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="evergrid.epochs.v1.Query"),
    ]

    listed, described = stub.ServerReflectionInfo(iter(requests), timeout=20)

    names = {service.name for service in listed.list_services_response.service}
    assert {"cosmos.bank.v1beta1.Query", "cosmos.tx.v1beta1.Service", "evergrid.poc.v1.Query"} <= names
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(raw)
        for raw in described.file_descriptor_response.file_descriptor_proto
    ]
    assert epochs_pb2.DESCRIPTOR.name in {file.name for file in files}


def test_reflection_answers_under_its_newer_name_too(channel: grpc.Channel) -> None:
    from grpc_reflection.v1alpha import reflection_pb2

    stream: Any = channel.stream_stream
    call = stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    request = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()

    (raw,) = call(iter([request]), timeout=20)

    listed = reflection_pb2.ServerReflectionResponse.FromString(raw).list_services_response.service
    names = {service.name for service in listed}
    assert {"cosmos.bank.v1beta1.Query", "grpc.reflection.v1.ServerReflection"} <= names


def test_open_reflection_streams_do_not_keep_queries_waiting(channel: grpc.Channel) -> None:
    import threading

    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    done = threading.Event()

    def silent() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        done.wait(30)
        yield from ()

    streams = [stub.ServerReflectionInfo(silent()) for _ in range(40)]
    answer, _ = ask(channel, a_balance())

    assert answer.balance.amount == str(FUNDS)
    done.set()
    for stream in streams:
        stream.cancel()


def test_a_taken_port_is_an_error_at_the_start(services: Services) -> None:
    first = GrpcServer(services, "127.0.0.1", 0)
    first.start()

    with pytest.raises(OSError, match=str(first.port)):
        GrpcServer(services, "127.0.0.1", first.port).start()
    first.stop()


def test_every_status_of_a_query_has_a_code_on_both_fronts() -> None:
    for name, (number, http) in STATUSES.items():
        code = grpc.StatusCode.CANCELLED if name == "Canceled" else status_code(name)
        assert code.value[0] == number
        assert 400 <= http < 600


def test_before_the_first_block_queries_are_unavailable() -> None:
    from abci_app.kernel.errors import QueryError

    comet = CometRpc(NO_COMET)
    empty = Services(Chain(app_state()).app, comet)

    with pytest.raises(QueryError, match="no block yet") as caught:
        empty.answer("/cosmos.bank.v1beta1.Query/Balance", b"")

    assert caught.value.status == "Unavailable"
    comet.close()
