"""What is sent to the registry: real differences only, and every unregistered model is named."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from api_node.broker import (
    Broker,
    UnknownModelsError,
    inference_up_node_command,
    register_node,
    update_node_with_epoch_data,
)
from api_node.intents import NodeStatus, Puzzle
from api_node.metrics import Metrics
from api_node.node_config import NodeConfig, NodeConfigError, load_nodes, parse_nodes, save_nodes
from api_node.orchestrator import load_models_for_next_epoch
from api_node.outbox import Outbox
from api_node.phases import handle_phase_transitions
from api_node.registration import (
    Registrar,
    ValidatorKey,
    hardware_diff,
    participant_message,
    read_validator_key,
)
from api_node.sender import Sender
from api_node.settings import Settings
from api_node.view import ChainView
from client.chain import AsyncChainClient
from protocol import possession
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from tests.api_node.views import ALICE, Placed, X, Y, view_at
from tests.chain import key_of, validator_key_of, validator_of

KEY = ValidatorKey(validator_key_of("alice"), validator_of("alice"))
URL = "http://alice.test:9000"


def entry(node_id: str, *models: str) -> dict[str, object]:
    return {
        "id": node_id,
        "host": "127.0.0.1",
        "inference_port": 5000,
        "poc_port": 8080,
        "models": {each: {"args": []} for each in models},
    }


def config(node_id: str, *models: str) -> NodeConfig:
    return parse_nodes([entry(node_id, *models)])[0]


def registered(*configs: NodeConfig) -> ChainView:
    nodes = {
        each.id: hardware_pb2.RegisteredNode(participant=ALICE, node=each.declared(enabled=True))
        for each in configs
    }
    return replace(view_at(5), registered=nodes)


# the participant


def test_an_account_that_is_no_participant_sends_a_proof_that_verifies() -> None:
    message = participant_message(replace(view_at(5), participant=None), ALICE, URL, KEY)

    assert message is not None
    assert (message.creator, message.url) == (ALICE, URL)
    assert possession.verify(message.validator_key, message.proof_of_possession, "evergrid-test-1", ALICE)


def test_a_participant_as_configured_sends_nothing() -> None:
    former = hardware_pb2.Participant(address=ALICE, url=URL, validator_key=KEY.public, public_key=b"k" * 33)

    assert participant_message(replace(view_at(5), participant=former), ALICE, URL, KEY) is None
    assert participant_message(replace(view_at(5), participant=former), ALICE, URL, None) is None


def test_the_own_key_of_an_api_node_is_declared_once() -> None:
    former = hardware_pb2.Participant(address=ALICE, url=URL, public_key=b"k" * 33)
    view = replace(view_at(5), participant=former)

    message = participant_message(view, ALICE, URL, None, "02" * 33)
    former.worker_key = "02" * 33

    assert message is not None
    assert message.worker_key == "02" * 33
    assert participant_message(view, ALICE, URL, None, "02" * 33) is None


def test_a_changed_url_or_key_is_sent() -> None:
    former = hardware_pb2.Participant(address=ALICE, url=URL, validator_key=b"o" * 32, public_key=b"k" * 33)
    view = replace(view_at(5), participant=former)

    other_url = participant_message(view, ALICE, "http://new.test", None)
    other_key = participant_message(view, ALICE, URL, KEY)

    assert other_url is not None
    assert (other_url.url, other_url.validator_key) == ("http://new.test", b"")
    assert other_key is not None
    assert other_key.validator_key == KEY.public


def test_the_validator_key_is_read_from_cometbfts_file_and_anything_else_is_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    keys = {"pub_key": KEY.public, "priv_key": KEY.seed + KEY.public}
    good.write_text(json.dumps({k: {"value": base64.b64encode(v).decode()} for k, v in keys.items()}))
    bad.write_text("{}")

    assert read_validator_key(good) == KEY
    with pytest.raises(ValueError, match=r"no priv_validator_key\.json"):
        read_validator_key(bad)


# the nodes


def test_new_changed_and_removed_nodes_are_one_diff_in_the_configured_order() -> None:
    view = registered(config("old", X), config("same", X), config("moved", X))
    nodes = [(config("z", X), True), (config("same", X), True), (config("moved", Y), True)]

    plan = hardware_diff(view, ALICE, nodes)

    assert plan.message is not None
    assert [node.node_id for node in plan.message.new_or_modified] == ["z", "moved"]
    assert list(plan.message.removed) == ["old"]


def test_a_registry_that_fits_needs_no_message() -> None:
    node = config("n", X, Y)
    view = registered(node)
    view.registered["n"].node.status = hardware_pb2.ML_NODE_STATUS_UNSPECIFIED

    assert hardware_diff(view, ALICE, [(node, True)]).message is None


def test_a_disabled_node_is_a_difference() -> None:
    node = config("n", X)

    plan = hardware_diff(registered(node), ALICE, [(node, False)])

    assert plan.message is not None
    assert plan.message.new_or_modified[0].status == hardware_pb2.ML_NODE_STATUS_DISABLED


def test_nodes_with_unregistered_models_wait_with_all_of_them_named_and_the_others_go_ahead() -> None:
    nodes = [(config("waits", "b/b", X, "a/a"), True), (config("goes", X), True)]

    plan = hardware_diff(registered(config("waits", X)), ALICE, nodes)

    assert plan.waiting == {"waits": ["a/a", "b/b"]}
    assert plan.message is not None
    assert [node.node_id for node in plan.message.new_or_modified] == ["goes"]
    assert list(plan.message.removed) == []


def registrar_of(tmp_path: Path) -> Registrar:
    chain = AsyncChainClient("http://127.0.0.1:1")
    sender = Sender(chain, key_of("alice"), Outbox(tmp_path / "outbox.sqlite"), Metrics())
    return Registrar(sender, ALICE, "http://alice.test:9000", None)


def sent(registrar: Registrar) -> list[str]:
    """The types of all messages that were queued."""
    return [entry.type.rpartition(".")[2] for entry in registrar._sender.outbox.pending()]


def test_at_the_start_every_invalid_model_of_every_node_is_named_and_the_others_are_registered(
    tmp_path: Path,
) -> None:
    registrar = registrar_of(tmp_path)
    nodes = [(config("n1", "b/b", X, "a/a"), True), (config("n2", "c/c"), True), (config("n3", X), True)]

    registrar.step(registered(), nodes)

    assert registrar.waiting == {"n1": ["a/a", "b/b"], "n2": ["c/c"]}
    (entry,) = registrar._sender.outbox.pending()
    assert isinstance(entry.message, hardware_pb2.MsgSubmitHardwareDiff)
    assert [node.node_id for node in entry.message.new_or_modified] == ["n3"]


@pytest.mark.anyio
async def test_states_of_nodes_that_come_and_go_cost_no_transaction(broker: Broker, tmp_path: Path) -> None:
    registrar, worker = registrar_of(tmp_path), broker.nodes["n1"].worker
    view = registered(broker.nodes["n1"].config)

    for height, status in enumerate(NodeStatus, 100):
        worker._become(replace(worker.current, status=status, since=float(height)))
        broker.drain("n1", drained=height % 2 == 0)
        worker.lock_count = height
        nodes = [(node.config, node.enabled) for node in broker.nodes.values()]
        registrar.step(replace(view, height=height), nodes)
    assert sent(registrar) == []

    broker.enable("n1", enabled=False)
    nodes = [(node.config, node.enabled) for node in broker.nodes.values()]
    for height in range(120, 124):
        registrar.step(replace(view, height=height), nodes)
    assert sent(registrar) == ["MsgSubmitHardwareDiff"]


# the operators' file and the broker

# As it stands at operators of the network that this format comes from, with keys that mean nothing here.
OPERATORS_FILE = """[
  {
    "id": "node1", "host": "inference", "inference_segment": "", "inference_port": 5000, "poc_segment": "",
    "poc_port": 8080, "max_concurrent": 500, "version": "v3.0.8", "node_num": 1,
    "models": {
      "Qwen/Qwen2.5-7B-Instruct": {"args": ["--quantization", "fp8"]},
      "Qwen/QwQ-32B": {"args": ["--tensor-parallel-size", "4", "--kv-cache-dtype", "fp8"]},
      "org/plain": {}
    },
    "hardware": [{"type": "NVIDIA H100 80GB HBM3 | 79GB", "count": 4}]
  },
  {
    "id": "node2", "host": "10.0.0.2", "inference_segment": "/vllm", "inference_port": 5000,
    "poc_segment": "/pow", "poc_port": 8080, "models": {"org/plain": {"args": null}, "org/other": null},
    "hardware": null, "max_concurrent": null
  }
]"""


def test_the_file_that_operators_already_have_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "node-config.json"
    path.write_text(OPERATORS_FILE)

    first, second = load_nodes(path)
    save_nodes(path, [first, second])

    assert list(first.models) == ["Qwen/Qwen2.5-7B-Instruct", "Qwen/QwQ-32B", "org/plain"]
    assert first.models["Qwen/QwQ-32B"].args == ["--tensor-parallel-size", "4", "--kv-cache-dtype", "fp8"]
    declared = first.declared(enabled=True)
    assert [(part.type, part.count) for part in declared.hardware] == [("NVIDIA H100 80GB HBM3 | 79GB", 4)]
    assert (declared.host, declared.port) == ("inference", 8080)
    assert (second.poc_url, second.inference_url) == (
        "http://10.0.0.2:8080/pow/api/v1",
        "http://10.0.0.2:5000/vllm/v1",
    )
    assert (second.hardware, second.max_concurrent) == ([], 500)
    assert {model_id: model.args for model_id, model in second.models.items()} == {
        "org/plain": [],
        "org/other": [],
    }
    assert load_nodes(path) == [first, second]


async def _init(_puzzle: Puzzle, _node_id: str) -> dict[str, object]:
    return {}


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    path = tmp_path / "node-config.json"
    path.write_text(json.dumps([entry("n1", X)]))
    settings = Settings(home=tmp_path, node_config=path)
    outbox = Outbox(tmp_path / "outbox.sqlite")
    return Broker(settings, load_nodes(path), _init, outbox, metrics=Metrics())


@pytest.mark.anyio
async def test_register_node_names_all_invalid_models_and_changes_nothing(broker: Broker) -> None:
    with pytest.raises(UnknownModelsError, match=r"node n2: models not registered: a/a, b/b$"):
        register_node(broker, config("n2", "b/b", X, "a/a"), view_at(5))

    assert list(broker.nodes) == ["n1"]


@pytest.mark.anyio
async def test_a_node_added_at_runtime_is_in_the_file_and_a_removed_one_is_not(broker: Broker) -> None:
    path = broker._settings.node_config
    register_node(broker, config("n2", X), view_at(5))
    assert [node.id for node in load_nodes(path)] == ["n1", "n2"]

    assert await broker.remove_node("n2")
    assert not await broker.remove_node("n2")
    assert [node.id for node in load_nodes(path)] == ["n1"]
    await broker.close()


@pytest.mark.anyio
async def test_epoch_data_gives_each_node_its_models_and_its_slots(broker: Broker) -> None:
    node = broker.nodes["n1"]

    update_node_with_epoch_data(node, view_at(45, (Placed("n1", X, poc_slot=True),)).effective)

    assert node.epoch_models is not None
    assert list(node.epoch_models) == [X]
    assert node.epoch_ml_nodes is not None
    assert list(node.epoch_ml_nodes[X].timeslot_allocation) == [True, True]


@pytest.mark.anyio
async def test_inference_up_takes_the_epoch_model_and_loading_names_who_loads_it(broker: Broker) -> None:
    view = view_at(23, (Placed("n1", X),), following=(Placed("n1", Y),))
    plan = handle_phase_transitions(view, broker.facts(), frozenset())

    inference_up_node_command(broker.nodes["n1"], plan.intents["n1"])

    intent = broker.nodes["n1"].worker.intent
    assert intent is not None
    assert (intent.model_id, intent.args) == (Y, ("--max-model-len", "64"))
    assert load_models_for_next_epoch(broker, view) == {"n1": Y}


@pytest.mark.anyio
async def test_a_disabled_node_is_disabled_after_a_restart(broker: Broker, tmp_path: Path) -> None:
    assert broker.enable("n1", enabled=False)
    assert not broker.enable("n9", enabled=False)

    outbox = Outbox(tmp_path / "outbox.sqlite")
    again = Broker(broker._settings, [config("n1", X)], _init, outbox, metrics=Metrics())

    assert not again.nodes["n1"].enabled


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("[", ["cannot be read"]),
        (json.dumps([{"id": "a"}]), ["0.host", "0.poc_port", "0.models"]),
        (json.dumps([entry("a", X), entry("a", X)]), ["node ids stand twice: a"]),
        (json.dumps([entry("a", X) | {"models": {X: {"args": ["--trust-remote-code"]}}}]), ["not allowed"]),
        (
            json.dumps([entry("a", X) | {"poc_port": 0, "models": {X: {"args": ["--model", "x"]}}}] * 2),
            ["0.poc_port", f"0.models.{X}.args: Value error, --model", "1.poc_port", "stand twice: a"],
        ),
        ('{"a": 1}', ["valid list"]),
    ],
)
def test_a_wrong_file_is_refused_with_everything_that_is_wrong(
    tmp_path: Path, content: str, texts: list[str]
) -> None:
    path = tmp_path / "node-config.json"
    path.write_text(content)

    with pytest.raises(NodeConfigError) as caught:
        load_nodes(path)

    assert all(text in str(caught.value) for text in texts)


@pytest.mark.parametrize(
    "place",
    [
        *(
            {"host": host}
            for host in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254")
        ),
        *(
            {"host": host}
            for host in ("0.0.0.0", "224.0.0.1", "http://n1", "n1/x", "n1@n2", "n1:80", "2852039166")
        ),
        *({name: "@n2"} for name in ("inference_segment", "poc_segment")),
    ],
)
def test_addresses_that_no_mlnode_has_and_what_would_lead_elsewhere_are_refused(
    place: dict[str, str],
) -> None:
    (name,) = place

    with pytest.raises(NodeConfigError, match=f"0.{name}: "):
        parse_nodes([entry("a", X) | place])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.7", "192.168.1.2", "fd12::7", "::1", "gpu-1.example", "mlnode_1"]
)
def test_mlnodes_may_be_on_loopback_and_in_private_networks(host: str) -> None:
    (node,) = parse_nodes([entry("a", X) | {"host": host, "poc_segment": "/v1.2/n-1"}])

    assert node.poc_url.endswith("/v1.2/n-1/api/v1")
