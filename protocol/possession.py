"""Proof that a participant holds its consensus key: the key signs who claims it, and on which chain."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.draw import encode_fields

POSSESSION_DOMAIN = "evergrid/possession/1"


def sign_bytes(chain_id: str, creator: str) -> bytes:
    """What the validator key signs: domain, chain id, creator, each after its length (protocol, 4)."""
    return encode_fields(POSSESSION_DOMAIN, chain_id, creator)


def sign(private_key: bytes, chain_id: str, creator: str) -> bytes:
    """The 64-byte proof by an ed25519 private key, given as its 32-byte seed; raises ValueError otherwise."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(sign_bytes(chain_id, creator))


def verify(validator_key: bytes, proof: bytes, chain_id: str, creator: str) -> bool:
    """Whether the proof was made with the 32-byte ed25519 validator key, for this chain and this creator."""
    try:
        Ed25519PublicKey.from_public_bytes(validator_key).verify(proof, sign_bytes(chain_id, creator))
    except (InvalidSignature, ValueError):
        return False
    return True
