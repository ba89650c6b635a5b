"""The compute process is killed in each state: noticed, reported, started again, while HTTP stays up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mlnode.service_harness import OTHER, Receiver, Service, wait_for
from tests.mlnode.test_service import SEED, batch, chat, init

SECRET_PROMPT = "the-client-s-private-words"
TOKEN = "control-secret"


@pytest.fixture(scope="module")
def mortal(
    start_service: Callable[..., Service], models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """A node that starts its compute process again at once."""
    token_file = tmp_path_factory.mktemp("killed") / "token"
    token_file.write_text(TOKEN)
    flags = ("--models-dir", str(models_dir), "--restart-wait-max-s", "0.5", "--drain-timeout-s", "1")
    service = start_service(*flags, "--token-file", str(token_file), token=TOKEN)
    service.wait_ready()
    return service


def stopped(_node: Service, _receiver: Receiver) -> None:
    """Nothing runs."""


def initialised(node: Service, receiver: Receiver) -> None:
    node.ok("/api/v1/pow/init", init(receiver))


def generating(node: Service, receiver: Receiver) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)


def validating(node: Service, receiver: Receiver) -> None:
    node.ok("/api/v1/pow/init/validate", init(receiver))
    many = list(range(100_000))
    node.ok("/api/v1/pow/validate", batch("waiting", nonces=many, dist=[0] * len(many)))


def serving(node: Service, _receiver: Receiver) -> None:
    node.up()


def answering(node: Service, _receiver: Receiver) -> None:
    node.up()
    request = chat(max_tokens=4000)
    threading.Thread(target=lambda: node.post("/v1/chat/completions", request), daemon=True).start()
    wait_for(lambda: node.state()["requests_in_flight"])


def serving_and_validating(node: Service, receiver: Receiver) -> None:
    node.up()
    validating(node, receiver)


def loading(node: Service, _receiver: Receiver) -> None:
    body = {"model": OTHER, "additional_args": []}
    threading.Thread(target=lambda: node.post("/api/v1/inference/up", body), daemon=True).start()
    wait_for(lambda: node.state()["switching_to"] == "INFERENCE")


STATES = (
    stopped,
    initialised,
    generating,
    validating,
    serving,
    answering,
    serving_and_validating,
    loading,
)


@pytest.mark.parametrize("enter", STATES, ids=lambda state: str(state.__name__))
def test_a_killed_compute_process_is_reported_and_replaced_and_the_node_works_again(
    mortal: Service, receiver: Receiver, enter: Callable[[Service, Receiver], None]
) -> None:
    mortal.wait_ready()
    mortal.ok("/api/v1/stop")
    enter(mortal, receiver)
    before = mortal.state()["compute"]

    os.kill(before["pid"], signal.SIGKILL)

    wait_for(lambda: mortal.state()["compute"]["restarts"] == before["restarts"] + 1)
    state = mortal.state()
    assert "SIGKILL" in str(state["reason"] or state["compute"]["reason"])
    assert state["model"] is None
    assert state["requests_in_flight"] == 0
    assert state["pow_status"]["status"] == "NOT_LOADED"
    if enter in (validating, serving_and_validating):
        assert "SIGKILL" in wait_for(lambda: receiver.verdict("waiting"))["error"]
    mortal.wait_ready()
    wait_for(lambda: mortal.state()["switching_to"] is None)
    after = mortal.state()["compute"]
    assert (after["status"], after["reason"]) == ("ready", None)
    assert after["pid"] != before["pid"]
    mortal.up()
    assert mortal.ok("/v1/chat/completions", chat())["usage"]["completion_tokens"] == 8


def test_switches_between_serving_and_proof_of_compute_are_timed_by_kind(
    mortal: Service, receiver: Receiver
) -> None:
    mortal.ok("/api/v1/stop")
    mortal.up()
    mortal.ok("/api/v1/inference/down")
    mortal.ok("/api/v1/pow/init/generate", init(receiver))
    mortal.ok("/api/v1/pow/stop")
    mortal.up()

    def count(before: str, after: str) -> float:
        labels = f'from_state="{before}",result="ok",to_state="{after}"'
        return mortal.metric(f"mlnode_switch_seconds_count{{{labels}}}")

    assert count("STOPPED", "INFERENCE") >= 2
    assert count("INFERENCE", "STOPPED") >= 1
    assert count("STOPPED", "POW") >= 1
    assert count("POW", "STOPPED") >= 1
    assert mortal.metric("mlnode_drain_seconds_count") >= 1


def test_logs_metrics_states_and_the_compute_process_know_no_prompt_and_no_secret(
    models_dir: Path, tmp_path: Path, receiver: Receiver
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    os.environ["HF_TOKEN"] = "planted-hub-token"
    try:
        with (tmp_path / "log").open("wb") as log:
            flags = ("--models-dir", str(models_dir), "--token-file", str(token_file))
            node = Service.started_alone(*flags, log=log)
    finally:
        del os.environ["HF_TOKEN"]
    node.client.headers["Authorization"] = f"Bearer {TOKEN}"
    try:
        node.wait_ready()
        node.up()
        secret = [{"role": "user", "content": SECRET_PROMPT}]
        node.ok("/v1/chat/completions", chat(messages=secret))
        refused = [
            node.post("/v1/chat/completions", chat(messages=secret, max_tokens=10**6)),
            node.post("/v1/chat/completions", chat(messages=secret, temperature=SECRET_PROMPT)),
            node.client.post("/api/v1/stop", headers={"Authorization": f"Bearer {SECRET_PROMPT}"}),
        ]
        node.ok("/api/v1/inference/down")
        node.ok("/api/v1/pow/init/generate", init(receiver, block_hash=SEED))
        pid = node.state()["compute"]["pid"]
        shown = node.client.get("/metrics").text + str(node.state()) + "".join(map(_text, refused))
        environment = Path(f"/proc/{pid}/environ").read_text() + Path(f"/proc/{pid}/cmdline").read_text()
        posted = str(receiver.posts)
    finally:
        node.process.send_signal(signal.SIGTERM)
        node.process.wait(timeout=30)

    written = (tmp_path / "log").read_text()
    assert "model up" in written
    assert [reply.status_code for reply in refused] == [400, 400, 401]
    for secret_text in (SECRET_PROMPT, TOKEN, "planted-hub-token"):
        assert secret_text not in written + shown + environment + posted


def _text(reply: Any) -> str:
    return str(reply.text)
