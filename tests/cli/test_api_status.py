"""What `evergrid api status` shows; tests/localnet asks a real API node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.api_status import as_text
from tests.cli.conftest import Command

STATUS: dict[str, Any] = {
    "status": "waiting",
    "waiting_for": ["the chain node is catching up"],
    "participant": "evergrid1alice",
    "height": 90,
    "maintenance": [{"participant": "evergrid1alice", "node_id": "", "height_from": "95", "height_to": "99"}],
}


def node(node_id: str, **state: Any) -> dict[str, Any]:
    at_rest = {
        "intended_status": "inference",
        "intended_reason": None,
        "height_deadline": 0,
        "admits": True,
        "current_status": "inference",
        "current_model": "model/a",
        "reason": None,
        "text": "",
        "lock_count": 0,
    }
    return {"node": {"id": node_id}, "state": at_rest | state}


def lines(*nodes: dict[str, Any], **changes: Any) -> list[list[str]]:
    return [line.split() for line in as_text(STATUS | changes, list(nodes)).splitlines()]


def test_a_node_that_drains_is_shown_with_its_reason_and_its_deadline() -> None:
    shown = lines(node("n1", intended_reason="draining", height_deadline=95, admits=False, lock_count=2))

    assert ["node", "does", "model", "should", "because", "until", "admits", "requests"] in shown
    assert ["n1", "inference", "model/a", "inference", "draining", "95", "no", "2"] in shown


def test_a_node_that_failed_is_shown_with_what_it_said() -> None:
    shown = lines(node("n1", current_status="failed", reason="unreachable", text="refused"), node("n2"))

    assert shown[-2][-2:] == ["unreachable:", "refused"]
    assert shown[-1][:2] == ["n2", "inference"]


def test_announced_windows_and_what_is_waited_for_are_shown() -> None:
    shown = lines(node("n1"))

    assert ["all", "95", "99"] in shown
    assert ["-", "the", "chain", "node", "is", "catching", "up"] in shown
    assert ["no", "MLNodes"] in lines(maintenance=[])
    assert ["Announced", "maintenance"] not in lines(maintenance=[])


def test_an_api_node_that_was_never_started_or_does_not_answer_is_one_sentence(
    evergrid: Command, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")

    unmade = evergrid.fails("api", "status")
    silent = evergrid.fails(
        "api", "status", "--admin-token-file", str(token), "--admin-url", "http://127.0.0.1:1"
    )

    assert "there is no token in" in unmade
    assert silent.startswith("no API node answers at http://127.0.0.1:1: ")


def test_what_a_node_is_meant_to_do_and_does_is_no_problem() -> None:
    shown = lines(node("n1", intended_reason="preserved", reason="preserved", height_deadline=95))

    assert "problem" not in shown[-2]
    assert shown[-1] == ["n1", "inference", "model/a", "inference", "preserved", "95", "yes"]
