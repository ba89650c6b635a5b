"""A group that is formed over several blocks: the same group, unseen until it stands as a whole."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app import formation
from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.context import Block, Context
from abci_app.kernel.errors import QueryError
from abci_app.kernel.store import DiskStore, Overlay
from abci_app.modules import epochs, hardware
from abci_app.modules.collateral import state as collateral_state
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.epochs.state import GROUPS, MEMBERS, MEMBERS_KEPT, RECORDS
from abci_app.modules.hardware.handlers import submit_hardware_diff
from abci_app.modules.poc import state as poc_state
from abci_app.modules.uptime import state as uptime_state
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import CollateralWeight
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.epochs.v1.params_pb2 import CollateralParams
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import MLNode, MsgSubmitHardwareDiff
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISBEHAVIOUR
from tests.chain import CHAIN_ID, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_epoch import (
    LENGTH,
    E,
    S,
    T,
    V,
    batch,
    group_of,
    honest,
    run_poc,
    two_owners,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODELS = ("model/x", "model/y", "model/z")
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
AT_ONCE = 10**6

# What stands of each node when the PoC ends: weight before, nonces, whether it served through the PoC.
NODES = st.tuples(
    st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True),
    st.integers(0, 300),
    st.integers(0, 300),
    st.booleans(),
)
WORLDS = st.lists(st.lists(NODES, max_size=4), min_size=1, max_size=len(NAMES))


def world_at_e(
    nodes_of: list[list[Any]], *, unit_changed: bool, performance: bool, price: int = 0
) -> Context:
    """The state at E of a network with these nodes by participant; half of the verdicts are honest."""
    owners = [
        GenesisParticipant(
            name, 5, tuple(GenesisNode(f"n{i}", tuple(n[0]), n[1]) for i, n in enumerate(nodes))
        )
        for name, nodes in zip(NAMES, nodes_of, strict=False)
    ]
    params = default_params("local")
    params.epoch.min_retained_power_numerator = 0
    params.uptime.validate_throughput = performance
    if price:
        params.collateral.CopyFrom(collateral_params(price))
    chain = Chain(app_state(owners, [a_model(each) for each in MODELS], params))
    chain.block()
    ctx = Context(Block(CHAIN_ID, S - 1), Overlay(chain.store))
    record = epochs.write_record(ctx)
    if unit_changed:
        record.params.epoch.poc_stage_duration += 1
        RECORDS.set(ctx, record.index, record)
    if price:
        for place, name in enumerate(NAMES[: len(nodes_of)]):
            collateral_state.DEPOSITS.set(ctx, key_of(name).address, 100 * place)
        # As if a group of this epoch had been refused before.
        collateral_state.WEIGHTS.set(ctx, (record.index, "gone"), CollateralWeight(participant="gone"))
    power = sum(epochs.voting_powers(ctx).values())
    for place, (name, nodes) in enumerate(zip(NAMES, nodes_of, strict=False)):
        who = key_of(name).address
        for i, (models, _, nonces, serves) in enumerate(nodes):
            if nonces:
                mined = poc_pb2.NodeNonces(participant=who, node_id=f"n{i}", nonces_total=nonces)
                poc_state.NODES.set(ctx, (S, who, f"n{i}"), mined)
            if serves:
                give_poc_slot(ctx, models[0], who, f"n{i}")
        tally = poc_pb2.PocTally(participant=who, honest_power=power if place % 2 == 0 else 0)
        poc_state.TALLIES.set(ctx, (S, who), tally)
    ctx.block = Block(CHAIN_ID, E)
    return ctx


def collateral_params(price: int) -> CollateralParams:
    return CollateralParams(
        unbonding_epochs=1, collateral_per_weight=price, base_weight_bps=2_000, release_per_block=5
    )


def give_poc_slot(ctx: Context, model_id: str, who: str, node_id: str) -> None:
    member = epochs.member(ctx, 0, model_id, who)
    for node in member.ml_nodes if member is not None else ():
        if node.node_id == node_id:
            node.timeslot_allocation[pb.POC_SLOT] = True
    if member is not None:
        epochs.set_member(ctx, 0, model_id, member)


def form(ctx: Context, chunk: int, between: Callable[[Context], None] = lambda _ctx: None) -> int:
    """From E on, one block after another, `between` behind the first; returns how many blocks it took."""
    record = epochs.upcoming_record(ctx)
    assert record is not None
    blocks = 1
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(formation, "NODES_PER_BLOCK", chunk)
        formation.go_on(ctx, *formation.begin(ctx, record))
        between(ctx)
        while (under_way := epochs.formation(ctx)) is not None:
            blocks += 1
            ctx.block = Block(CHAIN_ID, ctx.height + 1)
            formation.go_on(ctx, under_way, chunk)
    return blocks


def what_stands(ctx: Context) -> dict[str, list[Any]]:
    """All that a formation writes, but for the height of the publication."""
    tables = (
        GROUPS,
        MEMBERS,
        MEMBERS_KEPT,
        collateral_state.WEIGHTS,
        poc_state.OUTCOMES,
        poc_state.WEIGHTS,
        uptime_state.LAST_PRESERVED,
        uptime_state.THROUGHPUT_VALIDATIONS,
    )
    found: dict[str, list[Any]] = {
        table.name: [(key, value.SerializeToString(deterministic=True)) for key, value in table.walk(ctx)]
        for table in tables
    }
    found["under way"] = [epochs.formation(ctx), *(ctx.kv.iterate(b"hardware/frozen", b"hardware/g"))]
    return found


def forget_heights(ctx: Context) -> None:
    """Each deposit is read in the block in whose chunk the member is: the height of that is told with it."""
    for key, weighed in list(collateral_state.WEIGHTS.walk(ctx)):
        weighed.height = 0
        collateral_state.WEIGHTS.set(ctx, key, weighed)


def told(ctx: Context) -> list[Any]:
    """The events, but for the heights at which they came."""
    return [(event.type, [pair for pair in event.attributes if pair[0] != "height"]) for event in ctx.events]


@settings(max_examples=25, deadline=None)
@given(WORLDS, st.integers(1, 15), st.booleans(), st.booleans(), st.sampled_from((0, 1, 3)))
def test_a_group_formed_in_chunks_is_byte_for_byte_the_one_formed_at_once(
    nodes_of: list[list[Any]], chunk: int, unit_changed: bool, performance: bool, price: int
) -> None:
    whole = world_at_e(nodes_of, unit_changed=unit_changed, performance=performance, price=price)
    parts = world_at_e(nodes_of, unit_changed=unit_changed, performance=performance, price=price)

    assert form(whole, AT_ONCE) == 1
    blocks = form(parts, chunk)

    for ctx in (whole, parts) if price else ():
        forget_heights(ctx)
    assert what_stands(parts) == what_stands(whole)
    assert told(parts) == told(whole)
    assert blocks > 1 or chunk > len(nodes_of)


@settings(max_examples=25, deadline=None)
@given(WORLDS, st.integers(1, 15), st.sampled_from(NAMES), st.booleans())
def test_what_changes_while_a_group_is_formed_counts_as_if_it_came_behind_it(
    nodes_of: list[list[Any]], chunk: int, name: str, falls: bool
) -> None:
    who = key_of(name).address

    def change(ctx: Context) -> None:
        if hardware.get_participant(ctx, who) is None:
            return
        if falls:
            epochs.invalidate(ctx, who, REASON_MISBEHAVIOUR)
            return
        new = MLNode(node_id="new", models=[MODELS[0]], host="127.0.0.1", port=1)
        gone = [each.node.node_id for each in hardware.nodes_of(ctx, who)][:1]
        submit_hardware_diff(ctx, MsgSubmitHardwareDiff(creator=who, new_or_modified=[new], removed=gone))

    whole = world_at_e(nodes_of, unit_changed=False, performance=False)
    parts = world_at_e(nodes_of, unit_changed=False, performance=False)

    form(whole, AT_ONCE, change)
    form(parts, chunk, change)

    if epochs.upcoming_record(whole) is None or epochs.upcoming_record(parts) is None:
        return  # refused: who may rule is asked when the group stands
    assert what_stands(parts) == what_stands(whole)


# through blocks


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formation, "NODES_PER_BLOCK", 1)


def published_at(chain: Chain) -> int:
    record = epochs.upcoming_record(chain.context())
    return record.height_ready if record is not None else 0


@pytest.mark.usefixtures("one_by_one")
def test_nobody_reads_a_half_made_group_and_the_switch_waits_until_it_is_published() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})

    # V has come, but the group does not stand yet.
    assert chain.height == V
    assert epochs.formation(chain.context()) is not None
    assert epochs.state(chain.context()).epoch_effective == 0
    while not published_at(chain):
        assert len(list(epochs.members(chain.context(), 1))) <= 2
        with pytest.raises(QueryError, match="epoch 1 has no group here"):
            group_of(chain, 1)
        chain.block()

    assert ("next_epoch_ready", {"epoch": "1", "height": str(chain.height)}) in chain.events
    assert published_at(chain) == chain.height > V
    assert weights_of(chain, 1) == {"alice": 300, "bob": 200}
    assert epochs.state(chain.context()).epoch_effective == 0
    chain.block()
    assert epochs.state(chain.context()).epoch_effective == 1


@pytest.mark.usefixtures("one_by_one")
def test_a_refused_group_is_cleared_over_blocks_and_the_next_draw_waits_for_that() -> None:
    chain = two_owners(100)
    chain.run_to(E)
    while epochs.dropped_record(chain.context()) is None:
        chain.block()
    dropped = chain.height

    assert epochs.formation(chain.context()) is not None
    assert "epoch_extended" in [kind for kind, _ in chain.events]
    assert list(epochs.subgroups(chain.context(), 1)) == []
    while epochs.formation(chain.context()) is not None:
        assert epochs.upcoming_record(chain.context()) is None
        chain.block()

    assert dropped < chain.height < S + LENGTH - 1
    assert list(epochs.members(chain.context(), 1)) == []
    for member in epochs.members(chain.context(), 0, "model/x"):
        assert not any(node.timeslot_allocation[pb.POC_SLOT] for node in member.ml_nodes)
    run_poc(chain, S + LENGTH, {"alice": 30, "bob": 20})
    while epochs.formation(chain.context()) is not None:
        chain.block()
    chain.block()
    assert weights_of(chain, 1) == {"alice": 30, "bob": 20}


@pytest.mark.usefixtures("one_by_one")
def test_a_restart_between_any_two_chunks_gives_the_same_app_hash(tmp_path: Path) -> None:
    def run(name: str, *, restarts: bool) -> list[bytes]:
        chain = Chain(two_owners().state, DiskStore(tmp_path / name, STORES))
        run_poc(chain, S, {"alice": 300, "bob": 200})
        hashes = []
        while epochs.state(chain.context()).epoch_effective == 0:
            if restarts:
                chain.store.close()
                chain = Chain(chain.state, DiskStore(tmp_path / name, STORES))
            chain.block()
            hashes.append(chain.last.app_hash)
        chain.store.close()
        return hashes

    through, restarted = run("through", restarts=False), run("restarted", restarts=True)

    assert len(through) > 2
    assert restarted == through


@pytest.mark.usefixtures("one_by_one")
def test_an_export_between_two_chunks_holds_the_group_as_it_would_have_become() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})
    assert not published_at(chain)

    exported = export_genesis(chain.context())

    imported = Chain(exported, initial_height=chain.height + 1)
    imported.block()
    assert weights_of(imported, 1) == {"alice": 300, "bob": 200}
    while epochs.state(chain.context()).epoch_effective == 0:
        chain.block()
    assert group_of(imported, 1).validation_weights == group_of(chain, 1).validation_weights


def test_no_block_covers_more_members_than_its_budget() -> None:
    nodes = [[(["model/x", "model/y"], 50, 100, True)] for _ in NAMES]
    ctx = world_at_e(nodes, unit_changed=False, performance=False, price=1)

    form(ctx, 3)

    heights = Counter(weighed.height for weighed in collateral_state.WEIGHTS.values(ctx))
    assert len(list(epochs.members(ctx, 1))) == sum(heights.values()) >= 3
    assert max(heights.values()) < len(NAMES) / 2


@pytest.mark.usefixtures("one_by_one")
def test_a_formation_that_takes_longer_than_an_epoch_costs_no_poc() -> None:
    # Given a network so large that its formation ends behind the next S
    names = tuple(f"p{i}" for i in range(8))
    owners = [GenesisParticipant(name, 10, (GenesisNode("gpu", ("model/x",), 50),)) for name in names]
    chain = Chain(app_state(owners, [a_model()]))

    # When every PoC is mined and judged by all
    told = []
    while chain.height < 6 * LENGTH:
        work(chain, names)
        told += [(kind, chain.height) for kind, _ in chain.events if kind.startswith("epoch_")]

    # Then each makes an epoch, though none was over in time
    assert {kind for kind, _ in told} == {"epoch_started", "epoch_settled"}
    started = [height for kind, height in told if kind == "epoch_started"]
    assert len(started) >= 3
    assert min(later - former for former, later in pairwise(started)) > LENGTH


def work(chain: Chain, names: tuple[str, ...]) -> None:
    """One block in which all do what is due in it."""
    record = epochs.upcoming_record(chain.context())
    messages: dict[str, Any] = {}
    if record is not None and chain.height == record.height_start:
        messages = {name: batch(name, chain.height, 20) for name in names}
    elif record is not None and chain.height == record.height_start + T - S:
        start, ctx = record.height_start, chain.context()
        mined = [name for name in names if poc_state.TALLIES.has(ctx, (start, key_of(name).address))]
        for name in names:
            messages[name] = honest(name, start, *(each for each in mined if each != name))
    chain.block(*(chain.sign(name, message) for name, message in messages.items()))
