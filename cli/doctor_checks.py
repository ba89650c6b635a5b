"""What `evergrid doctor` makes of the facts that it gathered: findings, each with its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

DISK_FREE_BYTES_MIN = 5 * 2**30
DISK_FREE_PARTS_MIN, DISK_FREE_PARTS_LOW = 0.05, 0.15
# CometBFT and callbacks bear less than a block; a person's clock that is right is within a second.
CLOCK_OFF_S, CLOCK_WRONG_S = 2.0, 10.0
BLOCK_AGE_S_MAX = 60.0
LAG_BLOCKS_LOW, LAG_BLOCKS_MAX = 3, 20
GRANT_LEFT_S_MIN = 7 * 86400.0
MEMORY_SLACK = 1.05


class Level(StrEnum):
    """How bad a finding is; the exit code is that of the worst."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    level: Level
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, fix: str) -> Finding:
    """It works, and may not for long."""
    return Finding(check, Level.WARNING, text, fix)


def error(check: str, text: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.ERROR, text, fix)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where all is well, 1 with warnings, 2 with errors."""
    order = (Level.OK, Level.WARNING, Level.ERROR)
    return max((order.index(each.level) for each in findings), default=0)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that only its owner may read. `mode` None: it is not there."""

    what: str
    path: str
    mode: int | None
    fix_missing: str = ""


