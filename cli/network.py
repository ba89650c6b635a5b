"""A network on this machine: who is in it, its homes and genesis, and the command of each process.

Shared by the local network and the demo. All servers listen on loopback.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from abci_app.modules.epochs import default_params
from abci_app.node.genesis import (
    DENOM,
    GenesisNode,
    GenesisParticipant,
    check_guardians,
    make_app_state,
    make_genesis,
)
from abci_app.node.home import HomeInfo, find_cometbft, init_home, set_peers, write_genesis
from cli import supervisor
from cli.files import write_client_config
from cli.localnet_ports import (
    LOOPBACK,
    PORTS_PER_VALIDATOR,
    ApiPorts,
    NetworkError,
    api_ports,
    taken,
    validator_ports,
)
from client.keyring import Keyring
from client.keys import Key, new_mnemonic
from protocol import address
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.models.v1.models_pb2 import Model

KEY_NAME = "participant"
PROFILE = "local"
FUNDS_NEVG = 10**15
# Spinning barriers of several processes make each other slow; weights come from no hub.
MLNODE_ENV = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model of the network and where its files are; without a folder a tiny random one is made."""

    model: Model
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class LocalNode:
    """An MLNode: whose it is (index of the validator), what it serves, its weight in group 0."""

    node_id: str
    owner: int
    model_id: str
    weight: int = 0
    # What it declares; 0: nothing.
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class Design:
    """All that is decided before anything is written."""

    home: Path
    chain_id: str
    base_port: int
    validators: int
    block_time_ms: int = 1000
    # Of each participant as such, in the parent group.
    weight: int = 100
    params: Params | None = None
    # The participants of the first validators; they need params `guardians`.
    guardians: int = 0
    models: tuple[LocalModel, ...] = ()
    nodes: tuple[LocalNode, ...] = ()
    # Whether the genesis registers models and nodes; otherwise governance and API nodes do.
    in_genesis: bool = True
    with_apis: bool = True


def node_port(design: Design, index: int) -> int:
    return design.base_port + design.validators * PORTS_PER_VALIDATOR + index


def ports_of(design: Design) -> list[int]:
    """Every port that the network listens on."""
    ports: list[int] = []
    for index in range(design.validators):
        ports += asdict(validator_ports(design.base_port, index)).values()
        if design.with_apis:
            ports += asdict(api_ports(design.base_port, index)).values()
    return ports + [node_port(design, index) for index in range(len(design.nodes))]


def check_ports(design: Design) -> None:
    """Raises NetworkError that names every taken port."""
    if found := taken(ports_of(design)):
        names = ", ".join(map(str, found))
        plural = "ports are" if len(found) > 1 else "port is"
        raise NetworkError(f"these {plural} taken: {names}; choose another --base-port")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one process is started; nodes of the same stage start together."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)

    def start(self) -> supervisor.Process:
        return supervisor.start(self.name, self.command, self.log, self.env)


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator with its participant's account and, if there is one, its API node."""

    info: HomeInfo
    key: Key
    api: ApiPorts | None = None
    api_key: str = ""

    @property
    def address(self) -> str:
        return self.key.address

    @property
    def rpc(self) -> str:
        return f"http://{LOOPBACK}:{self.info.ports.rpc}"

    @property
    def public(self) -> str:
        """URL of the public API."""
        assert self.api is not None
        return f"http://{LOOPBACK}:{self.api.public}"

    def addresses(self) -> dict[str, str]:
        """Where its servers are, as the command line shows them."""
        ports = self.info.ports
        return {
            "rpc": self.rpc,
            "grpc": f"{LOOPBACK}:{ports.grpc}",
            "rest": f"http://{LOOPBACK}:{ports.rest}",
            "metrics": f"http://{LOOPBACK}:{ports.metrics}/metrics",
        }


