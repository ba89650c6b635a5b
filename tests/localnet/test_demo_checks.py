"""Each promise of the demo is found broken by the facts that break it, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.demo_checks import PROMISES, check
from cli.demo_facts import BETWEEN, IN_POC, EpochFact, ExtensionFact, RequestFact, Story, TargetFact
from tests.localnet.stories import (
    ALICE,
    BOB,
    CAST,
    EXPECTED,
    NODE_1,
    NODE_2,
    A,
    B,
    good_story,
    node,
    server,
)


def broken(story: Story) -> dict[str, tuple[str, ...]]:
    """The names of the promises that were not kept, with the problems."""
    names = [promise.__name__ for _, promise in PROMISES]
    return {
        name: each.problems for name, each in zip(names, check(story, EXPECTED), strict=True) if not each.kept
    }


def in_poc(story: Story) -> RequestFact:
    return next(request for request in story.requests if request.phase == IN_POC)


def test_a_demo_that_showed_everything_keeps_every_promise() -> None:
    assert broken(good_story()) == {}


def test_a_demo_that_showed_nothing_keeps_no_promise() -> None:
    assert list(broken(Story())) == [promise.__name__ for _, promise in PROMISES]


def fail_proposal(story: Story) -> None:
    story.proposals[2] = replace(story.proposals[2], status="failed", failed_reason="invalid model")


def drop_vote(story: Story) -> None:
    story.proposals[1] = replace(story.proposals[1], voters=(ALICE,))


def extend_for_power(story: Story) -> None:
    story.extensions[10] = ExtensionFact(10, "retained_power", 0)


def extend_again(story: Story) -> None:
    story.extensions[40] = ExtensionFact(40, "empty_group", 3)


def forget_node(story: Story) -> None:
    story.nodes_declared = story.nodes_declared[:2]


def lose_weight(story: Story) -> None:
    epoch = story.epochs[3]
    nodes = tuple(replace(each, weight=0) if each.key == NODE_2 else each for each in epoch.nodes)
    story.epochs[3] = replace(epoch, nodes=nodes)


def preserve_in_first(story: Story) -> None:
    story.epochs[1] = EpochFact(1, 55, tuple(node(key, "preserved") for key in CAST.nodes), {})


def serve_with_both(story: Story) -> None:
    story.pocs[2].nodes = tuple(node(key, poc_slot=True) for key in CAST.nodes)


def serve_twice(story: Story) -> None:
    story.pocs[3].nodes = story.pocs[2].nodes
    story.pocs[3].nonces = dict(story.pocs[2].nonces)
    story.epochs[3] = replace(story.epochs[2], index=3)


def mine_while_serving(story: Story) -> None:
    holder = server(2)
    assert holder is not None
    story.pocs[2].nonces[holder] = 12


def answer_by_miner(story: Story) -> None:
    in_poc(story).answered_by = {NODE_2: 1}


def execute_by_miner(story: Story) -> None:
    in_poc(story).executed_by = BOB


def finish_after_switch(story: Story) -> None:
    in_poc(story).height_finished = story.pocs[2].height_switch


def expire(story: Story) -> None:
    in_poc(story).status = "expired"


def stay_idle(story: Story) -> None:
    story.requests = [
        each
        for each in story.requests
        if (each.phase, each.epoch, each.node_expected) != (BETWEEN, 2, NODE_2)
    ]


def serve_uncounted(story: Story) -> None:
    del story.served[2, A, BOB]


def cry_fraud(story: Story) -> None:
    poc = story.pocs[2]
    poc.verdicts = (replace(poc.verdicts[0], verdict="fraud", mismatches=9), poc.verdicts[1])


def vote_undecided(story: Story) -> None:
    story.pocs[4].outcomes[BOB] = "undecided"


def underpay(story: Story) -> None:
    settlement = story.settlements[1]
    first = replace(settlement.amounts[0], balance_gain=1)
    story.settlements[1] = replace(settlement, amounts=(first, settlement.amounts[1]))


def mint_too_much(story: Story) -> None:
    story.settlements[3] = replace(story.settlements[3], minted=10_000)


def lose_target(story: Story) -> None:
    story.targets.append(TargetFact("mlnode node-3", "http://127.0.0.1:2/metrics", "no answer"))


def fork(story: Story) -> None:
    story.app_hashes["validator 2"] = "CD"


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (fail_proposal, "proposals_pass"),
        (drop_vote, "proposals_pass"),
        (extend_for_power, "empty_epoch_is_extended"),
        (extend_again, "empty_epoch_is_extended"),
        (forget_node, "hardware_is_declared"),
        (lose_weight, "epochs_have_weight"),
        (preserve_in_first, "first_poc_is_mined_by_all"),
        (serve_with_both, "one_serves_the_other_mines"),
        (serve_twice, "one_serves_the_other_mines"),
        (mine_while_serving, "one_serves_the_other_mines"),
        (answer_by_miner, "chat_during_poc"),
        (execute_by_miner, "chat_during_poc"),
        (finish_after_switch, "chat_during_poc"),
        (expire, "chat_during_poc"),
        (stay_idle, "both_serve_between_pocs"),
        (serve_uncounted, "both_serve_between_pocs"),
        (cry_fraud, "participants_validate_each_other"),
        (vote_undecided, "participants_validate_each_other"),
        (underpay, "rewards_are_paid"),
        (mint_too_much, "rewards_are_paid"),
        (lose_target, "targets_answer"),
        (fork, "validators_agree"),
    ],
)
def test_what_did_not_happen_breaks_its_own_promise_alone(
    spoil: Callable[[Story], None], promise: str
) -> None:
    story = good_story()

    spoil(story)

    assert list(broken(story)) == [promise]


def test_a_broken_promise_names_who_and_when() -> None:
    story = good_story()
    cry_fraud(story)
    story.models_registered = (B,)

    problems = broken(story)

    assert problems["proposals_pass"] == (f"{A} is not in the registry",)
    assert problems["participants_validate_each_other"] == (
        "participant-1 says fraud of participant-2 before epoch 2 (9 of 200 differ)",
    )


def test_the_holder_of_the_slot_alternates_in_the_good_story() -> None:
    servers = [good_story().pocs[epoch].serving(A) for epoch in (2, 3, 4)]

    assert servers == [[NODE_1], [NODE_2], [NODE_1]]
