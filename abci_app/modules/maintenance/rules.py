"""maintenance: which windows may be announced, and what they excuse. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from protocol.gen.evergrid.epochs.v1.params_pb2 import MaintenanceParams
    from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow

# Every penalty looks at a participant's windows: as many as nodes that are maintained one by one may need.
WINDOWS_AHEAD_MAX = 100


def exempts(
    windows: Iterable[MaintenanceWindow], node_ids: Sequence[str], height_from: int, height_to: int
) -> bool:
    """Whether the windows excuse a participant's nodes at some height of a range, both ends included."""
    down = {
        each.node_id for each in windows if each.height_from <= height_to and each.height_to >= height_from
    }
    return is_down(down, node_ids)


def is_down(down: Collection[str], node_ids: Sequence[str]) -> bool:
    """Whether the participant as a whole (an empty id) is down, or each of the nodes; none is not."""
    return "" in down or (bool(node_ids) and all(node_id in down for node_id in node_ids))


@dataclass(frozen=True, slots=True)
class OpenHeights:
    """Where a window may lie, both ends included; none where first > last."""

    first: int
    last: int


def open_heights(height: int, notice: int, height_switch: int | None, height_next_poc: int) -> OpenHeights:
    """Between the notice and the next S-1, and behind V where a PoC is going on: never within [S-1, V]."""
    first = height + max(1, notice)
    if height_switch is not None:
        first = max(first, height_switch + 1)
    return OpenHeights(first, height_next_poc - 2)


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """A model that the announced nodes serve: throughput in tokens per PoC window."""

    model_id: str
    total: int
    # Of the nodes announced, and of others that are in maintenance at some height of the same window.
    announced: int
    others: int


def over_cap(load: ModelLoad, params: MaintenanceParams) -> bool:
    """Whether too much of a model would be down at a time; who is alone in maintenance is not bound."""
    return load.others > 0 and (load.others + load.announced) * BPS > load.total * params.max_concurrent_bps


@dataclass(frozen=True, slots=True)
class Standing:
    """What a participant may announce: where, how many blocks, beside which windows of its own."""

    allowed: OpenHeights
    credit: int
    # Those that are not over.
    own: tuple[MaintenanceWindow, ...] = ()


def announcement_errors(
    window: MaintenanceWindow, standing: Standing, loads: Iterable[ModelLoad], params: MaintenanceParams
) -> list[str]:
    """All that speaks against a window, in order."""
    if window.height_from > window.height_to:
        return [f"height_from {window.height_from} is behind height_to {window.height_to}"]
    errors = []
    allowed = standing.allowed
    if allowed.first > allowed.last:
        errors.append("no window can be announced now: what is left lies within the next PoC period")
    elif window.height_from < allowed.first or window.height_to > allowed.last:
        errors.append(
            f"a window may lie within {allowed.first} to {allowed.last}: behind the notice, outside of PoC"
        )
    blocks = window.height_to - window.height_from + 1
    if blocks > standing.credit:
        errors.append(f"{blocks} blocks are more than the credit of {standing.credit}")
    if len(standing.own) >= WINDOWS_AHEAD_MAX:
        errors.append(
            f"{len(standing.own)} windows of it are still ahead, at most {WINDOWS_AHEAD_MAX} may be"
        )
    errors += (
        f"it overlaps the window {each.height_from} to {each.height_to} of {each.node_id or 'all nodes'}"
        for each in standing.own
        if (not window.node_id or each.node_id in {"", window.node_id})
        and each.height_from <= window.height_to
        and each.height_to >= window.height_from
    )
    errors += (
        f"of the {load.total} tokens of {load.model_id} {load.others} are in maintenance then; with these "
        f"{load.announced} it would be more than {params.max_concurrent_bps} of 10000"
        for load in loads
        if over_cap(load, params)
    )
    return errors


def credit_after(credit: int, params: MaintenanceParams) -> int:
    """The credit behind one more good epoch; what is above the cap by older params stays."""
    return max(credit, min(credit + params.credit_per_good_epoch, params.credit_max))
