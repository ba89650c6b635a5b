"""Gathers what `evergrid doctor` looks at: files, ports, the chain. It changes nothing."""

from __future__ import annotations

import shutil
import socket
import time
import tomllib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from api_node.node_config import NodeConfig, NodeConfigError, load_nodes
from api_node.registration import read_validator_key
from cli import doctor_checks as checks
from cli.doctor_checks import Finding, Owner
from cli.tx_authz import protocol_messages
from client.chain import CODE_NOT_FOUND, ChainError, Rpc
from client.gas import minimum_gas_price
from client.keyring import KeyringError
from protocol.address import account
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2
from protocol.gen.cosmos.authz.v1beta1 import query_pb2 as authz_query
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.evergrid.hardware.v1 import hardware_pb2

if TYPE_CHECKING:
    from api_node.settings import Settings
    from cli.session import Session
    from client.chain import ChainClient
    from client.keyring import KeyInfo

TIMEOUT_S = 5.0
CONNECT_S = 0.5
DENOM = "nevg"
API_TITLE = "Evergrid API node"
APP_ADDRESSES = ("grpc_address", "rest_address", "metrics_address")


@dataclass
class Patient:
    """What is looked at: the session's home and chain, and the settings of its API node."""

    session: Session
    settings: Settings
    findings: list[Finding] = field(default_factory=list)
    # Known once the keys were read, and once the file of nodes was.
    key: KeyInfo | None = None
    nodes: list[NodeConfig] = field(default_factory=list)
    chain_answers: bool = False

    @property
    def public_key(self) -> bytes:
        """That of the participant."""
        assert self.key is not None, "keys are looked at first"
        return bytes.fromhex(self.settings.participant_key) or self.key.public_key

    @property
    def participant(self) -> str:
        """Its address."""
        return account(self.public_key)

    @property
    def is_warm(self) -> bool:
        """Whether the API node signs with a key of its own."""
        assert self.key is not None, "keys are looked at first"
        return self.key.address != self.participant


