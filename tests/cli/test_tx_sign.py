"""Signatures of one owner or of several, as files that go from one machine to another."""

from __future__ import annotations

import json
from hashlib import new, sha256
from pathlib import Path
from typing import Any

import pytest

from protocol import multisig
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from tests.chain import DENOM, Chain, key_of
from tests.cli.conftest import Command

ALICE, BOB = (key_of(name).address for name in ("alice", "bob"))
FUNDS = 10**6


def by_address() -> list[bytes]:
    keys = [key_of(name).public for name in ("alice", "bob", "eve")]
    return sorted(keys, key=lambda key: new("ripemd160", sha256(key).digest()).digest())


@pytest.fixture
def treasury(online: Command, chain: Chain) -> str:
    """The address of an account of alice, bob and eve, of whom two have to sign, with coins."""
    words = ("keys", "add", "treasury", "--multisig", "alice,bob,eve", "--multisig-threshold", "2")
    address = str(online.json(*words)["address"])
    coins = [Coin(denom=DENOM, amount=str(FUNDS))]
    chain.must("alice", MsgSend(from_address=ALICE, to_address=address, amount=coins))
    return address


@pytest.fixture
def unsigned(online: Command, treasury: str, tmp_path: Path) -> Path:
    words = ("tx", "bank", "send", treasury, BOB, "5nevg", "--generate-only", "--gas", "200000")
    return written(tmp_path / "unsigned.json", online.json(*words))


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def signature_of(online: Command, name: str, unsigned: Path) -> Path:
    shown = online.json("tx", "sign", str(unsigned), "--from", name, "--multisig", "treasury")
    return written(unsigned.with_name(f"{name}.json"), shown)


def test_two_of_three_owners_sign_and_anyone_sends(
    online: Command, chain: Chain, treasury: str, unsigned: Path
) -> None:
    before = chain.balance("bob")
    parts = [str(signature_of(online, name, unsigned)) for name in ("eve", "alice")]

    signed = online.json("tx", "multisign", str(unsigned), "treasury", *parts)
    path = written(unsigned.with_name("signed.json"), signed)
    checked = online.json("tx", "validate-signatures", str(path))
    reply = online.json("tx", "broadcast", str(path), "-b", "block")

    assert checked == {"signatures": [{"signer": treasury, "valid": True}]}
    assert (reply["code"], chain.balance("bob")) == (0, before + 5)
    assert multisig.account(multisig.multisig_key(2, by_address())) == treasury


def test_files_are_json_where_no_form_was_asked_for(online: Command, treasury: str, tmp_path: Path) -> None:
    words = ("tx", "bank", "send", treasury, BOB, "5nevg", "--generate-only", "--gas", "200000")
    unsigned, alice, bob = (tmp_path / name for name in ("unsigned.json", "alice.json", "bob.json"))

    unsigned.write_text(online(*words).stdout)
    for name, path in (("alice", alice), ("bob", bob)):
        path.write_text(online("tx", "sign", str(unsigned), "--from", name, "--multisig", "treasury").stdout)
    signed = online("tx", "multisign", str(unsigned), "treasury", str(alice), str(bob)).stdout

    assert len(json.loads(signed)["signatures"]) == 1


def test_once_the_account_has_sent_its_address_is_enough(
    online: Command, chain: Chain, treasury: str, unsigned: Path
) -> None:
    parts = [str(signature_of(online, name, unsigned)) for name in ("eve", "alice")]
    signed = written(
        unsigned.with_name("a.json"), online.json("tx", "multisign", str(unsigned), treasury, *parts)
    )
    online.json("tx", "broadcast", str(signed), "-b", "block")
    online.json("keys", "delete", "treasury", "-y")

    again = [
        str(
            written(
                unsigned.with_name(f"{name}.json"),
                online.json("tx", "sign", str(unsigned), "--from", name, "--multisig", treasury),
            )
        )
        for name in ("bob", "alice")
    ]
    shown = online.json("tx", "multisign", str(unsigned), treasury, *again)
    reply = online.json("tx", "broadcast", str(written(signed, shown)), "-b", "block")

    assert reply["code"] == 0
    assert chain.balance(treasury) == FUNDS - 10


