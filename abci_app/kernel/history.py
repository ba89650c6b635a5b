"""Earlier heights: forgetting them within a budget, and going back to one."""

from __future__ import annotations

from abci_app.kernel.backend import Backend, Write
from abci_app.kernel.nodes import REF_BYTES, leaf_of_record, ref_version
from abci_app.kernel.records import (
    LATEST,
    PRUNED,
    Progress,
    decode_orphans,
    decode_undo,
    fetch_from,
    flat_key,
    node_prefix,
    orphans_key,
    read_latest,
    read_progress,
    read_roots,
    roots_key,
    undo_key,
)


def prune(backend: Backend, keep_from_height: int, budget: int) -> int:
    """Removes up to `budget` nodes that only heights below need; these heights are refused from now on."""
    progress_before = read_progress(backend)
    lowest, height, done = progress_before
    if lowest == 0:
        return 0
    lowest = max(lowest, min(keep_from_height, read_latest(backend)))
    writes: list[Write] = []
    removed = heights_done = 0
    # Empty heights cost too, so they are bounded by the same number.
    while height <= lowest and removed < budget and heights_done < budget:
        obsolete = _orphan_keys(backend, height)
        taken = obsolete[done : done + budget - removed]
        writes.extend([(key, None) for key in taken])
        removed += len(taken)
        done += len(taken)
        if done == len(obsolete):
            keys = orphans_key(height), undo_key(height), roots_key(height - 1)
            writes.extend((key, None) for key in keys)
            height, done = height + 1, 0
            heights_done += 1
    progress = Progress(lowest, height, done)
    if progress != progress_before:
        # Not synced: what a crash of the machine takes back is pruned again.
        backend.write([*writes, (PRUNED, progress.encode())], sync=False)
    return removed


def rollback(backend: Backend, height: int) -> None:
    """Makes a kept height the latest again, in one synced batch; later heights are gone."""
    read_roots(backend, height)
    flat: dict[bytes, bytes | None] = {}
    writes: list[Write] = [(LATEST, height.to_bytes(8, "big"))]
    for later in range(read_latest(backend), height, -1):
        _take_back_nodes(backend, later, flat, writes)
        _restore_orphans(backend, later, height, flat)
        # Walking down, the oldest height's values are written last and stand.
        flat.update(decode_undo(backend.get(undo_key(later)) or b""))
        writes.extend((key, None) for key in (roots_key(later), orphans_key(later), undo_key(later)))
    backend.write([*writes, *flat.items()], sync=True)


def _take_back_nodes(
    backend: Backend, height: int, flat: dict[bytes, bytes | None], writes: list[Write]
) -> None:
    """Removes the height's nodes; keys of its leaves are gone unless an earlier leaf brings them back."""
    for name, root in read_roots(backend, height).stores.items():
        for number in range(root.nodes_added):
            ref = height.to_bytes(8, "big") + number.to_bytes(REF_BYTES - 8, "big")
            node_key = node_prefix(name) + ref
            leaf = leaf_of_record(backend.get(node_key) or b"\x01")
            if leaf is not None:
                flat.setdefault(flat_key(name.encode() + b"/" + leaf[0]), None)
            writes.append((node_key, None))


def _restore_orphans(backend: Backend, later: int, height: int, flat: dict[bytes, bytes | None]) -> None:
    """Brings the values back that stood at the height and that a later one replaced or removed."""
    for name, refs in decode_orphans(backend.get(orphans_key(later)) or b""):
        fetch = fetch_from(backend, name)
        for ref in refs:
            leaf = leaf_of_record(fetch(ref)) if ref_version(ref) <= height else None
            if leaf is not None:
                flat[flat_key(name.encode() + b"/" + leaf[0])] = leaf[1]


def _orphan_keys(backend: Backend, height: int) -> list[bytes]:
    """The keys of all node records that the height made obsolete."""
    keys: list[bytes] = []
    for name, refs in decode_orphans(backend.get(orphans_key(height)) or b""):
        prefix = node_prefix(name)
        keys += [prefix + ref for ref in refs]
    return keys