def mode_of(path: Path) -> int | None:
    """The permissions of a file; None where there is none."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def look_at_keys(patient: Patient) -> None:
    """The account's key, CometBFT's keys, the tokens."""
    session, settings = patient.session, patient.settings
    ring = session.keyring()
    name = settings.key_name
    try:
        patient.key = ring.show(name)
        path = ring.folder / f"{patient.key.name}.info"
    except (KeyringError, ValueError, KeyError) as problem:
        path = ring.folder / f"{name}.info"
        if path.exists():
            patient.findings.append(checks.error("keys", f"{path} cannot be read: {problem}", "restore it"))
    config = session.home / "config"
    admin = settings.admin_token_file or settings.home / "admin_token"
    make_key = f"`evergrid keys add {name}`, or `--recover` it; name another with --key-name"
    files = [
        (f"the account key {name}", path, make_key),
        ("the consensus key", settings.validator_key_file or config / "priv_validator_key.json", ""),
        ("CometBFT's node key", config / "node_key.json", ""),
        ("the admin token", admin, ""),
        ("the token of MLNodes", settings.mlnode_token_file, "write the MLNodes' token into it"),
        ("the API keys", settings.api_keys_file, "write one key a line into it"),
    ]
    for what, file, fix in files:
        mode = mode_of(file) if file else None
        # What a first start makes, or what only a validator has, may be missing.
        if file is not None and (mode is not None or fix):
            patient.findings.append(checks.check_secret(checks.SecretFile(what, str(file), mode, fix)))


def look_at_node_config(patient: Patient) -> None:
    """The file that names the MLNodes."""
    path, problem = patient.settings.node_config, ""
    try:
        patient.nodes = load_nodes(path)
    except NodeConfigError as error:
        problem = str(error)
    patient.findings.append(checks.check_config(str(path), problem, len(patient.nodes)))


def look_at_ports(patient: Patient) -> None:
    """The four servers of the API node; each names itself in its document."""
    settings = patient.settings
    places = (
        ("public", settings.host, settings.public_port),
        ("callback", settings.host, settings.callback_port),
        ("admin", "127.0.0.1", settings.admin_port),
        ("metrics", "127.0.0.1", settings.metrics_port),
    )
    patient.findings += checks.check_ports_differ([(name, port) for name, _, port in places])
    for name, host, port in places:
        if port:
            owner = owner_of("127.0.0.1" if host in {"0.0.0.0", "::"} else host, port)  # noqa: S104 - compared
            patient.findings.append(checks.check_port(name, host, port, owner))


def owner_of(host: str, port: int) -> Owner:
    """Who listens there."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError:
        return Owner.NOBODY
    try:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/openapi.json"
        document = httpx2.get(url, timeout=TIMEOUT_S, trust_env=False).json()
        title = str(document["info"]["title"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return Owner.OTHER
    return Owner.OURS if title.startswith(API_TITLE) else Owner.OTHER


def look_at_disk(patient: Patient) -> None:
    """Where the chain and the API node write."""
    seen = set()
    for path in (patient.session.home, patient.settings.home):
        there = next(each for each in (path, *path.parents) if each.exists())
        usage = shutil.disk_usage(there)
        if (usage.total, usage.free) not in seen:
            seen.add((usage.total, usage.free))
            patient.findings.append(checks.check_disk(str(path), usage.free, usage.total))


def look_at_chain(patient: Patient) -> None:
    """CometBFT, its clock, and what the chain has of this participant."""
    from abci_app.node.config import ConfigError  # noqa: PLC0415 - brings the chain
    from abci_app.node.home import COMETBFT_VERSION, find_cometbft  # noqa: PLC0415

    try:
        binary = str(find_cometbft())
    except ConfigError:
        binary = ""
    client = patient.session.client
    with client:
        try:
            status, peers = client.status(), client.call(Rpc.call("net_info"))
            validators = client.call(Rpc.call("validators", page="1", per_page="1"))
        except (ChainError, KeyError, ValueError) as error:
            comet = checks.Comet(client.url, binary, str(error))
            patient.findings += checks.check_comet(comet)
            look_at_chain_ports(patient)
            return
        patient.chain_answers = True
        info = status["sync_info"]
        comet = checks.Comet(
            client.url,
            binary,
            version=str(status["node_info"].get("version", "")),
            version_expected=COMETBFT_VERSION,
            catching_up=bool(info.get("catching_up")),
            peers=int(peers.get("n_peers", 0)),
            validators=int(validators.get("total", 1)),
        )
        patient.findings += checks.check_comet(comet)
        if last := info.get("latest_block_time"):
            age_s = time.time() - seconds_of(last)
            patient.findings.append(checks.check_block_time(age_s, catching_up=comet.catching_up))
        if patient.key is not None:
            look_at_account(patient, client)


def look_at_chain_ports(patient: Patient) -> None:
    """The servers of this home's chain node, where it does not run: nobody else is to have their ports."""
    from abci_app.node.config import ConfigError, load_settings, split_address  # noqa: PLC0415 - as above

    home = patient.session.home
    try:
        comet = tomllib.loads((home / "config" / "config.toml").read_text(encoding="utf-8"))
        app = load_settings(home)
        places = {f"config.toml, {each}.laddr": comet[each]["laddr"] for each in ("rpc", "p2p")}
        places |= {f"app.toml, {each}": getattr(app, each) for each in APP_ADDRESSES}
        found = [(name, *split_address(text.removeprefix("tcp://"))) for name, text in places.items() if text]
    except FileNotFoundError:
        return  # the chain runs elsewhere
    except (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"the configuration of the chain node in {home} cannot be read: {error}"
        patient.findings.append(checks.error("ports", text, "`evergrid config set` checks what it writes"))
        return
    for name, host, port in found:
        owner = owner_of("127.0.0.1" if host in {"0.0.0.0", "::"} else host, port)  # noqa: S104 - compared
        patient.findings.append(checks.check_chain_port(name, host, port, owner))


def seconds_of(text: str) -> float:
    """CometBFT's time, which has nine digits behind the dot, in seconds since 1970."""
    whole, _, rest = text.rstrip("Z").partition(".")
    fraction = float(f"0.{rest}") if rest else 0.0
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + fraction


def look_at_account(patient: Patient, client: ChainClient) -> None:
    """Registration, balance, grants; a chain that cannot answer is one finding."""
    try:
        patient.findings += _registration(patient, client)
        patient.findings.append(_balance(patient, client))
        if patient.is_warm:
            patient.findings.append(_grants(patient, client))
    except (ChainError, OSError, ValueError) as error:
        fix = "`evergrid status` asks the same node"
        patient.findings.append(checks.error("chain", f"a question was not answered: {error}", fix))


def _registration(patient: Patient, client: ChainClient) -> list[Finding]:
    assert patient.key is not None, "asked only then"
    path = patient.settings.validator_key_file
    validator_key = read_validator_key(path).public if path and path.exists() else None
    worker_key = patient.key.public_key.hex() if patient.is_warm else ""
    who = checks.Identity(patient.participant, patient.public_key, worker_key, validator_key)
    request = hardware_pb2.QueryParticipantRequest(address=patient.participant)
    try:
        found = client.query(request, hardware_pb2.QueryParticipantResponse).participant
    except ChainError as error:
        if error.code != CODE_NOT_FOUND:
            raise
        return checks.check_registration(who, None)
    is_valid = found.status != hardware_pb2.PARTICIPANT_STATUS_INVALID
    registration = checks.Registration(found.public_key, found.worker_key, found.validator_key, is_valid)
    return checks.check_registration(who, registration)


def _balance(patient: Patient, client: ChainClient) -> Finding:
    assert patient.key is not None, "asked only then"
    address, balance = patient.key.address, None
    try:
        client.account(address)
        request = bank_query.QueryBalanceRequest(address=address, denom=DENOM)
        balance = int(client.query(request, bank_query.QueryBalanceResponse).balance.amount or 0)
    except ChainError as error:
        if error.code != CODE_NOT_FOUND:
            raise
    return checks.check_account(address, balance, pays_fees=bool(minimum_gas_price(client)[0]))


def _grants(patient: Patient, client: ChainClient) -> Finding:
    assert patient.key is not None, "asked only then"
    granter, grantee = patient.participant, patient.key.address
    request = authz_query.QueryGrantsRequest(granter=granter, grantee=grantee)
    grants = client.query(request, authz_query.QueryGrantsResponse).grants
    given, ends = set(), []
    for grant in grants:
        given.add(authz_pb2.GenericAuthorization.FromString(grant.authorization.value).msg)
        if grant.HasField("expiration"):
            ends.append(grant.expiration.ToNanoseconds() / 1e9 - time.time())
    missing = [each.rpartition(".")[2] for each in protocol_messages() if each not in given]
    return checks.check_grants(granter, grantee, missing, min(ends, default=None))
