"""Participants, their nodes, and who holds which consensus key."""

from __future__ import annotations

from abci_app.kernel.collections import BYTES, STR, U64, Item, KeySet, Map, Sequence
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    GenesisState,
    Params,
    Participant,
    RegisteredNode,
    RetiredKey,
)

PARAMS: Item[Params] = Item("hardware/params", Params)

PARTICIPANTS: Map[str, Participant] = Map("hardware/participants", STR, Participant)

# The addresses of those that are INVALID, so that nobody walks all participants to find them.
INVALID: KeySet[str] = KeySet("hardware/invalid", STR)

# By participant and node id.
NODES: Map[tuple[str, str], RegisteredNode] = Map("hardware/nodes", (STR, STR), RegisteredNode)
NODE_SEQUENCE = Sequence("hardware/node_sequence")

# Set while a formation reads the registry over several blocks: the height as of which it reads.
FROZEN_SINCE: Item[int] = Item("hardware/frozen_since", int)
# By address: the participant and its nodes as they stood then, of those who changed since.
FROZEN: Map[str, GenesisState] = Map("hardware/frozen", STR, GenesisState)

# By model, participant and node id: the nodes that declare the model.
NODES_BY_MODEL: KeySet[tuple[str, str, str]] = KeySet("hardware/nodes_by_model", (STR, STR, STR))

# By the consensus address (20 bytes) of the key: the participant that holds it.
KEY_HOLDERS: Map[bytes, str] = Map("hardware/key_holders", BYTES, str)

# By consensus address: keys that were given up within evidence age.
RETIRED_KEYS: Map[bytes, RetiredKey] = Map("hardware/retired_keys", BYTES, RetiredKey)

# By the height at which they were given up: who may be forgotten is found without looking at all.
RETIRED_AT: KeySet[tuple[int, bytes]] = KeySet("hardware/retired_at", (U64, BYTES))
