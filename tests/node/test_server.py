"""The server on real sockets: connections, reconnects, big frames, stale sockets, signals and failures."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from abci_app.node.server import Address, Server
from bench.kvstore import KeyValueStore, state_hash
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.node.client import WAIT_SECONDS, Client, Running, check_tx_frame, request_frame, running

LOOPS = pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
FLUSH = request_frame(flush=abci.RequestFlush())


@LOOPS
def test_a_block_goes_through_all_its_calls(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with (
        running(KeyValueStore(), tmp_path, loop_factory=loop_factory) as server,
        Client(server.address) as client,
    ):
        client.ask(init_chain=abci.RequestInitChain(chain_id="test-1"))
        checked = client.ask(check_tx=abci.RequestCheckTx(tx=b"k=v")).check_tx
        accepted = client.ask(process_proposal=abci.RequestProcessProposal(txs=[b"k=v"])).process_proposal
        finalized = client.ask(
            finalize_block=abci.RequestFinalizeBlock(height=1, txs=[b"k=v"])
        ).finalize_block
        client.ask(commit=abci.RequestCommit())
        queried = client.ask(query=abci.RequestQuery(data=b"k")).query
        info = client.ask(info=abci.RequestInfo()).info

    assert checked.code == 0
    assert accepted.status == abci.ResponseProcessProposal.ACCEPT
    assert finalized.app_hash == info.last_block_app_hash == state_hash({b"k": b"v"})
    assert (queried.value, queried.height, info.last_block_height) == (b"v", 1, 1)


@LOOPS
def test_ten_thousand_pipelined_checks_are_answered_in_order(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    good = [number % 3 != 0 for number in range(10_000)]

    with (
        running(KeyValueStore(), tmp_path, loop_factory=loop_factory) as server,
        Client(server.address) as client,
    ):
        frames = [check_tx_frame(b"k=v" if is_good else b"nothing") for is_good in good]
        threading.Thread(target=client.send, args=(*frames, FLUSH)).start()
        codes = [client.receive().check_tx.code for _ in good]
        last = client.receive().WhichOneof("value")

    assert [code == 0 for code in codes] == good
    assert last == "flush"


@LOOPS
def test_a_finalize_block_of_thirty_megabytes_passes(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    txs = [b"%d=" % number + bytes(300_000) for number in range(100)]

    with (
        running(KeyValueStore(), tmp_path, loop_factory=loop_factory) as server,
        Client(server.address) as client,
    ):
        response = client.ask(finalize_block=abci.RequestFinalizeBlock(height=1, txs=txs)).finalize_block

    assert len(response.tx_results) == len(txs)


def test_an_answer_of_thirty_megabytes_passes(tmp_path: Path) -> None:
    class Talkative(KeyValueStore):
        def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
            return abci.ResponseQuery(value=bytes(30_000_000))

    with running(Talkative(), tmp_path) as server, Client(server.address) as client:
        response = client.ask(query=abci.RequestQuery()).query

    assert len(response.value) == 30_000_000


@LOOPS
def test_a_flood_of_checks_lets_a_proposal_through_within_a_few_slices(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    class Watching(KeyValueStore):
        """Sends the proposal itself, in the midst of the flood, and counts the checks that came before it."""

        checked = sent_at = processed_at = 0

        def check_tx(self, tx: bytes, recheck: bool) -> bytes:
            self.checked += 1
            if self.checked == 1000:
                self.sent_at = self.checked
                consensus.send(request_frame(process_proposal=abci.RequestProcessProposal()), FLUSH)
            return super().check_tx(tx, recheck)

        def process_proposal(self, req: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
            self.processed_at = self.checked
            return super().process_proposal(req)

    app = Watching()
    with (
        running(app, tmp_path, loop_factory=loop_factory) as server,
        Client(server.address) as mempool,
        Client(server.address) as consensus,
    ):
        # Both connections must be open before the flood, or the accept would be measured too.
        consensus.ask(echo=abci.RequestEcho())
        threading.Thread(target=mempool.send, args=(*[check_tx_frame(b"k=v")] * 20_000, FLUSH)).start()
        for _ in range(20_000):
            mempool.receive()

    assert app.sent_at == 1000
    # Four slices of sixteen, whatever the machine does meanwhile.
    assert 1000 <= app.processed_at <= 1064


def test_four_connections_are_served_beside_each_other_and_a_lost_one_returns(tmp_path: Path) -> None:
    with running(KeyValueStore(), tmp_path) as server:
        clients = [Client(server.address) for _ in range(4)]
        echoes = [client.ask(echo=abci.RequestEcho(message=str(at))) for at, client in enumerate(clients)]
        clients[1].socket.close()
        again = Client(server.address)
        answers = [client.ask(info=abci.RequestInfo()) for client in (clients[0], again, *clients[2:])]
        for client in (*clients, again):
            client.socket.close()

    assert [response.echo.message for response in echoes] == ["0", "1", "2", "3"]
    assert all(response.info.data == "kvstore" for response in answers)


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"GET / HTTP/1.1\r\n" * 10, b"\x00\x00", b"\x03\xfa\x06\x00"]
)
def test_garbage_on_one_connection_leaves_the_server_running(tmp_path: Path, garbage: bytes) -> None:
    with running(KeyValueStore(), tmp_path) as server, Client(server.address) as good:
        with Client(server.address) as bad:
            bad.send(garbage)
            with pytest.raises(ConnectionError):
                bad.receive()
        response = good.ask(info=abci.RequestInfo())

    assert response.info.data == "kvstore"
    assert server.exit_code == 0


def test_a_tcp_socket_serves_as_well() -> None:
    server = Running(KeyValueStore(), "tcp://127.0.0.1:0")

    with Client(server.address) as client:
        response = client.ask(info=abci.RequestInfo())

    server.server.stop()
    assert server.join() == 0
    assert response.info.data == "kvstore"


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "abci.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()

    with running(KeyValueStore(), tmp_path) as server, Client(server.address) as client:
        response = client.ask(info=abci.RequestInfo())

    assert response.info.data == "kvstore"
    assert not path.exists()


def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with running(KeyValueStore(), tmp_path) as server:
        with pytest.raises(OSError, match="another process already serves ABCI here"):
            Server(KeyValueStore(), server.address).run()
        with Client(server.address) as client:
            response = client.ask(info=abci.RequestInfo())

    assert response.info.data == "kvstore"


def test_a_file_at_the_sockets_path_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "abci.sock"
    path.write_text("precious")

    with pytest.raises(FileExistsError, match="taken by a file"):
        Server(KeyValueStore(), f"unix://{path}").run()

    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix://",
        "tcp://",
        "tcp://host",
        "tcp://host:",
        "tcp://:1",
        "tcp://h:70000",
        "tcp://h:٣",
        "http://h:1",
    ],
)
def test_an_address_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unix://PATH or tcp://HOST:PORT"):
        Address.parse(text)


def test_a_unix_path_that_the_system_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        Address.parse("unix:///" + "x" * 107)


@pytest.mark.parametrize("arm", ["init_chain", "finalize_block", "commit"])
def test_a_failure_of_the_state_ends_the_run_with_an_error_and_without_an_answer(
    tmp_path: Path, arm: str
) -> None:
    class Failing(KeyValueStore):
        def fail(self, *_: object) -> abci.ResponseCommit:
            raise OSError("disk full")

    setattr(Failing, arm, Failing.fail)
    with running(Failing(), tmp_path) as server, Client(server.address) as client:
        client.send(request_frame(**{arm: getattr(abci.Request(), arm)}))
        with pytest.raises(ConnectionError):
            client.receive()
        exit_code = server.join()

    assert exit_code == 1


def test_stopping_lets_the_query_in_hand_be_answered(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(KeyValueStore):
        def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
            begun.set()
            assert go_on.wait(WAIT_SECONDS)
            return super().query(req)

    with running(Slow(), tmp_path) as server, Client(server.address) as client:
        client.send(request_frame(query=abci.RequestQuery(data=b"k")))
        assert begun.wait(WAIT_SECONDS)
        server.server.stop()
        go_on.set()
        response = client.receive()
        with pytest.raises(ConnectionError):
            client.receive()
        exit_code = server.join()

    assert response.query.key == b"k"
    assert exit_code == 0


def start_process(path: Path, *program: str) -> subprocess.Popen[bytes]:
    """A server in a process of its own, once it listens."""
    command = [sys.executable, *(program or ("-m", "bench.kvstore")), f"unix://{path}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + WAIT_SECONDS
    while not listens(path):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    return process


def listens(path: Path) -> bool:
    """Whether somebody takes connections: the file is there a moment before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly_while_cometbft_is_connected(tmp_path: Path, number: int) -> None:
    path = tmp_path / "abci.sock"
    process = start_process(path)

    with Client(f"unix://{path}") as client:
        txs = [b"%d=v" % each for each in range(50_000)]
        # The signal arrives while this block executes, or before or after: the answer, if any, is whole.
        client.send(request_frame(finalize_block=abci.RequestFinalizeBlock(height=1, txs=txs)))
        process.send_signal(number)
        try:
            answered = len(client.receive().finalize_block.tx_results)
        except ConnectionError:
            answered = 0
        exit_code = process.wait(WAIT_SECONDS)

    assert exit_code == 0
    assert answered in {0, len(txs)}
    assert not path.exists()


