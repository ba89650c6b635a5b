"""What a command works with: its shared options, the client.toml of its home, keys, chain, output."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from client.chain import ChainClient
    from client.keyring import Keyring

DEFAULTS = {
    "home": "~/.evergrid",
    "output": "text",
    "node": "tcp://localhost:26657",
    "keyring_backend": "test",
    "gas": "auto",
    "gas_adjustment": "1.4",
    "broadcast_mode": "sync",
}


class Session:
    """One command's view of its surroundings; opened lazily, piece by piece."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def get(self, name: str) -> Any:
        """An option's value: given, else of client.toml, else the default, else None."""
        value = self.values.get(name)
        if value is not None and value is not False:
            return value
        if name != "home" and (configured := self._configured.get(name.replace("_", "-"))) not in {None, ""}:
            return configured
        return DEFAULTS.get(name)

    @cached_property
    def home(self) -> Path:
        """Folder of configuration, data and keys."""
        return Path(self.get("home")).expanduser().absolute()

    @property
    def as_json(self) -> bool:
        """Whether the output is JSON."""
        return bool(self.get("output") == "json")

    @cached_property
    def _configured(self) -> dict[str, Any]:
        path = self.home / "config" / "client.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            return {}
        import tomllib  # noqa: PLC0415 - only where there is a file

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise click.ClickException(f"{path}: {error}") from error

    @cached_property
    def client(self) -> ChainClient:
        """The chain's client; raises UsageError where no node may be asked."""
        if self.get("offline"):
            raise click.UsageError("what the options leave out only a node knows, and --offline asks none")
        from client.chain import ChainClient  # noqa: PLC0415 - costs more than click itself

        url = str(self.get("node"))
        if not url.startswith(("tcp://", "http://", "https://")):
            url = f"http://{url}"
        return ChainClient(url)

    def keyring(self, *, new: bool = False) -> Keyring:
        """The home's keyring; `new`: a passphrase that is chosen now is asked for twice."""
        from client.keyring import Keyring  # noqa: PLC0415 - as above
        from client.keyring_stores import KEYHASH  # noqa: PLC0415 - as above

        backend = str(self.get("keyring_backend"))
        given = self.get("keyring_dir")
        home = Path(given).expanduser().absolute() if given else self.home
        twice = new and not (home / f"keyring-{backend}" / KEYHASH).exists()
        return Keyring(home, backend, lambda: self._passphrase(twice=twice))

    def _passphrase(self, *, twice: bool) -> str:
        if path := self.get("keyring_passphrase_file"):
            text = Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
            if not text:
                raise click.ClickException(f"the passphrase file {path} is empty")
            return text
        return ask_secret("Keyring passphrase", twice=twice)

    def emit(self, value: Any, text: str | None = None) -> None:
        """Prints a value as JSON or, as text, the given one or YAML."""
        from cli.out import as_json, as_yaml  # noqa: PLC0415 - as above

        if self.as_json:
            click.echo(as_json(value))
        else:
            click.echo(as_yaml(value) if text is None else text.rstrip("\n"))


def ask_secret(prompt: str, *, twice: bool = False) -> str:
    """A secret typed blindly at a terminal, else the next line of the standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.ClickException(
            f"{prompt[:1].lower()}{prompt[1:]}: nothing was given on the standard input"
        )
    return line
