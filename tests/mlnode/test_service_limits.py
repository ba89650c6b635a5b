"""What the service does to slow, greedy and uninvited clients; no compute process is needed for it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mlnode.service_harness import TINY, Service, free_port, wait_for

TOKEN = "a-secret-token"
PATHS = ("/v1/models", "/health", "/metrics", "/api/v1/state")


@pytest.fixture(scope="module")
def guarded(start_service: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with a token and short deadlines."""
    token_file = tmp_path_factory.mktemp("token") / "token"
    token_file.write_text(f"{TOKEN}\n")
    flags = ("--token-file", str(token_file), "--body-timeout-s", "0.6", "--body-bytes-max", "100000")
    service = start_service(*flags, "--device", "cuda:99", token=TOKEN)
    wait_for(lambda: answers(service), 60)
    return service


def answers(service: Service) -> bool:
    try:
        service.client.get("/health")
    except httpx2.TransportError:
        return False
    return True


def connect(service: Service) -> socket.socket:
    port = int(service.url.rpartition(":")[2])
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(10)
    return sock


def until_closed(sock: socket.socket) -> bytes:
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def test_steering_needs_the_token_and_looking_does_not(guarded: Service) -> None:
    for header in ("", "Bearer wrong", TOKEN):
        answer = guarded.client.post("/api/v1/stop", headers={"Authorization": header})

        assert answer.status_code == 401
        assert "bearer token" in answer.json()["detail"]
    assert guarded.state()["state"] == "STOPPED"
    open_paths = ("/metrics", "/v1/models")
    assert {guarded.client.get(path, headers={"Authorization": ""}).status_code for path in open_paths} == {
        200
    }


def test_a_silent_socket_and_a_dripping_header_are_closed(guarded: Service) -> None:
    started = time.monotonic()
    with connect(guarded) as silent, connect(guarded) as dripping:
        dripping.sendall(b"POST /api/v1/stop HTTP/1.1\r\n")
        for letter in b"Host: a":
            dripping.sendall(bytes([letter]))
            time.sleep(0.05)

        assert until_closed(silent) == b""
        assert until_closed(dripping) == b""
    assert time.monotonic() - started < 3


def test_a_body_that_does_not_come_is_refused_in_time(guarded: Service) -> None:
    lines = ("POST /api/v1/stop HTTP/1.1", "Host: a", f"Authorization: Bearer {TOKEN}", "Content-Length: 9")
    head = "\r\n".join(lines) + "\r\n\r\n1"
    started = time.monotonic()
    with connect(guarded) as sock:
        sock.sendall(head.encode())

        assert until_closed(sock).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 3


def test_large_heads_and_bodies_are_refused(guarded: Service) -> None:
    announced = guarded.client.post("/v1/chat/completions", content=b" " * 100_001)
    chunked = guarded.client.post("/v1/chat/completions", content=iter([b" " * 60_000] * 2))
    with connect(guarded) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"GET /health HTTP/1.1\r\n" + b"A: " + b"x" * 200_000)
        head = until_closed(sock)

    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert "100000 bytes" in announced.json()["error"]["message"]
    assert b"200 OK" not in head


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"0\r\n", b"A: b\r\n" * 20_000), (b"0\r\nA: ", b"x" * 120_000), (b"1;", b"x" * 120_000)],
    ids=["trailers", "one trailer", "chunk extension"],
)
def test_what_stands_around_a_chunked_body_is_bounded_as_a_head_is(
    guarded: Service, begin: bytes, more: bytes
) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(guarded) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(head + begin)
            for _ in range(10):
                sock.sendall(more)

        # A body that is merely late is answered with 408.
        assert until_closed(sock) == b""


def test_a_body_in_many_small_pieces_is_no_head(guarded: Service) -> None:
    pieces = [b" "] * 30_000 + [b"{}"]

    answer = guarded.client.post("/v1/chat/completions", content=iter(pieces))

    assert answer.status_code == 400


def test_bodies_that_are_held_together_are_bounded_and_the_node_can_still_be_steered(
    guarded: Service,
) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(guarded)) for _ in range(9)]
        for sock in socks:
            sock.sendall(head.encode() + b" " * 99_999)
        answers = [until_closed(sock) for sock in socks]
        for sock in [stack.enter_context(connect(guarded)) for _ in range(8)]:
            sock.sendall(head.encode() + b" " * 99_999)
        time.sleep(0.1)
        steered = guarded.post("/api/v1/stop")

    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503")]
    assert refused
    assert all(b"retry-after: 2" in answer and b"800000 bytes" in answer for answer in refused)
    assert sum(answer.startswith(b"HTTP/1.1 408") for answer in answers) + len(refused) == 9
    assert steered.status_code == 200 or "compute" in steered.text
    wait_for(lambda: guarded.client.post("/v1/chat/completions", content=b"{}").status_code == 400)


