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
from abci_app.modules.auth import accounts, signatures
from abci_app.modules.auth.unordered import check_unordered, timeout_ns, use_time
from protocol import address as addresses
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx
    from protocol.gen.cosmos.auth.v1beta1 import auth_pb2

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
    size = len(tx.raw)
    if ctx.mode is Mode.SIMULATE:
        size += UNSIGNED_BYTES * sum(not signature for signature in tx.signatures)
        size += 0 if tx.fee.amount else NO_FEE_BYTES
    ctx.gas.consume(size * accounts.params(ctx).tx_size_cost_per_byte, "txSize")


def set_public_keys(ctx: Context, tx: Tx) -> None:
    """The key that a transaction shows belongs to its signer, and is kept at the first one."""
    for index, (signer, info) in enumerate(zip(tx.signers, tx.auth_info.signer_infos, strict=True)):
        shown = _shown_key(info.public_key.type_url, signatures.key_of(info.public_key))
        if shown is not None and addresses.account(shown) != signer:
            raise InvalidPublicKey(
                f"pubKey does not match signer address {signer} with signer index: {index}"
            )
        account = _account(ctx, signer)
        if shown is not None and not account.HasField("pub_key"):
            account.pub_key.CopyFrom(info.public_key)
            accounts.set_account(ctx, account)
    for signer, info, signature in zip(tx.signers, tx.auth_info.signer_infos, tx.signatures, strict=True):
        ctx.emit("tx", acc_seq=f"{signer}/{info.sequence}")
        ctx.emit("tx", signature=base64.b64encode(signature).decode())


def _shown_key(type_url: str, key: bytes | None) -> bytes | None:
    if not type_url:
        return None
    if key is None:
        raise InvalidPublicKey(f"keys of type {type_url} cannot sign, only {signatures.SECP256K1_TYPE_URL}")
    if len(key) != signatures.PUBLIC_KEY_BYTES:
        raise InvalidPublicKey(f"the key has {len(key)} bytes, not {signatures.PUBLIC_KEY_BYTES}")
    return key


def _account(ctx: Context, address: str) -> auth_pb2.BaseAccount:
    account = accounts.account(ctx, address)
    if account is None:
        raise UnknownAddress(f"account {address} does not exist")
    return account


def check_signature_count(ctx: Context, tx: Tx) -> None:
    """No more signatures than the params allow."""
    limit = accounts.params(ctx).tx_sig_limit
    if len(tx.signatures) > limit:
        raise TooManySignatures(f"signatures: {len(tx.signatures)}, limit: {limit}")


def consume_signature_gas(ctx: Context, tx: Tx) -> None:
    """Each signature costs, in a simulation too."""
    cost = accounts.params(ctx).sig_verify_cost_secp256k1
    for _ in tx.signers:
        ctx.gas.consume(cost, "ante verify: secp256k1")


def verify_signatures(ctx: Context, tx: Tx) -> None:
    """Sequence and signature of every signer; a simulation needs no signature, a recheck had it verified."""
    infos = tx.auth_info.signer_infos
    for signer, info, signature in zip(tx.signers, infos, tx.signatures, strict=True):
        account = _account(ctx, signer)
        if not tx.body.unordered and info.sequence != account.sequence:
            raise WrongSequence(
                f"account sequence mismatch, expected {account.sequence}, got {info.sequence}"
            )
        mode = info.mode_info.single.mode
        if ctx.mode is Mode.SIMULATE and not signature and mode == signing_pb2.SIGN_MODE_UNSPECIFIED:
            continue
        if ctx.mode is Mode.RECHECK:
            continue
        digest = signatures.digest_of(tx, info, ctx.chain_id, account.account_number)
        if ctx.mode is Mode.SIMULATE:
            continue
        key = signatures.key_of(account.pub_key)
        if key is None:
            raise InvalidPublicKey("pubkey on account is not set")
        if not signatures.is_valid(key, digest, signature):
            raise Unauthorized(
                "signature verification failed; please verify account number "
                f"({account.account_number}) and chain-id ({ctx.chain_id}): "
                "(unable to verify single signer signature)"
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
