"""secp256k1 signatures, each verified once: what CheckTx has verified a block need not verify again.

Whether a signature is valid depends on its three parts alone, so remembering it changes no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]
from coincurve.context import GLOBAL_CONTEXT

from abci_app.kernel import amino
from abci_app.kernel.errors import NotSupported
from abci_app.kernel.tx import sign_bytes
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from abci_app.kernel.tx import Tx
    from protocol.gen.google.protobuf import any_pb2

PUBLIC_KEY_BYTES: Final = 33
DIGEST_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SECP256K1_TYPE_URL: Final = "/" + keys_pb2.PubKey.DESCRIPTOR.full_name

# About 400 bytes each: some 25 MB, more than the mempool and the next blocks hold.
REMEMBERED_MAX: Final = 65_536

Signed = tuple[bytes, bytes, bytes]  # public key (33 bytes), digest (32), r and s (64)

_remembered: dict[Signed, bool] = {}


def verify_signature(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the signature is valid, with its s in the lower half; any malformed part makes it invalid."""
    sizes = (len(public_key), len(digest), len(signature))
    if sizes != (PUBLIC_KEY_BYTES, DIGEST_BYTES, SIGNATURE_BYTES):
        return False
    # The library's own PublicKey takes DER signatures alone.
    context = GLOBAL_CONTEXT.ctx
    key = ffi.new("secp256k1_pubkey *")
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    return bool(
        lib.secp256k1_ec_pubkey_parse(context, key, public_key, PUBLIC_KEY_BYTES)
        and lib.secp256k1_ecdsa_signature_parse_compact(context, parsed, signature)
        and lib.secp256k1_ecdsa_verify(context, parsed, digest, key)
    )


def is_valid(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """As `verify_signature`, but asks the library once only."""
    signed = (public_key, digest, signature)
    known = _remembered.get(signed)
    if known is None:
        known = verify_signature(public_key, digest, signature)
        remember([signed], [known])
    return known


def remember(signed: Sequence[Signed], results: Sequence[bool]) -> None:
    """Keeps what was verified elsewhere; the oldest go when there are too many."""
    _remembered.update(zip(signed, results, strict=True))
    surplus = len(_remembered) - REMEMBERED_MAX
    if surplus > 0:
        for key in list(_remembered)[:surplus]:
            del _remembered[key]


def forget() -> None:
    """Empties the memory, so that a benchmark or a test starts afresh."""
    _remembered.clear()


def key_of(packed: any_pb2.Any) -> bytes | None:
    """The bytes of a secp256k1 public key; None where the type is another or none."""
    if packed.type_url != SECP256K1_TYPE_URL:
        return None
    return keys_pb2.PubKey.FromString(packed.value).key


def digest_of(tx: Tx, mode: int, chain_id: str, account_number: int, sequence: int) -> bytes:
    """What a signer signs (32 bytes) in the mode that it names; raises NotSupported for any but the two."""
    if mode == signing_pb2.SIGN_MODE_DIRECT:
        return sign_bytes(tx, chain_id, account_number)
    if mode == signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON:
        return amino.sign_bytes(tx, chain_id, account_number, sequence)
    value = signing_pb2.SignMode.DESCRIPTOR.values_by_number.get(mode)
    raise NotSupported(f"sign mode {mode if value is None else value.name}: sign with SIGN_MODE_DIRECT")


def pending(txs: Iterable[Tx], chain_id: str, account_numbers: Mapping[str, int]) -> list[Signed]:
    """What is still to be verified: where the signer's number is known and its key shown."""
    wanted: dict[Signed, None] = {}
    for tx in txs:
        for signer, info, signature in zip(
            tx.signers, tx.auth_info.signer_infos, tx.signatures, strict=False
        ):
            key, number = key_of(info.public_key), account_numbers.get(signer)
            if key is None or number is None:
                continue
            try:
                mode = info.mode_info.single.mode
                signed = (key, digest_of(tx, mode, chain_id, number, info.sequence), signature)
            except NotSupported:
                # The ante chain says so to its sender.
                continue
            if signed not in _remembered:
                wanted[signed] = None
    return list(wanted)
