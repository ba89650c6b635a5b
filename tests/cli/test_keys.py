"""Keys by the command line: made, recovered, shown, exported, imported, deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.armor import ArmorError, crc24, export_key, import_key
from client.keys import Key
from protocol import address, multisig
from tests.chain import key_of
from tests.cli.conftest import Command

# The first test mnemonic of BIP 39 (all zero entropy) and the keys that BIP 44 gives for it.
MNEMONIC = "abandon " * 11 + "about"


def test_a_new_key_shows_its_mnemonic_once_and_the_mnemonic_recovers_it(evergrid: Command) -> None:
    made = evergrid.json("keys", "add", "alice")
    shown = evergrid.json("keys", "show", "alice")
    evergrid.json("keys", "delete", "alice", "-y")
    recovered = evergrid.json("keys", "add", "again", "--recover", stdin=made["mnemonic"] + "\n")

    assert len(made.pop("mnemonic").split()) == 24
    assert shown == made
    assert recovered == {**made, "name": "again"}


def test_a_new_mnemonic_goes_to_the_terminal_and_not_into_a_pipe(evergrid: Command) -> None:
    result = evergrid("keys", "add", "alice", "--words", "12")

    assert result.exit_code == 0
    assert len(result.stderr.splitlines()[-1].split()) == 12
    assert result.stderr.splitlines()[-1] not in result.stdout


def test_coin_type_and_index_lead_to_other_keys(evergrid: Command) -> None:
    paths = {
        "plain": (),
        "coin": ("--coin-type", "1200"),
        "index": ("--index", "1"),
        "path": ("--hd-path", "m/44'/118'/0'/0/1"),
    }
    addresses = {
        name: evergrid.json("keys", "add", name, "--recover", "--dry-run", *words, stdin=MNEMONIC)["address"]
        for name, words in paths.items()
    }

    assert addresses["plain"] == Key.from_mnemonic(MNEMONIC).address
    assert addresses["index"] == addresses["path"]
    assert len({addresses[name] for name in ("plain", "coin", "index")}) == 3


def test_a_dry_run_stores_nothing(evergrid: Command) -> None:
    evergrid.json("keys", "add", "alice", "--dry-run")

    assert evergrid.json("keys", "list") == []


def test_keys_are_listed_by_name_and_found_by_address(evergrid: Command) -> None:
    evergrid.json("keys", "add", "bob")
    alice = evergrid.json("keys", "add", "alice")["address"]

    assert [key["name"] for key in evergrid.json("keys", "list")] == ["alice", "bob"]
    assert evergrid("keys", "show", alice, "-a").stdout == f"{alice}\n"
    assert alice in evergrid("keys", "list").stdout


def test_a_deleted_key_is_gone_and_only_after_a_yes(evergrid: Command) -> None:
    evergrid.json("keys", "add", "alice")

    evergrid("keys", "delete", "alice", stdin="n\n")
    kept = evergrid.json("keys", "list")
    evergrid.json("keys", "delete", "alice", "-y")

    assert len(kept) == 1
    assert evergrid.json("keys", "list") == []


def test_an_exported_key_is_imported_again_under_its_passphrase_alone(
    evergrid: Command, tmp_path: Path
) -> None:
    alice = evergrid.json("keys", "add", "alice")
    armor = evergrid.json("keys", "export", "alice", stdin="correct horse\n")["armor"]
    file = tmp_path / "alice.asc"
    file.write_text(armor)

    evergrid.json("keys", "delete", "alice", "-y")

    wrong = evergrid.fails("keys", "import", "copy", str(file), stdin="battery staple\n")
    copy = evergrid.json("keys", "import", "copy", str(file), stdin="correct horse\n")

    assert wrong == "the passphrase is wrong, or the armored key is damaged"
    assert copy["address"] == alice["address"]
    assert armor.startswith("-----BEGIN TENDERMINT PRIVATE KEY-----\nkdf: argon2\nsalt: ")


def test_a_bare_key_is_exported_only_when_asked_for_twice_and_imported(
    evergrid: Command, tmp_path: Path
) -> None:
    evergrid.json("keys", "add", "alice", "--recover", stdin=MNEMONIC)
    once = evergrid.fails("keys", "export", "alice", "--unarmored-hex", code=2)
    secret = evergrid("keys", "export", "alice", "--unarmored-hex", "--unsafe", "-y").stdout
    file = tmp_path / "alice.hex"
    file.write_text(secret)
    evergrid.json("keys", "delete", "alice", "-y")

    copy = evergrid.json("keys", "import", "copy", str(file))

    assert once.startswith("--unarmored-hex and --unsafe are only used together")
    assert secret.strip() == Key.from_mnemonic(MNEMONIC).private.hex()
    assert copy["address"] == Key.from_mnemonic(MNEMONIC).address


def test_the_file_backend_needs_the_passphrase_with_which_it_began(evergrid: Command, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("a long passphrase\n")
    backend = ("--keyring-backend", "file")
    evergrid.json("keys", "add", "alice", *backend, "--keyring-passphrase-file", str(file))

    wrong = evergrid.fails(
        "keys", "export", "alice", "--unarmored-hex", "--unsafe", "-y", *backend, stdin="no\n"
    )
    right = evergrid(
        "keys", "export", "alice", "--unarmored-hex", "--unsafe", "-y", *backend, stdin="a long passphrase\n"
    )

    assert wrong == f"the passphrase is wrong: it is not that of {evergrid.home / 'keyring-file'}"
    assert right.exit_code == 0
    assert right.stdout.strip() not in (evergrid.home / "keyring-file" / "alice.info").read_text()


@pytest.mark.parametrize(
    ("words", "stdin", "text"),
    [
        (("keys", "add", "../x"), "", "'../x' is no name for a key"),
        (("keys", "add", "a", "--recover"), "abandon abandon\n", "the mnemonic is not valid"),
        (("keys", "add", "a", "--recover"), "", "mnemonic: nothing was given on the standard input"),
        (("keys", "add", "a", "--hd-path", "44/118"), "", "'44/118' is no derivation path"),
        (("keys", "show", "nobody"), "", "no key 'nobody'"),
        (("keys", "delete", "nobody", "-y"), "", "no key 'nobody'"),
        (
            ("keys", "import", "a", str(Path(__file__).with_name("rpc.py"))),
            "",
            "holds neither an armored key nor 64 hex digits",
        ),
    ],
)
def test_what_cannot_be_done_with_keys_is_one_sentence(
    evergrid: Command, words: tuple[str, ...], stdin: str, text: str
) -> None:
    assert text in evergrid.fails(*words, stdin=stdin)


def test_a_name_is_taken_once(evergrid: Command) -> None:
    first = evergrid.json("keys", "add", "alice")

    assert evergrid.fails("keys", "add", "alice") == "there is a key 'alice' already"
    assert evergrid.json("keys", "show", "alice")["address"] == first["address"]


def test_a_key_is_stored_once(evergrid: Command) -> None:
    evergrid.json("keys", "add", "alice", "--recover", stdin=MNEMONIC)

    said = evergrid.fails("keys", "add", "again", "--recover", stdin=MNEMONIC)

    assert said == f"there is a key of {Key.from_mnemonic(MNEMONIC).address} already: 'alice'"
    assert [key["name"] for key in evergrid.json("keys", "list")] == ["alice"]


def test_a_renamed_key_is_found_by_its_new_name_and_its_address(evergrid: Command) -> None:
    address = evergrid.json("keys", "add", "alice")["address"]

    renamed = evergrid.json("keys", "rename", "alice", "carol", "-y")

    assert (renamed["name"], renamed["address"]) == ("carol", address)
    assert evergrid.json("keys", "show", address)["name"] == "carol"
    assert "no key 'alice'" in evergrid.fails("keys", "show", "alice")


def test_a_public_key_alone_is_kept_and_does_not_sign(evergrid: Command) -> None:
    public = key_of("alice").public.hex()
    shown = evergrid.json("keys", "add", "alice", "--pubkey", public)
    evergrid.json("keys", "delete", "alice", "-y")

    again = evergrid.json("keys", "add", "alice", "--pubkey", shown["pubkey"])
    said = evergrid.fails("keys", "export", "alice", "--unarmored-hex", "--unsafe", "-y")

    assert again == shown
    assert (shown["type"], shown["address"]) == ("offline", key_of("alice").address)
    assert said == "the key 'alice' is of kind offline: its secret is not here"


@pytest.mark.parametrize(
    "text", ["", "00", "{}", "[]", '{"@type": "/cosmos.crypto.secp256k1.PubKey", "key": "AA=="}']
)
def test_what_is_no_public_key_is_refused(evergrid: Command, text: str) -> None:
    assert "--pubkey" in evergrid.fails("keys", "add", "alice", "--pubkey", text or " ")


def test_an_account_of_several_owners_has_the_order_of_their_addresses_unless_told(evergrid: Command) -> None:
    for name in ("alice", "bob", "carol"):
        evergrid.json("keys", "add", name, "--pubkey", key_of(name).public.hex())
    several = ("--multisig", "carol,alice,bob", "--multisig-threshold", "2")

    by_address = evergrid.json("keys", "add", "treasury", *several)
    as_named = evergrid.json("keys", "add", "other", *several, "--nosort")
    too_many = evergrid.fails("keys", "add", "third", "--multisig", "alice", "--multisig-threshold", "2")

    given = [key_of(name).public for name in ("carol", "alice", "bob")]
    ordered = sorted(given, key=lambda key: address.decode(address.account(key)))
    assert by_address["address"] == multisig.account(multisig.multisig_key(2, ordered))
    assert as_named["address"] == multisig.account(multisig.multisig_key(2, given))
    assert (by_address["type"], json.loads(by_address["pubkey"])["threshold"]) == ("multi", 2)
    assert too_many == "its threshold is 2 of 1 keys"


def test_a_key_is_shown_in_each_of_its_forms(evergrid: Command) -> None:
    evergrid.json("keys", "add", "alice", "--pubkey", key_of("alice").public.hex())
    raw = address.decode(key_of("alice").address)

    assert evergrid("keys", "show", "alice", "--hex").stdout == f"{key_of('alice').public.hex()}\n"
    for name, prefix in (("acc", "evergrid"), ("val", "evergridvaloper"), ("cons", "evergridvalcons")):
        shown = evergrid("keys", "show", "alice", "-a", "--bech", name).stdout
        assert shown == f"{address.encode(raw, prefix)}\n"


def test_a_private_key_in_hex_is_stored_and_keys_may_lie_elsewhere(evergrid: Command, tmp_path: Path) -> None:
    secret = key_of("alice").private.hex()
    elsewhere = ("--keyring-dir", str(tmp_path / "elsewhere"))

    evergrid.json("keys", "import-hex", "alice", secret)
    typed = evergrid.json("keys", "import-hex", "alice", "-", *elsewhere, stdin=f"{secret}\n")

    assert typed["address"] == key_of("alice").address
    assert (tmp_path / "elsewhere" / "keyring-test" / "alice.info").exists()
    assert evergrid.fails("keys", "import-hex", "bob", "12") == "a private key is 64 hex digits"


def test_the_memory_backend_keeps_nothing(evergrid: Command) -> None:
    evergrid.json("keys", "add", "alice", "--keyring-backend", "memory")

    assert evergrid.json("keys", "list", "--keyring-backend", "memory") == []
    assert not evergrid.home.exists()


def test_keys_of_an_earlier_format_are_named_and_not_touched(evergrid: Command) -> None:
    folder = evergrid.home / "keyring-test"
    folder.mkdir(parents=True)
    (folder / "alice.json").write_text("{}")

    assert "holds keys of an earlier format: alice.json" in evergrid.fails("keys", "list")
    assert (folder / "alice.json").exists()


def test_the_checksum_of_the_armor_is_that_of_rfc_4880() -> None:
    # The CRC-24 catalogue's check value over the nine digits.
    assert crc24(b"123456789").hex() == "21cf02"


def test_a_damaged_armor_is_refused_before_the_passphrase_is_tried() -> None:
    armor = export_key(key_of("alice"), "passphrase")
    line = armor.splitlines()[5]
    damaged = armor.replace(line, ("B" if line[0] == "A" else "A") + line[1:])

    with pytest.raises(ArmorError, match="checksum"):
        import_key(damaged, "passphrase")


def test_keys_show_json_has_the_form_of_cosmos_command_lines(evergrid: Command) -> None:
    key = evergrid.json("keys", "add", "alice", "--no-backup")

    assert list(key) == ["name", "type", "address", "pubkey"]
    assert json.loads(key["pubkey"])["@type"] == "/cosmos.crypto.secp256k1.PubKey"
