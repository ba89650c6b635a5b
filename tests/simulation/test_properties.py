"""Properties of the protocol, looked for in every epoch of wild lives."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from abci_app.modules import bank, epochs
from abci_app.modules.poc import state as poc_state
from abci_app.modules.rewards import state as rewards_state
from abci_app.modules.uptime import rules
from abci_app.modules.uptime import state as uptime_state
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import DENOM
from tests.simulation import wild
from tests.simulation.test_explanations import SUBJECTS, check
from tests.simulation.wild import WORLDS

BLOCKS = 240


class Seen:
    """Everything that a life decided, also what the chain has forgotten since."""

    def __init__(self, world: str) -> None:
        self.life = wild.WildLife(8, wild.new_chain(world))
        self.supply_first = bank.supply(self.life.chain.context(), DENOM)
        self.draws: dict[tuple[int, str, bytes], uptime_pb2.SlotAllocation] = {}
        self.weighed: dict[tuple[int, str, str], tuple[int, int, int]] = {}
        self.explained: Counter[str] = Counter()
        for block in range(BLOCKS):
            self.life.block()
            self._look()
            if block % 40 == 39:
                check(self.life.chain, self.explained)

    def _look(self) -> None:
        ctx = self.life.chain.context()
        for key, draw in uptime_state.ALLOCATIONS.walk(ctx):
            self.draws[(*key, draw.block_hash)] = draw
        for place, node in poc_state.WEIGHTS.walk(ctx):
            self.weighed[place] = (node.weight_source, node.nonces, node.poc_weight)


@pytest.fixture(scope="module", params=sorted(WORLDS))
def seen(request: pytest.FixtureRequest) -> Seen:
    """A life of each world."""
    return Seen(request.param)


def eligible(draw: uptime_pb2.SlotAllocation) -> list[uptime_pb2.SlotTurn]:
    """The turns of nodes against which no reason stood."""
    told = (
        reasons.REASON_SELECTED,
        reasons.REASON_OVER_LIMIT,
        reasons.REASON_VOTING_GUARD,
        reasons.REASON_NOT_DRAWN,
    )
    return [turn for turn in draw.turns if turn.reason in told]


def selected(draw: uptime_pb2.SlotAllocation) -> list[uptime_pb2.SlotTurn]:
    return [turn for turn in draw.turns if turn.reason == reasons.REASON_SELECTED]


def test_a_model_with_an_eligible_node_goes_dark_only_by_voting_guard_and_its_trace_says_so(
    seen: Seen,
) -> None:
    dark = [draw for draw in seen.draws.values() if eligible(draw) and not selected(draw)]

    assert all({t.reason for t in eligible(draw)} == {reasons.REASON_VOTING_GUARD} for draw in dark)
    assert any(selected(draw) for draw in seen.draws.values())


def test_a_model_with_two_or_more_nodes_keeps_at_least_one_mining(seen: Seen) -> None:
    several = [draw for draw in seen.draws.values() if len(draw.turns) > 1]

    assert several
    assert all(len(selected(draw)) < len(draw.turns) for draw in several)


def test_selected_throughput_meets_the_stop_rule_exactly(seen: Seen) -> None:
    for draw in seen.draws.values():
        taken = [turn.throughput for turn in selected(draw)]
        assert draw.selected == sum(taken)
        if draw.stop == reasons.REASON_TARGET_MET:
            # The last one was needed: without it the target was not met; the first is always taken.
            assert draw.selected >= draw.target
            assert len(taken) == 1 or draw.selected - taken[-1] < draw.target
        elif draw.stop == reasons.REASON_HALF_CAPACITY:
            assert draw.limit <= draw.selected < draw.target
            assert draw.selected - taken[-1] < draw.limit
        else:
            assert reasons.REASON_NOT_DRAWN not in {turn.reason for turn in draw.turns}
            assert draw.selected < draw.target or not selected(draw)


def test_mined_weight_is_monotonic_in_nonces(seen: Seen) -> None:
    mined = [(n, weight) for source, n, weight in seen.weighed.values() if source == reasons.REASON_MINED]

    assert len(mined) > 5
    ordered = sorted(mined)
    assert [weight for _, weight in ordered] == sorted(weight for _, weight in ordered)


def test_total_supply_is_what_the_genesis_gave_and_rewards_minted_less_what_was_burnt(seen: Seen) -> None:
    ctx = seen.life.chain.context()
    emission = rewards_state.EMISSION.get(ctx)
    minted = emission.minted_total if emission is not None else 0

    assert minted > 0
    assert bank.supply(ctx, DENOM) == seen.supply_first + minted - seen.life.burnt_total


def test_every_kind_of_explanation_equals_the_stored_decision_for_every_node_of_every_epoch(
    seen: Seen,
) -> None:
    # `check` has compared each of them; here: that there were enough of each kind.
    kinds = {
        subject.DESCRIPTOR.name.removeprefix("QueryExplain").removesuffix("Request") for subject in SUBJECTS
    }

    assert kinds == {"Slot", "Weight", "Reward", "Validator", "Exclusion"}
    assert all(seen.explained[kind.lower()] > 20 for kind in kinds), seen.explained
    assert seen.explained["stored"] > 100


def test_nodes_are_drawn_as_often_as_the_weight_of_their_participants_says() -> None:
    # Given participants of very different weight, each with one node too many for the demand
    weights = {"ann": 50, "ben": 150, "cyd": 300, "dan": 500}
    group = rules.Group(weights, weights, dict.fromkeys(weights, 2))
    nodes = tuple(rules.Candidate(name, "n1", 10, place) for place, name in enumerate(weights))
    params = epochs.default_params("local").uptime
    model = rules.ModelDemand("m/x", 40, 8, nodes)
    seeds = 3_000

    # When one node is drawn from each of many seeds
    first: Counter[str] = Counter()
    for number in range(seeds):
        seed = rules.Seed("chain", 2, sha256(b"seed %d" % number).digest())
        (draw,) = rules.allocate_slots([model], group, params, seed)
        first.update(turn.participant for turn in selected(draw))

    # Then chi-square with three degrees of freedom: more than 21.1 comes once in 10,000 times
    wanted = {name: seeds * weight / sum(weights.values()) for name, weight in weights.items()}
    assert sum(first.values()) == seeds
    assert sum((first[name] - wanted[name]) ** 2 / wanted[name] for name in weights) < 21.1
