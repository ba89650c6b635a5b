"""`evergrid doctor` on real files, ports, a chain behind RPC and MLNodes over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.doctor_gather import seconds_of
from cli.doctor_nodes import own_version
from cli.tx_authz import grant_messages, protocol_messages
from client.keyring import Keyring
from tests.api_node.network import write_files
from tests.chain import Chain, key_of
from tests.cli.conftest import Command
from tests.cli.rpc import RpcServer

TOKEN = "worker-token"
GPU = 'mlnode_gpu_memory_{name}_bytes{{gpu_index="{index}"}} {value}\n'


@dataclass
class Rpc(RpcServer):
    """CometBFT's RPC with what a doctor asks for."""

    peers: int = 0
    validators: int = 1

    def on_status(self) -> dict[str, Any]:
        shown = super().on_status()
        shown["node_info"]["version"] = "0.38.26"
        shown["sync_info"]["latest_block_time"] = datetime.now(UTC).isoformat()[:-6] + "123Z"
        return shown

    def on_net_info(self) -> dict[str, Any]:
        return {"n_peers": str(self.peers)}

    def on_validators(self, page: str, per_page: str) -> dict[str, Any]:
        assert (page, per_page) == ("1", "1")
        return {"total": str(self.validators)}


@contextmanager
def mlnode(gpus: int = 0, date: str = "") -> Iterator[int]:
    """An MLNode's state behind a token, and its metrics; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                body = f'# TYPE mlnode_version info\nmlnode_version_info{{version="{own_version()}"}} 1\n'
                for name, value in (("used", 2**30), ("free", 79 * 2**30)):
                    body += f"# TYPE mlnode_gpu_memory_{name}_bytes gauge\n"
                    body += "".join(GPU.format(name=name, index=index, value=value) for index in range(gpus))
                return self._answer(200, body)
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            return self._answer(200 if known else 401, json.dumps({"state": "STOPPED"} if known else {}))

        def _answer(self, status: int, body: str) -> None:
            self.send_response_only(status)
            self.send_header("Date", date or self.date_time_string())
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class Doctor:
    """A home as `api start` would use it, and what the doctor says of it."""

    def __init__(self, evergrid: Command, chain: Chain, stack: ExitStack) -> None:
        self.evergrid, self.chain, self.stack, self.home = evergrid, chain, stack, evergrid.home
        self.rpc = stack.enter_context(Rpc(chain))
        evergrid.node = self.rpc.url
        write_files(self.home, "alice", {})
        (self.home / "priv_validator_key.json").chmod(0o600)
        (self.home / "api-keys.txt").chmod(0o600)
        token = self.home / "mlnode_token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        (self.home / "api").mkdir(exist_ok=True)
        admin = self.home / "api" / "admin_token"
        admin.touch(mode=0o600)
        admin.write_text("t")
        with ExitStack() as held:
            socks = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
            ports = [str(each.getsockname()[1]) for each in socks]
        names = ("public", "callback", "admin", "metrics")
        self.ports = dict(zip(names, ports, strict=True))

    def nodes(self, *nodes: tuple[str, int, int]) -> None:
        """Configures MLNodes: id, port, GPUs."""
        entries = [
            {"id": node_id, "host": "127.0.0.1", "inference_port": port, "poc_port": port}
            | {"models": {"model/x": {}}, "hardware": [{"type": "H100", "count": gpus}] if gpus else []}
            for node_id, port, gpus in nodes
        ]
        (self.home / "node-config.json").write_text(json.dumps(entries))

    def says(self, *words: str, code: int) -> dict[str, list[tuple[str, str]]]:
        """Findings by check, as (level, text)."""
        files = {"node-config": "node-config.json", "validator-key-file": "priv_validator_key.json"}
        files |= {"mlnode-token-file": "mlnode_token", "api-keys-file": "api-keys.txt"}
        options = [word for name, file in files.items() for word in (f"--{name}", str(self.home / file))]
        options += [word for name, port in self.ports.items() for word in (f"--{name}-port", port)]
        result = self.evergrid("doctor", *options, *words, "-o", "json")
        assert result.exit_code == code, result.output
        found: dict[str, list[tuple[str, str]]] = {}
        for each in json.loads(result.stdout)["findings"]:
            found.setdefault(each["check"], []).append((each["level"], each["text"]))
        return found


@pytest.fixture
def doctor(evergrid: Command, chain: Chain) -> Iterator[Doctor]:
    with ExitStack() as stack:
        yield Doctor(evergrid, chain, stack)


def test_a_machine_that_is_well_has_no_error_and_only_the_api_node_is_not_started(doctor: Doctor) -> None:
    doctor.nodes(("n1", doctor.stack.enter_context(mlnode(gpus=2)), 2))

    found = doctor.says(code=1)

    bad = {check: texts for check, texts in found.items() if any(level != "ok" for level, _ in texts)}
    assert set(bad) <= {"api node", "disk"}
    assert [level for level, _ in found["mlnodes"] + found["registration"] + found["account"]] == ["ok"] * 3
    assert len(found["ports"]) == 4


def test_all_that_is_wrong_is_told_at_once(doctor: Doctor) -> None:
    long_ago = "Mon, 01 Jan 2024 00:00:00 GMT"
    with mlnode(gpus=1, date=long_ago) as poor, mlnode() as other, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        doctor.nodes(("n1", poor, 2), ("n2", other, 0), ("n3", closed.getsockname()[1], 0))
        doctor.rpc.validators = 4
        (doctor.home / "priv_validator_key.json").chmod(0o644)
        (doctor.home / "mlnode_token").write_text(TOKEN)
        doctor.ports["admin"] = str(other)
        found = doctor.says(code=2)
        (doctor.home / "mlnode_token").write_text("another")
        refused = doctor.says(code=2)

    assert any("may be read by others (0644)" in text for _, text in found["keys"])
    assert ("error", f"another program listens on 127.0.0.1:{other} (admin)") in found["ports"]
    assert ("error", "it has no peers, and the chain 4 validators") in found["cometbft"]
    assert ("error", "n1 declares 2 GPUs and has 1") in found["gpus"]
    assert any("n1" in text and "behind this machine's" in text for _, text in found["clocks"])
    assert any("n3" in text and "does not answer" in text for _, text in found["mlnodes"])
    assert sum("refuses our token" in text for _, text in refused["mlnodes"]) == 2


def test_a_wrong_port_for_prompts_is_found_where_the_other_port_is_right(doctor: Doctor) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        doctor.nodes(("n1", doctor.stack.enter_context(mlnode()), 0))
        path = doctor.home / "node-config.json"
        (node,) = json.loads(path.read_text())
        path.write_text(json.dumps([node | {"inference_port": closed.getsockname()[1]}]))
        found = doctor.says(code=1)

    assert any("n1 does not answer for prompts" in text for _, text in found["mlnodes"])


def test_a_port_of_a_chain_node_that_does_not_run_is_taken(evergrid: Command) -> None:
    evergrid("init", "me", "--chain-id", "grid-1")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        evergrid("config", "set", "app", "rest_address", taken)
        shown = evergrid("doctor").stdout

    assert f"does not answer, and something listens on {taken} (app.toml, rest_address)" in shown
    assert "(config.toml, p2p.laddr)" in shown


def test_a_chain_a_key_and_a_file_of_nodes_that_are_not_there_are_told_together(evergrid: Command) -> None:
    result = evergrid("doctor", "--key-name", "nobody")

    assert result.exit_code == 2
    for text in (
        "the account key nobody is missing",
        "node-config.json cannot be read",
        "tcp://127.0.0.1:1 does not answer",
        "fix: start it with `evergrid start --with-comet`",
    ):
        assert text.replace("tcp:", "") in result.stdout
    assert result.stdout.splitlines()[0].startswith("error")


def test_another_consensus_key_than_the_chains_is_an_error(doctor: Doctor, tmp_path: Path) -> None:
    write_files(tmp_path / "eve", "eve", {})
    other = tmp_path / "eve" / "priv_validator_key.json"
    other.chmod(0o600)

    found = doctor.says("--validator-key-file", str(other), code=2)

    assert any("another consensus key" in text for _, text in found["registration"])


def test_a_key_of_the_api_nodes_own_needs_its_grants(doctor: Doctor) -> None:
    Keyring(doctor.home).add("warm", key_of("bob"))
    options = ("--key-name", "warm", "--participant-key", key_of("alice").public.hex())

    before = doctor.says(*options, code=2)
    alice, bob = key_of("alice").address, key_of("bob").address
    messages = grant_messages(alice, bob, protocol_messages(), "")
    doctor.chain.must("alice", *messages[1:])
    partly = doctor.says(*options, code=2)
    doctor.chain.must("alice", messages[0])
    after = doctor.says(*options, code=2)

    missing = messages[0].grant.authorization.value.decode().rpartition(".")[2]
    assert before["grants"][0][0] == "error"
    assert partly["grants"] == [("error", f"{alice} has not granted {bob}: {missing}")]
    assert after["grants"] == [("ok", f"{bob} may send for {alice}")]
    assert any("another worker key" in text for _, text in after["registration"])


def test_a_key_without_an_account_cannot_send(doctor: Doctor) -> None:
    Keyring(doctor.home).add("eve", key_of("eve"))

    found = doctor.says("--key-name", "eve", code=2)

    assert found["account"][0][0] == "error"
    assert found["registration"][0][0] == "warning"


def test_cometbfts_times_have_nine_digits() -> None:
    assert seconds_of("1970-01-01T00:00:01.250000000Z") == 1.25
    assert seconds_of("1970-01-01T00:00:02Z") == 2.0
