"""When the demo asks what of whom, and how it reads the answers."""

from __future__ import annotations

from cli.demo_facts import BETWEEN, IN_POC, RequestFact, Story
from cli.demo_observe import finished_answers, state_of
from cli.demo_script import MAX_TOKENS, Ask, body_of, due_request, read_reply
from tests.localnet.stories import ALICE, BOB, CAST, NODE_1, NODE_2, NODE_3, A, B, good_story, snapshot

METRICS = """
# TYPE mlnode_inference_requests_total counter
mlnode_inference_requests_total{model="model/a",outcome="stop"} 2.0
mlnode_inference_requests_total{model="model/a",outcome="length"} 3.0
mlnode_inference_requests_total{model="model/a",outcome="cancelled"} 5.0
"""


def story_without_requests() -> Story:
    story = good_story()
    story.requests = []
    return story


def asked(story: Story, ask: Ask) -> None:
    story.requests.append(
        RequestFact(len(story.requests) + 1, ask.phase, ask.epoch, ask.model_id, ask.to, ask.node_expected)
    )


def test_between_pocs_each_node_is_asked_once_through_its_own_api() -> None:
    story, asks = story_without_requests(), []

    while ask := due_request(snapshot(57), story, CAST, 3):
        asks.append(ask)
        asked(story, ask)

    assert asks == [
        Ask(BETWEEN, 1, A, ALICE, NODE_1),
        Ask(BETWEEN, 1, A, BOB, NODE_2),
        Ask(BETWEEN, 1, B, ALICE, NODE_3),
    ]


def test_a_node_that_still_loads_its_model_is_not_asked() -> None:
    states = {"node-1": "-> inference", "node-2": "serving", "node-3": "stopped"}

    ask = due_request(snapshot(57, node_states=states), story_without_requests(), CAST, 3)

    assert ask == Ask(BETWEEN, 1, A, BOB, NODE_2)


def test_nothing_new_is_asked_shortly_before_a_poc() -> None:
    assert due_request(snapshot(65), story_without_requests(), CAST, 3) is None


def test_before_the_first_epoch_with_weight_nobody_is_asked() -> None:
    assert due_request(snapshot(30, epoch=0), story_without_requests(), CAST, 3) is None


def test_after_the_last_wanted_epoch_nobody_is_asked() -> None:
    assert due_request(snapshot(87, epoch=2), story_without_requests(), CAST, 1) is None


def test_during_poc_both_apis_are_asked_for_what_only_the_holder_of_the_slot_can_answer() -> None:
    story, asks = story_without_requests(), []

    while ask := due_request(snapshot(71), story, CAST, 3):
        asks.append(ask)
        asked(story, ask)

    assert asks == [Ask(IN_POC, 1, A, BOB, NODE_1), Ask(IN_POC, 1, A, ALICE, NODE_1)]


def test_in_the_first_block_of_a_poc_and_late_in_it_nobody_is_asked() -> None:
    for height in (70, 75, 84):
        assert due_request(snapshot(height), story_without_requests(), CAST, 3) is None, height


def test_answers_are_short_enough_to_be_finished_before_they_expire() -> None:
    body = body_of(RequestFact(1, BETWEEN, 1, A, ALICE, NODE_1))

    assert body["max_tokens"] == MAX_TOKENS == 32
    assert body["model"] == A


def test_a_reply_gives_text_and_inference_id() -> None:
    request = RequestFact(1, BETWEEN, 1, A, ALICE, NODE_1)

    read_reply(request, 200, {}, '{"id": "chatcmpl-1", "choices": [{"message": {"content": "Blue."}}]}')

    assert (request.text, request.inference_id, request.error) == ("Blue.", "chatcmpl-1", "")


def test_a_refusal_is_a_fact_with_the_words_of_the_api_node() -> None:
    request = RequestFact(1, BETWEEN, 1, A, ALICE, NODE_1)

    read_reply(request, 503, {}, '{"error": {"message": "nobody can serve model/a now"}}')

    assert request.error == "HTTP 503: nobody can serve model/a now"


def test_only_answers_given_to_their_end_count() -> None:
    assert finished_answers(METRICS) == 5


def test_a_node_says_its_state_in_one_word() -> None:
    assert state_of({"state": "INFERENCE"}) == "serving"
    assert state_of({"state": "POW", "pow_status": {"status": "GENERATING"}}) == "generating"
    assert state_of({"state": "STOPPED", "switching_to": "POW"}) == "-> pow"
    assert state_of({}) == "unreachable"