def test_all_that_is_wrong_with_the_owners_signatures_is_named(online: Command, unsigned: Path) -> None:
    other = json.loads(unsigned.read_text())
    other["body"]["memo"] = "another"
    elsewhere = signature_of(online, "alice", written(unsigned.with_name("other.json"), other))

    said = online.fails("tx", "multisign", str(unsigned), "treasury", str(elsewhere))

    assert f"the signature in {elsewhere} is not one of this transaction" in said
    assert "1 signed, where 2 are needed" in said


def test_one_owner_twice_and_a_file_without_a_signature_are_named(online: Command, unsigned: Path) -> None:
    alice = signature_of(online, "alice", unsigned)
    none = written(unsigned.with_name("none.json"), {"signatures": []})

    said = online.fails("tx", "multisign", str(unsigned), "treasury", str(alice), str(alice), str(none))

    assert f"{alice} and {alice} are of one owner" in said
    assert f"{none} does not hold the signature of one owner" in said


def test_an_account_of_one_owner_is_not_signed_by_several(online: Command, unsigned: Path) -> None:
    alice = signature_of(online, "alice", unsigned)

    assert "alice has no key of several owners" in online.fails(
        "tx", "multisign", str(unsigned), "alice", str(alice)
    )


def test_a_single_owner_signs_in_amino_json_too(online: Command, chain: Chain, tmp_path: Path) -> None:
    before = chain.balance("bob")
    words = ("tx", "bank", "send", "alice", BOB, "5nevg", "--generate-only", "--gas", "200000")
    unsigned = written(tmp_path / "unsigned.json", online.json(*words))

    signed = online.json("tx", "sign", str(unsigned), "--from", "alice", "--sign-mode", "amino-json")
    path = written(tmp_path / "signed.json", signed)

    assert (
        signed["auth_info"]["signer_infos"][0]["mode_info"]["single"]["mode"] == "SIGN_MODE_LEGACY_AMINO_JSON"
    )
    assert online.json("tx", "broadcast", str(path), "-b", "block")["code"] == 0
    assert chain.balance("bob") == before + 5


def test_a_signature_that_does_not_fit_is_said_with_exit_code_1(online: Command, tmp_path: Path) -> None:
    words = ("tx", "bank", "send", "alice", BOB, "5nevg", "--generate-only", "--gas", "200000")
    unsigned = written(tmp_path / "unsigned.json", online.json(*words))
    signed = online.json("tx", "sign", str(unsigned), "--from", "alice")
    signed["body"]["memo"] = "changed"

    result = online("tx", "validate-signatures", str(written(tmp_path / "signed.json", signed)), "-o", "json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["signatures"] == [
        {"signer": ALICE, "valid": False, "reason": "unable to verify single signer signature"}
    ]


def test_a_message_without_amino_json_is_refused_in_that_mode(online: Command, tmp_path: Path) -> None:
    message = {"@type": "/cosmos.upgrade.v1beta1.MsgCancelUpgrade", "authority": ALICE}
    words = ("tx", "msg", str(written(tmp_path / "m.json", message)), "--from", "alice")
    unsigned = online.json(*words, "--generate-only", "--gas", "200000")

    said = online.fails(
        "tx",
        "sign",
        str(written(tmp_path / "u.json", unsigned)),
        "--from",
        "alice",
        "--sign-mode",
        "amino-json",
    )

    assert "MsgCancelUpgrade has no amino JSON form" in said


def test_owners_do_not_sign_in_direct_mode(online: Command, unsigned: Path) -> None:
    words = (
        "tx",
        "sign",
        str(unsigned),
        "--from",
        "alice",
        "--multisig",
        "treasury",
        "--sign-mode",
        "direct",
    )

    assert "owners of one account sign in amino-json" in online.fails(*words, code=2)


