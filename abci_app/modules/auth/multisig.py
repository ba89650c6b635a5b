"""Signatures of accounts with several owners: who signed, how, and whether enough of them did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from abci_app.modules.auth import signatures
from protocol.gen.cosmos.crypto.multisig import keys_pb2
from protocol.gen.cosmos.crypto.multisig.v1beta1 import multisig_pb2
from protocol.multisig import MULTISIG_TYPE_URL, bits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.gen.cosmos.tx.v1beta1.tx_pb2 import ModeInfo
    from protocol.gen.google.protobuf.any_pb2 import Any

    # What an owner signs (32 bytes) in a mode; raises NotSupported.
    Digest = Callable[[int], bytes]


def key_of(packed: Any) -> keys_pb2.LegacyAminoPubKey | None:
    """The key of several owners; None where the type is another or none."""
    if packed.type_url != MULTISIG_TYPE_URL:
        return None
    return keys_pb2.LegacyAminoPubKey.FromString(packed.value)


def modes(info: ModeInfo) -> list[int]:
    """The mode of each owner's signature, within those of several owners too."""
    if info.WhichOneof("sum") != "multi":
        return [info.single.mode]
    return [mode for each in info.multi.mode_infos for mode in modes(each)]


def problem(packed: Any, info: ModeInfo, signature: bytes, digest: Digest) -> str:
    """Why an account's key does not sign by this signature, empty where it does; raises NotSupported."""
    key = key_of(packed)
    if key is not None:
        return _problem_of_many(key, info, signature, digest)
    if info.WhichOneof("sum") == "multi":
        return "the account has one owner, and the mode is one of several"
    single = signatures.key_of(packed)
    if single is None:
        return "a key of another type cannot sign"
    is_valid = signatures.is_valid(single, digest(info.single.mode), signature)
    return "" if is_valid else "unable to verify single signer signature"


def _problem_of_many(
    key: keys_pb2.LegacyAminoPubKey, info: ModeInfo, signature: bytes, digest: Digest
) -> str:
    if info.WhichOneof("sum") != "multi":
        return "the account has several owners, and the mode is that of one"
    signed, parts = bits_of(info.multi.bitarray, len(key.public_keys)), _parts(signature)
    if signed is None:
        return f"the bit array is not one of {len(key.public_keys)} bits"
    if parts is None:
        return "the signature is not one of several owners"
    if not sum(signed) == len(parts) == len(info.multi.mode_infos):
        return (
            f"{sum(signed)} owners are named, with {len(info.multi.mode_infos)} modes "
            f"and {len(parts)} signatures"
        )
    if len(parts) < key.threshold:
        return f"{len(parts)} signatures, where {key.threshold} are needed"
    members = [member for member, bit in zip(key.public_keys, signed, strict=True) if bit]
    for number, (member, mode, part) in enumerate(zip(members, info.multi.mode_infos, parts, strict=True)):
        if wrong := problem(member, mode, part, digest):
            return f"signature {number}: {wrong}"
    return ""


def _parts(signature: bytes) -> tuple[bytes, ...] | None:
    """The owners' signatures; None unless the bytes are the one way to write them."""
    try:
        read = multisig_pb2.MultiSignature.FromString(signature)
    except DecodeError:
        return None
    # Nobody signs these bytes: written in another way they would give the transaction another hash.
    return tuple(read.signatures) if read.SerializeToString(deterministic=True) == signature else None