@LOOPS
def test_peers_that_vanish_amid_their_own_flood_leave_the_server_running(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with running(KeyValueStore(), tmp_path, loop_factory=loop_factory) as server:
        for received in range(20):
            with Client(server.address) as vanishing:
                vanishing.send(*[check_tx_frame(b"k=v")] * 2000, request_frame(query=abci.RequestQuery()))
                for _ in range(received):
                    vanishing.receive()
        with Client(server.address) as client:
            response = client.ask(info=abci.RequestInfo())

    assert response.info.data == "kvstore"
    assert server.exit_code == 0


def test_the_server_runs_on_the_standard_event_loop_where_uvloop_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "abci.sock"
    program = (
        "import sys; sys.modules['uvloop'] = None\n"
        "from abci_app.node.server import Server; from bench.kvstore import KeyValueStore\n"
        "server = Server(KeyValueStore(), sys.argv[1]); print(type(server._loop).__module__, flush=True)\n"
        "sys.exit(server.run())"
    )

    process = start_process(path, "-c", program)
    with Client(f"unix://{path}") as client:
        response = client.ask(info=abci.RequestInfo())
    process.terminate()
    output, _ = process.communicate(timeout=WAIT_SECONDS)

    assert output.startswith(b"asyncio.")
    assert response.info.data == "kvstore"
    assert process.returncode == 0
