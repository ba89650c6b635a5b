"""Following blocks: by websocket, by polling where it is silent, across losses; views of one height."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from api_node.chain import BlockWatcher, ChainReader, height_of_event
from client.chain import AsyncChainClient
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from tests.api_node.comet import Comet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def comet() -> Comet:
    nodes = (GenesisNode("n1", ("model/x",), 100), GenesisNode("n2", ("model/x",), 50))
    chain = Chain(app_state([GenesisParticipant("alice", nodes=nodes)], [a_model()]))
    chain.run_to(2)
    return Comet(chain)


@contextlib.asynccontextmanager
async def watching(comet: Comet, poll_interval_s: float = 60) -> AsyncIterator[BlockWatcher]:
    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        watcher = BlockWatcher(chain, poll_interval_s)
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.wait([task])
            await chain.close()


async def test_the_height_at_the_start_and_each_new_one_are_announced(comet: Comet) -> None:
    async with watching(comet) as watcher:
        first = await asyncio.wait_for(watcher.newer_than(0), 5)
        await wait_for(lambda: comet.listeners)
        await comet.block()
        second = await asyncio.wait_for(watcher.newer_than(first), 5)

    assert (first, second) == (2, 3)


async def test_a_lost_subscription_is_made_again_and_catches_up(comet: Comet) -> None:
    async with watching(comet) as watcher:
        await wait_for(lambda: comet.listeners)
        comet.silent = True
        await comet.block()
        for socket in comet.listeners:
            await socket.close()
        caught_up = await asyncio.wait_for(watcher.newer_than(2), 5)

    assert caught_up == 3


async def test_where_nothing_is_announced_heights_are_polled(comet: Comet) -> None:
    comet.silent = True
    async with watching(comet, poll_interval_s=0.1) as watcher:
        await wait_for(lambda: watcher.height == 2)
        await comet.block()

        assert await asyncio.wait_for(watcher.newer_than(2), 5) == 3


async def test_heights_never_fall(comet: Comet) -> None:
    watcher = BlockWatcher(AsyncChainClient("http://127.0.0.1:1"), 1)

    for height in (5, 3, 5, 4):
        watcher.announce(height)

    assert watcher.height == 5


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"result": {}}', '{"result": {"data": null}}', b"\xff"])
async def test_a_message_that_tells_of_no_block_has_no_height(text: str | bytes) -> None:
    assert height_of_event(text) is None


async def test_a_view_holds_models_nodes_and_powers_of_one_height(comet: Comet) -> None:
    alice = key_of("alice").address
    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        reader = ChainReader(chain, alice)
        await comet.block()

        view = await reader.view(2)
        await chain.close()

    assert view.height == 2
    assert view.chain_id == comet.chain.chain_id
    assert list(view.effective.models) == ["model/x"]
    assert view.effective.model_of("n1", epochs_pb2.PRE_POC_SLOT) == "model/x"
    assert view.effective.model_of("n1", epochs_pb2.POC_SLOT) is None
    assert sorted(view.registered) == ["n1", "n2"]
    assert view.effective.voting_powers.keys() == {alice}
    assert view.upcoming is None


async def test_the_slots_drawn_one_block_before_the_poc_are_in_the_next_view(comet: Comet) -> None:
    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        reader = ChainReader(chain, key_of("alice").address)
        before = await reader.view()
        comet.chain.run_to(10)
        at_start = await reader.view()
        await chain.close()

    assert before.upcoming is None
    assert at_start.upcoming is not None
    assert at_start.upcoming.poc_seed
    assert at_start.heights is not None
    assert (at_start.heights.start, at_start.heights.switch) == (10, 25)
    assert before.effective is not at_start.effective


async def test_a_query_is_asked_once_for_each_height(comet: Comet) -> None:
    asked: list[str] = []

    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        reader = ChainReader(chain, key_of("alice").address)
        await reader.view()
        call = chain.call

        async def counted(body: dict[str, object]) -> dict[str, object]:
            asked.append(str(body["method"]))
            return await call(body)

        chain.call = counted  # type: ignore[method-assign]
        request, response = epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse
        answers = [(await reader.cached(request, response)).height for _ in range(3)]
        await chain.close()

    assert answers == [2, 2, 2]
    assert asked == ["abci_query"]
