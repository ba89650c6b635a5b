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

WORDS = ("12", "15", "18", "21", "24")
EXPORT_PASSPHRASE_MIN = 8
_KEY_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)
_INDEX = click.IntRange(0, (1 << 31) - 1)


def key_json(info: KeyInfo) -> dict[str, Any]:
    """What may be shown of a key, as Cosmos command lines do."""
    import base64  # noqa: PLC0415 - the tree of commands needs none of it

    pubkey = {
        "@type": "/cosmos.crypto.secp256k1.PubKey",
        "key": base64.b64encode(info.public_key).decode(),
    }
    return {"name": info.name, "type": "local", "address": info.address, "pubkey": json.dumps(pubkey)}


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
@click.option("--no-backup", is_flag=True, help="Do not show the new mnemonic.")
@click.option("--dry-run", is_flag=True, help="Show the key and store nothing.")
@shared(*KEYRING)
def add(
    session: Session,
    name: str,
    *,
    recover: bool,
    coin_type: int,
    account: int,
    index: int,
    hd_path: str | None,
    words: str,
    no_backup: bool,
    dry_run: bool,
) -> None:
    """Make a key, or recover one from its mnemonic, and store it under NAME.

    A new mnemonic is shown this once: whoever has it has the key.
    """
    from client import keys as key_tools  # noqa: PLC0415 - brings the cryptography
    from client.keyring import KeyInfo  # noqa: PLC0415

    mnemonic = ask_secret("Mnemonic") if recover else key_tools.new_mnemonic(int(words))
    path = hd_path or key_tools.hd_path(coin_type, account, index)
    key = key_tools.Key.from_mnemonic(mnemonic, path)
    shown_only = KeyInfo(name, key.address, key.public)
    info = shown_only if dry_run else session.keyring(new=True).add(name, key)
    shown = key_json(info)
    if recover or no_backup:
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
@click.option("--pubkey", "-p", "only_pubkey", is_flag=True, help="Only the public key.")
@shared(*KEYRING)
def show(session: Session, name: str, *, only_address: bool, only_pubkey: bool) -> None:
    """Show one key, without its secret."""
    if only_address and only_pubkey:
        raise click.UsageError("use only one of --address and --pubkey")
    key = key_json(session.keyring().show(name))
    if only_address:
        return click.echo(key["address"])
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
    # In this order a fault between the two leaves the key under both names, and never under none.
    renamed = keyring.add(new_name, keyring.key(info.name))
    keyring.delete(info.name)
    session.emit(key_json(renamed))


@keys.command()
@click.argument("text", metavar="ADDRESS_OR_HEX")
@shared(*LOCAL)
def parse(session: Session, text: str) -> None:
    """Show the bytes of an address, or the addresses that stand for bytes given in hex."""
    from protocol import address  # noqa: PLC0415 - the tree of commands needs none of it

    if re.fullmatch(r"([0-9a-fA-F]{2})+", text):
        raw = bytes.fromhex(text)
        prefixes = (address.PREFIX, f"{address.PREFIX}valoper", f"{address.PREFIX}valcons")
        return session.emit({"formats": [address.encode(raw, prefix) for prefix in prefixes]})
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
