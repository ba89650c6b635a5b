"""Sentences of the protocol's section 2 on forming a group over several blocks."""

from __future__ import annotations

import pytest

from abci_app import formation
from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from tests.chain import Chain, key_of
from tests.protocol.rounds import MODEL, E, S, V, mine_and_judge, owners

NONCES = {"alice": 300, "bob": 200, "carol": 100, "dan": 50}


def at_e(monkeypatch: pytest.MonkeyPatch, nodes_per_block: int) -> Chain:
    """A chain in block E of its first PoC, which forms for so much a block."""
    monkeypatch.setattr(formation, "NODES_PER_BLOCK", nodes_per_block)
    chain = owners(*NONCES)
    mine_and_judge(chain, S, NONCES)
    return chain


def group_of_1(chain: Chain, model: str) -> tuple[pb.EpochGroup, list[pb.ValidationWeight]]:
    ctx = chain.context()
    head = epochs.group(ctx, 1, model)
    assert head is not None
    return head, list(epochs.members(ctx, 1, model))


def until_published(chain: Chain) -> int:
    """Runs on to the event; returns its height."""
    for _ in range(40):
        if epochs.is_published(chain.context(), 1):
            return chain.height
        chain.block()
    raise AssertionError("the group is never published")


def test_a_group_formed_over_blocks_is_the_one_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """At E votes and registry are frozen; each block then goes through a part of them."""
    fast = at_e(monkeypatch, 3_000)
    slow = at_e(monkeypatch, 3)

    removed = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of("dan").address, removed=["gpu"])
    slow.must("dan", removed)
    published = until_published(slow)

    assert fast.height == E
    assert epochs.is_published(fast.context(), 1)
    assert published > E
    assert [group_of_1(slow, model) for model in ("", MODEL)] == [
        group_of_1(fast, model) for model in ("", MODEL)
    ]


def test_nobody_reads_a_group_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built in chunks over blocks, under keys that nobody reads; one event carries the height."""
    chain = at_e(monkeypatch, 3)
    request = pb.QueryEpochGroupDataRequest(epoch_index=1)

    with pytest.raises(QueryError):
        chain.query(request, pb.QueryEpochGroupDataResponse)
    published = until_published(chain)

    ready = [facts for kind, facts in chain.events if kind == "next_epoch_ready"]
    assert ready == [{"epoch": "1", "height": str(published)}]
    found = chain.query(request, pb.QueryEpochGroupDataResponse).epoch_group_data
    assert found.group.total_weight == sum(NONCES.values())


def test_the_switch_waits_for_the_formation(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stage runs before the formation is over: V waits for it."""
    chain = at_e(monkeypatch, 1)

    published = until_published(chain)
    before = epochs.state(chain.context()).epoch_effective
    chain.block()

    assert published >= V
    now = epochs.state(chain.context())
    assert (before, now.epoch_effective, now.height_effective) == (0, 1, published + 1)


def test_a_refused_group_is_cleared_over_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is refused is cleared in chunks as well, before any other stage runs."""
    monkeypatch.setattr(formation, "NODES_PER_BLOCK", 1)
    chain = owners(*NONCES)
    mine_and_judge(chain, S, {"alice": 300}, *NONCES)
    under_way = [chain.height] if epochs.formation(chain.context()) is not None else []

    while epochs.formation(chain.context()) is not None and len(under_way) < 40:
        chain.block()
        under_way.append(chain.height)

    ctx = chain.context()
    assert len(under_way) > 2
    assert (epochs.state(ctx).epoch_effective, epochs.state(ctx).extensions) == (0, 1)
    assert epochs.group(ctx, 1) is None
    assert [list(epochs.members(ctx, 1, model)) for model in ("", MODEL)] == [[], []]
