"""What a transaction passes before its messages run: the steps, codes and texts that Cosmos wallets know.

A step takes context and transaction; it raises TxError or lets pass. The fee is taken between the two halves.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from abci_app.kernel.context import Mode
from abci_app.kernel.errors import (
    InvalidAddress,
    InvalidGasLimit,
    InvalidPublicKey,
    InvalidRequest,
    MemoTooLarge,
    NoSignatures,
    TooManySignatures,
    TxError,
    TxTimeoutHeight,
    Unauthorized,
    UnknownAddress,
    UnknownExtensionOptions,
    WrongSequence,
)
from abci_app.modules.auth import accounts, multisig, signatures
from abci_app.modules.auth.unordered import check_unordered, timeout_ns, use_time
from protocol import address as addresses
from protocol import multisig as owners
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx
    from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
    from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
    from protocol.gen.google.protobuf.any_pb2 import Any

GAS_MAX: Final = (1 << 63) - 1
# What a simulated transaction still lacks of its final size: a signature; fee, gas limit and payer.
UNSIGNED_BYTES: Final = 66
NO_FEE_BYTES: Final = 60


class TxTimeout(TxError):
    """The block's time is past the transaction's."""

    code, text = 42, "tx timeout"


def reject_extension_options(_ctx: Context, tx: Tx) -> None:
    """What this chain does not understand and the sender calls critical is refused."""
    if tx.body.extension_options:
        raise UnknownExtensionOptions(tx.body.extension_options[0].type_url[:200])


def validate_basic(ctx: Context, tx: Tx) -> None:
    """All that needs no state: messages, gas limit, and as many signatures as signers."""
    if not tx.messages:
        raise InvalidRequest("must contain at least one message")
    for signer in tx.signers:
        try:
            addresses.decode(signer)
        except addresses.AddressError as error:
            raise InvalidAddress(f"invalid signer address {signer!r}: {error}") from error
    if tx.gas_limit > GAS_MAX:
        raise InvalidRequest(f"invalid gas supplied; {tx.gas_limit} > {GAS_MAX}")
    if tx.gas_limit == 0 and ctx.mode is not Mode.SIMULATE:
        raise InvalidGasLimit("must provide positive gas")
    if not tx.signatures:
        raise NoSignatures
    for count in (len(tx.signatures), len(tx.auth_info.signer_infos)):
        if count != len(tx.signers):
            raise Unauthorized(f"wrong number of signers; expected {len(tx.signers)}, got {count}")


def check_timeout(ctx: Context, tx: Tx) -> None:
    """Neither height nor time of the block may be past what the sender set."""
    height = tx.body.timeout_height
    if 0 < height < ctx.height:
        raise TxTimeoutHeight(f"block height: {ctx.height}, timeout height: {height}")
    time_ns = timeout_ns(tx)
    if time_ns and time_ns < ctx.block.time_ns:
        raise TxTimeout(f"block time: {ctx.block.time_ns} ns, timeout timestamp: {time_ns} ns")


def check_memo(ctx: Context, tx: Tx) -> None:
    """The memo is within the limit; its bytes count."""
    size, limit = len(tx.body.memo.encode()), accounts.params(ctx).max_memo_characters
    if size > limit:
        raise MemoTooLarge(f"maximum number of characters is {limit} but received {size} characters")


def consume_size_gas(ctx: Context, tx: Tx) -> None:
    """Each byte costs; in a simulation so does what the final transaction will have on top."""
    params = accounts.params(ctx)
    size = len(tx.raw)
    if ctx.mode is Mode.SIMULATE:
        for signer, info, signature in _signed(tx):
            if not signature:
                # How many of several owners are going to sign is not known.
                size += UNSIGNED_BYTES * (params.tx_sig_limit if _has_owners(ctx, signer, info) else 1)
        size += 0 if tx.fee.amount else NO_FEE_BYTES
    ctx.gas.consume(size * params.tx_size_cost_per_byte, "txSize")


def _signed(tx: Tx) -> Iterator[tuple[str, tx_pb2.SignerInfo, bytes]]:
    """Each signer with what the transaction says of it, and its signature."""
    return zip(tx.signers, tx.auth_info.signer_infos, tx.signatures, strict=True)


def _has_owners(ctx: Context, signer: str, info: tx_pb2.SignerInfo) -> bool:
    account = accounts.account(ctx, signer)
    known = [info.public_key] if account is None else [info.public_key, account.pub_key]
    return any(key.type_url == owners.MULTISIG_TYPE_URL for key in known)


def set_public_keys(ctx: Context, tx: Tx) -> None:
    """The key that a transaction shows belongs to its signer, and is kept at the first one."""
    limit = accounts.params(ctx).tx_sig_limit
    for index, (signer, info, _) in enumerate(_signed(tx)):
        shown = _shown_address(info.public_key, limit)
        if shown not in {None, signer}:
            raise InvalidPublicKey(
                f"pubKey does not match signer address {signer} with signer index: {index}"
            )
        account = _account(ctx, signer)
        if shown is not None and not account.HasField("pub_key"):
            account.pub_key.CopyFrom(info.public_key)
            accounts.set_account(ctx, account)
    for signer, info, signature in _signed(tx):
        ctx.emit("tx", acc_seq=f"{signer}/{info.sequence}")
        ctx.emit("tx", signature=base64.b64encode(signature).decode())


def _shown_address(packed: Any, owners_max: int) -> str | None:
    """The address of the key that a signer shows, None where it shows none; raises InvalidPublicKey."""
    if not packed.type_url:
        return None
    if (many := multisig.key_of(packed)) is not None:
        try:
            owners.check(many, owners_max)
        except owners.TooManyOwnersError as error:
            raise TooManySignatures(f"the key of several owners: {error}") from error
        except owners.MultisigError as error:
            raise InvalidPublicKey(f"the key of several owners: {error}") from error
        return owners.account(many)
    key = signatures.key_of(packed)
    if key is None:
        raise InvalidPublicKey(
            f"keys of type {packed.type_url} cannot sign, only {signatures.SECP256K1_TYPE_URL} and "
            f"{owners.MULTISIG_TYPE_URL}"
        )
    if len(key) != signatures.PUBLIC_KEY_BYTES:
        raise InvalidPublicKey(f"the key has {len(key)} bytes, not {signatures.PUBLIC_KEY_BYTES}")
    return addresses.account(key)


def _account(ctx: Context, address: str) -> auth_pb2.BaseAccount:
    account = accounts.account(ctx, address)
    if account is None:
        raise UnknownAddress(f"account {address} does not exist")
    return account


def check_signature_count(ctx: Context, tx: Tx) -> None:
    """No more signatures than the params allow, those of several owners counted one by one."""
    limit = accounts.params(ctx).tx_sig_limit
    count = sum(len(multisig.modes(info.mode_info)) for info in tx.auth_info.signer_infos)
    if count > limit:
        raise TooManySignatures(f"signatures: {count}, limit: {limit}")


def consume_signature_gas(ctx: Context, tx: Tx) -> None:
    """Each signature costs, in a simulation too."""
    cost = accounts.params(ctx).sig_verify_cost_secp256k1
    for signer, info, _ in _signed(tx):
        count = len(multisig.modes(info.mode_info))
        if ctx.mode is Mode.SIMULATE and info.mode_info.WhichOneof("sum") != "multi":
            many = multisig.key_of(_account(ctx, signer).pub_key)
            count = many.threshold if many is not None else 1
        for _ in range(count):
            ctx.gas.consume(cost, "ante verify: secp256k1")


def verify_signatures(ctx: Context, tx: Tx) -> None:
    """Sequence and signature of every signer; a simulation needs no signature, a recheck had it verified."""
    for signer, info, signature in _signed(tx):
        account = _account(ctx, signer)
        if not tx.body.unordered and info.sequence != account.sequence:
            raise WrongSequence(
                f"account sequence mismatch, expected {account.sequence}, got {info.sequence}"
            )
        if ctx.mode is Mode.RECHECK:
            continue

        def digest(mode: int, info: tx_pb2.SignerInfo = info, number: int = account.account_number) -> bytes:
            return signatures.digest_of(tx, mode, ctx.chain_id, number, info.sequence)

        if ctx.mode is Mode.SIMULATE:
            for mode in multisig.modes(info.mode_info):
                if signature or mode != signing_pb2.SIGN_MODE_UNSPECIFIED:
                    digest(mode)
            continue
        if not account.HasField("pub_key"):
            raise InvalidPublicKey("pubkey on account is not set")
        if problem := multisig.problem(account.pub_key, info.mode_info, signature, digest):
            raise Unauthorized(
                "signature verification failed; please verify account number "
                f"({account.account_number}) and chain-id ({ctx.chain_id}): ({problem})"
            )


def increment_sequences(ctx: Context, tx: Tx) -> None:
    """No transaction can be sent twice."""
    if tx.body.unordered:
        use_time(ctx, tx)
        return
    for signer in tx.signers:
        account = _account(ctx, signer)
        account.sequence += 1
        accounts.set_account(ctx, account)


ANTE_BEFORE_FEE: Final = (
    reject_extension_options,
    validate_basic,
    check_timeout,
    check_unordered,
    check_memo,
    consume_size_gas,
)
ANTE_AFTER_FEE: Final = (
    set_public_keys,
    check_signature_count,
    consume_signature_gas,
    verify_signatures,
    increment_sequences,
)
