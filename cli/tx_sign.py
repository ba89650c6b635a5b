"""`evergrid tx sign`, `multisign`, `validate-signatures`: by one owner of an account, or by several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.message import DecodeError

from cli.files import FILE, read_json
from cli.options import KEYRING, shared
from cli.send import checked_address, numbers_of, on_chain, write
from cli.tx_files import raw_in, raw_of, read_tx, signers_of
from client import multisig
from client.registry import MessageError, from_json
from client.tx import signer_info
from protocol.address import PREFIX
from protocol.address import account as account_address
from protocol.gen.cosmos.crypto.multisig.keys_pb2 import LegacyAminoPubKey
from protocol.gen.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.multisig import MULTISIG_TYPE_URL, MultisigError, packed_key
from protocol.multisig import account as multisig_account

if TYPE_CHECKING:
    from abci_app.kernel.tx import Tx
    from cli.session import Session
    from client.tx import Signer
    from protocol.gen.google.protobuf.any_pb2 import Any as AnyMessage

SIGN = ("from", "sign_mode", "chain_id", "node", "account_number", "sequence", *KEYRING)
MODES = {
    "direct": signing_pb2.SIGN_MODE_DIRECT,
    "amino-json": signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON,
}
_DOCUMENT = click.option(
    "--output-document", type=click.Path(dir_okay=False), metavar="FILE", help="Write into this file."
)
_OFFLINE = click.option(
    "--offline", is_flag=True, help="Ask no node: needs --chain-id, --account-number and --sequence."
)


def _chain_id(session: Session, *, offline: bool) -> str:
    """That of the chain; raises UsageError that names all options that are missing offline."""
    named = ("chain_id", "account_number", "sequence")
    missing = [f"--{name.replace('_', '-')}" for name in named if session.get(name) is None]
    if offline and missing:
        raise click.UsageError(f"--offline needs {', '.join(missing)}")
    return str(session.get("chain_id") or session.client.status()["node_info"]["network"])


def decoded(raw: bytes) -> Tx:
    """A transaction as the chain reads it; raises ClickException with the chain's words."""
    import abci_app.app  # noqa: F401, PLC0415 - every module's messages; not needed for other modes
    from abci_app.kernel.errors import TxError  # noqa: PLC0415 - as above
    from abci_app.kernel.tx import decode  # noqa: PLC0415 - as above

    try:
        return decode(raw)
    except TxError as error:
        raise click.ClickException(f"the chain cannot read this transaction: {error}") from error


def digest(tx: Tx, mode: int, chain_id: str, number: int, sequence: int) -> bytes:
    """What is signed (32 bytes); raises ClickException where the mode cannot say it."""
    from abci_app.kernel.errors import TxError  # noqa: PLC0415 - as above
    from abci_app.modules.auth.signatures import digest_of  # noqa: PLC0415 - as above

    try:
        return digest_of(tx, mode, chain_id, number, sequence)
    except TxError as error:
        raise click.ClickException(str(error)) from error


def address_in(session: Session, account: str) -> str:
    """The address of an account with several owners: itself, or that of a key in the keyring."""
    return (
        checked_address(account)
        if account.startswith("evergrid1")
        else session.keyring().show(account).address
    )


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--multisig",
    metavar="ACCOUNT",
    help="Sign as one owner of this account, in amino-json, and print the signature alone.",
)
@_OFFLINE
@_DOCUMENT
@shared(*SIGN)
def sign(
    session: Session,
    file: str,
    *,
    multisig: str | None,
    offline: bool,
    output_document: str | None,
) -> None:
    r"""Sign the transaction in FILE, as --generate-only printed it, with the key of --from.

    Where several accounts sign, each signs what the one before it printed, in any order and in amino-json.

    \b
    evergrid tx sign unsigned.json --from alice > signed.json
    evergrid tx sign unsigned.json --from alice --multisig treasury > alice.json
    """
    if not session.get("from"):
        raise click.UsageError("name the key that signs with --from")
    sign_mode = session.get("sign_mode")
    if multisig and sign_mode == "direct":
        raise click.UsageError("owners of one account sign in amino-json: direct would name all who sign")
    chain_id = _chain_id(session, offline=offline)
    tx = read_tx(file)
    key = session.keyring().key(session.get("from"))
    account = address_in(session, multisig) if multisig else key.address
    signers = _check_signable(read_json(file), tx, account, sign_mode)
    signer = on_chain(session, key, account)
    if tx.body.unordered:
        signer = replace(signer, sequence=0)
    mode = MODES[sign_mode or ("amino-json" if multisig or len(signers) > 1 else "direct")]
    others = _signed_already(tx, signers, account)
    signed_by(tx, signer, mode, chain_id)
    if multisig:
        return write(session, _alone(signer, mode, tx.signatures[0]), output_document)
    own = tx.auth_info.signer_infos[0], tx.signatures[0]
    _put_in_order(tx, signers, {**others, account: own})
    return write(session, tx, output_document)


