"""`evergrid keys`: the keys that sign transactions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import KEYRING, LOCAL, shared
from cli.session import ask_secret

if TYPE_CHECKING:
    from cli.session import Session
    from client.keyring import KeyInfo
    from client.keys import Key
    from protocol.gen.google.protobuf import any_pb2

WORDS = ("12", "15", "18", "21", "24")
EXPORT_PASSPHRASE_MIN = 8
PREFIXES = {"acc": "", "val": "valoper", "cons": "valcons"}
_KEY_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_INDEX = click.IntRange(0, (1 << 31) - 1)


def key_json(info: KeyInfo) -> dict[str, Any]:
    """What may be shown of a key, as Cosmos command lines do."""
    from client.registry import to_json  # noqa: PLC0415 - the tree of commands needs none of it

    # Of a type that is not known here there is no more to say.
    pubkey = json.dumps(to_json(info.packed) if info.address else {"@type": info.packed.type_url})
    return {"name": info.name, "type": info.kind, "address": info.address, "pubkey": pubkey}


@click.group()
def keys() -> None:
    """Manage the keys that sign transactions."""


@keys.command()
@click.argument("name")
@click.option("--recover", is_flag=True, help="Take the mnemonic from the standard input.")
@click.option("--coin-type", type=_INDEX, default=118, show_default=True, help="Of the BIP 44 path.")
@click.option("--account", type=_INDEX, default=0, show_default=True, help="Of the BIP 44 path.")
@click.option("--index", type=_INDEX, default=0, show_default=True, help="Of the BIP 44 path.")
@click.option("--hd-path", metavar="PATH", help="The whole derivation path, such as m/44'/118'/0'/0/0.")
@click.option("--words", type=click.Choice(WORDS), default="24", show_default=True, help="Of a new mnemonic.")
@click.option("--algo", type=click.Choice(["secp256k1"]), default="secp256k1", show_default=True)
@click.option(
    "--pubkey", metavar="JSON", help="Only this public key, as `keys show -p` prints it, or its hex."
)
@click.option("--multisig", metavar="KEYS", help="Names of the keys of several owners, with commas between.")
@click.option("--multisig-threshold", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--nosort", is_flag=True, help="Owners in the order in which they are named, not by address.")
@click.option("--no-backup", is_flag=True, help="Do not show the new mnemonic.")
@click.option("--dry-run", is_flag=True, help="Show the key and store nothing.")
@shared(*KEYRING)
def add(session: Session, name: str, **options: Any) -> None:
    r"""Make a key, or recover one from its mnemonic, and store it under NAME.

    A new mnemonic is shown this once: whoever has it has the key.

    \b
    evergrid keys add alice
    evergrid keys add bob --recover < mnemonic
    evergrid keys add carol --pubkey '{"@type": "/cosmos.crypto.secp256k1.PubKey", "key": "A..."}'
    evergrid keys add treasury --multisig alice,bob,carol --multisig-threshold 2
    """
    if sum(map(bool, (options["recover"], options["pubkey"], options["multisig"]))) > 1:
        raise click.UsageError("use only one of --recover, --pubkey and --multisig")
    if options["pubkey"] or options["multisig"]:
        _add_public(session, name, **options)
    else:
        _add_own(session, name, **options)


def _add_public(session: Session, name: str, **options: Any) -> None:
    from client.keyring import KeyInfo  # noqa: PLC0415 - brings the cryptography

    keyring = session.keyring(new=True)
    if options["pubkey"]:
        kind, packed = "offline", _read_public_key(options["pubkey"])
    else:
        members = [keyring.show(each.strip()) for each in options["multisig"].split(",")]
        kind, packed = (
            "multi",
            _of_several(members, options["multisig_threshold"], sort=not options["nosort"]),
        )
    shown_only = KeyInfo.of(name, packed, kind)
    session.emit(key_json(shown_only if options["dry_run"] else keyring.add_public(name, packed)))


def _read_public_key(text: str) -> any_pb2.Any:
    """A secp256k1 key: hex, or JSON with type and base64; raises ClickException."""
    from client.registry import MessageError, from_json  # noqa: PLC0415 - as above
    from protocol.gen.cosmos.crypto.secp256k1.keys_pb2 import PubKey  # noqa: PLC0415
    from protocol.multisig import PUBLIC_KEY_BYTES, packed_key  # noqa: PLC0415

    if re.fullmatch(r"[0-9a-fA-F]{66}", text):
        return packed_key(bytes.fromhex(text))
    try:
        fields = json.loads(text)
        is_known = isinstance(fields, dict) and fields.pop("@type", "") == "/cosmos.crypto.secp256k1.PubKey"
        raw = from_json(fields, PubKey).key if is_known else b""
    except (ValueError, MessageError) as error:
        raise click.ClickException(f"--pubkey is neither hex nor JSON of a public key: {error}") from error
    if len(raw) != PUBLIC_KEY_BYTES:
        raise click.ClickException(f"--pubkey holds no secp256k1 key of {PUBLIC_KEY_BYTES} bytes")
    return packed_key(raw)


def _of_several(members: list[KeyInfo], threshold: int, *, sort: bool) -> any_pb2.Any:
    """The key of several owners, as transactions show it; raises MultisigError."""
    from protocol import address  # noqa: PLC0415 - as above
    from protocol.gen.cosmos.crypto.multisig.keys_pb2 import LegacyAminoPubKey  # noqa: PLC0415
    from protocol.multisig import check, packed  # noqa: PLC0415

    if sort:
        members = sorted(members, key=lambda each: address.decode(each.address))
    key = LegacyAminoPubKey(threshold=threshold, public_keys=[each.packed for each in members])
    check(key)
    return packed(key)


def _add_own(session: Session, name: str, **options: Any) -> None:
    from client import keys as key_tools  # noqa: PLC0415 - brings the cryptography
    from client.keyring import KeyInfo  # noqa: PLC0415
    from protocol.multisig import packed_key  # noqa: PLC0415

    recover = options["recover"]
    mnemonic = ask_secret("Mnemonic") if recover else key_tools.new_mnemonic(int(options["words"]))
    path = options["hd_path"] or key_tools.hd_path(options["coin_type"], options["account"], options["index"])
    key = key_tools.Key.from_mnemonic(mnemonic, path)
    shown_only = KeyInfo.of(name, packed_key(key.public), "local")
    shown = key_json(shown_only if options["dry_run"] else session.keyring(new=True).add(name, key))
    if recover or options["no_backup"]:
        return session.emit(shown)
    if session.as_json:
        return session.emit({**shown, "mnemonic": mnemonic})
    session.emit(shown)
    click.echo(
        "\nWrite this mnemonic down and keep it safe: only it recovers the key, and it is not shown again.\n",
        err=True,
    )
    return click.echo(mnemonic, err=True)


@keys.command(name="list")
@click.option("--list-names", "-n", is_flag=True, help="Only the names.")
@shared(*KEYRING)
def list_keys(session: Session, *, list_names: bool) -> None:
    """List every key."""
    found = [key_json(info) for info in session.keyring().list()]
    if list_names:
        names = [key["name"] for key in found]
        return session.emit(names, "\n".join(names))
    from cli.out import table  # noqa: PLC0415 - only when it is used

    return session.emit(found, table(found, ("name", "address")) if found else "no keys")


@keys.command()
@click.argument("name", metavar="NAME_OR_ADDRESS")
@click.option("--address", "-a", "only_address", is_flag=True, help="Only the address.")
@click.option("--pubkey", "-p", "only_pubkey", is_flag=True, help="Only the public key, as JSON.")
@click.option("--hex", "only_hex", is_flag=True, help="Only the public key, in hex.")
@click.option(
    "--bech",
    type=click.Choice(list(PREFIXES)),
    default="acc",
    show_default=True,
    help="The address of the account, of the validator's operator, or of consensus.",
)
@shared(*KEYRING)
def show(
    session: Session, name: str, *, only_address: bool, only_pubkey: bool, only_hex: bool, bech: str
) -> None:
    """Show one key, without its secret."""
    from protocol import address  # noqa: PLC0415 - the tree of commands needs none of it

    if only_address + only_pubkey + only_hex > 1:
        raise click.UsageError("use only one of --address, --pubkey and --hex")
    info = session.keyring().show(name)
    key = key_json(info)
    if info.address:
        key["address"] = address.encode(address.decode(info.address), address.PREFIX + PREFIXES[bech])
    if only_address:
        return click.echo(key["address"])
    if only_hex:
        return click.echo(info.public_key.hex())
    return click.echo(key["pubkey"]) if only_pubkey else session.emit(key)


@keys.command()
@click.argument("name", metavar="NAME_OR_ADDRESS")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@shared(*KEYRING)
def delete(session: Session, name: str, *, yes: bool) -> None:
    """Remove a key for good."""
    keyring = session.keyring()
    info = keyring.show(name)
    if not yes:
        click.confirm(f"Remove the key {info.name!r} ({info.address}) for good?", abort=True, err=True)
    keyring.delete(info.name)
    session.emit({"deleted": info.name, "address": info.address}, f"deleted {info.name} ({info.address})")


@keys.command()
@click.argument("name", metavar="NAME_OR_ADDRESS")
@click.argument("new_name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@shared(*KEYRING)
def rename(session: Session, name: str, new_name: str, *, yes: bool) -> None:
    """Give a key another name."""
    keyring = session.keyring()
    info = keyring.show(name)
    if not yes:
        click.confirm(f"Rename the key {info.name!r} to {new_name!r}?", abort=True, err=True)
    session.emit(key_json(keyring.rename(info.name, new_name)))


@keys.command()
@click.argument("text", metavar="ADDRESS_OR_HEX")
@shared(*LOCAL)
def parse(session: Session, text: str) -> None:
    """Show the bytes of an address, or the addresses that stand for bytes given in hex."""
    from protocol import address  # noqa: PLC0415 - the tree of commands needs none of it

    if re.fullmatch(r"([0-9a-fA-F]{2})+", text):
        raw = bytes.fromhex(text)
        formats = [address.encode(raw, address.PREFIX + prefix) for prefix in PREFIXES.values()]
        return session.emit({"formats": formats})
    human = text.rpartition("1")[0]
    try:
        raw = address.decode(text, human)
    except ValueError as error:
        raise click.ClickException(f"{text!r} is neither an address nor hex: {error}") from error
    return session.emit({"human": human, "bytes": raw.hex().upper()})


@keys.command()
@click.option("--words", type=click.Choice(WORDS), default="24", show_default=True)
@shared(*LOCAL)
def mnemonic(session: Session, words: str) -> None:
    """Print a new mnemonic, and store nothing."""
    from client.keys import new_mnemonic  # noqa: PLC0415 - brings the cryptography

    found = new_mnemonic(int(words))
    session.emit({"mnemonic": found}, found)


@keys.command()
@click.argument("name", metavar="NAME_OR_ADDRESS")
@click.option("--unarmored-hex", is_flag=True, help="The bare private key in hex, readable by anyone.")
@click.option("--unsafe", is_flag=True, help="Needed with --unarmored-hex.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@shared(*KEYRING)
def export(session: Session, name: str, *, unarmored_hex: bool, unsafe: bool, yes: bool) -> None:
    """Print a private key, armored under a passphrase."""
    if unarmored_hex != unsafe:
        raise click.UsageError("--unarmored-hex and --unsafe are only used together")
    keyring = session.keyring()
    info = keyring.show(name)
    if unarmored_hex:
        if not yes:
            click.confirm("The key will be shown in the clear. Continue?", abort=True, err=True)
        secret = keyring.key(name).private.hex()
        return session.emit({"name": info.name, "private_key": secret}, secret)
    from client.armor import export_key  # noqa: PLC0415 - brings the cryptography

    key = keyring.key(name)
    passphrase = ask_secret("Passphrase for the export", twice=True)
    if len(passphrase) < EXPORT_PASSPHRASE_MIN:
        raise click.ClickException(f"the passphrase must have at least {EXPORT_PASSPHRASE_MIN} characters")
    armor = export_key(key, passphrase)
    return session.emit({"name": info.name, "armor": armor}, armor)


@keys.command(name="import")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared(*KEYRING)
def import_key(session: Session, name: str, file: Path) -> None:
    """Store the private key in FILE: armored, or 64 hex digits; the armor's passphrase is asked for."""
    text = file.read_text(encoding="utf-8")
    session.emit(key_json(session.keyring(new=True).add(name, _read_key(file, text))))


def _read_key(file: Path, text: str) -> Key:
    from client.armor import import_key as read_armored  # noqa: PLC0415 - brings the cryptography
    from client.armor import is_armored  # noqa: PLC0415
    from client.keys import Key  # noqa: PLC0415

    if is_armored(text):
        return read_armored(text, ask_secret("Passphrase of the export"))
    if found := _KEY_HEX.fullmatch(text.strip()):
        return Key(bytes.fromhex(found[1]))
    raise click.ClickException(f"{file} holds neither an armored key nor 64 hex digits")


@keys.command()
@click.argument("name")
@click.argument("text", metavar="HEX")
@shared(*KEYRING)
def import_hex(session: Session, name: str, text: str) -> None:
    """Store the private key given as 64 hex digits; `-` takes them from the standard input instead."""
    from client.keys import Key  # noqa: PLC0415 - brings the cryptography

    found = _KEY_HEX.fullmatch(ask_secret("Private key") if text == "-" else text)
    if found is None:
        raise click.ClickException("a private key is 64 hex digits")
    session.emit(key_json(session.keyring(new=True).add(name, Key(bytes.fromhex(found[1])))))
