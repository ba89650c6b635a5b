"""A genesis in code: participants, nodes, weights and models, as simulations and tests need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.gov.genesis import default_params as default_gov_params
from protocol import address
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_ACTIVE, Participant
from protocol.gen.evergrid.models.v1.models_pb2 import Model
from protocol.pool import POOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf.message import Message

    from abci_app.sim.identity import Identity
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

DENOM = "nevg"
FUNDS = 10**15
GENESIS_TIME_S = 1_700_000_000
GOV = address.module_account("gov")


def a_model(model_id: str = "model/x", throughput_per_nonce: int = 40_000_000, **fields: Any) -> Model:
    """A model that the registry accepts."""
    return Model(
        id=model_id,
        name=model_id,
        version="1",
        units_of_compute_per_token=fields.pop("units_of_compute_per_token", 10),
        hf_repo=model_id,
        hf_commit="ab" * 20,
        v_ram=1024,
        throughput_per_nonce=throughput_per_nonce,
        context_window=2048,
        validation_threshold=9000,
        **fields,
    )


def as_json(message: Message) -> dict[str, Any]:
    """A message as a genesis file holds it."""
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=POOL
    )
    return found


@dataclass
class GenesisNode:
    """An MLNode that the genesis declares, with its weight in group 0."""

    node_id: str
    models: tuple[str, ...]
    weight: int = 0
    memory_mib: int = 0


@dataclass
class GenesisParticipant:
    """A participant of the genesis; weight is its own, in the parent group alone."""

    name: str
    weight: int = 0
    nodes: tuple[GenesisNode, ...] = ()


def app_state(
    participants: Sequence[GenesisParticipant],
    models: Iterable[Model],
    params: Params | None,
    funded: Iterable[str],
    *,
    identity: Callable[[str], Identity],
    voting_period_s: int = 10,
) -> dict[str, Any]:
    """A genesis of the local profile; participants and `funded` names hold coins."""
    names = sorted({*(p.name for p in participants), *funded})
    balances = [
        {"address": identity(name).address, "coins": [{"denom": DENOM, "amount": str(FUNDS)}]}
        for name in names
    ]
    weights, nodes = _weights_and_nodes(participants, identity)
    return {
        "auth": {"fees": {"denom": DENOM, "minimum_gas_price_micro": "0"}},
        "bank": {"balances": balances},
        "models": {"models": [as_json(model) | {"proposed_by": GOV} for model in models]},
        "hardware": {
            "participants": [_participant(p.name, identity(p.name)) for p in participants],
            "nodes": nodes,
            "node_sequence": str(len(nodes)),
        },
        "epochs": {"params": as_json(params or default_params("local")), "weights": weights},
        "gov": gov_state(voting_period_s),
    }


def _weights_and_nodes(
    participants: Sequence[GenesisParticipant], identity: Callable[[str], Identity]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    weights: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    for participant in participants:
        owner = identity(participant.name).address
        if participant.weight:
            weights.append({"participant": owner, "weight": str(participant.weight)})
        for node in participant.nodes:
            declared: dict[str, Any] = {
                "node_id": node.node_id,
                "models": list(node.models),
                "host": "127.0.0.1",
                "port": 8080,
            }
            if node.memory_mib:
                declared["hardware"] = [{"type": "gpu", "count": 1, "memory_mib": str(node.memory_mib)}]
            nodes.append({"participant": owner, "node": declared, "sequence": str(len(nodes))})
            if node.weight:
                weights.append({"participant": owner, "node_id": node.node_id, "weight": str(node.weight)})
    return weights, nodes


def gov_state(voting_period_s: int = 10) -> dict[str, Any]:
    """Governance with the protocol's quorum, threshold, veto and deposit."""
    params = default_gov_params(DENOM, voting_period_s * 10**9)
    return {"starting_proposal_id": "1", "params": as_json(params)}


def _participant(name: str, identity: Identity) -> dict[str, Any]:
    return as_json(
        Participant(
            address=identity.address,
            url=f"http://{name}.test:9000",
            validator_key=identity.validator_key,
            public_key=identity.public_key,
            status=PARTICIPANT_STATUS_ACTIVE,
        )
    )