def signed_by(tx: tx_pb2.Tx, signer: Signer, mode: signing_pb2.SignMode, chain_id: str) -> tx_pb2.Tx:
    """The transaction with the signature of one signer alone, in a mode."""
    del tx.auth_info.signer_infos[:], tx.signatures[:]
    tx.auth_info.signer_infos.append(signer_info(signer, mode))
    document = digest(decoded(raw_of(tx)), mode, chain_id, signer.account_number, signer.sequence)
    tx.signatures.append(signer.key.sign_digest(document))
    return tx


def address_of(packed: AnyMessage) -> str:
    """The address of a public key that a signer shows; empty where it shows none."""
    if packed.type_url == MULTISIG_TYPE_URL:
        return multisig_account(LegacyAminoPubKey.FromString(packed.value))
    return account_address(PubKey.FromString(packed.value).key) if packed.type_url else ""


def _signed_already(
    tx: tx_pb2.Tx, signers: list[str], address: str
) -> dict[str, tuple[tx_pb2.SignerInfo, bytes]]:
    """What other accounts have signed, by their addresses; it stays valid, as amino-json names one signer."""
    found = {}
    for info, signature in zip(tx.auth_info.signer_infos, tx.signatures, strict=False):
        owner = address_of(info.public_key)
        if owner in signers and owner != address:
            kept = tx_pb2.SignerInfo()
            kept.CopyFrom(info)
            found[owner] = kept, signature
    return found


def _put_in_order(
    tx: tx_pb2.Tx, signers: list[str], signed: dict[str, tuple[tx_pb2.SignerInfo, bytes]]
) -> None:
    del tx.auth_info.signer_infos[:], tx.signatures[:]
    for address in signers:
        if address in signed:
            tx.auth_info.signer_infos.append(signed[address][0])
            tx.signatures.append(signed[address][1])


def _check_signable(fields: Any, tx: tx_pb2.Tx, address: str, mode: str | None) -> list[str]:
    """Who has to sign; raises MessageError with all that is in the way of a signature of this address."""
    wrong = []
    signers = signers_of(fields, tx.auth_info.fee.payer)
    if address not in signers:
        wrong.append(f"it is signed by {', '.join(signers)}, not by {address}")
    if mode == "direct" and len(signers) > 1:
        wrong.append("several accounts sign it, in amino-json: direct would name all who sign")
    if not tx.auth_info.fee.gas_limit:
        wrong.append("it has no gas limit: generate it with --gas N")
    if wrong:
        raise MessageError("the transaction cannot be signed: " + "; ".join(wrong))
    return signers


def _alone(signer: Signer, mode: int, signature: bytes) -> signing_pb2.SignatureDescriptors:
    one = signing_pb2.SignatureDescriptor(public_key=packed_key(signer.key.public), sequence=signer.sequence)
    one.data.single.mode = mode  # type: ignore[assignment]
    one.data.single.signature = signature
    return signing_pb2.SignatureDescriptors(signatures=[one])


@click.command()
@click.argument("file", type=FILE)
@click.argument("account")
@click.argument("signatures", nargs=-1, required=True, type=FILE)
@_OFFLINE
@_DOCUMENT
@shared("chain_id", "node", "account_number", "sequence", *KEYRING)
def multisign(
    session: Session,
    file: str,
    account: str,
    signatures: tuple[str, ...],
    *,
    offline: bool,
    output_document: str | None,
) -> None:
    r"""Put SIGNATURES of owners of ACCOUNT, as `tx sign --multisig` printed them, to the transaction in FILE.

    ACCOUNT is a key of several owners in the keyring, or the address of an account that has sent before.

    \b
    evergrid keys add treasury --multisig alice,bob,carol --multisig-threshold 2
    evergrid tx bank send treasury RECEIVER 5nevg --generate-only --gas 200000 > unsigned.json
    evergrid tx sign unsigned.json --from alice --multisig treasury > alice.json
    evergrid tx sign unsigned.json --from carol --multisig treasury > carol.json
    evergrid tx multisign unsigned.json treasury alice.json carol.json > signed.json
    evergrid tx broadcast signed.json
    """
    chain_id = _chain_id(session, offline=offline)
    tx = read_tx(file)
    key = _key_of(session, account)
    address = multisig_account(key)
    signers = _check_signable(read_json(file), tx, address, "amino-json")
    others = _signed_already(tx, signers, address)
    numbers = _numbers(session, tx.body, address)
    given = _signatures_in(signatures)
    document = decoded(raw_of(tx))
    mode = signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON
    wrong = _problems(given, digest(document, mode, chain_id, *numbers))
    try:
        info = multisig.signer_info(key, {k: v for k, (v, _) in given.items()}, numbers[1])
    except MultisigError as error:
        wrong.append(str(error))
    if wrong:
        raise click.ClickException("; ".join(wrong))
    own = info, multisig.signature(key, {k: v for k, (v, _) in given.items()})
    _put_in_order(tx, signers, {**others, address: own})
    write(session, tx, output_document)


