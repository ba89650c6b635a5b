"""A transaction as its sender signed it: strictly decoded once, never encoded anew."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from abci_app.kernel.errors import TxParseError
from abci_app.kernel.module import MESSAGES, MessageRoute
from abci_app.kernel.strict import Walker, varint
from protocol.gen.cosmos.crypto.ed25519 import keys_pb2 as ed25519
from protocol.gen.cosmos.crypto.multisig import keys_pb2 as multisig
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2 as secp256k1
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

# Public keys stand in an Any as well; which kinds may sign is not the decoder's to say. Modules add theirs.
_PACKED: dict[str, type[Message]] = {
    "/" + key.DESCRIPTOR.full_name: key
    for key in (secp256k1.PubKey, ed25519.PubKey, multisig.LegacyAminoPubKey)
}

_BODY, _AUTH_INFO, _SIGNATURE = 0x0A, 0x12, 0x1A

# What decoding a transaction, verifying a signature and refusing it cost, whatever gas its sender asks for.
SIGNATURE_GAS_MIN = 20_000


@dataclass(frozen=True, slots=True)
class Tx:
    """A decoded transaction. `hash` is the SHA-256 of `raw`; messages stand with their routes."""

    raw: bytes
    hash: bytes
    body: tx_pb2.TxBody
    auth_info: tx_pb2.AuthInfo
    body_bytes: bytes
    auth_info_bytes: bytes
    signatures: tuple[bytes, ...]
    messages: tuple[tuple[MessageRoute, Message], ...]
    signers: tuple[str, ...]

    @property
    def gas_limit(self) -> int:
        """The gas that the sender pays for."""
        return self.auth_info.fee.gas_limit

    @property
    def block_gas(self) -> int:
        """What it takes of a block's gas: its limit, and no less than it costs to refuse it."""
        count = sum(_signature_count(info.mode_info) for info in self.auth_info.signer_infos)
        return max(self.gas_limit, SIGNATURE_GAS_MIN * max(1, count, len(self.signatures)))

    @property
    def fee(self) -> tx_pb2.Fee:
        """What the sender offers, who pays, and the gas limit."""
        return self.auth_info.fee

    @property
    def fee_payer(self) -> str:
        """The account that pays: the one named in the fee, else the first signer."""
        return self.auth_info.fee.payer or (self.signers[0] if self.signers else "")


def _resolve(type_url: str) -> type[Message] | None:
    route = MESSAGES.get(type_url)
    return _PACKED.get(type_url) if route is None else route.message


def may_be_packed(message: type[Message]) -> None:
    """Lets an Any within a transaction hold what is no message of its own; a module says so as it loads."""
    _PACKED["/" + message.DESCRIPTOR.full_name] = message


_WALKER = Walker(_resolve)


def decode(raw: bytes) -> Tx:
    """Reads a transaction; raises TxParseError with the first reason why its bytes are no strict encoding."""
    body_bytes, auth_info_bytes, signatures = split(raw)
    _WALKER.check(body_bytes, tx_pb2.TxBody)
    _WALKER.check(auth_info_bytes, tx_pb2.AuthInfo)
    try:
        body = tx_pb2.TxBody.FromString(body_bytes)
        auth_info = tx_pb2.AuthInfo.FromString(auth_info_bytes)
        messages = tuple(unpack(packed.type_url, packed.value) for packed in body.messages)
    except DecodeError as error:
        # What the walk lets through and protobuf does not is text that is no UTF-8.
        raise TxParseError("a text field is not UTF-8") from error
    return Tx(
        raw,
        sha256(raw).digest(),
        body,
        auth_info,
        body_bytes,
        auth_info_bytes,
        signatures,
        messages,
        _signers(messages, auth_info.fee.payer),
    )


def unpack(type_url: str, value: bytes) -> tuple[MessageRoute, Message]:
    """A packed message with its route; raises TxParseError for a type that transactions may not carry."""
    route = MESSAGES.get(type_url)
    if route is None:
        raise TxParseError(f"unable to resolve type URL {type_url}")
    return route, route.message.FromString(value)


def split(raw: bytes) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """Body, auth info and signatures of TxRaw, verbatim; raises TxParseError unless in this order."""
    body = auth_info = b""
    signatures: list[bytes] = []
    at, last = 0, 0
    try:
        while at < len(raw):
            tag = raw[at]
            if tag not in {_BODY, _AUTH_INFO, _SIGNATURE}:
                raise TxParseError(f"TxRaw: unknown field or wrong wire type: tag {tag}")
            if tag < last or (tag == last and tag != _SIGNATURE):
                raise TxParseError(f"TxRaw: field {tag >> 3} stands twice or out of order")
            last = tag
            size, at = varint(raw, at + 1, "TxRaw")
            part = raw[at : at + size]
            at += size
            if tag == _SIGNATURE:
                signatures.append(part)
            elif not part:
                raise TxParseError(f"TxRaw: field {tag >> 3} stands there without content")
            elif tag == _BODY:
                body = part
            else:
                auth_info = part
    except IndexError:
        raise TxParseError("TxRaw: unexpected end of the bytes") from None
    if at != len(raw):
        raise TxParseError("TxRaw: unexpected end of the bytes")
    return body, auth_info, tuple(signatures)


def _signers(messages: tuple[tuple[MessageRoute, Message], ...], payer: str) -> tuple[str, ...]:
    required = dict.fromkeys(route.signer_of(message) for route, message in messages)
    if payer:
        required[payer] = None
    return tuple(required)


def _signature_count(mode: tx_pb2.ModeInfo) -> int:
    """Of one signer: more than one where it has several owners."""
    return sum(map(_signature_count, mode.multi.mode_infos)) if mode.HasField("multi") else 1


def signers(tx: Tx) -> tuple[str, ...]:
    """The addresses that must sign, each once: of the messages in their order, then the fee's payer."""
    return tx.signers


def sign_bytes(tx: Tx, chain_id: str, account_number: int) -> bytes:
    """The digest (32 bytes) that a signer of this transaction signs in SIGN_MODE_DIRECT."""
    document = tx_pb2.SignDoc(
        body_bytes=tx.body_bytes,
        auth_info_bytes=tx.auth_info_bytes,
        chain_id=chain_id,
        account_number=account_number,
    )
    return sha256(document.SerializeToString(deterministic=True)).digest()
