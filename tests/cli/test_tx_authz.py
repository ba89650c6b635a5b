"""Grants by the command line."""

from __future__ import annotations

import json
from pathlib import Path

from cli.tx_authz import protocol_messages
from tests.chain import Chain, key_of
from tests.cli.conftest import Command

ALICE, BOB = (key_of(name).address for name in ("alice", "bob"))
SIGN = ("--from", "alice", "-y", "-b", "block")
DIFF = "/evergrid.hardware.v1.MsgSubmitHardwareDiff"


def granted(online: Command) -> list[str]:
    answer = online.json("query", "authz", "granter-grants", ALICE)
    assert all(entry["grantee"] == BOB for entry in answer["grants"])
    return [entry["authorization"]["msg"] for entry in answer["grants"]]


def test_grant_api_node_grants_every_protocol_message_and_revoke_takes_all_back(online: Command) -> None:
    online.json("tx", "authz", "grant-api-node", BOB, *SIGN)
    given = granted(online)
    online.json("tx", "authz", "revoke", BOB, DIFF, *SIGN)
    left = granted(online)
    shown = online("query", "authz", "grantee-grants", BOB).stdout
    online.json("tx", "authz", "grant", BOB, DIFF, "--expires", "2030-01-31T00:00:00Z", *SIGN)
    again = online.json(
        "query", "authz", "grants", "--granter", ALICE, "--grantee", BOB, "--msg-type-url", DIFF
    )
    online.json("tx", "authz", "revoke", BOB, *SIGN)

    assert given == protocol_messages()
    assert left == [each for each in given if each != DIFF]
    assert [each for each in left if f"GenericAuthorization msg={each}" not in shown] == []
    assert again["grants"][0]["expiration"] == "2030-01-31T00:00:00Z"
    assert granted(online) == []


def test_exec_sends_what_another_account_signs_for(online: Command, tmp_path: Path, chain: Chain) -> None:
    node = {"node_id": "n2", "models": ["model/x"], "host": "127.0.0.1", "port": 8080}
    content = {"@type": DIFF, "creator": ALICE, "new_or_modified": [node]}
    (tmp_path / "diff.json").write_text(json.dumps(content))
    words = ("tx", "authz", "exec", str(tmp_path / "diff.json"), "--from", "bob", "-y", "-b", "block")

    refused = online(*words)
    online.json("tx", "authz", "grant-api-node", BOB, *SIGN)
    reply = online.json(*words)

    assert "authorization not found" in refused.output
    assert reply["code"] == 0
    nodes = online.json("query", "hardware", "nodes", ALICE)["nodes"]
    assert [entry["node"]["node_id"] for entry in nodes] == ["n1", "n2"]


def test_a_type_or_a_time_that_is_none_is_named(online: Command) -> None:
    assert "unknown message types /no.Msg" in online.fails("tx", "authz", "grant", BOB, "/no.Msg", *SIGN)
    assert "'soon' is no time" in online.fails(
        "tx", "authz", "grant-api-node", BOB, "--expires", "soon", *SIGN
    )
