"""Participants and nodes in the genesis state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.hardware.registry import in_order
from abci_app.modules.hardware.rules import key_errors, node_errors, params_errors, url_errors
from abci_app.modules.hardware.state import (
    INVALID,
    KEY_HOLDERS,
    NODE_SEQUENCE,
    NODES,
    PARAMS,
    PARTICIPANTS,
    RETIRED_KEYS,
)
from abci_app.modules.hardware.writes import retire_key, store_node
from protocol.address import AddressError, consensus_address, decode
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_ACTIVE,
    PARTICIPANT_STATUS_INVALID,
    PARTICIPANT_STATUS_UNSPECIFIED,
    GenesisState,
    Params,
    Participant,
    RegisteredNode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context

PUBLIC_KEY_BYTES = 33
DEFAULT_PARAMS = Params(max_nodes_per_participant=1000, evidence_age=100_000)


def validate_genesis(state: GenesisState) -> list[str]:
    """All that is wrong with the participants and nodes of a genesis; no params are the default ones."""
    errors = params_errors(state.params) if state.HasField("params") else []
    errors += _participants_errors(state)
    errors += _nodes_errors(state)
    return errors


def _participants_errors(state: GenesisState) -> Iterator[str]:
    addresses: set[str] = set()
    keys: set[bytes] = {each.validator_key for each in state.retired_keys}
    for each in state.participants:
        where = f"participant {each.address}"
        try:
            decode(each.address)
        except AddressError as error:
            yield f"{where}: {error}"
        if each.address in addresses:
            yield f"{where} stands twice"
        if each.validator_key and each.validator_key in keys:
            yield f"{where}: another holds or held its validator_key"
        for text in (*(url_errors(each.url) if each.url else ()), *key_errors(each.validator_key)):
            yield f"{where}: {text}"
        if len(each.public_key) not in {0, PUBLIC_KEY_BYTES}:
            yield f"{where}: public_key has {len(each.public_key)} bytes, not {PUBLIC_KEY_BYTES}"
        addresses.add(each.address)
        keys.add(each.validator_key)


def _nodes_errors(state: GenesisState) -> Iterator[str]:
    addresses = {each.address for each in state.participants}
    keys: set[tuple[str, str]] = set()
    sequences: set[int] = set()
    for each in state.nodes:
        where = f"node {each.node.node_id} of {each.participant}"
        if each.participant not in addresses:
            yield f"{where}: its participant is not in the genesis"
        if (each.participant, each.node.node_id) in keys:
            yield f"{where} stands twice"
        if state.node_sequence and (each.sequence in sequences or each.sequence >= state.node_sequence):
            yield f"{where}: sequence {each.sequence} is taken or not below node_sequence"
        for error in node_errors(each.node):
            yield f"{where}: {error}"
        keys.add((each.participant, each.node.node_id))
        sequences.add(each.sequence)


def init_genesis(ctx: Context, state: GenesisState) -> None:
    """Without a node_sequence, nodes are numbered in the order in which they stand."""
    PARAMS.set(ctx, state.params if state.HasField("params") else DEFAULT_PARAMS)
    for each in state.participants:
        _store_participant(ctx, each)
    if state.node_sequence:
        NODE_SEQUENCE.set(ctx, state.node_sequence)
    for node in state.nodes:
        stored = RegisteredNode()
        stored.CopyFrom(node)
        stored.sequence = node.sequence if state.node_sequence else NODE_SEQUENCE.next(ctx)
        store_node(ctx, stored)
    for retired in state.retired_keys:
        retire_key(ctx, retired)


def _store_participant(ctx: Context, participant: Participant) -> None:
    stored = Participant()
    stored.CopyFrom(participant)
    if stored.status == PARTICIPANT_STATUS_UNSPECIFIED:
        stored.status = PARTICIPANT_STATUS_ACTIVE
    PARTICIPANTS.set(ctx, stored.address, stored)
    if stored.status == PARTICIPANT_STATUS_INVALID:
        INVALID.add(ctx, stored.address)
    if stored.validator_key:
        KEY_HOLDERS.set(ctx, consensus_address(stored.validator_key), stored.address)


def export_genesis(ctx: Context) -> GenesisState:
    """Participants by address, nodes in the order in which they were added."""
    return GenesisState(
        params=PARAMS.require(ctx),
        participants=PARTICIPANTS.values(ctx),
        nodes=in_order(NODES.values(ctx)),
        retired_keys=RETIRED_KEYS.values(ctx),
        node_sequence=NODE_SEQUENCE.peek(ctx),
    )
