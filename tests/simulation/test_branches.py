"""Lives of 500 blocks with valid and invalid messages go through every branch that there is a name for."""

from __future__ import annotations

import ast
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason
from tests.simulation import wild
from tests.simulation.branches import OFF_CHAIN, REASONS, Branches, all_branches
from tests.simulation.wild import WORLDS

ROOT = Path(__file__).parent.parent.parent
BLOCKS = 500
LIVES = [(world, seed) for seed in (1, 2, 3) for world in sorted(WORLDS)]

AUTH = "tests/handlers/test_auth.py::test_refused_with_its_code_and_text_is"
DRAW = "tests/rules/test_uptime_draw.py::"
FEEGRANT, GRANTS = "tests/handlers/test_feegrant.py::test_", "tests/handlers/test_feegrant_grants.py::test_"
# What a random life cannot reach, or only by rare luck: the test that does, and why.
ELSEWHERE = {
    # Windows may not lie within a PoC period: only params that pass between show one to a draw.
    "turn: maintenance": "tests/handlers/test_maintenance.py"
    "::test_a_node_whose_window_meets_the_poc_period_is_not_eligible_for_poc_slot",
    # Needs three nodes of one model of which one fits below the limit and two do not.
    "turn: over_limit": DRAW + "test_the_draw_of_the_worked_epoch",
    "turn: voting_guard": DRAW
    + "test_of_three_one_node_participants_one_serves_and_the_guard_stops_the_next",
    # Needs a longer or shorter PoC right behind one in which nodes were preserved and others mined twice.
    "weight scaled": "tests/simulation/test_scenarios.py"
    "::test_a_shorter_window_scales_what_was_preserved_like_what_was_mined",
    # Needs an executor with many invalid answers whom nobody excluded before.
    "participant: invalid_inferences": "tests/handlers/test_inference_validation.py"
    "::test_five_invalid_answers_make_the_executor_invalid_by_the_binomial_rule",
    # Needs a group of guardians alone, or of ones that are strong already.
    "guardians: guardians_alone": "tests/rules/test_guardians.py"
    "::test_nobody_loses_power_and_raised_guardians_stay_below_their_bound_and_the_others",
    "guardians: guardians_sufficient": "tests/rules/test_guardians.py"
    "::test_guardians_share_what_is_missing_of_their_bound_until_the_network_is_mature",
    "guardians: network_mature": "tests/stages/test_guardians.py"
    "::test_guardians_end_for_good_with_the_first_group_that_is_heavy_enough",
    "event: guardians_ended": "tests/stages/test_guardians.py"
    "::test_guardians_end_for_good_with_the_first_group_that_is_heavy_enough",
    # Clients build well-formed transactions: these are built field by field.
    **{f"error: sdk {code}": AUTH for code in (8, 12, 13, 31, 37, 42)},
    "error: sdk 15": "tests/simulation/test_any_input.py::test_no_changed_transaction_makes_a_block_raise",
    "error: sdk 14": "tests/handlers/test_auth.py::test_more_signatures_than_the_limit_are_refused",
    "error: sdk 38": "tests/stages/test_upgrades.py::test_only_governance_plans",
    # Tells of a mempool, of nested messages, or of what is pruned in the very block.
    "error: authz 4": "tests/handlers/test_authz.py::test_a_grant_that_cannot_be_is_refused",
    "error: authz 6": "tests/handlers/test_authz.py"
    "::test_only_the_granted_type_of_the_granter_counts_until_it_ends",
    # Clients of these lives count sequences.
    "prune: auth": "tests/handlers/test_unordered.py"
    "::test_used_times_are_forgotten_once_they_are_past_and_still_refused",
    # Allowances leave with the block in which they end, unless pruning is behind.
    "error: feegrant 3": FEEGRANT + "an_ended_allowance_pays_nothing_where_nothing_pruned_it_yet",
    # Nothing can be wrong with it but its signature.
    "message: /cosmos.feegrant.v1beta1.MsgPruneAllowances refused": GRANTS
    + "clearing_away_needs_the_gas_that_it_takes",
    # What comes to hand never adds up to what the sender gives.
    "message: /cosmos.bank.v1beta1.MsgMultiSend accepted": "tests/handlers/test_multi_send.py"
    "::test_each_one_receives_its_part",
    "error: bank 4": "tests/handlers/test_multi_send.py::test_what_goes_out_must_be_what_comes_in",
    # No message changes the params of bank.
    "error: bank 5": "tests/handlers/test_bank.py::test_disabled_coins_stay",
    # The strict decoder refuses an unknown type before gov sees it.
    "error: gov 10": "tests/handlers/test_gov.py::test_a_message_that_nobody_handles_is_refused",
    "error: gov 30": "tests/handlers/test_gov.py::test_messages_cannot_spend_the_deposits_of_other_proposals",
    # This software knows no upgrade; a plan that falls due halts it.
    "event: upgrade_applied": "tests/stages/test_upgrades.py"
    "::test_software_with_the_upgrade_goes_on_after_the_halt_and_applies_it_once",
    "event: upgrade_cancelled": "tests/stages/test_upgrades.py::test_a_cancelled_plan_halts_nobody",
    "message: /cosmos.upgrade.v1beta1.MsgCancelUpgrade accepted": "tests/stages/test_upgrades.py"
    "::test_a_cancelled_plan_halts_nobody",
    # The group always has a vote at the end of a block.
    "vote: no_power": "tests/handlers/test_gov.py::test_without_any_power_nothing_passes",
}


def reached(life: tuple[str, int]) -> dict[str, int]:
    """What one life goes through; every invariant is checked behind each of its blocks."""
    return dict(wild.live(*life, BLOCKS).branches.counts)


@pytest.fixture(scope="module")
def branches() -> Branches:
    """The branches of all lives together."""
    found = Branches()
    workers = min(len(LIVES), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for counts in pool.map(reached, LIVES):
            found.counts.update(counts)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lives_of_500_blocks_keep_every_invariant_and_reach_every_branch(branches: Branches) -> None:
    never = [name for name in branches.missing() if name not in ELSEWHERE]

    assert never == [], f"no life reached {never}: let one do, or name in ELSEWHERE the test that does"


def test_every_reason_has_a_place_where_the_chain_may_say_it() -> None:
    placed = {reason for reasons in REASONS.values() for reason in reasons}
    missing = [Reason.Name(each) for each in Reason.values() if each and each not in {*placed, *OFF_CHAIN}]

    assert missing == [], "let branches.REASONS say which part of the chain gives these reasons"


def test_what_is_reached_elsewhere_is_a_branch_and_the_test_named_for_it_exists() -> None:
    assert [name for name in ELSEWHERE if name not in all_branches()] == []
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, test
