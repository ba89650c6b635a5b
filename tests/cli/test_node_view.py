"""What `evergrid node` shows of an API node's answers, by example."""

from __future__ import annotations

from typing import Any

import pytest

from cli.node_view import distance, duration, entry_row, frame_text, node_row, switch_off_words

YES = {"allowed": True, "reason": None, "text": "drained and empty", "deadline": None}
NODE: dict[str, Any] = {
    "node_id": "n1",
    "state": "inference",
    "intended_state": "inference",
    "reason": None,
    "intended_reason": None,
    "text": "",
    "since": 1.0,
    "time_in_state_s": 95.0,
    "deadline": None,
    "model": "org/x",
    "slots": ["POC_SLOT", "PRE_POC_SLOT"],
    "weight": 100,
    "requests": 2,
    "validations": 0,
    "max_concurrent": 4,
    "admits": True,
    "enabled": True,
    "drained": False,
    "tested": False,
    "nonces": None,
    "switch_off": YES,
}
CHAIN = {
    "chain_id": "evergrid-1",
    "height": 30,
    "lag_blocks": 0,
    "catching_up": False,
    "problem": "",
    "block_s": 5.0,
    "epoch": 3,
    "stage": "inference",
    "slot": "PRE_POC_SLOT",
    "next": {"stage": "pre_poc_scheduling", "height": 39, "blocks": 9, "seconds": 45.0},
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 m 0 s"),
        (200, "3 m 20 s"),
        (7500, "2 h 5 m"),
        (-3, "0 s"),
    ],
)
def test_durations_are_short_words(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_distance_is_in_blocks_and_where_the_pace_is_known_in_seconds() -> None:
    assert distance({"height": 5, "blocks": 1, "seconds": None}) == "1 block"
    assert distance({"height": 5, "blocks": 12, "seconds": 60.0}) == "12 blocks, about 1 m 0 s"
    assert distance(None) == ""


def test_the_answer_to_switching_off_says_why_and_from_when_or_until_when() -> None:
    until = {"height": 40, "blocks": 10, "seconds": 50.0}

    yes = switch_off_words(YES | {"deadline": until})
    no = switch_off_words({"allowed": False, "text": "it holds POC_SLOT", "deadline": until})

    assert yes == "yes: drained and empty (back by height 40, in 10 blocks, about 50 s)"
    assert no == "no: it holds POC_SLOT (from height 40, in 10 blocks, about 50 s)"
    assert switch_off_words({"allowed": None, "text": "nobody knows", "deadline": None}) == "?: nobody knows"


def test_a_row_shows_every_column_and_what_the_operator_did() -> None:
    row = node_row(NODE)
    odd = node_row(
        NODE
        | {"state": "failed", "reason": "unreachable", "text": "refused", "drained": True, "enabled": False}
        | {"nonces": 0, "slots": [], "deadline": {"height": 45, "blocks": 3, "seconds": 15.0}}
    )

    assert row == {
        "node": "n1",
        "state": "inference",
        "reason": "",
        "since": "1 m 35 s",
        "deadline": "-",
        "model": "org/x",
        "slot": "POC PRE_POC",
        "load": "2/4",
        "nonces": "-",
        "switch off": "yes",
    }
    assert odd["state"] == "failed -> inference (drained, disabled)"
    assert odd["reason"] == "unreachable: refused"
    assert (odd["nonces"], odd["slot"], odd["deadline"]) == ("0", "-", "3 blocks, about 15 s")


def test_a_frame_has_the_chain_the_countdown_the_question_and_a_row_for_each_node() -> None:
    shown = {"participant": "p", "chain": CHAIN, "switch_off": YES, "nodes": [NODE, NODE | {"node_id": "n2"}]}

    lines = frame_text(shown, 160).splitlines()

    assert lines[0] == "evergrid-1  height 30 (lag 0)  epoch 3  stage inference  PRE_POC_SLOT"
    assert lines[1] == "next: pre_poc_scheduling in 9 blocks, about 45 s (height 39)"
    assert lines[2] == "may I switch off now: yes: drained and empty"
    assert [line.split()[0] for line in lines[-2:]] == ["n1", "n2"]


def test_a_frame_without_a_view_or_without_nodes_says_so() -> None:
    unknown = {"allowed": None, "text": "", "deadline": None}
    blind = {"chain": {"stage": None, "problem": "refused"}, "switch_off": unknown, "nodes": []}

    assert "no view of the chain yet: refused" in frame_text(blind, 120)
    assert "no MLNodes" in frame_text({"chain": CHAIN, "switch_off": YES, "nodes": []}, 120)
    assert "waiting: down" in frame_text(
        {"chain": CHAIN | {"problem": "down"}, "switch_off": YES, "nodes": []}, 120
    )


def test_an_entry_of_the_timeline_has_its_time_in_utc_and_how_long_it_took() -> None:
    entry = {"time": 0.0, "height": 3, "kind": "command", "from": "", "to": "stop", "reason": ""}

    row = entry_row(entry | {"asked_by": "worker", "duration_s": 0.25, "text": "ok"})
    long = entry_row(entry | {"asked_by": "worker", "duration_s": 90, "text": "ok"})

    assert (row["time"], row["took"], long["took"]) == ("1970-01-01 00:00:00", "0.25 s", "1 m 30 s")
    assert entry_row(entry | {"asked_by": "worker", "duration_s": None, "text": ""})["took"] == ""