@dataclass(frozen=True, slots=True)
class Network:
    """A network whose files are written."""

    design: Design
    validators: tuple[Validator, ...]
    faucet_mnemonic: str
    plans: tuple[Plan, ...]

    @property
    def faucet(self) -> Key:
        return Key.from_mnemonic(self.faucet_mnemonic)

    def node_url(self, index: int) -> str:
        return f"http://{LOOPBACK}:{node_port(self.design, index)}"

    def targets(self) -> list[tuple[str, str]]:
        """Everything that Prometheus may scrape, as (job, URL)."""
        found = []
        for number, validator in enumerate(self.validators, 1):
            ports = validator.info.ports
            found.append((f"chain {number}", f"http://{LOOPBACK}:{ports.metrics}/metrics"))
            found.append((f"cometbft {number}", f"http://{LOOPBACK}:{ports.comet_metrics}/metrics"))
            if validator.api is not None:
                found.append((f"api_node {number}", f"http://{LOOPBACK}:{validator.api.metrics}/metrics"))
        for index, node in enumerate(self.design.nodes):
            found.append((f"mlnode {node.node_id}", f"{self.node_url(index)}/metrics"))
        return found


def build(design: Design) -> Network:
    """Writes homes, keys, genesis, models; raises NetworkError or ConfigError with what is in the way."""
    find_cometbft()
    check_ports(design)
    # Before anything is written; addresses come with the homes, so names stand for them.
    owners = [f"validator {index + 1}" for index in range(max(design.validators, design.guardians))]
    params = design.params or default_params(PROFILE)
    check_guardians(owners[: design.guardians], owners[: design.validators], params)
    design.home.mkdir(parents=True, exist_ok=True)
    mnemonic = new_mnemonic()
    validators = tuple(_validator(design, index) for index in range(design.validators))
    document = _genesis(design, validators, Key.from_mnemonic(mnemonic).address)
    for validator in validators:
        others = [other.info.peer for other in validators if other is not validator]
        write_genesis(validator.info.home, document)
        set_peers(validator.info.home, others)
    model_map = _write_models(design)
    if design.with_apis:
        for index, validator in enumerate(validators):
            _write_api_files(design, index, validator)
    plans = tuple(_plans(design, validators, model_map))
    return Network(design, validators, mnemonic, plans)


def _validator(design: Design, index: int) -> Validator:
    home = design.home / f"validator-{index + 1}"
    info = init_home(
        home,
        design.chain_id,
        moniker=home.name,
        profile=PROFILE,
        layout="localnet",
        ports=validator_ports(design.base_port, index),
        timeout_commit=f"{design.block_time_ms}ms",
    )
    write_client_config(home, design.chain_id, f"tcp://{LOOPBACK}:{info.ports.rpc}")
    key = Key.from_mnemonic(new_mnemonic())
    Keyring(home).add(KEY_NAME, key)
    if not design.with_apis:
        return Validator(info, key)
    return Validator(info, key, api_ports(design.base_port, index), secrets.token_urlsafe(24))


def _genesis(design: Design, validators: tuple[Validator, ...], faucet: str) -> dict[str, Any]:
    participants = [
        GenesisParticipant(
            public_key=each.key.public,
            validator_key=each.info.validator_key,
            weight=design.weight,
            url=each.public if each.api else "",
            nodes=_genesis_nodes(design, index),
        )
        for index, each in enumerate(validators)
    ]
    state = make_app_state(
        PROFILE,
        balances={faucet: FUNDS_NEVG} | {each.address: FUNDS_NEVG for each in validators},
        participants=participants,
        models=[each.model for each in design.models] if design.in_genesis else (),
        params=design.params,
        guardians=[each.address for each in validators[: design.guardians]],
    )
    keys = [(each.info.validator_key, 1) for each in validators]
    return make_genesis(design.chain_id, PROFILE, state, keys)


def _genesis_nodes(design: Design, owner: int) -> tuple[GenesisNode, ...]:
    if not design.in_genesis:
        return ()
    return tuple(
        GenesisNode(
            each.node_id, (each.model_id,), each.weight, LOOPBACK, node_port(design, index), each.memory_mib
        )
        for index, each in enumerate(design.nodes)
        if each.owner == owner
    )


def _write_models(design: Design) -> Path:
    """Makes the tiny models, and the file that says where each model is."""
    folders = {}
    for seed, each in enumerate(design.models):
        folder = each.folder
        if folder is None:
            from mlnode.tiny import make_tiny_llama  # noqa: PLC0415 - networks without MLNodes need none of it

            folder = make_tiny_llama(design.home / "models" / f"tiny-{seed}", seed)
        folders[each.model.id] = str(folder.absolute())
    path = design.home / "models.json"
    path.write_text(json.dumps(folders, indent=2) + "\n")
    return path