def _key_of(session: Session, account: str) -> LegacyAminoPubKey:
    """The key of several owners behind a name or an address; raises ClickException."""
    from client.keyring import KeyringError  # noqa: PLC0415 - brings the libraries of the keyring

    try:
        packed = session.keyring().public(account)
    except KeyringError:
        if not account.startswith(f"{PREFIX}1"):
            raise
        packed = session.client.account(checked_address(account)).pub_key
    if packed.type_url != MULTISIG_TYPE_URL:
        raise click.ClickException(f"{account} has no key of several owners")
    return LegacyAminoPubKey.FromString(packed.value)


def _numbers(session: Session, body: tx_pb2.TxBody, address: str) -> tuple[int, int]:
    """Number and sequence of an account, as a transaction needs them."""
    number, sequence = numbers_of(session, address)
    return number, 0 if body.unordered else sequence


def _signatures_in(files: tuple[str, ...]) -> dict[bytes, tuple[bytes, str]]:
    """Public key (33 bytes) -> signature and the file that holds it; raises MessageError with all faults."""
    found: dict[bytes, tuple[bytes, str]] = {}
    wrong = []
    for file in files:
        try:
            held = from_json(read_json(file), signing_pb2.SignatureDescriptors).signatures
        except MessageError as error:
            wrong.append(f"{file}: {error}")
            continue
        if len(held) != 1 or held[0].data.WhichOneof("sum") != "single":
            wrong.append(f"{file} does not hold the signature of one owner")
            continue
        try:
            public_key = PubKey.FromString(held[0].public_key.value).key
        except DecodeError:
            wrong.append(f"{file}: its public key cannot be read")
            continue
        if public_key in found:
            wrong.append(f"{file} and {found[public_key][1]} are of one owner")
        found[public_key] = held[0].data.single.signature, file
    if wrong:
        raise MessageError("; ".join(wrong))
    return found


def _problems(given: dict[bytes, tuple[bytes, str]], document: bytes) -> list[str]:
    from abci_app.modules.auth.signatures import verify_signature  # noqa: PLC0415 - as above

    return [
        f"the signature in {file} is not one of this transaction, account number and sequence"
        for public_key, (signature, file) in given.items()
        if not verify_signature(public_key, document, signature)
    ]


@click.command()
@click.argument("file", type=FILE)
@_OFFLINE
@shared("chain_id", "node", "account_number", "sequence", *KEYRING)
def validate_signatures(session: Session, file: str, *, offline: bool) -> None:
    """Check the signatures of the transaction in FILE; the exit code is 0 only if each of them is valid."""
    chain_id = _chain_id(session, offline=offline)
    tx = decoded(raw_in(file))
    reasons = {signer: _why_invalid(session, tx, index, chain_id) for index, signer in enumerate(tx.signers)}
    rows = [
        {"signer": signer, "valid": not why, **({"reason": why} if why else {})}
        for signer, why in reasons.items()
    ]
    session.emit({"signatures": rows})
    if any(reasons.values()):
        raise SystemExit(1)


def _why_invalid(session: Session, tx: Tx, index: int, chain_id: str) -> str:
    """What is wrong with one signature; empty if it is valid."""
    from abci_app.modules.auth.multisig import problem  # noqa: PLC0415 - as above

    signer = tx.signers[index]
    index = _place_of(tx, index)
    if index >= min(len(tx.signatures), len(tx.auth_info.signer_infos)):
        return "it has not signed"
    info = tx.auth_info.signer_infos[index]
    number, sequence = _numbers(session, tx.body, signer)
    if info.sequence != sequence:
        return f"it is for sequence {info.sequence}, that of the account is {sequence}"
    key = info.public_key if info.public_key.type_url else session.client.account(signer).pub_key
    return problem(
        key,
        info.mode_info,
        tx.signatures[index],
        lambda mode: digest(tx, mode, chain_id, number, sequence),
    )


def _place_of(tx: Tx, index: int) -> int:
    """Where a signer's signature stands: not in its own place while those before it have not signed."""
    owners = [address_of(info.public_key) for info in tx.auth_info.signer_infos]
    if len(owners) >= len(tx.signers):
        return index
    signer = tx.signers[index]
    return owners.index(signer) if signer in owners else len(owners)
