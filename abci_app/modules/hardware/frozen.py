"""The registry as it stood at one height, while a formation reads it over several blocks.

Nothing is copied ahead: who changes is kept as it was, once, just before the first change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.context import Context
from abci_app.modules.hardware.state import FROZEN, FROZEN_SINCE, NODES, PARTICIPANTS
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import GenesisState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import Participant, RegisteredNode


@dataclass(frozen=True, slots=True)
class Entry:
    """A participant with its nodes, in the order in which they were added."""

    participant: Participant
    nodes: tuple[RegisteredNode, ...]


def freeze(ctx: Context) -> None:
    """From now on `registry_entries` tells what stands now, until `thaw`."""
    assert FROZEN_SINCE.get(ctx) is None, "the registry is frozen already"
    FROZEN_SINCE.set(ctx, ctx.height)


def thaw(ctx: Context) -> None:
    """Forgets what was kept; nothing happens where nothing is frozen."""
    if FROZEN_SINCE.get(ctx) is not None:
        FROZEN_SINCE.remove(ctx)
        FROZEN.clear(ctx)


def keep_as_it_stands(ctx: Context, address: str) -> None:
    """Called before a participant or one of its nodes changes; not charged to who changes it."""
    free = Context(ctx.block, ctx.kv)
    if FROZEN_SINCE.get(free) is None or FROZEN.has(free, address):
        return
    participant = PARTICIPANTS.get(free, address)
    kept = GenesisState(
        participants=[participant] if participant is not None else [],
        nodes=NODES.values(free, (address,)),
    )
    FROZEN.set(free, address, kept)


def registry_entries(ctx: Context, after: str = "", units: int | None = None) -> list[Entry]:
    """The participants behind an address, each with its nodes, as they stood when the registry was frozen.

    All of them, or as few as have so many units, where a participant and a node are one unit each.
    """
    entries: list[Entry] = []
    is_frozen = FROZEN_SINCE.get(ctx) is not None
    following = _nodes_by_owner(ctx, after)
    owner, owned = next(following, ("", []))
    behind = PARTICIPANTS.walk(ctx, start=after + "\x01" if after else None)
    for address, standing in behind:
        if units is not None and units <= 0:
            break
        while owner and owner < address:
            owner, owned = next(following, ("", []))
        participant, nodes = standing, owned if owner == address else []
        kept = FROZEN.get(ctx, address) if is_frozen else None
        if kept is not None:
            if not kept.participants:
                continue
            participant, nodes = kept.participants[0], list(kept.nodes)
        nodes.sort(key=lambda each: each.sequence)
        entries.append(Entry(participant, tuple(nodes)))
        if units is not None:
            units -= 1 + len(nodes)
    return entries


def _nodes_by_owner(ctx: Context, after: str) -> Iterator[tuple[str, list[RegisteredNode]]]:
    """The nodes of each owner behind an address, in one walk that ends where it is no longer read."""
    owner = ""
    owned: list[RegisteredNode] = []
    for node in NODES.values(ctx, start=(after + "\x01", "") if after else None):
        if node.participant != owner:
            if owned:
                yield owner, owned
            owner, owned = node.participant, []
        owned.append(node)
    if owned:
        yield owner, owned