@pytest.fixture
def paid_by_bob(online: Command, tmp_path: Path) -> Path:
    """Five nevg of alice's to eve, for a fee of bob's."""
    eve = key_of("eve").address
    words = ("tx", "bank", "send", "alice", eve, "5nevg", "--fee-payer", BOB, "--fees", "200nevg")
    shown = online.json(*words, "--gas", "200000", "--generate-only")
    return written(tmp_path / "paid.json", shown)


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")])
def test_who_sends_and_who_pays_the_fee_sign_in_any_order(
    online: Command, chain: Chain, paid_by_bob: Path, order: tuple[str, str]
) -> None:
    before = {name: chain.balance(name) for name in order}
    first, second = order

    written(paid_by_bob, online.json("tx", "sign", str(paid_by_bob), "--from", first))
    half = online("tx", "validate-signatures", str(paid_by_bob), "-o", "json")
    written(paid_by_bob, online.json("tx", "sign", str(paid_by_bob), "--from", second))
    checked = online.json("tx", "validate-signatures", str(paid_by_bob))
    reply = online.json("tx", "broadcast", str(paid_by_bob), "-b", "block")

    valid = {row["signer"]: row["valid"] for row in json.loads(half.stdout)["signatures"]}
    assert (half.exit_code, valid) == (1, {key_of(first).address: True, key_of(second).address: False})
    assert checked["signatures"] == [{"signer": ALICE, "valid": True}, {"signer": BOB, "valid": True}]
    assert reply["code"] == 0
    assert {name: before[name] - chain.balance(name) for name in order} == {"alice": 5, "bob": 200}


def test_who_signs_again_takes_the_place_of_what_was_signed_before(
    online: Command, paid_by_bob: Path
) -> None:
    for name in ("alice", "bob", "alice"):
        written(paid_by_bob, online.json("tx", "sign", str(paid_by_bob), "--from", name))

    assert len(json.loads(paid_by_bob.read_text())["signatures"]) == 2
    assert online.json("tx", "validate-signatures", str(paid_by_bob))["signatures"][0]["valid"]


def test_nobody_signs_the_bytes_of_what_several_sign(online: Command, paid_by_bob: Path) -> None:
    said = online.fails("tx", "sign", str(paid_by_bob), "--from", "eve", "--sign-mode", "direct")

    assert f"it is signed by {ALICE}, {BOB}, not by {key_of('eve').address}" in said
    assert "several accounts sign it, in amino-json" in said


def test_another_account_pays_only_where_it_can_sign(online: Command) -> None:
    said = online.fails("tx", "bank", "send", "alice", BOB, "5nevg", "--fee-payer", BOB, "-y", code=2)

    assert "--fee-payer goes with --generate-only" in said


def test_a_transaction_is_sent_in_the_mode_of_hardware_wallets(online: Command, chain: Chain) -> None:
    before = chain.balance("bob")
    words = ("tx", "bank", "send", "alice", BOB, "5nevg", "--sign-mode", "amino-json")

    offline = ("--offline", "--chain-id", "c", "--account-number", "1", "--sequence", "0", "--gas", "9")
    shown = online.json(*words, *offline)
    reply = online.json(*words, "-y", "-b", "block")

    mode = shown["auth_info"]["signer_infos"][0]["mode_info"]["single"]["mode"]
    assert mode == "SIGN_MODE_LEGACY_AMINO_JSON"
    assert (reply["code"], chain.balance("bob")) == (0, before + 5)


def test_a_length_of_time_has_units_and_bounds(online: Command) -> None:
    words = ("tx", "bank", "send", "alice", BOB, "5nevg", "--unordered", "--timeout-duration")

    for wrong in ("soon", "5 s", "1d", "s", "-1s", "1m2"):
        assert f"{wrong!r} is no time such as 90, 90s or 1m30s" in online.fails(*words, wrong, code=2)
    for wrong in ("601", "10m1s", "999ms"):
        assert f"{wrong!r} is not between 1s and 600s" in online.fails(*words, wrong, code=2)
    for right in ("1", "600s", "10m", "1m500ms"):
        assert online(*words, right, "--generate-only").exit_code == 0