def test_a_compute_process_that_cannot_start_is_reported_with_its_reason(guarded: Service) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and not (reason := guarded.state()["compute"]["reason"]):
        time.sleep(0.1)

    assert "exited with status 70" in reason
    assert "finds no cuda:99 here" in reason
    health = guarded.client.get("/health")
    assert health.status_code == 503
    assert health.json()["reason"]


def test_flags_that_cannot_be_served_are_named_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mlnode.service", "--port", "70000", "--threads", "0"]
    wrong = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    missing = [sys.executable, "-m", "mlnode.service", "--token-file", str(tmp_path / "none")]
    absent = subprocess.run(missing, capture_output=True, text=True, timeout=60, check=False)

    assert wrong.returncode == 1
    assert all(name in wrong.stderr for name in ("port", "threads"))
    assert absent.returncode == 1
    assert "none" in absent.stderr
    assert "Traceback" not in wrong.stderr + absent.stderr


def test_a_port_of_its_own_serves_openais_side_alone_and_ends_with_the_other(
    start_service: Callable[..., Service],
) -> None:
    port = free_port()
    service = start_service("--inference-port", str(port), "--device", "cuda:99")
    wait_for(lambda: answers(service), 60)
    inference = f"http://127.0.0.1:{port}"

    with httpx2.Client(trust_env=False) as client:
        there = {path: client.get(inference + path).status_code for path in PATHS}
        here = {path: service.client.get(path).status_code for path in PATHS}

    assert there == {"/v1/models": 200, "/health": 503, "/metrics": 404, "/api/v1/state": 404}
    assert here == {"/v1/models": 404, "/health": 503, "/metrics": 200, "/api/v1/state": 200}


@pytest.fixture(scope="module")
def hasty(start_service: Callable[..., Service], models_dir: Path) -> tuple[Service, str]:
    """A node of two ports with short deadlines and few connections, and the URL of its inference port."""
    port = free_port()
    flags = ("--models-dir", str(models_dir), "--inference-port", str(port), "--request-timeout-s", "1")
    limits = ("--body-timeout-s", "0.6", "--body-bytes-max", "5000", "--connections-max", "8")
    service = start_service(*flags, *limits, "--drain-timeout-s", "1")
    service.wait_ready()
    service.up()
    return service, f"http://127.0.0.1:{port}"


def is_well(url: str) -> bool:
    return httpx2.get(f"{url}/health", trust_env=False, timeout=10).status_code == 200


def endless(*, stream: bool) -> dict[str, Any]:
    message = {"role": "user", "content": "tell"}
    return {"model": TINY, "messages": [message], "max_tokens": 4000, "temperature": 0, "stream": stream}


def test_an_answer_that_takes_too_long_is_ended_whole_or_streamed_and_its_place_is_free(
    hasty: tuple[Service, str],
) -> None:
    service, url = hasty
    started = time.monotonic()

    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
        whole = client.post("/v1/chat/completions", json=endless(stream=False))
        with (
            pytest.raises(httpx2.RemoteProtocolError),
            client.stream("POST", "/v1/chat/completions", json=endless(stream=True)) as response,
        ):
            for _ in response.iter_lines():
                pass

    assert whole.status_code == 504
    assert "within 1 s" in whole.json()["error"]["message"]
    assert time.monotonic() - started < 15
    wait_for(lambda: service.state()["requests_in_flight"] == 0)


def test_slow_and_greedy_clients_are_ended_at_the_inference_port_too(hasty: tuple[Service, str]) -> None:
    port = int(hasty[1].rpartition(":")[2])
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        silent, dripping, late, large = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(4)
        )
        dripping.sendall(head)
        late.sendall(head + b"Content-Length: 9\r\n\r\n1")
        large.sendall(head + b"Content-Length: 5001\r\n\r\n")
        answers = [until_closed(each) for each in (silent, dripping, late, large)]

    assert answers[:2] == [b"", b""]
    assert answers[2].startswith(b"HTTP/1.1 408")
    assert answers[3].startswith(b"HTTP/1.1 413")
    assert time.monotonic() - started < 5


def test_more_connections_than_allowed_are_told_to_come_again_at_each_port(
    hasty: tuple[Service, str],
) -> None:
    for url in (hasty[0].url, hasty[1]):
        port = int(url.rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            for _ in range(9):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            time.sleep(0.1)

            refused = httpx2.get(f"{url}/health", trust_env=False, timeout=10)

        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "too many connections" in refused.json()["detail"]
        wait_for(partial(is_well, url))


def test_a_port_that_is_taken_ends_the_service_with_a_word(guarded: Service) -> None:
    taken = [sys.executable, "-m", "mlnode.service", "--port", guarded.url.rpartition(":")[2]]

    ended = subprocess.run(taken, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
