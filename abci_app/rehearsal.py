"""An upgrade on a copy of a node's state: its function runs, and a few empty blocks after it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.app import STORES, App
from abci_app.invariants import broken
from abci_app.kernel.context import Block, Context
from abci_app.kernel.store import DiskStore, Overlay
from abci_app.modules import upgrade
from abci_app.upgrades import HANDLERS, UpgradeNeededError
from protocol.gen.cosmos.upgrade.v1beta1.upgrade_pb2 import Plan
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of it; `broken` names every invariant that does not hold, by height."""

    name: str
    height_copied: int
    height_applied: int
    height_last: int
    app_hash: str
    broken: tuple[str, ...]


def rehearse(folder: Path, copy: Path, name: str, blocks: int) -> Rehearsal:
    """Copies the store of a stopped node by a checkpoint and goes through the upgrade on the copy.

    The original is not changed. Raises UpgradeNeededError where this software does not have the upgrade, or
    lacks one that the state has been through, StoreLocked where a node runs, ValueError for what cannot be.
    """
    if name not in HANDLERS:
        known = ", ".join(sorted(HANDLERS)) or "none"
        raise UpgradeNeededError(f"this software does not have the upgrade {name!r}; it has: {known}")
    with DiskStore(folder, STORES) as store:
        height = store.version
        if not height:
            raise ValueError(f"{folder} holds no block yet")
        if upgrade.is_applied(Context(Block("", 0), Overlay(store)), name):
            raise ValueError(f"the state has been through {name} already")
        store.checkpoint(copy)
    with DiskStore(copy, STORES) as store:
        return _run(App(store), name, height, blocks)


def _run(app: App, name: str, height: int, blocks: int) -> Rehearsal:
    app.info(abci.RequestInfo())
    due = _plan_next(app, name)
    errors: list[str] = []
    for _ in range(blocks + 1):
        _empty_block(app)
        ctx = app.context_at()
        errors += (f"height {ctx.height}: {text}" for text in broken(ctx))
    return Rehearsal(name, height, due, app.store.version, app.store.app_hash.hex().upper(), tuple(errors))


def _plan_next(app: App, name: str) -> int:
    """Has the upgrade due in the next block; where the chain planned it so, nothing is written."""
    overlay = Overlay(app.store)
    ctx = Context(app.last_block, overlay)
    planned = upgrade.plan(ctx)
    if planned is not None and (planned.name, planned.height) == (name, app.store.version + 1):
        return planned.height
    # The plan takes a version of its own.
    due = app.store.version + 2
    upgrade.set_plan(ctx, Plan(name=name, height=due))
    app.store.commit(app.store.stage(overlay.changes, due - 1), due - 1)
    return due


def _empty_block(app: App) -> None:
    height, time_ns = app.store.version + 1, app.last_block.time_ns + SECOND_NS
    request = abci.RequestFinalizeBlock(height=height, hash=sha256(f"rehearsal {height}".encode()).digest())
    request.time.seconds, request.time.nanos = divmod(time_ns, SECOND_NS)
    app.finalize_block(request)
    app.commit()
