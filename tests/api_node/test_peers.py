"""Whom an API node connects to when the chain says so: public addresses by clean URLs, and nobody else."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, StreamingResponse

from api_node import peers
from api_node.errors import ApiError, ExecutorFailedError
from api_node.peers import forbidden, is_answering, is_public, peer_client, url_errors
from api_node.relay import ChatCall, relay
from tests.api_node.serving import served

pytestmark = pytest.mark.anyio

PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1"),
)


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_of_this_machine_its_networks_and_their_wrappings_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    assert forbidden(["1.1.1.1", text]) == text


def test_addresses_of_the_internet_are_public() -> None:
    assert all(is_public(ipaddress.ip_address(text)) for text in ("1.1.1.1", "2606:4700::1111"))
    assert forbidden([]) == "nothing"


def test_a_url_is_told_all_that_is_wrong_with_it() -> None:
    assert url_errors("https://node.example:9000/base") == []
    wrong = url_errors("ftp://me:secret@host:0/x?y#z")

    assert len(wrong) == 4
    assert url_errors("http://a\\@b") == ["it has characters that no URL has"]
    assert url_errors("http://") == ["it names no host"]
    assert url_errors("http://a:99999/")
    assert url_errors("http://a/" + "x" * 3000)


async def test_without_leave_nothing_private_is_connected_to_by_number_or_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = []
    app = FastAPI()

    @app.get("/{path:path}")
    async def any_path(path: str) -> str:
        reached.append(path)
        return path

    async def rebound(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with served(app) as url, peer_client(5, allow_private=False) as client:
        port = url.rpartition(":")[2]
        for place in (url, f"http://localhost:{port}", f"http://2130706433:{port}", f"http://[::1]:{port}"):
            with pytest.raises(httpx2.ConnectError):
                await client.get(f"{place}/x")
        monkeypatch.setattr(peers, "resolve", rebound)
        with pytest.raises(httpx2.ConnectError, match=r"leads to 127\.0\.0\.1"):
            await client.get(f"http://node.example:{port}/x")
        with pytest.raises(httpx2.ConnectError, match="credentials"):
            await client.get("http://me:secret@node.example/x")

    assert reached == []


async def asked(app: FastAPI) -> ApiError:
    """What becomes of a call to an executor."""
    call = ChatCall("id", "m", b"{}", stream=False)
    async with served(app) as url, peer_client(5, allow_private=True) as client:
        with pytest.raises(ApiError) as refused:
            await relay(client, f"{url}/x", call, headers={}, timeout_s=5, on_end=lambda _: None)
    return refused.value


async def test_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    app, reached = FastAPI(), []

    @app.post("/x")
    async def away() -> RedirectResponse:
        return RedirectResponse("/y", status_code=307)

    @app.post("/y")
    async def there() -> str:
        reached.append("y")
        return "y"

    error = await asked(app)

    assert isinstance(error, ExecutorFailedError)
    assert reached == []


async def test_an_answer_is_read_no_further_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_node.relay.ANSWER_BYTES_MAX", 100_000)
    app, sent = FastAPI(), []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            await asyncio.sleep(0)
            yield b"x" * 10_000

    @app.post("/x")
    async def answer() -> StreamingResponse:
        return StreamingResponse(endless())

    error = await asked(app)

    assert isinstance(error, ExecutorFailedError)
    assert "larger than 100000 bytes" in error.message
    assert sent


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "no JSON",
        '{"choices":[{"text":"\\ud800"}]}',
        '{"choices":[],"usage":{"prompt_tokens":"x"}}',
    ],
)
async def test_what_is_no_answer_lets_another_executor_be_asked(body: str) -> None:
    app = FastAPI()

    @app.post("/x")
    async def answer() -> StreamingResponse:
        return StreamingResponse(iter([body.encode()]))

    if "usage" in body:
        call = ChatCall("id", "m", b"{}", stream=False)
        ended: list[Any] = []
        async with served(app) as url, peer_client(5, allow_private=True) as client:
            await relay(client, f"{url}/x", call, headers={}, timeout_s=5, on_end=ended.append)
        assert ended == [None]
    else:
        assert isinstance(await asked(app), ExecutorFailedError)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_executor_that_froze_is_given_up_long_before_its_answer_is_late(
    monkeypatch: pytest.MonkeyPatch, is_stream: bool
) -> None:
    monkeypatch.setattr("api_node.relay.LOOK_S", 0.05)
    app, looks = FastAPI(), []

    @app.post("/x")
    async def frozen() -> None:
        await asyncio.sleep(20)

    async def is_alive() -> bool:
        looks.append(1)
        return len(looks) == 2  # a single silent look is forgiven

    call = ChatCall("id", "m", b"{}", stream=is_stream)
    ended: list[Any] = []
    async with served(app) as url, peer_client(30, allow_private=True) as client:
        with pytest.raises(ExecutorFailedError) as refused:
            async with asyncio.timeout(5):
                await relay(
                    client, f"{url}/x", call, headers={}, timeout_s=30, on_end=ended.append, is_alive=is_alive
                )

    assert refused.value.reason == "unreachable"
    assert len(looks) == 4
    await asyncio.sleep(0.05)
    assert ended == [None]


async def test_an_executor_that_is_slow_but_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_node.relay.LOOK_S", 0.02)
    app = FastAPI()

    @app.post("/x")
    async def slow() -> dict[str, Any]:
        await asyncio.sleep(0.3)
        return {"choices": []}

    @app.get("/v1/status", status_code=503)
    async def status() -> None:
        """That it says no more than that it is busy is answer enough."""

    call = ChatCall("id", "m", b"{}", stream=False)
    async with served(app) as url, peer_client(5, allow_private=True) as client:

        async def is_alive() -> bool:
            return await is_answering(client, f"{url}/v1/status", 2)

        reply = await relay(
            client, f"{url}/x", call, headers={}, timeout_s=5, on_end=lambda _: None, is_alive=is_alive
        )

    assert reply.body == {"choices": [], "id": "id"}


async def test_an_answer_that_drips_ends_at_the_longest_time_for_a_whole_one() -> None:
    app = FastAPI()

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(200):
            await asyncio.sleep(0.05)
            yield b" "

    @app.post("/x")
    async def answer() -> StreamingResponse:
        return StreamingResponse(drip())

    call = ChatCall("id", "m", b"{}", stream=False)
    async with served(app) as url, peer_client(5, allow_private=True) as client:
        with pytest.raises(ExecutorFailedError, match=r"within 0\.4 s"):
            async with asyncio.timeout(5):
                await relay(client, f"{url}/x", call, headers={}, timeout_s=0.4, on_end=lambda _: None)