def _api_home(design: Design, index: int) -> Path:
    return design.home / f"api-{index + 1}"


def _write_api_files(design: Design, index: int, validator: Validator) -> None:
    home = _api_home(design, index)
    home.mkdir(mode=0o700, exist_ok=True)
    nodes = [
        {
            "id": each.node_id,
            "host": LOOPBACK,
            "inference_port": node_port(design, number),
            "poc_port": node_port(design, number),
            "models": {each.model_id: {"args": []}},
            "max_concurrent": 4,
            "hardware": _hardware(design, each),
        }
        for number, each in enumerate(design.nodes)
        if each.owner == index
    ]
    (home / "node-config.json").write_text(json.dumps(nodes, indent=2) + "\n")
    path = home / "api-keys.txt"
    path.touch(mode=0o600)
    path.write_text(validator.api_key + "\n")


def _hardware(design: Design, node: LocalNode) -> list[dict[str, Any]]:
    """As the genesis declares it, so that the API node finds nothing to change."""
    if design.in_genesis and not node.memory_mib:
        return []
    return [{"type": "CPU", "count": 1, "memory_mib": node.memory_mib}]


def _plans(design: Design, validators: tuple[Validator, ...], model_map: Path) -> Iterator[Plan]:
    logs = design.home / "logs"

    def plan(name: str, command: list[str], env: Mapping[str, str] | None = None) -> Plan:
        return Plan(name, command, logs / f"{name}.log", {"PYTHONUNBUFFERED": "1", **(env or {})})

    for index, node in enumerate(design.nodes):
        command = _python("mlnode.service", port=node_port(design, index), node_id=node.node_id, threads=1)
        yield plan(node.node_id, [*command, "--model-map", str(model_map)], MLNODE_ENV)
    for number, validator in enumerate(validators, 1):
        home = str(validator.info.home)
        yield plan(f"chain-{number}", _python("abci_app.node.main", home=home))
        yield plan(f"cometbft-{number}", [str(find_cometbft()), "start", "--home", home])
    for index, validator in enumerate(validators):
        if validator.api is not None:
            yield plan(f"api-{index + 1}", _api_command(design, index, validator, validator.api))


def _api_command(design: Design, index: int, validator: Validator, ports: ApiPorts) -> list[str]:
    home, chain_home = _api_home(design, index), validator.info.home
    return _python(
        "api_node.main",
        home=home,
        rpc_url=validator.rpc,
        keyring_home=chain_home,
        key_name=KEY_NAME,
        validator_key_file=chain_home / "config" / "priv_validator_key.json",
        node_config=home / "node-config.json",
        api_keys_file=home / "api-keys.txt",
        public_port=ports.public,
        callback_port=ports.callback,
        admin_port=ports.admin,
        metrics_port=ports.metrics,
        public_url=validator.public,
        executor_order="own_first",
        allow_private_peers=True,
        denom=DENOM,
    )


def _python(module: str, **flags: object) -> list[str]:
    """A module of ours as a process of the interpreter that runs now."""
    command = [sys.executable, "-m", module]
    for name, value in flags.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return command


def describe(network: Network) -> dict[str, Any]:
    """What users of a network need: the object that `localnet up` prints."""
    design = network.design
    facts: dict[str, Any] = {
        "home": str(design.home),
        "chain_id": design.chain_id,
        "prefix": address.PREFIX,
        "denom": DENOM,
        "validators": [each.addresses() for each in network.validators],
        "faucet": {"address": network.faucet.address, "mnemonic": network.faucet_mnemonic},
    }
    if design.nodes:
        facts["models"] = [each.model.id for each in design.models]
        facts["apis"] = [_describe_api(network, index) for index in range(design.validators)]
    return facts


def _describe_api(network: Network, index: int) -> dict[str, Any]:
    validator = network.validators[index]
    assert validator.api is not None
    urls = [network.node_url(i) for i, node in enumerate(network.design.nodes) if node.owner == index]
    admin = f"http://{LOOPBACK}:{validator.api.admin}"
    return {"public": validator.public, "admin": admin, "api_key": validator.api_key, "mlnodes": urls}
