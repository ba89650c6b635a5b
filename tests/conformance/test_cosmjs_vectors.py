"""Bytes that CosmJS made of fixed inputs, against ours: addresses, documents to sign, transactions."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from abci_app.kernel import amino
from abci_app.kernel.errors import NotSupported
from abci_app.kernel.tx import Tx, decode, sign_bytes
from abci_app.modules.auth.signatures import digest_of, verify_signature
from client.keys import Key
from client.tx import Fee, Signer, build
from protocol import multisig
from protocol.gen.cosmos.authz.v1beta1.tx_pb2 import MsgExec
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.cosmos.upgrade.v1beta1.tx_pb2 import MsgCancelUpgrade
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    ML_NODE_STATUS_DISABLED,
    Hardware,
    MLNode,
    MsgSubmitHardwareDiff,
    MsgSubmitNewParticipant,
)
from protocol.gen.google.protobuf import any_pb2
from protocol.gen.google.protobuf.timestamp_pb2 import Timestamp
from tests.conformance.cosmjs_checks import SCRIPTS, cosmjs_or_skip
from tests.node.chain_process import ROOT

FILE = Path(__file__).parent / "data" / "cosmjs_vectors.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text())
MADE: list[dict[str, str]] = GOLDEN["transactions"]


def cases(*modes: str) -> list[Any]:
    chosen = [each for each in MADE if each["mode"] in modes]
    return [pytest.param(each, id=f"{each['name']}-{each['mode']}") for each in chosen]


CHAIN_ID, NUMBER, SEQUENCE = GOLDEN["chain_id"], GOLDEN["account_number"], GOLDEN["sequence"]
PUBLIC_KEY = bytes.fromhex(GOLDEN["public_key"])


def tx_of(each: dict[str, str]) -> Tx:
    return decode(bytes.fromhex(each["raw"]))


@pytest.mark.parametrize("golden", GOLDEN["mnemonics"], ids=lambda each: each["path"])
def test_a_mnemonic_gives_the_address_that_cosmjs_gives(golden: dict[str, str]) -> None:
    key = Key.from_mnemonic(golden["words"], golden["path"])

    assert key.address == golden["address"]
    assert key.public.hex() == golden["publicKey"]


@pytest.mark.parametrize("golden", GOLDEN["several"], ids=lambda each: f"{each['threshold']}")
def test_a_key_of_several_owners_has_the_bytes_and_the_address_that_cosmjs_gives(
    golden: dict[str, Any],
) -> None:
    key = multisig.multisig_key(golden["threshold"], [bytes.fromhex(each) for each in golden["public_keys"]])

    assert multisig.amino_bytes(key).hex() == golden["amino"]
    assert multisig.account(key) == golden["address"]
    assert key.SerializeToString(deterministic=True).hex() == golden["packed"]


@pytest.mark.parametrize("golden", cases("amino"))
def test_the_amino_document_is_the_one_that_cosmjs_signs(golden: dict[str, str]) -> None:
    document = amino.sign_document(tx_of(golden), CHAIN_ID, NUMBER, SEQUENCE)

    assert document.decode() == bytes.fromhex(golden["document"]).decode()


@pytest.mark.parametrize("golden", cases("amino", "direct"))
def test_the_digest_is_of_the_document_and_the_signature_of_cosmjs_verifies(golden: dict[str, str]) -> None:
    tx = tx_of(golden)
    [info] = tx.auth_info.signer_infos

    digest = digest_of(tx, info.mode_info.single.mode, CHAIN_ID, NUMBER, info.sequence)

    assert digest == sha256(bytes.fromhex(golden["document"])).digest()
    assert verify_signature(PUBLIC_KEY, digest, tx.signatures[0])
    assert tx.signers == (GOLDEN["address"],)


@pytest.mark.parametrize("golden", cases("direct"))
def test_the_same_transaction_built_by_our_client_has_the_same_bytes(golden: dict[str, str]) -> None:
    tx = tx_of(golden)
    signer = Signer(Key(bytes.fromhex(GOLDEN["key"])), NUMBER, SEQUENCE)

    raw = build(
        [message for _, message in tx.messages],
        [signer],
        CHAIN_ID,
        Fee(200_000, "2000", "nevg"),
        memo=tx.body.memo,
        timeout_height=tx.body.timeout_height,
    )

    ours = decode(raw)
    assert (ours.body_bytes, ours.auth_info_bytes) == (tx.body_bytes, tx.auth_info_bytes)
    assert sign_bytes(ours, CHAIN_ID, NUMBER) == sha256(bytes.fromhex(golden["document"])).digest()
    # RFC 6979 makes signatures the same wherever they are made.
    assert raw.hex() == golden["raw"]


@pytest.mark.parametrize("golden", cases("amino"))
@pytest.mark.parametrize("change", ["memo", "gas", "sequence", "chain", "timeout"])
def test_whatever_changes_in_a_transaction_changes_its_amino_document(
    golden: dict[str, str], change: str
) -> None:
    raw = tx_pb2.TxRaw.FromString(bytes.fromhex(golden["raw"]))
    body = tx_pb2.TxBody.FromString(raw.body_bytes)
    info = tx_pb2.AuthInfo.FromString(raw.auth_info_bytes)
    if change == "memo":
        body.memo += "!"
    if change == "timeout":
        body.timeout_height += 1
    if change == "gas":
        info.fee.gas_limit += 1
    raw.body_bytes, raw.auth_info_bytes = body.SerializeToString(), info.SerializeToString()
    changed = decode(raw.SerializeToString())

    document = amino.sign_document(
        changed,
        CHAIN_ID + "x" * (change == "chain"),
        NUMBER,
        SEQUENCE + (change == "sequence"),
    )

    assert document != bytes.fromhex(golden["document"])


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("unordered", "unordered"),
        ("time", "timeout_timestamp"),
        ("extension", "extension options"),
        ("unknown", "unknown fields"),
    ],
)
def test_what_the_amino_document_cannot_say_is_refused(what: str, named: str) -> None:
    raw = tx_pb2.TxRaw.FromString(bytes.fromhex(MADE[1]["raw"]))
    body = tx_pb2.TxBody.FromString(raw.body_bytes)
    if what == "unordered":
        body.unordered = True
    if what == "time":
        body.timeout_timestamp.seconds = 5
    if what == "extension":
        body.non_critical_extension_options.add(type_url="/x")
    raw.body_bytes = body.SerializeToString()
    if what == "unknown":
        # Field 1024, which the strict decoder lets pass since its bit says that it is not critical.
        raw.body_bytes += b"\x80\x40\x01"

    with pytest.raises(NotSupported, match=f"{named} in amino JSON"):
        amino.sign_document(decode(raw.SerializeToString()), CHAIN_ID, NUMBER, SEQUENCE)


def test_an_inner_message_whose_text_is_no_utf_8_is_refused_and_not_raised_at_the_node() -> None:
    inner = any_pb2.Any(type_url="/cosmos.bank.v1beta1.MsgSend", value=b"\x0a\x01\xff")
    message = MsgExec(grantee=GOLDEN["address"], msgs=[inner])
    signer = Signer(Key(bytes.fromhex(GOLDEN["key"])), NUMBER, SEQUENCE)
    tx = decode(build([message], [signer], CHAIN_ID, Fee(1)))

    with pytest.raises(NotSupported, match="no amino JSON form"):
        amino.sign_document(tx, CHAIN_ID, NUMBER, SEQUENCE)


def test_a_message_of_evergrid_is_named_by_its_type_and_shows_all_that_is_set() -> None:
    signer = Signer(Key(bytes.fromhex(GOLDEN["key"])), NUMBER, SEQUENCE)
    cards = Hardware(type="H200", count=2, memory_mib=1 << 40)
    node = MLNode(node_id="n", status=ML_NODE_STATUS_DISABLED, models=["a/b", "c"], hardware=[cards])
    messages = [
        MsgSubmitHardwareDiff(creator=GOLDEN["address"], new_or_modified=[node], removed=["o"]),
        MsgSubmitNewParticipant(creator=GOLDEN["address"], url="http://a", proof_of_possession=b"\xff\0"),
    ]
    tx = decode(build(messages, [signer], CHAIN_ID, Fee(1)))

    document = json.loads(amino.sign_document(tx, CHAIN_ID, NUMBER, SEQUENCE))

    memory = {"type": "H200", "count": 2, "memory_mib": "1099511627776"}
    shown = {"node_id": "n", "status": 2, "models": ["a/b", "c"], "hardware": [memory]}
    value = {"creator": GOLDEN["address"], "new_or_modified": [shown], "removed": ["o"]}
    joined = {"creator": GOLDEN["address"], "url": "http://a", "proof_of_possession": "/wA="}
    assert document["msgs"] == [
        {"type": "/evergrid.hardware.v1.MsgSubmitHardwareDiff", "value": value},
        {"type": "/evergrid.hardware.v1.MsgSubmitNewParticipant", "value": joined},
    ]


def test_a_message_without_an_amino_form_is_refused_by_name() -> None:
    signer = Signer(Key(bytes.fromhex(GOLDEN["key"])), NUMBER, SEQUENCE)
    raw = build([MsgCancelUpgrade(authority=GOLDEN["address"])], [signer], CHAIN_ID, Fee(1))

    with pytest.raises(NotSupported, match="MsgCancelUpgrade has no amino JSON"):
        amino.sign_document(decode(raw), CHAIN_ID, NUMBER, SEQUENCE)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2000-02-29T12:00:00.5Z", 951_825_600, 500_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400, 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
    ],
)
def test_a_time_is_written_as_rfc_3339(text: str, seconds: int, nanos: int) -> None:
    assert amino.time_text(Timestamp(seconds=seconds, nanos=nanos)) == text


@pytest.mark.parametrize("character", ["<", ">", "&", "\u2028", "\u2029"])
def test_characters_are_escaped_as_by_go(character: str) -> None:
    assert amino.encode({"a": character}) == b'{"a":"\\u%04x"}' % ord(character)


def test_the_vectors_are_what_the_pinned_cosmjs_makes_today() -> None:
    found = cosmjs_or_skip()

    made = subprocess.run(
        [found.node, SCRIPTS / "vectors.mjs", ROOT / "proto"],
        cwd=found.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert json.loads(made.stdout) == GOLDEN
