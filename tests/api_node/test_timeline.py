"""What a node was meant to do and did can be read afterwards, without anyone's secrets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api_node.intents import Intent, NodeStatus
from api_node.timeline import REMOVED, Asker, Kind, Timeline, without_secrets
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.serving import wait_for
from tests.api_node.test_node_worker import GENERATE, SERVE, working


def changes(timeline: Timeline, kind: Kind, node_id: str = "n1") -> list[tuple[str, str]]:
    """From and to of a node's entries of a kind, oldest first."""
    found = [each for each in timeline.entries(node_id) if each["kind"] == kind]
    return [(each["from"], each["to"]) for each in reversed(found)]


def test_entries_are_on_disk_newest_first_and_pages_follow_by_id(tmp_path: Path) -> None:
    first = Timeline(tmp_path / "timeline.sqlite")
    first.height = 7
    for number in range(5):
        first.record("n1", Kind.STATE, before=str(number), after=str(number + 1), duration_s=1.23456)
    first.close()

    again = Timeline(tmp_path / "timeline.sqlite")
    page = again.entries("n1", limit=2)
    rest = again.entries("n1", before=page[-1]["id"])

    assert [each["to"] for each in page + rest] == ["5", "4", "3", "2", "1"]
    assert (page[0]["height"], page[0]["duration_s"], page[0]["asked_by"]) == (7, 1.235, "worker")
    assert again.entries("n2") == []


def test_each_node_keeps_its_own_latest_entries(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "timeline.sqlite", entries_max=3)

    timeline.record("quiet", Kind.STATE, before="a", after="b")
    for number in range(10):
        timeline.record("busy", Kind.STATE, before="", after=str(number))

    assert [each["to"] for each in timeline.entries("busy")] == ["9", "8", "7"]
    assert [each["to"] for each in timeline.entries("quiet")] == ["b"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abc.def-123 refused", "refused"),
        ("token=hush&next=1", "next=1"),
        ('{"api_key": "hush"}', "api_key"),
        ("GET http://user:hush@node:8080/state: refused", "http://"),
        ("key sk-abcdefgh is not known", "is not known"),
        ("download with hf_abcdefgh failed", "failed"),
        ("the password: hush", "the password"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str, kept: str) -> None:
    shown = without_secrets(text)

    assert REMOVED in shown
    assert kept in shown
    assert not any(secret in shown for secret in ("hush", "abc.def", "abcdefgh"))


def test_known_secrets_are_removed_wherever_they_stand_and_plain_text_stays() -> None:
    timeline = Timeline(secrets=["s3same"])
    timeline.record("n1", Kind.STATE, before="", after="failed", text="status 401: s3same is wrong")

    assert timeline.entries("n1")[0]["text"] == f"status 401: {REMOVED} is wrong"
    assert without_secrets("status 401: a bearer token is needed") == "status 401: a bearer token is needed"
    assert without_secrets("status 503: max_tokens exceed the key-value cache") == (
        "status 503: max_tokens exceed the key-value cache"
    )


def test_a_recorder_that_cannot_write_stops_nobody() -> None:
    timeline = Timeline()
    timeline._db.execute("DROP TABLE entries")

    timeline.record("n1", Kind.STATE, before="a", after="b")


@pytest.mark.anyio
async def test_a_worker_records_every_change_of_intent_and_state_and_each_command() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.timeline.height = 12
        for intent in (SERVE, GENERATE):
            worker.intend(intent)
            await wait_for(worker.reached.is_set)
        worker.intend(Intent(NodeStatus.STOPPED, reasons_pb2.REASON_ADMIN_DISABLED))
        await wait_for(worker.reached.is_set)

    timeline = worker.timeline
    assert changes(timeline, Kind.INTENT) == [
        ("", "inference org/x"),
        ("inference org/x", "poc_generate"),
        ("poc_generate", "stopped"),
    ]
    assert [to for _, to in changes(timeline, Kind.STATE)] == [
        *("stopped", "inference org/x", "stopped", "poc_generate", "stopped"),
    ]
    assert changes(timeline, Kind.COMMAND) == [
        ("inference_up", "ok"),
        ("inference_down", "ok"),
        ("pow_generate", "ok"),
        ("stop", "ok"),
    ]
    intents = [each for each in timeline.entries("n1") if each["kind"] == Kind.INTENT]
    assert [each["asked_by"] for each in intents] == [Asker.OPERATOR, Asker.CHAIN, Asker.CHAIN]
    assert intents[0]["reason"] == "admin_disabled"
    assert all(each["duration_s"] >= 0 for each in timeline.entries("n1") if each["kind"] != Kind.INTENT)
    assert {each["height"] for each in timeline.entries("n1")} == {12}


@pytest.mark.anyio
async def test_draining_is_recorded_although_the_node_itself_does_nothing_new() -> None:
    async with working(FakeMLNode()) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        worker.intend(replace(SERVE, admits=False, reason=reasons_pb2.REASON_DRAINING))
        worker.intend(replace(SERVE, admits=False, reason=reasons_pb2.REASON_DRAINING))

    assert changes(worker.timeline, Kind.INTENT)[1:] == [("inference org/x", "inference org/x, admits none")]


@pytest.mark.anyio
async def test_a_failure_is_recorded_once_with_its_kind_and_what_the_node_said() -> None:
    node = FakeMLNode(fail={"state": 500})

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(lambda: worker._failures >= 2)
        await asyncio.sleep(0)

    failed: list[dict[str, Any]] = [each for each in worker.timeline.entries("n1") if each["to"] == "failed"]
    assert len(failed) == 1
    assert (failed[0]["reason"], failed[0]["asked_by"]) == ("engine_failed", Asker.NODE)
    assert "state fails" in failed[0]["text"]
