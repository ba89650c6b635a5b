"""Announced maintenance through blocks: credit, where it may lie, what it excuses."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.errors import QueryError
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs, inference, maintenance
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.inference import validation
from abci_app.modules.maintenance.rules import WINDOWS_AHEAD_MAX
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MAINTENANCE
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.handlers.test_inference import EXPIRATION, MODEL, start
from tests.stages.test_epoch import run_poc

NAMES = ("alice", "bob", "carol", "dan")
NEXT_POC, NOTICE = 60, 8


def a_chain(blocks: int = 30, windows: tuple[pb.MaintenanceWindow, ...] = ()) -> Chain:
    """Four members, alice with two nodes; all of them have credit; PoC comes late."""
    owners = [
        GenesisParticipant(name, 0, tuple(GenesisNode(node, (MODEL,), 50) for node in nodes))
        for name, nodes in zip(NAMES, (("gpu", "gpu2"), ("gpu",), ("gpu",), ("gpu",)), strict=True)
    ]
    params = default_params("local")
    params.epoch.first_poc_height, params.epoch.epoch_length = NEXT_POC, 60
    params.maintenance.max_concurrent_bps = 5_000
    state = app_state(owners, [a_model()], params, funded=["client"])
    state["maintenance"] = {
        "credits": [{"participant": key_of(name).address, "blocks": str(blocks)} for name in NAMES],
        "windows": [
            {
                "participant": each.participant,
                "node_id": each.node_id,
                "height_from": str(each.height_from),
                "height_to": str(each.height_to),
            }
            for each in windows
        ],
    }
    chain = Chain(state)
    chain.run_to(1)
    return chain


def announce(name: str, first: int, last: int, node_id: str = "") -> pb.MsgAnnounceMaintenance:
    return pb.MsgAnnounceMaintenance(
        creator=key_of(name).address, node_id=node_id, height_from=first, height_to=last
    )


def credit(chain: Chain, name: str = "alice") -> tuple[int, int, int]:
    request = pb.QueryCreditRequest(participant=key_of(name).address)
    found = chain.query(request, pb.QueryCreditResponse)
    return found.credit.blocks, found.height_first, found.height_last


def statistics(chain: Chain, name: str = "alice") -> inference_pb2.InferenceStatistics:
    found = {each.participant: each for each in inference.statistics(chain.context(), 0)}
    return found.get(key_of(name).address, inference_pb2.InferenceStatistics())


def test_an_announced_window_costs_its_blocks_and_is_listed() -> None:
    chain = a_chain()

    chain.must("alice", announce("alice", 20, 29, "gpu"))

    assert credit(chain) == (20, chain.height + NOTICE, NEXT_POC - 2)
    listed = chain.query(pb.QueryWindowsRequest(), pb.QueryWindowsResponse).windows
    assert [(w.node_id, w.height_from, w.height_to, w.height_announced) for w in listed] == [
        ("gpu", 20, 29, chain.height)
    ]


def test_requests_that_begin_in_the_window_are_refunded_and_not_missed_all_others_are() -> None:
    chain = a_chain()
    chain.must("alice", announce("alice", 12, 13))
    chain.run_to(10)
    # One begins before the window, one in it, one behind.
    for inference_id in ("before", "in-12", "in-13", "behind"):
        chain.must("client", start(inference_id=inference_id))

    chain.run_to(chain.height + EXPIRATION)

    counted = statistics(chain)
    assert (counted.total, counted.missed, counted.exempted) == (2, 2, 2)
    assert chain.balance("client") == FUNDS


def test_a_window_of_one_of_two_nodes_excuses_nothing_but_takes_it_out_of_the_routing() -> None:
    chain = a_chain()
    chain.must("alice", announce("alice", 12, 13, "gpu"))
    chain.run_to(11)
    request = inference_pb2.QueryExecutorsRequest(model_id=MODEL)

    executors = chain.query(request, inference_pb2.QueryExecutorsResponse).executors
    chain.must("client", start())
    chain.run_to(chain.height + EXPIRATION)

    assert {e.participant: list(e.node_ids) for e in executors}[key_of("alice").address] == ["gpu2"]
    assert (statistics(chain).missed, statistics(chain).exempted) == (1, 0)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (announce("alice", 5, 6), f"a window may lie within {2 + NOTICE} to {NEXT_POC - 2}"),
        (announce("alice", 50, 59), f"a window may lie within {2 + NOTICE} to {NEXT_POC - 2}"),
        (announce("alice", 12, 45), "34 blocks are more than the credit of 30"),
        (announce("alice", 13, 12), "height_from 13 is behind height_to 12"),
        (announce("alice", -5, 12), "a window may lie within"),
        (announce("alice", 12, 13, "none"), "unknown_node"),
        (announce("alice", 13, 12, "none"), "has no node 'none'; height_from 13 is behind height_to 12"),
    ],
)
def test_a_window_that_cannot_be_is_refused_and_costs_nothing(
    message: pb.MsgAnnounceMaintenance, text: str
) -> None:
    chain = a_chain()

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("maintenance", 2)
    assert text in result.log
    assert credit(chain)[0] == 30


def test_a_stranger_announces_nothing() -> None:
    assert "unknown_participant" in a_chain().deliver("client", announce("client", 12, 13)).log


def test_no_more_of_a_model_is_in_maintenance_at_a_time_than_the_cap() -> None:
    chain = a_chain()
    chain.must("alice", announce("alice", 20, 25))  # two fifths of the throughput

    refused = chain.deliver("bob", announce("bob", 25, 26))
    chain.must("bob", announce("bob", 26, 27))
    chain.must("carol", announce("carol", 27, 28))

    assert f"of the {5 * 50 * 40} tokens of {MODEL} {2 * 50 * 40} are in maintenance then" in refused.log


def test_windows_of_the_same_node_do_not_overlap() -> None:
    chain = a_chain()
    chain.must("alice", announce("alice", 20, 25, "gpu"))

    again = chain.deliver("alice", announce("alice", 25, 26, "gpu"))
    whole = chain.deliver("alice", announce("alice", 18, 20))

    assert "it overlaps the window 20 to 25 of gpu" in again.log
    assert "it overlaps the window 20 to 25 of gpu" in whole.log


def windows_of_alice(heights: range) -> tuple[pb.MaintenanceWindow, ...]:
    owner = key_of("alice").address
    return tuple(
        pb.MaintenanceWindow(participant=owner, node_id="gpu", height_from=at, height_to=at) for at in heights
    )


def test_an_exemption_costs_no_more_where_many_windows_are_over() -> None:
    costs = []

    for over in (1, 50):
        chain = a_chain(windows=windows_of_alice(range(1, 1 + over)) + windows_of_alice(range(90, 91)))
        ctx = chain.context()
        assert maintenance.is_exempt(ctx, key_of("alice").address, ["gpu"], 90, 90)
        costs.append(ctx.gas.used)

    assert costs[0] == costs[1]


def test_only_so_many_windows_of_a_participant_may_be_ahead() -> None:
    chain = a_chain(windows=windows_of_alice(range(1000, 1000 + WINDOWS_AHEAD_MAX - 1)))

    chain.must("alice", announce("alice", 12, 13, "gpu"))
    refused = chain.deliver("alice", announce("alice", 14, 15, "gpu"))
    chain.run_to(14)
    again = chain.deliver("alice", announce("alice", 25, 26, "gpu"))

    assert f"{WINDOWS_AHEAD_MAX} windows of it are still ahead" in refused.log
    assert again.code == 0


def test_a_node_whose_window_meets_the_poc_period_is_not_eligible_for_poc_slot() -> None:
    params = default_params("local")
    params.uptime.max_consecutive_preserved_epochs = 2  # the genesis weights are unproved
    alice = key_of("alice").address
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in NAMES]
    state = app_state(owners, [a_model()], params)
    state["maintenance"] = {"windows": [{"participant": alice, "height_from": "20", "height_to": "21"}]}
    chain = Chain(state)

    chain.run_to(9)  # S-1

    (draw,) = chain.query(
        uptime_pb2.QuerySlotAllocationsRequest(epoch_index=1), uptime_pb2.QuerySlotAllocationsResponse
    ).allocations
    turns: dict[str, Any] = {turn.participant: turn for turn in draw.turns}
    assert (turns[alice].reason, turns[alice].maintenance) == (REASON_MAINTENANCE, True)
    assert any(not turn.maintenance and turn.drawn < turn.weight_total for turn in draw.turns)
    member = epochs.member(chain.context(), 0, MODEL, alice)
    assert member is not None and not member.ml_nodes[0].timeslot_allocation[POC_SLOT]


def test_good_epochs_earn_credit_up_to_the_cap_and_windows_lie_behind_a_poc_that_goes_on() -> None:
    params = default_params("local")
    params.maintenance.credit_per_good_epoch, params.maintenance.credit_max = 5, 8
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in NAMES[:2]]
    chain = Chain(app_state(owners, [a_model()], params, funded=["client"]))
    earned = []

    for epoch in (1, 2, 3):
        first = 10 + 30 * (epoch - 1)
        chain.run_to(first)
        assert credit(chain)[1:] == (first + 16, first + 28)  # V + 1 to S - 2 of the next
        preserved = {
            m.member_address
            for m in epochs.members(chain.context(), epoch - 1, MODEL)
            if m.ml_nodes[0].timeslot_allocation[POC_SLOT]
        }
        run_poc(chain, first, {name: 0 if key_of(name).address in preserved else 20 for name in NAMES[:2]})
        chain.block()
        earned.append(credit(chain)[0])

    assert earned == [0, 5, 8]


def test_the_export_builds_windows_and_credit_again_and_old_windows_are_forgotten() -> None:
    chain = a_chain()
    chain.must("alice", announce("alice", 12, 13))
    exported = export_genesis(chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=chain.height + 1)
    again = export_genesis(imported.context())
    chain.run_to(13 + 4 * 60 + 1)

    assert again == exported
    assert maintenance.is_exempt(imported.context(), key_of("alice").address, [], 13, 20)
    assert list(chain.query(pb.QueryWindowsRequest(), pb.QueryWindowsResponse).windows) == []
    assert export_genesis(chain.context())["maintenance"].get("windows", []) == []


def test_standings_are_counted_in_chunks_over_blocks_and_an_export_between_them_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validation, "STANDINGS_PER_BLOCK", 1)
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in NAMES[:2]]
    chain = Chain(app_state(owners, [a_model()], funded=["client"]))
    for epoch in (1, 2):
        first = 10 + 30 * (epoch - 1)
        chain.run_to(first)
        serving = {
            m.member_address
            for m in epochs.members(chain.context(), epoch - 1, MODEL)
            if m.ml_nodes[0].timeslot_allocation[POC_SLOT]
        }
        run_poc(chain, first, {name: 0 if key_of(name).address in serving else 20 for name in NAMES[:2]})
    one, other = sorted(NAMES[:2], key=lambda name: key_of(name).address)

    chain.block()
    first_block = (credit(chain, one)[0], credit(chain, other)[0])
    imported = Chain(export_genesis(chain.context()), MemoryStore(STORES), initial_height=chain.height + 1)
    for each in (chain, imported):
        each.block()
        each.block()

    assert first_block == (1, 0)
    assert (credit(chain, one)[0], credit(chain, other)[0]) == (1, 1)
    assert "standings_due" not in export_genesis(chain.context())["inference"]
    assert export_genesis(imported.context()) == export_genesis(chain.context())


def test_the_credit_of_what_is_no_address_is_not_said_to_be_nothing() -> None:
    request = pb.QueryCreditRequest(participant="evergrid1xxx")

    with pytest.raises(QueryError, match="participant must be an address: decoding bech32 failed"):
        a_chain().query(request, pb.QueryCreditResponse)