def check_secret(file: SecretFile) -> Finding:
    """Keys and tokens exist and are nobody else's to read."""
    if file.mode is None:
        return error("keys", f"{file.what} is missing: {file.path}", file.fix_missing)
    if file.mode & 0o077:
        shown = f"{file.mode & 0o777:04o}"
        return error(
            "keys", f"{file.what} may be read by others ({shown}): {file.path}", f"chmod go= {file.path}"
        )
    return ok("keys", f"{file.what}: {file.path}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this API node says that it is. `worker_key`: hex; empty where the participant's own key signs."""

    address: str
    public_key: bytes
    worker_key: str
    validator_key: bytes | None


@dataclass(frozen=True, slots=True)
class Registration:
    """What the chain has of the participant."""

    public_key: bytes
    worker_key: str
    validator_key: bytes
    is_valid: bool = True


def check_registration(who: Identity, found: Registration | None) -> list[Finding]:
    """The keys here are those that the chain knows."""
    start = "start the API node with these keys: it registers them"
    if found is None:
        return [warning("registration", f"{who.address} is no participant of this chain yet", start)]
    wrong = []
    if not found.is_valid:
        text = f"the chain holds {who.address} to be INVALID: it has no weight"
        wrong.append(error("registration", text, "`evergrid explain exclusion` says why"))
    if who.validator_key is None:
        text = "there is no validator key here to compare with the chain's"
        wrong.append(warning("registration", text, "name it with --validator-key-file"))
    elif found.validator_key != who.validator_key:
        text = "the chain has another consensus key than priv_validator_key.json: the node signs for nobody"
        wrong.append(error("registration", text, f"restore the old key file, or {start}"))
    if who.worker_key and found.worker_key != who.worker_key:
        text = "the chain has another worker key than this API node's: its nonces and answers are refused"
        wrong.append(error("registration", text, start))
    if found.public_key and found.public_key != who.public_key:
        text = "the chain has another public key for this participant"
        wrong.append(error("registration", text, "check --participant-key and --key-name"))
    return wrong or [ok("registration", f"{who.address} is registered with these keys")]


class Owner(StrEnum):
    """Who listens on a port."""

    NOBODY = "nobody"
    OURS = "ours"
    OTHER = "other"


def check_port(name: str, host: str, port: int, owner: Owner) -> Finding:
    """A port is free, or our own process has it."""
    place = f"{host}:{port} ({name})"
    if owner == Owner.OTHER:
        fix = f"end it (`ss -ltnp 'sport = :{port}'` names it), or choose another port with --{name}-port"
        return error("ports", f"another program listens on {place}", fix)
    return ok("ports", f"{place}: {'free' if owner == Owner.NOBODY else 'ours'}")


def check_chain_port(name: str, host: str, port: int, owner: Owner) -> Finding:
    """A port of a chain node that does not run is free."""
    place = f"{host}:{port} ({name})"
    if owner != Owner.NOBODY:
        fix = f"end it (`ss -ltnp 'sport = :{port}'` names it), or choose another address"
        return error("ports", f"the chain node does not answer, and something listens on {place}", fix)
    return ok("ports", f"{place}: free")


def check_ports_differ(ports: Sequence[tuple[str, int]]) -> list[Finding]:
    """No two servers of the API node are to have one port; 0 is any free one."""
    found = []
    for port in sorted({port for _, port in ports if port}):
        names = [name for name, each in ports if each == port]
        if len(names) > 1:
            fix = f"choose another one with --{names[-1]}-port"
            found.append(error("ports", f"{' and '.join(names)} are both to listen on port {port}", fix))
    return found


def check_clock(whose: str, offset_s: float) -> Finding:
    """This machine's clock agrees with another's; positive: the other one is ahead."""
    side = "ahead of" if offset_s > 0 else "behind"
    text = f"the clock of {whose} is {abs(offset_s):.1f} s {side} this machine's"
    fix = "let both follow NTP (`timedatectl` says whether they do)"
    if abs(offset_s) > CLOCK_WRONG_S:
        return error("clocks", text, fix)
    if abs(offset_s) > CLOCK_OFF_S:
        return warning("clocks", text, fix)
    return ok("clocks", f"{whose}: within {CLOCK_OFF_S:g} s")


def check_block_time(age_s: float, *, catching_up: bool) -> Finding:
    """The last block is neither of the future nor long past."""
    if age_s < -CLOCK_OFF_S:
        fix = "let this machine follow NTP (`timedatectl` says whether it does)"
        return error("clocks", f"the last block is {-age_s:.1f} s in the future: this clock is behind", fix)
    if age_s > BLOCK_AGE_S_MAX and not catching_up:
        text = f"the last block is {age_s:.0f} s old: the chain halts, or this clock is ahead"
        fix = "compare with other validators: `evergrid status --node URL`; check `timedatectl`"
        return error("clocks", text, fix)
    return ok("clocks", f"the last block is {max(0.0, age_s):.0f} s old")


def check_disk(path: str, free: int, total: int) -> Finding:
    """There is room for blocks, state and models."""
    share = free / total if total else 0.0
    text = f"{free / 2**30:.1f} GiB ({100 * share:.0f} %) free for {path}"
    fix = "make room: `evergrid state stats` shows what the state holds; old models lie in --models-dir"
    if free < DISK_FREE_BYTES_MIN or share < DISK_FREE_PARTS_MIN:
        return error("disk", text, fix)
    return warning("disk", text, fix) if share < DISK_FREE_PARTS_LOW else ok("disk", text)


@dataclass(frozen=True, slots=True)
class Comet:
    """What CometBFT is and says. `problem`: why it cannot be asked; `binary` "": there is none."""

    url: str
    binary: str
    problem: str = ""
    version: str = ""
    version_expected: str = ""
    catching_up: bool = False
    peers: int = 0
    validators: int = 1


def check_comet(comet: Comet) -> list[Finding]:
    """It is installed, runs, follows the chain, and has peers where there are others."""
    found = []
    if not comet.binary:
        found.append(warning("cometbft", "its binary is not found", "`make setup` builds it"))
    if comet.problem:
        fix = "start it with `evergrid start --with-comet`, or name its RPC with --node"
        return [*found, error("cometbft", f"{comet.url} does not answer: {comet.problem}", fix)]
    if comet.version_expected and comet.version != comet.version_expected:
        text = f"it is version {comet.version}, {comet.version_expected} is what the chain is tested with"
        found.append(warning("cometbft", text, "`make setup` builds that version"))
    if comet.catching_up:
        fix = "wait; if its height does not rise, check its peers"
        found.append(warning("cometbft", "it is catching up: decisions wait for it", fix))
    if comet.validators > 1 and not comet.peers:
        fix = "add seeds or persistent_peers in HOME/config/config.toml, and open the p2p port"
        found.append(error("cometbft", f"it has no peers, and the chain {comet.validators} validators", fix))
    return found or [ok("cometbft", f"{comet.url} runs {comet.version}, {comet.peers} peers")]


def check_api(lag_blocks: int | None, waiting_for: Sequence[str], problem: str) -> list[Finding]:
    """The API node runs, and its view of the chain is fresh."""
    if problem:
        return [warning("api node", f"it does not answer: {problem}", "start it with `evergrid api start`")]
    found = [
        warning("api node", f"it waits: {text}", "`evergrid api status` shows more") for text in waiting_for
    ]
    if lag_blocks is not None and lag_blocks > LAG_BLOCKS_LOW:
        text = f"it is {lag_blocks} blocks behind its chain node"
        fix = "look at the load of this machine and at its log"
        bad = lag_blocks > LAG_BLOCKS_MAX
        found.append(error("api node", text, fix) if bad else warning("api node", text, fix))
    return found or [ok("api node", "it runs and is not behind")]


def check_account(address: str, balance_nevg: int | None, *, pays_fees: bool) -> Finding:
    """The key that signs can send; `balance_nevg` None: the chain has no such account."""
    fix = f"send it some: `evergrid tx bank send FROM {address} 1000000nevg`"
    if balance_nevg is None:
        return error("account", f"the chain has no account {address}: nothing can be sent", fix)
    if pays_fees and not balance_nevg:
        return warning(
            "account", f"{address} has no coins, and what is not free of charge has a price here", fix
        )
    return ok("account", f"{address} has {balance_nevg} nevg")


def check_grants(participant: str, worker: str, missing: Sequence[str], ends_in_s: float | None) -> Finding:
    """The participant lets this API node's own key send all that it sends; None: grants do not end."""
    fix = f"where the participant's key is: `evergrid tx authz grant-api-node {worker} --from {participant}`"
    if missing:
        return error("grants", f"{participant} has not granted {worker}: {', '.join(missing)}", fix)
    if ends_in_s is not None and ends_in_s < GRANT_LEFT_S_MIN:
        text = f"a grant to {worker} ends in {max(0.0, ends_in_s) / 3600:.0f} hours"
        return warning("grants", text, fix)
    return ok("grants", f"{worker} may send for {participant}")


@dataclass(frozen=True, slots=True)
class MLNode:
    """What one MLNode is declared to be, and what it says. `gpus` None: nothing tells of GPUs."""

    node_id: str
    url: str
    problem: str = ""
    status: int = 200
    state: str = ""
    version: str = ""
    version_expected: str = ""
    gpus: int | None = None
    gpu_memory_mib: int = 0
    gpus_declared: int = 0
    memory_declared_mib: int = 0
    # Where it should answer prompts, and why it does not.
    inference_url: str = ""
    inference_problem: str = ""


def check_mlnode(node: MLNode) -> list[Finding]:
    """It is there, takes our token, is of our version, and has the GPUs that are declared."""
    name = f"{node.node_id} ({node.url})"
    if node.problem:
        fix = "start it with `evergrid mlnode start`, or mend host and poc_port in node-config.json"
        return [error("mlnodes", f"{name} does not answer: {node.problem}", fix)]
    if node.status in {401, 403}:
        fix = "give both the same token: its --token-file, and --mlnode-token-file here"
        return [error("mlnodes", f"{name} refuses our token", fix)]
    if node.status != 200 or not node.state:
        fix = "look at its log; check that poc_port is an MLNode's"
        return [error("mlnodes", f"{name} gives no state (status {node.status})", fix)]
    found = []
    if node.inference_problem:
        text = f"{node.node_id} does not answer for prompts at {node.inference_url}: {node.inference_problem}"
        fix = "mend inference_port and inference_segment in node-config.json"
        # Some MLNodes listen there only while they serve.
        serves = node.state == "INFERENCE"
        found.append(error("mlnodes", text, fix) if serves else warning("mlnodes", text, fix))
    if node.version and node.version != node.version_expected:
        text = f"{name} is version {node.version}, this is {node.version_expected}"
        found.append(warning("mlnodes", text, "install the same version on both"))
    return [*found, *_check_gpus(node)] or [ok("mlnodes", f"{name}: {node.state}")]


def _check_gpus(node: MLNode) -> list[Finding]:
    declare = f"correct `hardware` of {node.node_id} in node-config.json"
    if node.gpus is None:
        if not node.gpus_declared:
            return []
        text = f"{node.node_id} declares {node.gpus_declared} GPUs, and its metrics tell of none"
        return [warning("gpus", text, f"install the package nvidia-ml-py and a driver there, or {declare}")]
    found = []
    if node.gpus < node.gpus_declared:
        text = f"{node.node_id} declares {node.gpus_declared} GPUs and has {node.gpus}"
        fix = f"look there with `nvidia-smi` and in dmesg for XID errors; else {declare}"
        found.append(error("gpus", text, fix))
    if node.gpus > node.gpus_declared:
        text = f"{node.node_id} has {node.gpus} GPUs and declares {node.gpus_declared}"
        found.append(warning("gpus", text, declare))
    if node.memory_declared_mib > node.gpu_memory_mib * MEMORY_SLACK:
        text = (
            f"{node.node_id} declares {node.memory_declared_mib} MiB of memory and has {node.gpu_memory_mib}"
        )
        found.append(error("gpus", text, declare))
    return found


def check_config(path: str, problem: str, nodes: int) -> Finding:
    """node-config.json can be used."""
    if problem:
        return error("node config", problem, f"mend {path}; docs/operating.md shows one")
    if not nodes:
        return warning("node config", f"{path} names no MLNode", "`evergrid node add FILE`")
    return ok("node config", f"{path}: {nodes} MLNodes")
