"""Transactions by the command line, into the real application behind a real socket."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from client.tx import Fee, Signer, build
from protocol.address import module_account
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, key_of, validator_key_of, validator_of
from tests.cli.conftest import Command
from tests.cli.rpc import RpcServer

ALICE, BOB, EVE = (key_of(name).address for name in ("alice", "bob", "eve"))
SIGN = ("--from", "alice", "-y", "-b", "block")


def write(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def nodes_of(online: Command) -> list[str]:
    found = online.json("query", "hardware", "nodes", ALICE)["nodes"]
    return [entry["node"]["node_id"] for entry in found]


def test_a_send_in_a_block_moves_the_coins(online: Command, chain: Chain) -> None:
    before = chain.balance("bob")
    estimate = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--dry-run")

    reply = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y", "-b", "block")

    assert (reply["code"], reply["height"]) == (0, "3")
    assert chain.balance("bob") == before + 5
    assert reply["gas_wanted"] == estimate["gas_estimate"]
    assert int(reply["gas_used"]) < int(reply["gas_wanted"])


def test_a_send_answers_without_a_block_in_mode_sync(online: Command, rpc: RpcServer) -> None:
    rpc.stuck = True

    reply = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y")

    assert (reply["code"], reply["height"]) == (0, "0")
    assert len(reply["txhash"]) == 64
    assert "tx" not in rpc.calls


def test_the_sender_may_stand_in_from(online: Command, chain: Chain) -> None:
    online.json("tx", "bank", "send", BOB, "5nevg", *SIGN)

    assert chain.height == 3


def test_nothing_is_sent_without_a_yes(online: Command, chain: Chain, rpc: RpcServer) -> None:
    declined = online("tx", "bank", "send", "alice", BOB, "5nevg", stdin="n\n")
    silent = online("tx", "bank", "send", "alice", BOB, "5nevg")
    agreed = online("tx", "bank", "send", "alice", BOB, "5nevg", stdin="y\n")

    assert declined.exit_code == silent.exit_code == 1
    assert declined.stderr.endswith("Error: aborted, nothing was done\n")
    assert agreed.exit_code == 0
    assert rpc.calls.count("broadcast_tx_sync") == 1


def test_a_dry_run_says_the_gas_and_sends_nothing(online: Command, rpc: RpcServer) -> None:
    estimate = online.json(
        "tx", "bank", "send", "alice", BOB, "5nevg", "--dry-run", "--gas-prices", "0.5nevg"
    )
    double = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--dry-run", "--gas-adjustment", "2.8")

    gas = int(estimate["gas_estimate"])
    assert estimate["fee"] == f"{-(-gas // 2)}nevg"
    assert gas * 2 - 1 <= int(double["gas_estimate"]) <= gas * 2
    assert "broadcast_tx_sync" not in rpc.calls


def test_a_fee_is_paid_as_it_was_given(online: Command, chain: Chain) -> None:
    before = chain.balance("alice")

    online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--fees", "77nevg", "-y", "-b", "block")

    assert chain.balance("alice") == before - 5 - 77


def test_what_generate_only_prints_can_be_sent_as_a_file(
    online: Command, chain: Chain, tmp_path: Path
) -> None:
    before = chain.balance("bob")
    unsigned = online("tx", "bank", "send", "alice", BOB, "9nevg", "--generate-only", "-o", "json").stdout

    online.json("tx", "msg", write(tmp_path / "tx.json", unsigned), *SIGN)

    assert json.loads(unsigned)["signatures"] == []
    assert chain.balance("bob") == before + 9


def test_generate_only_needs_neither_key_nor_chain(evergrid: Command) -> None:
    tx = evergrid.json(
        "tx", "bank", "send", ALICE, BOB, "5nevg", "--generate-only", "--gas", "7", "--fees", "1nevg"
    )

    assert tx["body"]["messages"][0]["@type"] == "/cosmos.bank.v1beta1.MsgSend"
    assert tx["auth_info"]["fee"]["gas_limit"] == "7"
    assert tx["auth_info"]["fee"]["amount"] == [{"denom": "nevg", "amount": "1"}]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("alice", "evergrid1xyz", "5nevg"), 1, "'evergrid1xyz' is no address: decoding bech32 failed"),
        (("alice", BOB, "5"), 1, "'5' is no amount such as 1000nevg"),
        (("alice", BOB), 2, "name the key that signs with --from"),
        (("alice",), 2, "give FROM, TO and AMOUNT, or TO and AMOUNT with --from"),
        (("nobody", BOB, "5nevg"), 1, "no key 'nobody' in"),
        (("eve", BOB, "5nevg"), 1, f"the account {EVE} is not on the chain yet"),
        (("alice", BOB, "5foo"), 1, "spendable balance 0foo is smaller than 5foo: insufficient funds"),
        (("alice", BOB, "5nevg", "--gas", "lots"), 2, "--gas 'lots' is neither auto nor a number"),
        (("alice", BOB, "5nevg", "--gas-adjustment", "0"), 1, "'0' is no positive factor such as 1.4"),
        (("alice", BOB, "5nevg", "--fees", "x"), 1, "'x' is no amount such as 1000nevg"),
        (("alice", BOB, "5nevg", "--fees", "1nevg", "--gas-prices", "1nevg"), 2, "use only one of"),
        (("alice", BOB, "5nevg", "--node", "tcp://127.0.0.1:1"), 1, "no answer from the node at http://127"),
    ],
)
def test_a_send_that_cannot_be_is_one_sentence_and_sends_nothing(
    online: Command, rpc: RpcServer, words: tuple[str, ...], code: int, text: str
) -> None:
    assert text in online.fails("tx", "bank", "send", *words, "-y", code=code)
    assert "broadcast_tx_sync" not in rpc.calls


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--gas", "100"), 11, "out of gas"),
        (("--gas", "100000", "--sequence", "9"), 32, "account sequence mismatch, expected 0, got 9"),
        (("--gas", "100000", "--chain-id", "other"), 4, "signature verification failed"),
    ],
)
def test_a_refusal_by_the_chain_gives_its_code_its_words_and_exit_code_1(
    online: Command, chain: Chain, words: tuple[str, ...], code: int, text: str
) -> None:
    result = online("tx", "bank", "send", "alice", BOB, "5nevg", "-y", "-o", "json", *words)

    assert result.exit_code == 1
    assert json.loads(result.stdout)["code"] == code
    assert f"was refused with code {code} of sdk" in result.stderr
    assert text in result.stderr
    assert chain.height == 2


def test_a_transaction_that_fails_in_its_block_gives_exit_code_1(online: Command, chain: Chain) -> None:
    result = online("tx", "bank", "send", "alice", BOB, "5foo", "-y", "-b", "block", "--gas", "100000")

    assert result.exit_code == 1
    assert "failed in block 3 with code 5 of sdk" in result.stderr
    assert "spendable balance 0foo is smaller than 5foo" in result.stderr


def test_a_registered_model_is_proposed_voted_for_and_there(
    online: Command, chain: Chain, tmp_path: Path
) -> None:
    model = {"id": "org/new", "name": "New", "throughput_per_nonce": "5", "units_of_compute_per_token": "1"}
    file = write(tmp_path / "model.json", model)

    online.json("tx", "models", "register", file, "--name", "Newer", "--v-ram", "8", *SIGN)
    online.json("tx", "gov", "vote", "1", "yes", *SIGN)
    chain.run_to(chain.height + 12)

    found = online.json("query", "models", "show", "org/new")["model"]
    assert (found["name"], found["v_ram"], found["throughput_per_nonce"]) == ("Newer", "8", "5")
    assert online.json("query", "gov", "proposal", "1")["proposal"]["status"] == "PROPOSAL_STATUS_PASSED"


def test_a_model_with_faults_is_refused_with_all_of_them_before_it_costs_a_deposit(
    online: Command, rpc: RpcServer
) -> None:
    text = online.fails("tx", "models", "register", "--id", "", "--model-arg", "--evil", *SIGN)

    assert "id is empty" in text
    assert "--evil is not allowed" in text
    assert "units_of_compute_per_token must be 1 to" in text
    assert "broadcast_tx_sync" not in rpc.calls


def test_retiring_the_last_model_is_refused_in_the_chains_words(online: Command) -> None:
    assert "model/x is the last model" in online.fails("tx", "models", "retire", "model/x", *SIGN)


def test_a_proposal_from_a_file_takes_a_deposit(online: Command, tmp_path: Path) -> None:
    message = {"@type": "/evergrid.models.v1.MsgRegisterModel", "authority": "", "model": {"id": "a/b"}}
    proposal = {"messages": [], "title": "t", "summary": "s", "deposit": "1000000nevg", "metadata": "m"}
    wrong = {"messages": message, "title": "", "deposit": 5, "colour": "red"}
    unreadable = {"messages": [], "title": "t", "summary": "", "deposit": "much"}

    online.json("tx", "gov", "submit-proposal", write(tmp_path / "p.json", proposal), *SIGN)
    online.json("tx", "gov", "deposit", "1", "200000nevg", "--from", "bob", "-y", "-b", "block")
    text = online.fails("tx", "gov", "submit-proposal", write(tmp_path / "w.json", wrong), *SIGN)

    found = online.json("query", "gov", "proposal", "1")["proposal"]
    assert found["total_deposit"] == [{"denom": "nevg", "amount": "1200000"}]
    for fault in (
        "unknown field 'colour'",
        "deposit must be text",
        "title is missing",
        "messages must be a list",
    ):
        assert fault in text
    text = online.fails("tx", "gov", "submit-proposal", write(tmp_path / "u.json", unreadable), *SIGN)
    assert "summary is missing" in text and "deposit: 'much'" in text


def test_a_message_of_a_proposal_without_authority_is_signed_by_governance(
    online: Command, tmp_path: Path
) -> None:
    message = {"@type": "/evergrid.models.v1.MsgRetireModel", "model_id": "model/y"}
    file = write(tmp_path / "p.json", {"messages": [message], "title": "t", "summary": "s"})

    unsigned = online.json("tx", "gov", "submit-proposal", file, *SIGN, "--generate-only")

    [carried] = unsigned["body"]["messages"][0]["messages"]
    assert carried["authority"] == module_account("gov")


def test_a_participant_joins_with_the_proof_of_its_validator_key(
    online: Command, chain: Chain, tmp_path: Path
) -> None:
    public = validator_key_of("bob")
    secret = base64.b64encode(validator_of("bob") + public).decode()
    key = {"pub_key": {"value": base64.b64encode(public).decode()}, "priv_key": {"value": secret}}
    file = write(tmp_path / "priv_validator_key.json", key)
    words = ("tx", "participants", "submit", "--url", "http://bob.test:9000", "--validator-key-file", file)

    online.json(*words, "--from", "bob", "-y", "-b", "block")

    answer = chain.query(
        hardware_pb2.QueryParticipantRequest(address=BOB), hardware_pb2.QueryParticipantResponse
    )
    assert (answer.participant.url, answer.participant.validator_key) == ("http://bob.test:9000", public)


def test_a_file_that_is_no_validator_key_is_refused(online: Command, tmp_path: Path) -> None:
    words = ("tx", "participants", "submit", "--url", "http://bob.test:9000", "--validator-key-file")

    assert "is no priv_validator_key.json" in online.fails(*words, write(tmp_path / "a", {}), *SIGN)
    assert "is no JSON" in online.fails(*words, write(tmp_path / "b", "{"), *SIGN)


def test_a_hardware_file_is_the_whole_list_and_only_differences_are_sent(
    online: Command, tmp_path: Path
) -> None:
    nodes = [
        {"node_id": name, "models": ["model/x"], "host": "127.0.0.1", "port": 8080} for name in ("n1", "n2")
    ]
    file = write(tmp_path / "nodes.json", nodes)

    reply = online.json("tx", "hardware", "submit", file, *SIGN)
    after = nodes_of(online)
    again = online.json("tx", "hardware", "submit", file, *SIGN)
    online.json("tx", "hardware", "submit", write(tmp_path / "less.json", nodes[1:]), *SIGN)

    changed = next(event for event in reply["events"] if event["type"] == "hardware_changed")
    assert {"key": "nodes_changed", "value": "1"} in changed["attributes"]
    assert after == ["n1", "n2"]
    assert again == {"new_or_modified": [], "removed": []}
    assert nodes_of(online) == ["n2"]


def test_remove_takes_away_the_named_nodes_and_no_others(online: Command, tmp_path: Path) -> None:
    node = {"node_id": "n2", "models": ["model/x"], "host": "127.0.0.1", "port": 8080}
    file = write(tmp_path / "nodes.json", [node, {**node, "node_id": "n3"}])
    online.json("tx", "hardware", "submit", file, "--remove", "n1", *SIGN)

    online.json("tx", "hardware", "submit", "--remove", "n3", *SIGN)

    assert nodes_of(online) == ["n2"]


def test_an_unknown_model_in_hardware_is_named_by_the_chain(online: Command, tmp_path: Path) -> None:
    node = {"node_id": "n2", "models": ["no/such"], "host": "127.0.0.1", "port": 8080}

    text = online.fails("tx", "hardware", "submit", write(tmp_path / "nodes.json", [node]), *SIGN)

    assert "no/such" in text
    assert nodes_of(online) == ["n1"]


def test_a_price_is_proposed(online: Command) -> None:
    reply = online.json("tx", "inference", "price", "7", *SIGN)

    assert any(event["type"] == "unit_of_compute_price_proposed" for event in reply["events"])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"to_address": BOB}, 'a message is a JSON object with "@type"'),
        (
            {"@type": "/cosmos.bank.v1beta1.MsgBurn"},
            "unknown message type '/cosmos.bank.v1beta1.MsgBurn': use one of",
        ),
        ({"@type": "/cosmos.bank.v1beta1.MsgSend", "colour": 1}, 'no field named "colour"'),
        (
            {"@type": "/cosmos.bank.v1beta1.MsgSend", "from_address": BOB},
            f"must be signed by {BOB}, not by {ALICE}",
        ),
        ([], "the file holds no message"),
    ],
)
def test_a_file_that_holds_no_message_of_the_signer_is_refused(
    online: Command, tmp_path: Path, content: Any, text: str
) -> None:
    assert text in online.fails("tx", "msg", write(tmp_path / "m.json", content), *SIGN)


def test_the_list_of_types_names_messages_of_every_module(evergrid: Command) -> None:
    types = evergrid.json("tx", "msg", "--list-types")

    assert "/evergrid.poc.v1.MsgSubmitPocBatch" in types
    assert types == sorted(types)


def waiting(chain: Chain, sequence: int) -> bytes:
    """A transaction of alice that waits for a block."""
    message = tx_pb2.MsgSend(from_address=ALICE, to_address=BOB, amount=[Coin(denom="nevg", amount="1")])
    signer = Signer(key_of("alice"), chain.account_number("alice"), sequence)
    return build([message], [signer], chain.chain_id, Fee(10**6))


def test_a_transaction_is_signed_again_where_another_sender_of_the_account_came_first(
    online: Command, chain: Chain, rpc: RpcServer
) -> None:
    rpc.stuck = True
    raw = chain.app.check_tx(waiting(chain, 0), False)  # noqa: FBT003
    assert abci.ResponseCheckTx.FromString(raw).code == 0

    reply = online.json("tx", "bank", "send", "alice", BOB, "5nevg", "-y")
    refused = online.fails("tx", "bank", "send", "alice", BOB, "5nevg", "-y", "--sequence", "0")

    assert reply["code"] == 0
    assert "expected 2, got 0" in refused
