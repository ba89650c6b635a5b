"""Starts, looks at and stops a local network that lives in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from abci_app.modules import epochs
from abci_app.node.home import find_cometbft
from abci_app.params_file import merge_params
from cli import supervisor
from cli.localnet_ports import NetworkError
from cli.network import (
    Design,
    LocalModel,
    LocalNode,
    Plan,
    build,
    check_ports,
    describe,
)
from client.chain import ChainClient, ChainError
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.models.v1.models_pb2 import Model

RECORD = "localnet.json"
CHAIN_ID = "evergrid-localnet-1"
NODES_PER_MODEL = 2
NODE_WEIGHT = 100
# Enough that a node may serve while nonces are validated, where governance opens that.
NODE_MEMORY_MIB = 2048
TINY_CONTEXT = 4096
SECOND_MS = 1000
START_S = 180.0
POLL_S = 0.1
PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for; None: as recorded in the home, else the default."""

    validators: int | None = None
    base_port: int | None = None
    block_time_ms: int | None = None
    mlnodes: int | None = None
    # JSON of the params that differ from the profile's.
    params: Mapping[str, Any] | None = None
    guardians: int | None = None


DEFAULTS: dict[str, Any] = {
    "validators": 1,
    "base_port": 27000,
    "block_time_ms": SECOND_MS,
    "mlnodes": 0,
    "params": {},
    "guardians": 0,
}


def tiny_model(letter: str, throughput_per_nonce: int = 1_000_000) -> Model:
    """The registry's entry of a tiny random model."""
    return Model(
        id=f"evergrid/tiny-{letter}",
        name=f"Tiny random Llama {letter.upper()}",
        version="1",
        units_of_compute_per_token=1,
        hf_repo=f"evergrid/tiny-{letter}",
        # No repository has it: the commit is that of nothing.
        hf_commit="0" * 40,
        v_ram=1,
        throughput_per_nonce=throughput_per_nonce,
        context_window=TINY_CONTEXT,
        validation_threshold=9000,
    )


