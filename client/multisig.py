"""Transactions of an account with several owners: each signs the same document, all go into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.tx import pack
from protocol.gen.cosmos.crypto.multisig.v1beta1.multisig_pb2 import MultiSignature
from protocol.gen.cosmos.tx.signing.v1beta1.signing_pb2 import SIGN_MODE_LEGACY_AMINO_JSON
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.multisig import MultisigError, bit_array, packed_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.gen.cosmos.crypto.multisig.keys_pb2 import LegacyAminoPubKey


def signer_info(
    key: LegacyAminoPubKey, signatures: Mapping[bytes, bytes], sequence: int
) -> tx_pb2.SignerInfo:
    """Who of the owners signed; raises MultisigError that names all that is wrong with their signatures.

    signatures: public key (33 bytes) -> signature (64 bytes) over the amino JSON document.
    """
    members = [member.SerializeToString(deterministic=True) for member in key.public_keys]
    given = [packed_key(public_key).SerializeToString(deterministic=True) for public_key in signatures]
    wrong = [
        f"the key {public_key.hex()} is not one of the account's"
        for public_key, packed in zip(signatures, given, strict=True)
        if packed not in members
    ]
    if len(signatures) < key.threshold:
        wrong.append(f"{len(signatures)} signed, where {key.threshold} are needed")
    if wrong:
        raise MultisigError("; ".join(wrong))
    single = tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=SIGN_MODE_LEGACY_AMINO_JSON))
    multi = tx_pb2.ModeInfo.Multi(
        bitarray=bit_array([member in given for member in members]), mode_infos=[single] * len(given)
    )
    return tx_pb2.SignerInfo(public_key=pack(key), mode_info=tx_pb2.ModeInfo(multi=multi), sequence=sequence)


def signature(key: LegacyAminoPubKey, signatures: Mapping[bytes, bytes]) -> bytes:
    """What stands where one signature does: those of the owners, in the order of the account's keys."""
    by_key = {packed_key(k).SerializeToString(deterministic=True): each for k, each in signatures.items()}
    members = [member.SerializeToString(deterministic=True) for member in key.public_keys]
    ordered = [by_key[member] for member in members if member in by_key]
    return MultiSignature(signatures=ordered).SerializeToString(deterministic=True)
