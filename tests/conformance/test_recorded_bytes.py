"""Bytes that real programs made: requests of a CometBFT node, and transactions that cosmpy signs."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from abci_app.modules.auth.signatures import verify_signature
from abci_app.node.codec import FrameReader, frame
from abci_app.node.dispatch import decode_request
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2 as keys
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2 as txs
from protocol.gen.tendermint.abci import types_pb2 as abci

RECORDED = json.loads((Path(__file__).parent / "data" / "abci_requests.json").read_text())["frames"]
FRAMES = [
    pytest.param(method, bytes.fromhex(text), id=f"{method}-{at}")
    for method, frames in RECORDED.items()
    for at, text in enumerate(frames)
]


def last_request(method: str) -> Any:
    reader = FrameReader()
    reader.feed(bytes.fromhex(RECORDED[method][-1]))
    body = reader.next_frame()
    assert body is not None
    return decode_request(body)[1]


@pytest.mark.parametrize(("method", "recorded"), FRAMES)
def test_a_request_of_cometbft_is_understood_and_encodes_to_the_same_bytes(
    method: str, recorded: bytes
) -> None:
    reader = FrameReader()
    reader.feed(recorded)
    body = reader.next_frame()
    assert body is not None

    known, _ = decode_request(body)
    request = abci.Request.FromString(body)
    request.DiscardUnknownFields()

    assert known == method
    assert frame(request.SerializeToString()) == recorded
    assert not reader.has_frame()


def test_the_recorded_genesis_has_its_validator_and_its_limits() -> None:
    request = last_request("init_chain")

    assert request.chain_id == "recorded-1"
    assert request.consensus_params.block.max_bytes == 22_020_096
    assert request.consensus_params.block.max_gas == -1
    assert [(len(update.pub_key.ed25519), update.power) for update in request.validators] == [(32, 10)]
    assert json.loads(request.app_state_bytes) == {"note": "recorded"}


def test_the_recorded_block_has_its_transactions_and_the_commit_before_it() -> None:
    request = last_request("finalize_block")

    assert list(request.txs) == [b"a=1"]
    assert request.height > 1
    assert [vote.validator.power for vote in request.decided_last_commit.votes] == [10]
    assert len(request.hash) == len(request.next_validators_hash) == 32
    assert request.decided_last_commit.votes[0].validator.address == request.proposer_address


@pytest.fixture(scope="module")
def cosmpy_tx() -> bytes:
    """A bank send as cosmpy signs it."""
    from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
    from cosmpy.aerial.wallet import LocalWallet
    from cosmpy.crypto.keypairs import PrivateKey
    from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
    from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin

    wallet = LocalWallet(PrivateKey(sha256(b"sender").digest()), prefix="evergrid")
    sent = MsgSend(
        from_address=str(wallet.address()),
        to_address=str(wallet.address()),
        amount=[Coin(denom="nevg", amount="12345678901234567890")],
    )
    transaction = Transaction().add_message(sent)
    fee = TxFee("2000nevg", gas_limit=90_000)
    transaction.seal(SigningCfg.direct(wallet.public_key(), 7), fee, memo="hello")
    transaction.sign(wallet.signer(), "recorded-1", 4)
    encoded = transaction.complete().tx.SerializeToString()
    assert isinstance(encoded, bytes)
    return encoded


def test_a_transaction_of_cosmpy_decodes_to_what_was_asked(cosmpy_tx: bytes) -> None:
    raw = txs.TxRaw.FromString(cosmpy_tx)
    body, auth_info = txs.TxBody.FromString(raw.body_bytes), txs.AuthInfo.FromString(raw.auth_info_bytes)
    sent = bank.MsgSend()

    assert body.messages[0].type_url == "/cosmos.bank.v1beta1.MsgSend"
    assert body.messages[0].Unpack(sent)
    assert [(coin.denom, coin.amount) for coin in sent.amount] == [("nevg", "12345678901234567890")]
    assert (body.memo, auth_info.signer_infos[0].sequence, auth_info.fee.gas_limit) == ("hello", 7, 90_000)
    assert body.SerializeToString() == raw.body_bytes
    assert auth_info.SerializeToString() == raw.auth_info_bytes
    assert raw.SerializeToString() == cosmpy_tx


def test_a_signature_of_cosmpy_verifies_over_our_sign_doc(cosmpy_tx: bytes) -> None:
    raw = txs.TxRaw.FromString(cosmpy_tx)
    signer = txs.AuthInfo.FromString(raw.auth_info_bytes).signer_infos[0]
    key = keys.PubKey()
    assert signer.public_key.Unpack(key)

    documents = [
        txs.SignDoc(
            body_bytes=raw.body_bytes,
            auth_info_bytes=raw.auth_info_bytes,
            chain_id=chain_id,
            account_number=4,
        )
        for chain_id in ("recorded-1", "other-1")
    ]

    digests = [sha256(document.SerializeToString()).digest() for document in documents]
    assert [verify_signature(key.key, digest, raw.signatures[0]) for digest in digests] == [True, False]