def letter(index: int) -> str:
    """a to z, then aa, ab, ..."""
    head = letter(index // 26 - 1) if index >= 26 else ""
    return head + chr(ord("a") + index % 26)


def local_params(block_time_ms: int) -> Params:
    """The local profile for a network with MLNodes.

    The genesis group serves for an epoch before the first Proof of Compute; where blocks are faster than the
    profile's, durations in blocks are longer, since an MLNode needs its seconds to load and to compute.
    """
    params = epochs.default_params("local")
    factor = max(1, -(-SECOND_MS // block_time_ms))
    for fields, names in (
        (params.epoch, ("epoch_length", "first_poc_height", "poc_stage_duration", "poc_exchange_duration")),
        (params.epoch, ("poc_validation_delay", "poc_validation_duration", "set_validators_delay")),
        (params.inference, ("slot_grace", "expiration", "validation_window")),
    ):
        for name in names:
            setattr(fields, name, getattr(fields, name) * factor)
    params.epoch.first_poc_height += params.epoch.epoch_length
    return params


def design(home: Path, chosen: Mapping[str, Any]) -> Design:
    """The network for a choice of all options; two MLNodes, of different participants, share a model.

    Raises ParamsError where the params cannot be read.
    """
    count, validators = chosen["mlnodes"], chosen["validators"]
    params = local_params(chosen["block_time_ms"]) if count else epochs.default_params("local")
    models = [LocalModel(tiny_model(letter(i))) for i in range(-(-count // NODES_PER_MODEL))]
    nodes = [
        LocalNode(f"node-{i + 1}", i % validators, model_id, NODE_WEIGHT, NODE_MEMORY_MIB)
        for i, model_id in enumerate(models[i // NODES_PER_MODEL].model.id for i in range(count))
    ]
    return Design(
        home=home,
        chain_id=CHAIN_ID,
        base_port=chosen["base_port"],
        validators=validators,
        block_time_ms=chosen["block_time_ms"],
        params=merge_params(params, chosen["params"]),
        guardians=chosen["guardians"],
        models=tuple(models),
        nodes=tuple(nodes),
        with_apis=count > 0,
    )


def up(home: Path, options: Options, say: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """Starts a network, or the one that the home holds; returns what describes it once it works.

    Raises NetworkError, ConfigError, ParamsError or ProcessFailedError; then nothing of it runs any more.
    """
    record = home / RECORD
    former, facts = supervisor.load(record)
    if any(process.alive for process in former):
        raise NetworkError(_runs_already(home, former))
    find_cometbft()
    given = {name: value for name in DEFAULTS if (value := getattr(options, name)) is not None}
    if facts and not facts["chosen"]:
        raise NetworkError(f"{home} holds the network of a demo, which cannot be started again")
    if facts:
        plans, shown = _recorded(home, facts, given)
    else:
        _refuse_foreign(home)
        chosen = DEFAULTS | given
        network = build(design(home, chosen))
        plans, shown = list(network.plans), describe(network)
        facts = {"chosen": chosen, "shown": shown, "plans": [_plan_json(plan) for plan in plans]}
    processes: list[supervisor.Process] = []
    try:
        _start(plans, shown, processes, lambda: supervisor.save(record, processes, facts), say)
    except BaseException:
        supervisor.stop(processes)
        raise
    return shown


def _runs_already(home: Path, processes: Sequence[supervisor.Process]) -> str:
    command = f"evergrid localnet down --home {home}"
    if ended := [f"{each.name} (log: {each.log})" for each in processes if not each.alive]:
        return (
            f"of the network in {home} {', '.join(ended)} ended and the others run; stop them with: "
            f"{command}; then up goes on with the same chain"
        )
    return f"a network runs in {home} already; stop it with: {command}"


def _refuse_foreign(home: Path) -> None:
    if home.exists() and any(home.iterdir()):
        raise NetworkError(f"{home} is not empty and holds no local network; choose another --home")


def _recorded(
    home: Path, facts: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[list[Plan], dict[str, Any]]:
    chosen = facts["chosen"]
    differing = [f"{name} {chosen[name]}" for name, value in given.items() if chosen[name] != value]
    if differing:
        raise NetworkError(
            f"{home} holds a network with {', '.join(differing)}; start it without these options, or choose "
            "another --home"
        )
    check_ports(design(home, chosen))
    plans = [Plan(each["name"], each["command"], Path(each["log"]), each["env"]) for each in facts["plans"]]
    return plans, dict(facts["shown"])


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {"name": plan.name, "command": plan.command, "log": str(plan.log), "env": plan.env}


def _start(
    plans: Sequence[Plan],
    shown: Mapping[str, Any],
    processes: list[supervisor.Process],
    save: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """MLNodes, chains, API nodes, each once what they need is there; every start is recorded at once."""
    waits: list[tuple[str, str, Callable[[], list[str]]]] = [
        ("node-", "MLNodes", lambda: unhealthy(shown)),
        ("c", "the first block", lambda: without_block(shown)),
        ("api-", "the models to be served", lambda: unserved(shown)),
    ]
    for prefix, what, missing in waits:
        due = [plan for plan in plans if plan.name.startswith(prefix)]
        for plan in due:
            processes.append(plan.start())
            save()
        if due:
            say(f"waiting for {what}")
            wait(what, missing, processes)


def wait(
    what: str,
    missing: Callable[[], list[str]],
    processes: Sequence[supervisor.Process],
    timeout_s: float = START_S,
) -> None:
    """Until nothing is missing; raises NetworkError after the time-out, ProcessFailedError if one ends."""
    deadline = time.monotonic() + timeout_s
    while left := missing():
        supervisor.check(processes)
        if time.monotonic() > deadline:
            raise NetworkError(f"waited {timeout_s:g} s for {what}: {'; '.join(left)}")
        time.sleep(POLL_S)


def unhealthy(shown: Mapping[str, Any]) -> list[str]:
    """MLNodes whose compute process is not ready."""
    urls = [url for api in shown.get("apis", ()) for url in api["mlnodes"]]
    return [url for url in urls if (reply := _get(f"{url}/health")) is None or reply.status_code != 200]


def without_block(shown: Mapping[str, Any]) -> list[str]:
    """Validators that have not committed a block."""
    return [each["rpc"] for each in shown["validators"] if height_of(each["rpc"]) < 1]


def unserved(shown: Mapping[str, Any]) -> list[str]:
    """Models for which no API node has a node of its own that serves them."""
    ready: set[str] = set()
    for api in shown["apis"]:
        reply = _get(f"{api['public']}/v1/models", {"Authorization": f"Bearer {api['api_key']}"})
        if reply is None or reply.status_code != 200:
            continue
        listed = {each["id"] for each in reply.json().get("data", ())}
        states = [_get(f"{url}/api/v1/state") for url in api["mlnodes"]]
        serving = {state.json().get("model") for state in states if state is not None}
        ready |= listed & serving
    return [model_id for model_id in _models_now(shown) if model_id not in ready]


def _models_now(shown: Mapping[str, Any]) -> list[str]:
    """The network's models without those that are in no group any more, such as one that was retired."""
    made: list[str] = shown["models"]
    request = epochs_pb2.QueryCurrentEpochGroupDataRequest()
    try:
        with ChainClient(shown["validators"][0]["rpc"], PROBE_TIMEOUT_S) as client:
            found = client.query(request, epochs_pb2.QueryEpochGroupDataResponse)
    except ChainError:
        return made
    return [model_id for model_id in made if model_id in found.epoch_group_data.group.sub_group_models]


def _get(url: str, headers: Mapping[str, str] | None = None) -> httpx2.Response | None:
    try:
        return httpx2.get(url, headers=dict(headers or {}), timeout=PROBE_TIMEOUT_S, trust_env=False)
    except httpx2.HTTPError:
        return None


def height_of(rpc: str) -> int:
    """The height of a validator; 0 where it does not answer."""
    try:
        with ChainClient(rpc, PROBE_TIMEOUT_S) as client:
            return int(client.status()["sync_info"]["latest_block_height"])
    except ChainError:
        return 0


def status(home: Path) -> dict[str, Any]:
    """Each process with its height if it is a chain, and where the chain stands; raises NetworkError."""
    processes, facts = supervisor.load(home / RECORD)
    if not facts:
        raise NetworkError(f"there is no local network in {home}")
    shown: Any = facts["shown"]
    validators = [{"rpc": each["rpc"], "height": height_of(each["rpc"])} for each in shown["validators"]]
    rows = [{"name": each.name, "pid": each.pid, "alive": each.alive, "log": each.log} for each in processes]
    info = max(validators, key=lambda each: each["height"])
    return {
        "home": str(home),
        "running": bool(rows) and all(row["alive"] for row in rows),
        "validators": validators,
        **(_epoch(info["rpc"]) if info["height"] else {"epoch": None, "stage": None}),
        "processes": rows,
    }


def _epoch(rpc: str) -> dict[str, Any]:
    with ChainClient(rpc) as client:
        info = client.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
    return {"epoch": info.state.epoch_effective, "stage": info.stage}


def down(home: Path) -> dict[str, Any]:
    """Stops whatever runs of the network of a home; does nothing where nothing runs."""
    processes, facts = supervisor.load(home / RECORD)
    alive = [process for process in processes if process.alive]
    killed = supervisor.stop(alive)
    if facts:
        supervisor.save(home / RECORD, [], facts)
    return {"home": str(home), "stopped": [process.name for process in alive], "killed": killed}
