"""One compute process for each group of devices: here two on the processor, and one that is of two groups."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlnode.settings import Settings
from tests.mlnode.service_harness import Receiver, Service, wait_for
from tests.mlnode.test_service import KEY, NODE, batch, chat, expected_claims, init, tiny_params


@pytest.fixture(scope="module")
def twin(start_service: Callable[..., Service], models_dir: Path) -> Service:
    """A node of two processes, the second of which spreads the puzzle over two devices."""
    flags = ("--models-dir", str(models_dir), "--device", "cpu,cpu+cpu", "--callback-interval-s", "0.1")
    service = start_service(*flags, "--restart-wait-max-s", "0.5")
    service.wait_ready()
    wait_for(lambda: all(each["status"] == "ready" for each in processes(service)), 90)
    return service


def processes(node: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.state()["compute"]["processes"]
    return found


def devices(node: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.get("/api/v1/pow/status")["devices"]
    return found


def nonces_of(receiver: Receiver) -> list[int]:
    return [nonce for nonce, _ in receiver.claims()]


def restarts(node: Service) -> list[int]:
    return [each["restarts"] for each in processes(node)]


def fresh(node: Service) -> Service:
    node.wait_ready()
    wait_for(lambda: all(each["status"] == "ready" for each in processes(node)), 60)
    node.ok("/api/v1/stop")
    return node


def generate(node: Service, receiver: Receiver, **changes: Any) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver, **changes))


def test_both_processes_compute_and_their_nonces_come_out_dense_in_order_and_right(
    twin: Service, receiver: Receiver
) -> None:
    generate(fresh(twin), receiver)
    wait_for(lambda: len(receiver.claims()) >= 400 and all(d["nonces_computed"] for d in devices(twin)))
    shown = devices(twin)

    status = twin.ok("/api/v1/pow/phase/validate")["pow_status"]

    found = status["nonces_found"]
    wait_for(lambda: len(receiver.claims()) == found)
    assert nonces_of(receiver) == list(range(found)), "nothing is missing, twice, or out of order"
    assert status["nonce_next"] == found
    # What was handed out is computed to its end, so nothing that a process found is left behind.
    assert sum(each["nonces_computed"] for each in status["devices"]) == found
    for process in "01":
        labels = f'{{kind="generate",process="{process}"}}'
        assert twin.metric(f"mlnode_poc_computed_nonces_total{labels}") > 0
        assert twin.metric(f'mlnode_poc_batch_nonces{{process="{process}"}}') > 0
        assert twin.metric(f'mlnode_compute_resident_memory_bytes{{process="{process}"}}') > 10e6
    assert "mlnode_compute_device_memory_bytes{" not in twin.client.get("/metrics").text, "there is no card"
    expected = expected_claims(KEY, NODE, 200)
    pairs = zip(receiver.claims(), expected, strict=False)
    assert max(abs(claim - mine) for (_, claim), mine in pairs) <= tiny_params()["epsilon"]
    assert [(each["device"], each["status"]) for each in shown] == [
        ("cpu", "GENERATING"),
        ("cpu+cpu", "GENERATING"),
    ]


@pytest.mark.parametrize("victim", [0, 1])
def test_one_killed_process_is_reported_alone_and_the_other_computes_what_it_leaves(
    twin: Service, receiver: Receiver, victim: int
) -> None:
    generate(fresh(twin), receiver)
    wait_for(lambda: all(each["nonces_computed"] for each in devices(twin)))
    before, pid = restarts(twin), processes(twin)[victim]["pid"]

    os.kill(pid, signal.SIGKILL)

    wait_for(lambda: restarts(twin)[victim] == before[victim] + 1)
    assert "SIGKILL" in str(processes(twin)[victim]["reason"])
    assert restarts(twin)[1 - victim] == before[1 - victim]
    assert (twin.state()["state"], twin.get("/api/v1/pow/status")["status"]) == ("POW", "GENERATING")
    arrived = len(receiver.claims())
    wait_for(lambda: len(receiver.claims()) > arrived + 200)
    wait_for(lambda: devices(twin)[victim]["status"] == "GENERATING", 60)
    wait_for(lambda: devices(twin)[victim]["nonces_computed"])
    status = twin.ok("/api/v1/pow/phase/validate")["pow_status"]
    wait_for(lambda: len(receiver.claims()) == status["nonces_found"])
    assert nonces_of(receiver) == list(range(status["nonces_found"]))


def test_without_any_process_the_puzzle_is_gone_and_a_new_request_goes_on_densely(
    twin: Service, receiver: Receiver
) -> None:
    generate(fresh(twin), receiver)
    wait_for(lambda: len(receiver.claims()) > 100)

    for each in processes(twin):
        os.kill(each["pid"], signal.SIGKILL)

    wait_for(lambda: twin.state()["state"] == "STOPPED")
    assert "SIGKILL" in twin.state()["reason"]
    fresh_again = wait_for(lambda: all(each["status"] == "ready" for each in processes(twin)), 60)
    assert fresh_again
    generate(twin, receiver)
    arrived = len(receiver.claims())
    wait_for(lambda: len(receiver.claims()) > arrived + 100)
    assert nonces_of(receiver) == list(range(len(receiver.claims())))


def test_generation_over_two_processes_ends_at_the_governed_number(twin: Service, receiver: Receiver) -> None:
    generate(fresh(twin), receiver, params=tiny_params(max_nonces_per_node=333))

    wait_for(lambda: twin.get("/api/v1/pow/status")["exhausted"])
    wait_for(lambda: len(receiver.claims()) == 333)
    time.sleep(0.3)
    assert nonces_of(receiver) == list(range(333))


def test_batches_are_judged_by_both_and_a_killed_process_fails_its_own_alone(
    twin: Service, receiver: Receiver
) -> None:
    fresh(twin).ok("/api/v1/pow/init/validate", init(receiver))
    many = list(range(100_000))
    twin.ok("/api/v1/pow/validate", batch("long", nonces=many, dist=[0] * len(many)))
    twin.ok("/api/v1/pow/validate", batch("honest"))
    assert wait_for(lambda: receiver.verdict("honest"))["verdict"] == "honest"
    assert receiver.verdict("long") == {}

    os.kill(processes(twin)[0]["pid"], signal.SIGKILL)

    assert "SIGKILL" in wait_for(lambda: receiver.verdict("long"))["error"]
    twin.ok("/api/v1/pow/validate", batch("fraud", wrong=30))
    assert wait_for(lambda: receiver.verdict("fraud"))["verdict"] == "fraud"


def test_a_second_process_that_ends_takes_no_model_down(twin: Service) -> None:
    fresh(twin).up()

    os.kill(processes(twin)[1]["pid"], signal.SIGKILL)

    wait_for(lambda: processes(twin)[1]["status"] != "ready")
    assert twin.ok("/v1/chat/completions", chat())["usage"]["completion_tokens"] == 8
    assert (twin.state()["state"], twin.state()["compute"]["status"]) == ("INFERENCE", "ready")


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("auto", ["auto"]),
        ("mps", ["mps"]),
        ("cpu,cpu", ["cpu", "cpu"]),
        ("cuda:0, cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:0+cuda:1,cuda:2+cuda:3", ["cuda:0+cuda:1", "cuda:2+cuda:3"]),
    ],
)
def test_devices_are_read_as_groups_of_one_process_each(text: str, groups: list[str]) -> None:
    assert Settings(device=text).device_groups == groups


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("tpu,cuda:x", ["'tpu' is none of cpu, mps, cuda, cuda:N", "'cuda:x' is none of"]),
        ("cuda:0,cuda", ["cuda:0 is named more than once"]),
        ("mps+mps", ["mps is named more than once"]),
        ("cuda:0+cpu,auto", ["cuda:0+cpu mixes kinds of devices", "'auto' is none of"]),
        ("", ["'' is none of"]),
    ],
)
def test_all_that_is_wrong_with_devices_is_named(text: str, problems: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(device=text)

    assert all(problem in str(caught.value) for problem in problems)


def test_threads_are_shared_out_among_the_processes() -> None:
    assert Settings(device="cpu,cpu", threads=5).threads_each == 2
    assert Settings(device="cpu,cpu", threads=1).threads_each == 1
