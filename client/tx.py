"""Builds and signs transactions (SIGN_MODE_DIRECT)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from protocol.gen.cosmos.tx.signing.v1beta1.signing_pb2 import SIGN_MODE_DIRECT, SignMode
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.google.protobuf.any_pb2 import Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from client.keys import Key


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, as the chain knows it."""

    key: Key
    account_number: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Fee:
    """Gas limit and what is paid; an empty amount pays nothing.

    `granter` is the account whose allowance pays; empty: the first signer pays itself.
    """

    gas_limit: int
    amount: str = ""
    denom: str = ""
    granter: str = ""


def pack(message: Message) -> Any:
    """A message as transactions and proposals carry it."""
    return Any(
        type_url=f"/{message.DESCRIPTOR.full_name}", value=message.SerializeToString(deterministic=True)
    )


def build(
    messages: Sequence[Message],
    signers: Sequence[Signer],
    chain_id: str,
    fee: Fee,
    *,
    memo: str = "",
    timeout_height: int = 0,
    unordered_until_ns: int = 0,
) -> bytes:
    """The bytes of a signed transaction, ready to be broadcast.

    unordered_until_ns: nanoseconds since 1970, at most ten minutes ahead, another one for each
    transaction of a signer; it takes the place of the sequences, which are not written then.
    """
    body = tx_pb2.TxBody(messages=[pack(m) for m in messages], memo=memo, timeout_height=timeout_height)
    if unordered_until_ns:
        body.unordered = True
        body.timeout_timestamp.FromNanoseconds(unordered_until_ns)
        signers = [replace(signer, sequence=0) for signer in signers]
    amount = [Coin(denom=fee.denom, amount=fee.amount)] if fee.amount not in {"", "0"} else []
    auth_info = tx_pb2.AuthInfo(
        signer_infos=[signer_info(signer) for signer in signers],
        fee=tx_pb2.Fee(amount=amount, gas_limit=fee.gas_limit, granter=fee.granter),
    )
    body_bytes = body.SerializeToString(deterministic=True)
    auth_info_bytes = auth_info.SerializeToString(deterministic=True)
    signatures = [
        signer.key.sign(
            tx_pb2.SignDoc(
                body_bytes=body_bytes,
                auth_info_bytes=auth_info_bytes,
                chain_id=chain_id,
                account_number=signer.account_number,
            ).SerializeToString(deterministic=True)
        )
        for signer in signers
    ]
    raw = tx_pb2.TxRaw(body_bytes=body_bytes, auth_info_bytes=auth_info_bytes, signatures=signatures)
    return raw.SerializeToString(deterministic=True)


def signer_info(signer: Signer, mode: SignMode = SIGN_MODE_DIRECT) -> tx_pb2.SignerInfo:
    """Who signs, as auth_info names them."""
    public_key = PubKey(key=signer.key.public)
    single = tx_pb2.ModeInfo.Single(mode=mode)
    return tx_pb2.SignerInfo(
        public_key=pack(public_key), mode_info=tx_pb2.ModeInfo(single=single), sequence=signer.sequence
    )


def tx_hash(raw: bytes) -> str:
    """The name of a transaction: its SHA-256 in upper-case hex."""
    return hashlib.sha256(raw).hexdigest().upper()
