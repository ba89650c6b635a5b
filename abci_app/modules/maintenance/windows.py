"""Windows and credit: what other modules may ask and add, and what messages need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.modules.maintenance import rules, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.params_pb2 import MaintenanceParams
    from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow


def params(ctx: Context) -> MaintenanceParams:
    """The frozen params of the effective epoch."""
    return epochs.effective_record(ctx).params.maintenance


def is_exempt(
    ctx: Context, participant: str, node_ids: Sequence[str], height_from: int, height_to: int
) -> bool:
    """Whether announced maintenance excuses these nodes at some height of a range, both ends included.

    Every penalty asks this one function. True where the whole participant is in maintenance, or each node.
    """
    if "\0" in participant:
        return False
    return rules.exempts(windows_from(ctx, participant, height_from), node_ids, height_from, height_to)


def windows_from(ctx: Context, participant: str, height: int) -> Iterator[MaintenanceWindow]:
    """A participant's windows that end at a height or later, by their last height."""
    walk = state.BY_PARTICIPANT.walk(ctx, (participant,), start=(participant, height, ""))
    return (state.WINDOWS.require(ctx, (participant, node_id, first)) for (_, _, node_id), first in walk)


def down_between(ctx: Context, height_from: int, height_to: int) -> dict[str, frozenset[str]]:
    """By participant, the node ids of its windows that meet a range: for `is_down`, where many are asked."""
    down: dict[str, frozenset[str]] = {}
    for participant, node_id in _overlapping(ctx, height_from, height_to):
        down[participant] = down.get(participant, frozenset()) | {node_id}
    return down


def earn(ctx: Context, participants: Iterable[str]) -> None:
    """Adds the credit of one good epoch."""
    now = params(ctx)
    for participant in participants:
        credit = state.CREDITS.get(ctx, participant) or 0
        after = rules.credit_after(credit, now)
        if after != credit:
            state.CREDITS.set(ctx, participant, after)


def keep(ctx: Context, window: MaintenanceWindow) -> None:
    """Stores a window."""
    state.WINDOWS.set(ctx, (window.participant, window.node_id, window.height_from), window)
    state.BY_END.set(ctx, (window.height_to, window.participant, window.node_id), window.height_from)
    state.BY_PARTICIPANT.set(ctx, (window.participant, window.height_to, window.node_id), window.height_from)


def open_heights(ctx: Context) -> rules.OpenHeights:
    """Where a window that is announced now may lie."""
    upcoming = epochs.upcoming_record(ctx)
    switch = None
    if upcoming is not None:
        switch = epochs.stage_heights(upcoming.params.epoch, upcoming.height_start).switch
    return rules.open_heights(ctx.height, params(ctx).notice, switch, epochs.state(ctx).height_next_poc)


def _overlapping(ctx: Context, height_from: int, height_to: int) -> Iterator[tuple[str, str]]:
    """(participant, node_id) of the windows that overlap a range."""
    for (_, participant, node_id), first in state.BY_END.walk(ctx, start=(height_from, "", "")):
        if first <= height_to:
            yield participant, node_id


def model_loads(ctx: Context, window: MaintenanceWindow) -> list[rules.ModelLoad]:
    """The models that the window's nodes serve, with what others have announced for the same time."""
    now = epochs.state(ctx).epoch_effective
    epoch = now + 1 if epochs.is_published(ctx, now + 1) else now
    others = sorted(set(_overlapping(ctx, window.height_from, window.height_to)))
    loads = []
    for group in epochs.subgroups(ctx, epoch):
        announced = _nodes(ctx, epoch, group.model_id, window.participant, window.node_id)
        if not announced:
            continue
        down: dict[tuple[str, str], int] = {}
        for participant, node_id in others:
            for served, throughput in _nodes(ctx, epoch, group.model_id, participant, node_id).items():
                down[participant, served] = throughput
        loads.append(
            rules.ModelLoad(
                group.model_id, group.total_throughput, sum(announced.values()), sum(down.values())
            )
        )
    return loads


def _nodes(ctx: Context, epoch: int, model_id: str, participant: str, node_id: str) -> dict[str, int]:
    """The throughput of a participant's nodes of a model, of one or, with an empty id, of all."""
    member = epochs.member(ctx, epoch, model_id, participant)
    return {
        node.node_id: node.throughput
        for node in (member.ml_nodes if member is not None else ())
        if node.throughput and node_id in {"", node.node_id}
    }


def prune(ctx: Context, budget: int) -> int:
    """Forgets windows that ended before the retained epochs, at most so many; returns how many."""
    retained = epochs.effective_record(ctx).params.epoch
    oldest = ctx.height - retained.retention_epochs * retained.epoch_length
    done = 0
    for key, first in state.BY_END.walk(ctx):
        height_to, participant, node_id = key
        if height_to >= oldest or done >= budget:
            break
        state.BY_END.remove(ctx, key)
        state.BY_PARTICIPANT.remove(ctx, (participant, height_to, node_id))
        state.WINDOWS.remove(ctx, (participant, node_id, first))
        done += 1
    return done
