"""Writes that keep the indexes of the registry with what they index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.hardware.state import (
    KEY_HOLDERS,
    NODE_SEQUENCE,
    NODES,
    NODES_BY_MODEL,
    RETIRED_AT,
    RETIRED_KEYS,
)
from protocol.address import consensus_address
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import MLNode, RegisteredNode, RetiredKey

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def put_node(ctx: Context, participant: str, node: MLNode) -> None:
    """Adds a node at the end, or changes it in its place."""
    former = NODES.get(ctx, (participant, node.node_id))
    store_node(
        ctx,
        RegisteredNode(
            participant=participant,
            node=node,
            sequence=NODE_SEQUENCE.next(ctx) if former is None else former.sequence,
            height_registered=ctx.height if former is None else former.height_registered,
        ),
    )


def store_node(ctx: Context, registered: RegisteredNode) -> None:
    """Writes a node as it is, and lists it under its models."""
    key = (registered.participant, registered.node.node_id)
    _unlist(ctx, key)
    NODES.set(ctx, key, registered)
    for model_id in registered.node.models:
        NODES_BY_MODEL.add(ctx, (model_id, *key))


def remove_node(ctx: Context, participant: str, node_id: str) -> None:
    """Removes a node."""
    _unlist(ctx, (participant, node_id))
    NODES.remove(ctx, (participant, node_id))


def replace_key(ctx: Context, participant: str, former: bytes, validator_key: bytes) -> None:
    """Gives a participant its consensus key; the former one stays refused to others for a while."""
    if former == validator_key:
        return
    if former:
        address = consensus_address(former)
        KEY_HOLDERS.remove(ctx, address)
        retired = RetiredKey(validator_key=former, participant=participant, height_retired=ctx.height)
        retired.watched = True
        retire_key(ctx, retired)
    address = consensus_address(validator_key)
    forget_retired(ctx, address)
    KEY_HOLDERS.set(ctx, address, participant)


def retire_key(ctx: Context, retired: RetiredKey) -> None:
    """Remembers who gave up a key, and when."""
    address = consensus_address(retired.validator_key)
    RETIRED_KEYS.set(ctx, address, retired)
    RETIRED_AT.add(ctx, (retired.height_retired, address))


def forget_retired(ctx: Context, address: bytes) -> None:
    """Forgets a given-up key by its consensus address; nothing happens where it was not given up."""
    retired = RETIRED_KEYS.get(ctx, address)
    if retired is not None:
        RETIRED_KEYS.remove(ctx, address)
        RETIRED_AT.remove(ctx, (retired.height_retired, address))


def review_retired(ctx: Context, address: bytes, *, in_use: bool) -> None:
    """Forgets a given-up key whose time ran out; one that was in use till now is kept for as long again.

    A group keeps the keys that it was formed with, however long its epoch is extended: what its members do in
    blocks must lead to them, whatever evidence age governance has set.
    """
    retired = RETIRED_KEYS.require(ctx, address)
    forget_retired(ctx, address)
    if in_use or retired.watched:
        retired.watched, retired.height_retired = in_use, ctx.height
        retire_key(ctx, retired)


def key_holder(ctx: Context, validator_key: bytes, evidence_age: int) -> str | None:
    """Who holds the key, or held it within evidence age."""
    address = consensus_address(validator_key)
    holder = KEY_HOLDERS.get(ctx, address)
    if holder is not None:
        return holder
    retired = RETIRED_KEYS.get(ctx, address)
    if retired is None:
        return None
    if not retired.watched and ctx.height - retired.height_retired > evidence_age:
        return None
    return retired.participant


def _unlist(ctx: Context, key: tuple[str, str]) -> None:
    former = NODES.get(ctx, key)
    for model_id in former.node.models if former is not None else ():
        NODES_BY_MODEL.remove(ctx, (model_id, *key))
