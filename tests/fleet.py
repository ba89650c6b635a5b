"""A state with models, participants and nodes, without an application around it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from abci_app.kernel.context import Block, Context
from abci_app.kernel.errors import TxError
from abci_app.kernel.kv import Overlay
from abci_app.kernel.module import MESSAGES, QUERIES
from abci_app.modules import auth, epochs, hardware, models
from protocol import address as addresses
from protocol import possession
from protocol.gen.evergrid.auth.v1 import auth_pb2
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import GenesisState as EpochsGenesis
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import GenesisWeight
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_ACTIVE,
    MLNode,
    MsgSubmitNewParticipant,
    Participant,
    RegisteredNode,
)
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import GenesisState as HardwareGenesis
from protocol.gen.evergrid.models.v1.models_pb2 import GenesisState as ModelsGenesis
from protocol.gen.evergrid.models.v1.models_pb2 import Model

CHAIN_ID = "evergrid-test-1"
GOV = addresses.module_account("gov")
X, Y = "org/x", "org/y"


class Bytes:
    """The smallest store that an overlay can stand on."""

    def get(self, _key: bytes) -> bytes | None:
        return None

    def iterate(self, _start: bytes, _end: bytes, *, reverse: bool = False) -> Any:
        return iter(())


def who(name: str) -> str:
    """The address of a name."""
    return addresses.encode(sha256(name.encode()).digest()[:20])


def validator_seed(name: str) -> bytes:
    return sha256(b"validator " + name.encode()).digest()


def validator_key(name: str) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(validator_seed(name)).public_key().public_bytes_raw()


def a_model(model_id: str = X, **fields: Any) -> Model:
    values: dict[str, Any] = {
        "units_of_compute_per_token": 10,
        "throughput_per_nonce": 40_000_000,
        "validation_threshold": 9000,
    }
    return Model(id=model_id, **{**values, **fields})


def a_node(node_id: str, *model_ids: str, **fields: Any) -> MLNode:
    return MLNode(node_id=node_id, models=model_ids or (X,), **{"host": "10.0.0.1", "port": 8080, **fields})


def registered(name: str, sequence: int, node: MLNode) -> RegisteredNode:
    return RegisteredNode(participant=who(name), node=node, sequence=sequence)


def a_participant(name: str, **fields: Any) -> Participant:
    values: dict[str, Any] = {
        "address": who(name),
        "url": f"http://{name}.test",
        "validator_key": validator_key(name),
        "public_key": b"\x02" + sha256(name.encode()).digest(),
        "status": PARTICIPANT_STATUS_ACTIVE,
    }
    return Participant(**{**values, **fields})


def joining(name: str, key_of: str = "", **fields: Any) -> MsgSubmitNewParticipant:
    """The message by which a name becomes a participant, with its own consensus key or another name's."""
    seed = validator_seed(key_of or name)
    values: dict[str, Any] = {
        "creator": who(name),
        "url": f"https://{name}.test:9000",
        "validator_key": validator_key(key_of or name),
        "proof_of_possession": possession.sign(seed, CHAIN_ID, who(name)),
    }
    return MsgSubmitNewParticipant(**{**values, **fields})


def a_state(
    model_list: Sequence[Model] = (),
    nodes: Sequence[tuple[str, MLNode, int]] = (),
    weights: Sequence[tuple[str, int]] = (),
    params: Params | None = None,
    height: int = 0,
) -> Context:
    """A genesis: models; nodes as (participant, node, weight); participants' own weights."""
    ctx = Context(Block(CHAIN_ID, height), Overlay(Bytes()))
    auth.MODULE.init_genesis(ctx, auth_pb2.GenesisState(fees={"denom": "nevg"}))
    models.MODULE.init_genesis(ctx, ModelsGenesis(models=model_list))
    names = sorted({*(name for name, _, _ in nodes), *(name for name, _ in weights)})
    hardware.MODULE.init_genesis(
        ctx,
        HardwareGenesis(
            participants=[a_participant(name) for name in names],
            nodes=[RegisteredNode(participant=who(name), node=node) for name, node, _ in nodes],
        ),
    )
    given = [(who(name), node.node_id, weight) for name, node, weight in nodes if weight]
    given += [(who(name), "", weight) for name, weight in weights]
    epochs.MODULE.init_genesis(
        ctx,
        EpochsGenesis(
            params=params or epochs.default_params("local"),
            weights=[GenesisWeight(participant=p, node_id=n, weight=w) for p, n, w in given],
        ),
    )
    return ctx


def at(ctx: Context, height: int) -> Context:
    """The same state in another block, whose events are its own."""
    block = Block(CHAIN_ID, height, hash=sha256(f"block {height}".encode()).digest())
    return Context(block, ctx.kv)


def deliver(ctx: Context, msg: Message) -> TxError | None:
    """Runs a message to its end, or leaves no trace of it but the error."""
    try:
        with ctx.branch() as attempt:
            MESSAGES["/" + msg.DESCRIPTOR.full_name].handler(attempt, msg)
    except TxError as error:
        return error
    return None


def ask(ctx: Context, request: Message) -> Any:
    """The answer to a query."""
    route = next(each for each in QUERIES.values() if each.route.request is type(request))
    return route.answer(ctx, request)


def events(ctx: Context) -> list[tuple[str, dict[str, str]]]:
    return [(event.type, dict(event.attributes)) for event in ctx.events]


def contents(ctx: Context) -> list[tuple[bytes, bytes]]:
    """Everything that the state holds."""
    return list(ctx.kv.iterate(b"", b"\xff"))
