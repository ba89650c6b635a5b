"""Makes the home of a node: CometBFT's keys and configuration, the application's, and a genesis."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import string
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from abci_app.node.config import ConfigError
from abci_app.node.genesis import (
    TEMPLATES,
    GenesisParticipant,
    check_guardians,
    check_unbonding,
    make_app_state,
    make_genesis,
    params_with,
    profile_values,
)
from abci_app.node.server import UNIX_PATH_BYTES_MAX
from protocol import address

LAYOUTS: Final = ("single", "localnet", "production")
COMETBFT_VERSION: Final = "0.38.26"
COMETBFT_ENV: Final = "EVERGRID_COMETBFT"
POWER_START: Final = 10
INIT_SECONDS: Final = 60.0
_CHAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", re.ASCII)


class HomeExistsError(ConfigError):
    """The home holds a chain already, which would be lost."""


@dataclass(frozen=True)
class Ports:
    """The ports of one node on one machine; `abci` is used only where the socket's path would be too long."""

    rpc: int = 26657
    p2p: int = 26656
    abci: int = 26658
    comet_metrics: int = 26660
    metrics: int = 26661
    grpc: int = 9090
    rest: int = 1317

    @classmethod
    def free(cls) -> Self:
        """Ports that are free now, all different."""
        with ExitStack() as held:
            sockets = [
                held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in cls.__dataclass_fields__
            ]
            return cls(*(each.getsockname()[1] for each in sockets))

    def shifted(self, by: int) -> Ports:
        """All of them moved up, for the next node of one machine."""
        return replace(self, **{name: getattr(self, name) + by for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class HomeInfo:
    """What others need to know of a node: where it is, its id among peers, its consensus key (32 bytes)."""

    home: Path
    node_id: str
    validator_key: bytes
    ports: Ports

    @property
    def peer(self) -> str:
        """As `persistent_peers` names it."""
        return f"{self.node_id}@127.0.0.1:{self.ports.p2p}"


def find_cometbft() -> Path:
    """CometBFT's binary: of the environment, of the set-up, or of PATH; raises ConfigError."""
    named = os.environ.get(COMETBFT_ENV)
    built = TEMPLATES.parent / ".cache" / "bin" / "cometbft"
    found = named or (str(built) if built.exists() else shutil.which("cometbft"))
    if not found or not Path(found).exists():
        raise ConfigError(
            f"CometBFT {COMETBFT_VERSION} is missing: `make setup` builds it; or name it in {COMETBFT_ENV}"
        )
    return Path(found)


def init_home(
    home: Path,
    chain_id: str,
    *,
    moniker: str = "evergrid",
    profile: str = "local",
    layout: str = "single",
    ports: Ports | None = None,
    balances: Mapping[str, int] | None = None,
    owner: bytes = b"",
    timeout_commit: str = "",
    params: Mapping[str, Any] | None = None,
    guardians: Sequence[str] = (),
) -> HomeInfo:
    """A home whose chain has this node as its only validator; `write_genesis` gives it another genesis.

    balances: nevg by address. owner: public key of the participant that has the validator and all votes;
    without one nobody votes, so no model is ever registered. timeout_commit: as CometBFT writes durations;
    empty: of the profile. params: those that differ from the profile's. guardians: addresses of participants.
    Raises ConfigError with all that is wrong, HomeExistsError where a genesis lies there already.
    """
    ports = ports or Ports()
    home = home.absolute()
    _check(home, chain_id, layout)
    values = profile_values(profile)
    given = params_with(profile, params or {})
    check_guardians(guardians, [address.account(owner)] if owner else [], given)
    if layout == "production":
        check_unbonding(profile, given)
    command = [str(find_cometbft()), "init", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=INIT_SECONDS)  # noqa: S603
    if done.returncode:
        raise ConfigError(f"`cometbft init` failed: {done.stderr.decode().strip()}")
    info = HomeInfo(home, node_id_of(home), _validator_key(home), ports)
    _write_comet_config(info, moniker, layout, timeout_commit or values["timeout_commit"])
    _write_app_config(info)
    owners = [GenesisParticipant(owner, info.validator_key, POWER_START)] if owner else []
    app_state = make_app_state(
        profile, balances=balances, participants=owners, params=given, guardians=guardians
    )
    write_genesis(home, make_genesis(chain_id, profile, app_state, [(info.validator_key, POWER_START)]))
    return info


def write_genesis(home: Path, document: Mapping[str, Any]) -> None:
    """Writes a genesis document into a home."""
    (home / "config" / "genesis.json").write_text(json.dumps(document, indent=2) + "\n")


def set_peers(home: Path, peers: Sequence[str]) -> None:
    """The nodes that a node connects to, each as ID@HOST:PORT."""
    file = home / "config" / "config.toml"
    file.write_text(override_toml(file.read_text(), {"p2p": {"persistent_peers": ",".join(peers)}}))


def abci_address(home: Path, ports: Ports) -> str:
    """A socket in the home, or a port of loopback where the home's path is too long for a socket."""
    path = home / "abci.sock"
    if len(os.fsencode(path)) <= UNIX_PATH_BYTES_MAX:
        return f"unix://{path}"
    return f"tcp://127.0.0.1:{ports.abci}"


def override_toml(text: str, overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """The text with values replaced, by section ("" for the top) and key, comments kept.

    Raises ConfigError that names every key which the text does not have.
    """
    left = {(section, key) for section, entries in overrides.items() for key in entries}
    section, lines = "", []
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[([\w.-]+)\]\s*", line):
            section = heading[1]
        entry = re.match(r"([\w-]+)\s*=", line)
        if entry and (section, entry[1]) in left:
            left.discard((section, entry[1]))
            # Every JSON value that stands here is a TOML value too.
            line = f"{entry[1]} = {json.dumps(overrides[section][entry[1]])}"  # noqa: PLW2901 - replaced
        lines.append(line)
    if left:
        names = ", ".join(f"{section}.{key}".strip(".") for section, key in sorted(left))
        raise ConfigError(f"CometBFT's configuration has no {names}")
    return "\n".join(lines) + "\n"


def _check(home: Path, chain_id: str, layout: str) -> None:
    wrong = []
    if not _CHAIN_ID.fullmatch(chain_id):
        wrong.append(f"a chain id is 1 to 50 letters, digits, dots and dashes, not {chain_id!r}")
    if layout not in LAYOUTS:
        wrong.append(f"a layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
    if wrong:
        raise ConfigError("; ".join(wrong))
    if (home / "config" / "genesis.json").exists():
        raise HomeExistsError(f"{home} holds a chain already; take another home or remove it")


def _write_comet_config(info: HomeInfo, moniker: str, layout: str, timeout_commit: str) -> None:
    ports = info.ports
    # Peers of a production network come from outside; all other servers stay on loopback.
    peers_host = "0.0.0.0" if layout == "production" else "127.0.0.1"  # noqa: S104
    layers: list[Mapping[str, Any]] = [_template(name) for name in ("base", layout)]
    layers.append(
        {
            "": {"proxy_app": abci_address(info.home, ports), "moniker": moniker, "abci": "socket"},
            "rpc": {"laddr": f"tcp://127.0.0.1:{ports.rpc}"},
            "p2p": {"laddr": f"tcp://{peers_host}:{ports.p2p}"},
            "consensus": {"timeout_commit": timeout_commit},
            "instrumentation": {"prometheus_listen_addr": f"127.0.0.1:{ports.comet_metrics}"},
        }
    )
    file = info.home / "config" / "config.toml"
    text = file.read_text()
    for layer in layers:
        text = override_toml(text, layer)
    file.write_text(text)


def _template(name: str) -> dict[str, Any]:
    """The overrides of a template by section; what stands above the first section is under ""."""
    values = tomllib.loads((TEMPLATES / f"{name}.toml").read_text())
    top = {key: value for key, value in values.items() if not isinstance(value, dict)}
    return {"": top} | {key: value for key, value in values.items() if key not in top}


def _write_app_config(info: HomeInfo) -> None:
    ports = info.ports
    template = string.Template((TEMPLATES / "app.toml").read_text())
    text = template.substitute(
        abci_address=abci_address(info.home, ports),
        rpc_url=f"http://127.0.0.1:{ports.rpc}",
        grpc_address=f"127.0.0.1:{ports.grpc}",
        rest_address=f"127.0.0.1:{ports.rest}",
        metrics_address=f"127.0.0.1:{ports.metrics}",
    )
    (info.home / "config" / "app.toml").write_text(text)


def _validator_key(home: Path) -> bytes:
    keys = json.loads((home / "config" / "priv_validator_key.json").read_text())
    return base64.b64decode(keys["pub_key"]["value"])


def node_id_of(home: Path) -> str:
    """The id by which peers know the node of a home."""
    keys = json.loads((home / "config" / "node_key.json").read_text())
    # An ed25519 private key as Go keeps it: the seed, then the public key.
    public = base64.b64decode(keys["priv_key"]["value"])[32:]
    return hashlib.sha256(public).digest()[:20].hex()
