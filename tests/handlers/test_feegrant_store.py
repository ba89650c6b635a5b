"""The store of allowances: proved, carried by snapshots, and new to a state that was made without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel import snapshot
from abci_app.kernel.store import DiskStore, MemoryStore
from abci_app.modules.feegrant import state
from client.verify_errors import VerifyError
from client.verify_proof import Op, verify_key
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.allowances import ALICE, BOB, WARM, a_chain, basic, grant, indexes, left_in_all, paid_by_alice
from tests.chain import Chain, app_state

FORMER = tuple(name for name in STORES if name != "feegrant")


def genesis() -> dict[str, Any]:
    return app_state(funded=["alice", "bob"])


def test_a_state_without_allowances_is_that_of_software_without_the_module() -> None:
    former, new = Chain(genesis(), store=MemoryStore(FORMER)), Chain(genesis())

    former.run_to(5)
    new.run_to(5)

    assert former.store.app_hash == new.store.app_hash


def test_a_state_made_without_the_store_takes_allowances_as_any_other(tmp_path: Path) -> None:
    always = Chain(genesis())
    with DiskStore(tmp_path, FORMER) as store:
        Chain(genesis(), store=store).run_to(4)
    always.run_to(4)
    with DiskStore(tmp_path, STORES) as store:
        upgraded = Chain(genesis(), store=store)
        for chain in (always, upgraded):
            chain.must("alice", grant(basic(100, seconds=50)))
            assert paid_by_alice(chain, 40).code == 0

        assert upgraded.store.app_hash == always.store.app_hash
        assert left_in_all(upgraded) == 60
        assert export_genesis(upgraded.context()) == export_genesis(always.context())


def test_an_allowance_and_its_absence_are_proved_under_the_app_hash() -> None:
    chain = a_chain()
    chain.must("alice", grant(basic(100)))
    held = chain.store.get(state.ALLOWANCES.key_bytes((WARM, ALICE)))
    assert held is not None

    for grantee, value in ((WARM, held), (BOB, None)):
        key = state.ALLOWANCES.key_bytes((grantee, ALICE)).partition(b"/")[2]
        answer = chain.app.query(
            abci.RequestQuery(path="/store/feegrant/key", data=key, height=chain.height, prove=True)
        )
        ops = [Op(op.type, op.key, op.data) for op in answer.proof_ops.ops]

        verify_key(chain.store.app_hash, "feegrant", key, value, ops)
        with pytest.raises(VerifyError):
            verify_key(chain.store.app_hash, "feegrant", key, b"another" if value else held, ops)


def test_a_snapshot_carries_allowances_and_the_node_that_takes_it_goes_on_alike() -> None:
    chain = a_chain()
    chain.must("alice", grant(basic(100, seconds=50)))
    chain.must("bob", grant(basic(7), granter=BOB))
    joined = MemoryStore(STORES)
    restore = joined.restore(chain.height, chain.store.app_hash)
    for chunk in snapshot.chunks(snapshot.stream(chain.store.snapshot(), chain.height), 400):
        restore.feed(chunk)
    restore.finish()
    joined.reopen()
    other = Chain(chain.state, store=joined)

    results = [paid_by_alice(each, 40).code for each in (chain, other)]

    assert results == [0, 0]
    assert other.store.app_hash == chain.store.app_hash
    assert indexes(other.context()) == indexes(chain.context())
    assert left_in_all(other) == 60
