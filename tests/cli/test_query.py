"""Queries by the command line, of the real application behind a real socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chain import FUNDS, Chain, key_of
from tests.cli.conftest import Command
from tests.cli.rpc import RpcServer
from tests.stages.test_epoch import S, run_poc, two_owners

ALICE, BOB, EVE = (key_of(name).address for name in ("alice", "bob", "eve"))


def test_json_has_the_fields_as_they_are_declared_and_long_numbers_as_text(online: Command) -> None:
    answer = online.json("query", "bank", "balance", BOB, "nevg")
    account = online.json("query", "auth", "account", ALICE)["account"]

    assert answer == {"balance": {"denom": "nevg", "amount": str(FUNDS)}}
    assert list(account) == ["@type", "address", "account_number", "sequence"]
    assert account["@type"] == "/cosmos.auth.v1beta1.BaseAccount"


def test_a_list_is_a_table_for_people(online: Command) -> None:
    lines = online("query", "models", "list").stdout.splitlines()

    assert lines[0].split()[:3] == ["proposed_by", "id", "name"]
    assert "model/x" in lines[2]
    assert lines[-1] == "total 1"


def test_one_thing_is_yaml_for_people(online: Command) -> None:
    text = online("query", "epochs", "info").stdout

    assert text.startswith("height: '2'\n")
    assert "slot_in_force: PRE_POC_SLOT\n" in text


def test_the_long_name_of_a_query_is_understood(online: Command) -> None:
    assert online.json("query", "bank", "all-balances", BOB) == online.json("query", "bank", "balances", BOB)
    assert online.json("q", "models", "governance-models") == online.json("query", "models", "list")


def test_an_epoch_that_is_not_named_is_the_effective_one(tmp_path: Path) -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 30, "bob": 20})

    with RpcServer(chain) as server:
        online = Command(tmp_path, server.url)
        unnamed = online.json("query", "epochs", "active-participants")
        models = online.json("query", "epochs", "models")
        former = online.json("query", "epochs", "active-participants", "--epoch-index", "0")

    assert (unnamed["epoch_index"], models["epoch_index"], former["epoch_index"]) == ("1", "1", "0")
    assert sorted(each["weight"] for each in unnamed["participants"]) == ["20", "30"]


def test_pages_follow_one_another_by_key_and_by_number(online: Command) -> None:
    everything = online.json("query", "auth", "accounts", "--count-total")
    first = online.json("query", "auth", "accounts", "--limit", "2")
    key = first["pagination"]["next_key"]
    by_key = online.json("query", "auth", "accounts", "--limit", "2", "--page-key", key)
    by_number = online.json("query", "auth", "accounts", "--limit", "2", "--page", "2")

    assert int(everything["pagination"]["total"]) == len(everything["accounts"]) > 2
    assert first["accounts"] + by_key["accounts"] == everything["accounts"][:4]
    assert by_number["accounts"] == by_key["accounts"]


def test_a_status_is_a_word(online: Command) -> None:
    assert online.json("query", "gov", "proposals", "--proposal-status", "passed")["proposals"] == []
    text = online.fails("query", "gov", "proposals", "--proposal-status", "sunny", code=2)
    assert "'sunny' is not one of 'deposit_period'" in text


def test_a_query_at_a_height_sees_that_height(online: Command, chain: Chain) -> None:
    online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y", "-b", "block")

    before = online.json("query", "bank", "balance", BOB, "nevg", "--height", "2")
    after = online.json("query", "bank", "balance", BOB, "nevg", "--height", "3")

    assert [answer["balance"]["amount"] for answer in (before, after)] == [str(FUNDS), str(FUNDS + 5)]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("models", "show", "no/such"), 1, "model no/such is not in the registry"),
        (("auth", "account", EVE), 1, f"account {EVE} not found"),
        (
            ("bank", "balances", "x"),
            1,
            "invalid address: decoding bech32 failed: invalid character or separator",
        ),
        (("epochs", "info", "--height", "99"), 1, "height 99 is not available: heights 1 to 2 are kept"),
        (("gov", "proposal"), 2, "Missing argument 'PROPOSAL_ID' (see 'evergrid query gov proposal --help')"),
        (("gov", "proposal", "-1"), 2, "No such option"),
        (
            ("auth", "accounts", "--page", "2", "--page-key", "AA=="),
            2,
            "use only one of --offset, --page and",
        ),
        (("auth", "accounts", "--page-key", "?"), 1, "--page-key is no base64"),
        (("weather",), 2, "No such command 'weather'"),
        (("tx", "12"), 2, "'12' is no hash of 64 hex digits"),
        (("tx", "00" * 32), 1, f"transaction {'00' * 32} is in no block"),
        (("block", "99"), 1, "height 99 must be less than or equal to the current blockchain height"),
        (("block", "00" * 32), 1, f"no block has the hash {'00' * 32}"),
        (
            ("bank", "balances", BOB, "--node", "http://127.0.0.1:1"),
            1,
            "no answer from the node at http://127",
        ),
        (("bank", "balances", BOB, "--node", "http://["), 1, "no answer from the node at http://["),
    ],
)
def test_a_query_without_an_answer_is_one_sentence(
    online: Command, words: tuple[str, ...], code: int, text: str
) -> None:
    assert text in online.fails("query", *words, code=code)


def test_a_transaction_is_found_by_its_hash_with_its_messages(online: Command) -> None:
    sent = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y", "-b", "block", "--note", "hello")

    found = online.json("query", "tx", sent["txhash"].lower())
    listed = online.json("query", "txs", "--query", "tx.height>0")

    assert found["tx"]["body"]["memo"] == "hello"
    assert found["tx"]["body"]["messages"][0]["to_address"] == BOB
    assert {name: found[name] for name in sent} == sent
    assert [tx["txhash"] for tx in listed["txs"]] == [sent["txhash"]]


def test_status_and_block_are_what_cometbft_says(online: Command) -> None:
    assert online.json("status")["sync_info"]["latest_block_height"] == "2"
    assert online.json("query", "block")["block"]["header"]["height"] == "2"
    assert online.json("query", "block", "1")["block"]["header"]["height"] == "1"


def test_an_option_counts_before_the_environment_before_the_file_before_the_default(
    online: Command, rpc: RpcServer
) -> None:
    config = online.home / "config"
    config.mkdir()
    (config / "client.toml").write_text(f'node = "{rpc.url}"\noutput = "json"\n')
    nowhere = "tcp://127.0.0.1:1"

    by_file = online("status", EVERGRID_NODE="")
    by_option = online("--node", rpc.url, "status", EVERGRID_NODE=nowhere)
    by_environment = online("status", EVERGRID_NODE=nowhere)
    as_text = online("status", "-o", "text")

    assert json.loads(by_file.stdout)["sync_info"]["latest_block_height"] == "2"
    assert by_option.exit_code == 0
    assert by_environment.exit_code == 1
    assert as_text.stdout.startswith("node_info:\n")


def test_a_broken_client_toml_is_named(online: Command) -> None:
    config = online.home / "config"
    config.mkdir()
    (config / "client.toml").write_text("node = \n")

    assert f"{config / 'client.toml'}: " in online.fails("status")


def test_a_server_that_speaks_no_json_is_one_sentence(evergrid: Command, tmp_path: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        text = evergrid.fails("status", "--node", f"http://127.0.0.1:{server.server_port}")

    assert text.startswith("no answer from the node at http://127.0.0.1")
