"""Transactions as files: generated on one machine, signed on another, sent by a third."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.chain import Chain, key_of
from tests.cli.conftest import Command
from tests.cli.rpc import RpcServer

ALICE, BOB = (key_of(name).address for name in ("alice", "bob"))


@pytest.fixture
def unsigned(online: Command, tmp_path: Path) -> Path:
    """A send of alice that nobody has signed."""
    shown = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--generate-only", "--gas", "200000")
    return written(tmp_path / "unsigned.json", shown)


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def offline(command: Command, chain: Chain) -> tuple[str, ...]:
    account = command.json("query", "auth", "account-info", ALICE)["info"]
    numbers = ("--account-number", account["account_number"], "--sequence", account["sequence"])
    return ("--offline", "--chain-id", chain.chain_id, *map(str, numbers))


def test_a_transaction_is_signed_without_a_node_and_sent_by_another_home(
    online: Command, chain: Chain, unsigned: Path, tmp_path: Path
) -> None:
    before = chain.balance("bob")
    words = offline(online, chain)
    signer = Command(online.home, "tcp://127.0.0.1:1")

    signed = signer.json("tx", "sign", str(unsigned), "--from", "alice", *words)
    sender = Command(tmp_path / "elsewhere", online.node)
    reply = sender.json("tx", "broadcast", str(written(tmp_path / "signed.json", signed)), "-b", "block")

    assert (reply["code"], chain.balance("bob")) == (0, before + 5)


def test_a_command_offline_writes_a_signed_transaction_that_any_node_takes(
    online: Command, chain: Chain, rpc: RpcServer, tmp_path: Path
) -> None:
    before, path = chain.balance("bob"), tmp_path / "signed.json"
    words = offline(online, chain)
    asked = len(rpc.calls)

    shown = online.json(
        *("tx", "bank", "send", "alice", BOB, "5nevg", *words, "--gas", "200000"),
        *("--gas-prices", "0.5nevg", "--note", "from afar", "--output-document", str(path)),
    )
    silent = len(rpc.calls) == asked
    reply = online.json("tx", "broadcast", str(path), "-b", "block")

    tx = json.loads(path.read_text())
    assert (shown, silent) == ({"file": str(path)}, True)
    assert tx["auth_info"]["fee"]["amount"] == [{"denom": "nevg", "amount": "100000"}]
    assert tx["body"]["memo"] == "from afar"
    assert (reply["code"], chain.balance("bob")) == (0, before + 5)


def test_all_that_a_command_offline_lacks_is_named(online: Command, rpc: RpcServer) -> None:
    send = ("tx", "bank", "send", "alice", BOB, "5nevg", "--offline")
    whole = ("--chain-id", "c", "--account-number", "0", "--sequence", "0", "--gas", "9")

    bare = online.fails(*send, code=2)
    unordered = online.fails(*send, "--unordered", code=2)
    asks = online.fails("tx", "models", "retire", "model/x", "--from", "alice", "--offline", *whole, code=2)

    assert "--offline needs --chain-id, --account-number, --sequence, --gas N" in bare
    assert "--offline needs --chain-id, --account-number, --gas N" in unordered
    assert "only a node knows, and --offline asks none" in asks
    assert "--offline asks none" in online.fails(*send, *whole, "--dry-run", code=2)
    assert "goes with --generate-only" in online.fails(*send[:-1], "--output-document", "x", code=2)
    assert rpc.calls == []


def test_without_a_check_a_transaction_is_sent_with_its_hash_alone(
    online: Command, chain: Chain, rpc: RpcServer, tmp_path: Path
) -> None:
    path = tmp_path / "signed.json"
    send = ("tx", "bank", "send", "alice", BOB, "5nevg", "--gas", "200000")
    online.json(*send, *offline(online, chain), "--output-document", str(path))

    first = online.json("tx", "broadcast", str(path), "-b", "async")
    second = online.json(*send, "--sequence", "0", "-y", "-b", "async")

    # The second one has a sequence that was used: nobody has looked at it yet.
    assert (first["code"], second["code"]) == (0, 0)
    assert len(second["txhash"]) == 64
    assert rpc.calls.count("broadcast_tx_async") == 2
    assert "broadcast_tx_sync" not in rpc.calls


def test_simulated_from_a_file_it_needs_what_the_command_itself_would_say(
    online: Command, unsigned: Path, rpc: RpcServer
) -> None:
    estimate = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--dry-run")["gas_estimate"]
    signed = unsigned.parent / "signed.json"
    online.json("tx", "sign", str(unsigned), "--from", "alice", "--output-document", str(signed))

    shown = online.json("tx", "simulate", str(unsigned), "--from", "alice")
    of_signed = online.json("tx", "simulate", str(signed))
    double = online.json("tx", "simulate", str(unsigned), "--gas-adjustment", "2")

    for each in (shown, of_signed):
        assert abs(int(each["gas_estimate"]) / int(estimate) - 1) < 0.1
    # Without its key, an account that has never sent seems to need less.
    assert int(double["gas_used"]) < int(shown["gas_used"])
    assert int(double["gas_estimate"]) == 2 * int(double["gas_used"])
    assert not any(call.startswith("broadcast") for call in rpc.calls)


def test_a_simulated_transaction_that_would_fail_says_why(
    online: Command, unsigned: Path, tmp_path: Path
) -> None:
    shown = json.loads(unsigned.read_text())
    shown["body"]["messages"][0]["amount"][0]["denom"] = "foo"

    said = online.fails("tx", "simulate", str(written(tmp_path / "poor.json", shown)))

    assert "insufficient funds" in said


def test_signing_with_a_node_asks_it_for_the_numbers(online: Command, chain: Chain, unsigned: Path) -> None:
    signed = unsigned.parent / "signed.json"

    shown = online.json("tx", "sign", str(unsigned), "--from", "alice", "--output-document", str(signed))
    reply = online.json("tx", "broadcast", str(signed), "-b", "block")

    assert shown == {"file": str(signed)}
    assert (reply["code"], reply["height"]) == (0, str(chain.height))


def test_what_is_encoded_is_what_is_decoded_and_what_can_be_sent(online: Command, unsigned: Path) -> None:
    signed = online.json("tx", "sign", str(unsigned), "--from", "alice")
    path = written(unsigned.parent / "signed.json", signed)

    text = online("tx", "encode", str(path)).stdout.strip()
    encoded = path.with_name("signed.txt")
    encoded.write_text(text)

    assert online.json("tx", "decode", text) == signed
    assert online.json("tx", "broadcast", str(encoded), "-b", "block")["code"] == 0


def test_all_that_is_in_the_way_of_a_signature_is_named(online: Command, tmp_path: Path) -> None:
    shown = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--generate-only")
    path = written(tmp_path / "tx.json", shown)

    said = online.fails("tx", "sign", str(path), "--from", "bob")

    assert f"signed by {ALICE}, not by {BOB}" in said
    assert "no gas limit" in said


def test_offline_names_every_number_that_is_missing(online: Command, unsigned: Path) -> None:
    said = online.fails("tx", "sign", str(unsigned), "--from", "alice", "--offline", code=2)

    assert "--offline needs --chain-id, --account-number, --sequence" in said


def test_an_unsigned_transaction_is_not_sent(online: Command, rpc: RpcServer, unsigned: Path) -> None:
    said = online.fails("tx", "broadcast", str(unsigned))

    assert "is not signed" in said
    assert "broadcast_tx_sync" not in rpc.calls


@pytest.mark.parametrize("content", [{}, [], {"body": {}}, "text"])
def test_a_file_without_a_transaction_is_refused(online: Command, tmp_path: Path, content: Any) -> None:
    said = online.fails("tx", "encode", str(written(tmp_path / "tx.json", content)))

    assert "holds no transaction" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no transaction of this chain"),
        ("!", "is no base64"),
        ("AAAA", "cannot be read|no transaction"),
        ("bm90IGEgdHg=", "cannot be read|no transaction"),
    ],
)
def test_bytes_that_are_no_transaction_are_refused(online: Command, text: str, why: str) -> None:
    assert re.search(why, online.fails("tx", "decode", text))


def test_a_transaction_changed_after_its_signature_is_refused(
    online: Command, chain: Chain, unsigned: Path
) -> None:
    before = chain.balance("bob")
    signed = online.json("tx", "sign", str(unsigned), "--from", "alice")
    signed["body"]["messages"][0]["amount"][0]["amount"] = "500"

    result = online("tx", "broadcast", str(written(unsigned.parent / "signed.json", signed)), "-o", "json")

    assert result.exit_code == 1
    assert "signature verification failed" in result.stderr
    assert chain.balance("bob") == before


def test_one_can_wait_for_a_transaction(online: Command) -> None:
    sent = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y")

    found = online.json("query", "wait-tx", sent["txhash"])

    assert (found["code"], found["txhash"]) == (0, sent["txhash"])


def test_waiting_ends_where_no_block_takes_it(online: Command) -> None:
    said = online.fails("query", "wait-tx", "AB" * 32, "--timeout", "0.2")

    assert said == f"transaction {'AB' * 32} is in no block after 0.2 s"
