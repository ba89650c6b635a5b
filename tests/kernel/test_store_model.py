"""Both stores against dicts, over any sequence of writes, walks, commits, pruning, rollbacks and restarts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abci_app.kernel.store import DiskStore, MemoryStore, Overlay, Store, View

STORES = ["a", "a-b", "b", "~bulk"]
BULK = b"~bulk/"

Model = dict[bytes, bytes]

# Few keys, so that they meet; names of which one begins like another, so that ranges are easy to confuse.
# Some lie in a collection, whose walks begin where the last one found its first key.
keys = st.builds(
    lambda store, collection, rest: store + b"/" + collection + rest,
    st.sampled_from([b"a", b"a-b", b"b", b"~bulk"]),
    st.sampled_from([b"", b"q/"]),
    st.binary(min_size=1, max_size=2).map(lambda rest: bytes(byte % 6 for byte in rest)),
)
bounds = keys | st.sampled_from(
    [b"", b"a", b"a/", b"a0", b"a-b/", b"a/q/", b"a/q0", b"b/", b"~", b"~bulk/", b"~bulk0", b"\xff"]
)
values = st.binary(max_size=3)


def ranged(model: Model, start: bytes, end: bytes, *, reverse: bool) -> list[tuple[bytes, bytes]]:
    return sorted(((k, v) for k, v in model.items() if start <= k < end), reverse=reverse)


class StoreMachine(RuleBasedStateMachine):
    """A memory store, a disk store that caches next to nothing; dicts for each height and each overlay."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.memory: Store = MemoryStore(STORES)
        self.disk: Store = DiskStore(self.home, STORES, nodes_cached=6)
        self.heights: dict[int, Model] = {0: {}}
        self.hashes: dict[int, bytes] = {0: b""}
        self.lowest = 0
        self.views: list[tuple[int, View]] = []
        self.models: list[Model] = []
        self._fresh_overlays()

    def teardown(self) -> None:
        self.memory.close()
        self.disk.close()
        shutil.rmtree(self.home)

    @initialize(first=st.dictionaries(keys, values, max_size=20))
    def begin(self, first: Model) -> None:
        for key, value in first.items():
            self.set(key, value, 0)
        self.commit()

    @property
    def version(self) -> int:
        return max(self.heights)

    def _fresh_overlays(self) -> None:
        """Two levels over each store: a block's and a transaction's."""
        self.overlays = []
        for store in (self.memory, self.disk):
            block = Overlay(store)
            self.overlays.append((block, Overlay(block)))
        self.models = [dict(self.heights[self.version]), dict(self.heights[self.version])]

    def _at_level(self, level: int) -> Iterator[Overlay]:
        return (pair[level] for pair in self.overlays)

    @rule(key=keys, value=values, level=st.integers(0, 1))
    def set(self, key: bytes, value: bytes, level: int) -> None:
        self._drop_or_keep(level)
        for overlay in self._at_level(level):
            overlay.set(key, value)
        self._model_write(key, value, level)

    @rule(key=keys, level=st.integers(0, 1))
    def delete(self, key: bytes, level: int) -> None:
        self._drop_or_keep(level)
        for overlay in self._at_level(level):
            overlay.delete(key)
        self._model_write(key, None, level)

    def _drop_or_keep(self, level: int) -> None:
        """A chain does not write below an overlay that holds changes, so the upper one is dropped first."""
        if level == 0:
            self.clear()

    def _model_write(self, key: bytes, value: bytes | None, level: int) -> None:
        for model in self.models[level:]:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value

    @rule()
    def flush(self) -> None:
        for overlay in self._at_level(1):
            overlay.flush()
            assert overlay.changes == {}
        self.models[0] = dict(self.models[1])

    @rule()
    def clear(self) -> None:
        for overlay in self._at_level(1):
            overlay.clear()
        self.models[1] = dict(self.models[0])

    @rule(key=keys, level=st.integers(0, 1))
    def get(self, key: bytes, level: int) -> None:
        for overlay in self._at_level(level):
            assert overlay.get(key) == self.models[level].get(key)

    @rule(start=bounds, end=bounds, reverse=st.booleans(), level=st.integers(0, 1))
    def walk(self, start: bytes, end: bytes, reverse: bool, level: int) -> None:
        expected = ranged(self.models[level], start, end, reverse=reverse)
        for overlay in self._at_level(level):
            assert list(overlay.iterate(start, end, reverse=reverse)) == expected

    @rule(start=bounds, end=bounds, reverse=st.booleans(), value=values)
    def walk_and_write_in_the_loop(self, start: bytes, end: bytes, reverse: bool, value: bytes) -> None:
        expected = ranged(self.models[1], start, end, reverse=reverse)
        for overlay in self._at_level(1):
            seen = []
            for number, (key, old) in enumerate(overlay.iterate(start, end, reverse=reverse)):
                seen.append((key, old))
                if number % 2:
                    overlay.delete(key)
                else:
                    overlay.set(key + b"\x03", value)
            assert seen == expected
        for number, (key, _) in enumerate(expected):
            if number % 2:
                self._model_write(key, None, 1)
            else:
                self._model_write(key + b"\x03", value, 1)

    @rule()
    def commit(self) -> None:
        self.flush()
        height = self.version + 1
        hashes = []
        for store, (block, _) in zip((self.memory, self.disk), self.overlays, strict=True):
            store.stage({}, height)
            staged = store.stage(block.changes, height)
            store.commit(staged, height, {"height": b"%d" % height})
            hashes.append(staged.app_hash)
        assert hashes[0] == hashes[1]
        self.heights[height] = dict(self.models[0])
        self.hashes[height] = hashes[0]
        self.lowest = self.lowest or height
        self._fresh_overlays()

    @rule(blocks=st.lists(st.dictionaries(keys, st.none() | values, max_size=8), min_size=1, max_size=4))
    def commit_blocks(self, blocks: list[dict[bytes, bytes | None]]) -> None:
        for block in blocks:
            for key, value in block.items():
                for overlay in self._at_level(1):
                    overlay.changes[key] = value
                self._model_write(key, value, 1)
            self.commit()

    @precondition(lambda self: self.version > 1)
    @rule(back=st.integers(0, 4), budget=st.integers(0, 30))
    def prune(self, back: int, budget: int) -> None:
        keep_from = self.version - back
        removed = [store.prune(keep_from, budget) for store in (self.memory, self.disk)]
        assert removed[0] == removed[1] <= budget
        self.lowest = max(self.lowest, keep_from)

    @precondition(lambda self: self.version > self.lowest)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        height = data.draw(st.integers(self.lowest, self.version))
        self._close_views()
        for store in (self.memory, self.disk):
            store.rollback(height)
        self.heights = {h: model for h, model in self.heights.items() if h <= height}
        self._fresh_overlays()

    @rule()
    def restart(self) -> None:
        self._close_views()
        self.disk.close()
        self.disk = DiskStore(self.home, STORES, nodes_cached=6)
        self._fresh_overlays()

    def _close_views(self) -> None:
        for _, view in self.views:
            view.close()
        self.views.clear()

    @precondition(lambda self: self.version and len(self.views) < 6)
    @rule(data=st.data())
    def open_view(self, data: st.DataObject) -> None:
        height = data.draw(st.integers(self.lowest, self.version))
        for store in (self.memory, self.disk):
            view = store.at(height)
            assert view.app_hash == self.hashes[height]
            self.views.append((height, view))

    @rule()
    def close_views(self) -> None:
        self._close_views()

    @precondition(lambda self: self.views)
    @rule(start=bounds, end=bounds, reverse=st.booleans(), key=keys)
    def read_views(self, start: bytes, end: bytes, reverse: bool, key: bytes) -> None:
        # Bulk stores are left out: views do not keep their history.
        end = min(end, BULK)
        for height, view in self.views:
            model = self.heights[height]
            assert list(view.iterate(start, end, reverse=reverse)) == ranged(
                model, start, end, reverse=reverse
            )
            if not key.startswith(BULK):
                assert view.get(key) == model.get(key)

    @invariant()
    def the_committed_state_is_the_latest_height(self) -> None:
        for store in (self.memory, self.disk):
            assert (store.version, store.app_hash) == (self.version, self.hashes[self.version])
            assert store.height_lowest == self.lowest
            assert dict(store.iterate(b"", b"\xff")) == self.heights[self.version]
            assert store.meta("height") == (b"%d" % self.version if self.version else None)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=100, stateful_step_count=50)
