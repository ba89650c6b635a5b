"""Who signs requests between API nodes."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from protocol.gen.evergrid.hardware.v1 import hardware_pb2

AGE_MAX_NS = 60 * 10**9


def request_keys(participant: hardware_pb2.Participant) -> list[bytes]:
    """Public keys that speak for a participant between API nodes: its account's and its API node's own."""
    try:
        return [participant.public_key, bytes.fromhex(participant.worker_key)]
    except ValueError:
        return [participant.public_key]


def is_signed_by(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    """Whether a 64-byte signature over 32 bytes is that of a compressed secp256k1 key."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True
