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
