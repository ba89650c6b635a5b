"""What is queued gets into a block once, whatever happens to sequences, mempool, RPC and process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import pytest

from abci_app.ante import FREE_GAS_MAX
from abci_app.kernel.errors import QueryError
from api_node import sender as sender_module
from api_node.gas import GAS_FREE_MAX, Price, gas_limit
from api_node.metrics import Metrics
from api_node.outbox import Outbox, Status
from api_node.sender import Sender, expected_sequence, gather, in_own_name
from cli.tx_authz import grant_messages, protocol_messages
from client.chain import AsyncChainClient
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx_pb2
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.api_node.comet import Comet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisParticipant, a_model, app_state, key_of

pytestmark = pytest.mark.anyio

ALICE = key_of("alice")


def diff(*node_ids: str, model: str = "model/x") -> hardware_pb2.MsgSubmitHardwareDiff:
    nodes = [
        hardware_pb2.MLNode(node_id=each, models=[model], host="127.0.0.1", port=8080) for each in node_ids
    ]
    return hardware_pb2.MsgSubmitHardwareDiff(creator=ALICE.address, new_or_modified=nodes)


@pytest.fixture
def comet() -> Comet:
    chain = Chain(app_state([GenesisParticipant("alice", 10), GenesisParticipant("bob", 10)], [a_model()]))
    chain.run_to(1)
    return Comet(chain)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite")


@contextlib.asynccontextmanager
async def sending(comet: Comet, outbox: Outbox, price: Price | None = None) -> AsyncIterator[Sender]:
    """A sender at work, told of blocks by nobody but the test."""
    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        sender = Sender(chain, ALICE, outbox, Metrics(), price)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            await asyncio.wait([task])
            await chain.close()


async def in_mempool(comet: Comet, count: int = 1) -> None:
    await wait_for(lambda: len(comet.mempool) == count)


async def block(comet: Comet, sender: Sender) -> None:
    await comet.block()
    sender.on_block(comet.chain.height)


def nodes_on_chain(comet: Comet) -> list[str]:
    request = hardware_pb2.QueryHardwareNodesRequest(participant=ALICE.address)
    answer = comet.chain.query(request, hardware_pb2.QueryHardwareNodesResponse)
    return [each.node.node_id for each in answer.nodes]


async def test_messages_that_come_together_share_a_transaction(comet: Comet, outbox: Outbox) -> None:
    async with sending(comet, outbox) as sender:
        for name in ("a", "b", "c"):
            sender.submit(name, diff(name))
        await in_mempool(comet)
        await block(comet, sender)
        settled = [await sender.outcome(name) for name in ("a", "b", "c")]

    assert {entry.status for entry in settled} == {Status.INCLUDED}
    assert len({entry.tx_hash for entry in settled}) == 1
    assert nodes_on_chain(comet) == ["a", "b", "c"]


async def test_transactions_follow_one_another_without_waiting_for_blocks(
    comet: Comet, outbox: Outbox
) -> None:
    async with sending(comet, outbox) as sender:
        for count, name in enumerate(("a", "b", "c"), 1):
            sender.submit(name, diff(name))
            await in_mempool(comet, count)
        await block(comet, sender)
        await sender.outcome("c")

    assert nodes_on_chain(comet) == ["a", "b", "c"]


async def test_one_bad_message_does_not_take_its_company_with_it(comet: Comet, outbox: Outbox) -> None:
    async with sending(comet, outbox) as sender:
        sender.submit("good", diff("good"))
        sender.submit("bad", diff("bad", model="no/model"))
        sender.submit("fine", diff("fine"))
        await in_mempool(comet)
        await block(comet, sender)
        await in_mempool(comet, 3)
        await block(comet, sender)
        bad = await sender.outcome("bad")
        good = [await sender.outcome(name) for name in ("good", "fine")]

    assert bad.status == Status.FAILED
    assert "no/model" in bad.log
    assert {entry.status for entry in good} == {Status.INCLUDED}
    assert nodes_on_chain(comet) == ["good", "fine"]


async def test_a_key_that_is_used_elsewhere_costs_a_retry_only(comet: Comet, outbox: Outbox) -> None:
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"))
        await in_mempool(comet)
        await block(comet, sender)
        comet.chain.must("alice", diff("elsewhere"))
        sender.submit("b", diff("b"))
        await in_mempool(comet)
        await block(comet, sender)
        settled = await sender.outcome("b")

    assert settled.status == Status.INCLUDED
    assert nodes_on_chain(comet) == ["a", "elsewhere", "b"]


async def test_what_the_mempool_lost_is_broadcast_again_with_the_same_bytes(
    comet: Comet, outbox: Outbox
) -> None:
    lost: list[bytes] = []

    def drop_once(raw: bytes) -> bool:
        lost.append(raw)
        return len(lost) == 1

    comet.drop = drop_once
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"))
        await wait_for(lambda: lost)
        await block(comet, sender)
        await in_mempool(comet)
        await block(comet, sender)
        settled = await sender.outcome("a")

    assert settled.status == Status.INCLUDED
    assert lost[0] == lost[1]
    assert nodes_on_chain(comet) == ["a"]


async def test_an_index_that_lags_does_not_make_a_message_be_sent_twice(comet: Comet, outbox: Outbox) -> None:
    comet.index_lag = 1
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"))
        await in_mempool(comet)
        await block(comet, sender)
        await asyncio.sleep(0.7)
        await block(comet, sender)
        settled = await sender.outcome("a")

    assert settled.status == Status.INCLUDED
    assert len({bytes(raw) for raw in comet.broadcasts}) == 1


async def test_a_message_is_given_up_after_its_deadline(comet: Comet, outbox: Outbox) -> None:
    comet.drop = lambda _: True
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"), comet.chain.height + 2)
        await wait_for(lambda: comet.broadcasts)
        for _ in range(4):
            await block(comet, sender)
        settled = await asyncio.wait_for(sender.outcome("a"), 5)

    assert settled.status == Status.EXPIRED
    assert nodes_on_chain(comet) == []


async def test_a_key_is_queued_once_and_known_after_a_restart(comet: Comet, tmp_path: Path) -> None:
    path = tmp_path / "restart.sqlite"
    first = Outbox(path)
    async with sending(comet, first) as sender:
        assert sender.submit("a", diff("a"))
        assert not sender.submit("a", diff("a"))
        await in_mempool(comet)
    first.close()
    await comet.block()  # while the API node is down

    second = Outbox(path)
    async with sending(comet, second) as sender:
        assert not sender.submit("a", diff("a"))
        sender.submit("b", diff("b"))
        await in_mempool(comet)
        await block(comet, sender)
        settled = [await sender.outcome(name) for name in ("a", "b")]

    assert {entry.status for entry in settled} == {Status.INCLUDED}
    assert nodes_on_chain(comet) == ["a", "b"]


async def test_a_crash_between_disk_and_broadcast_loses_and_doubles_nothing(
    comet: Comet, tmp_path: Path
) -> None:
    path = tmp_path / "crash.sqlite"
    first = Outbox(path)
    comet.drop = lambda _: True
    async with sending(comet, first) as sender:
        sender.submit("a", diff("a"))
        await wait_for(lambda: comet.broadcasts)
    first.close()
    comet.drop = lambda _: False
    await comet.block()

    async with sending(comet, Outbox(path)) as sender:
        sender.submit("b", diff("b"))
        await in_mempool(comet, 2)
        await block(comet, sender)
        settled = [await sender.outcome(name) for name in ("a", "b")]

    assert {entry.status for entry in settled} == {Status.INCLUDED}
    assert nodes_on_chain(comet) == ["a", "b"]


async def test_nothing_is_lost_while_the_rpc_is_away(comet: Comet, outbox: Outbox) -> None:
    chain = AsyncChainClient("http://127.0.0.1:1", timeout_s=0.2)
    sender = Sender(chain, ALICE, outbox, Metrics())
    task = asyncio.create_task(sender.run())
    sender.submit("a", diff("a"))
    await wait_for(lambda: sender.problem)
    task.cancel()
    await asyncio.wait([task])
    await chain.close()

    async with sending(comet, outbox) as again:
        again.on_block(comet.chain.height)
        await in_mempool(comet)
        await block(comet, again)
        settled = await again.outcome("a")

    assert settled.status == Status.INCLUDED


async def test_what_was_taken_back_in_time_is_never_sent(comet: Comet, outbox: Outbox) -> None:
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"))
        assert sender.withdraw("a")
        sender.submit("b", diff("b"))
        await in_mempool(comet)
        await block(comet, sender)
        await sender.outcome("b")

        assert not sender.withdraw("b")
        with pytest.raises(KeyError):
            await sender.outcome("a")

    assert nodes_on_chain(comet) == ["b"]


async def test_messages_of_other_deadlines_or_marked_alone_get_their_own_transaction(outbox: Outbox) -> None:
    for key, deadline in (("a", 5), ("b", 5), ("c", 6), ("d", 6)):
        outbox.put(key, diff(key), deadline)
    outbox.again([entry for entry in outbox.pending() if entry.key == "d"], alone=True)

    groups = gather(outbox.pending())

    assert [[entry.key for entry in group] for group in groups] == [["a", "b"], ["c"], ["d"]]


async def test_the_expected_sequence_is_read_from_the_chains_words() -> None:
    assert (
        expected_sequence("account sequence mismatch, expected 12, got 9: incorrect account sequence") == 12
    )
    assert expected_sequence("out of gas") is None


async def test_a_warm_key_sends_for_its_participant_by_what_was_granted(comet: Comet, outbox: Outbox) -> None:
    warm = key_of("warm")
    messages = grant_messages(ALICE.address, warm.address, protocol_messages(), "")
    comet.chain.must("alice", *messages)
    async with served(comet.app()) as url:
        chain = AsyncChainClient(url)
        sender = Sender(chain, warm, outbox, Metrics())
        for name in ("a", "b"):
            sender.submit(name, diff(name))
        await sender.flush()
        await comet.block()
        sender.on_block(comet.chain.height)
        await sender.flush()
        settled = [await sender.outcome(name) for name in ("a", "b")]
        await chain.close()

    assert {entry.status for entry in settled} == {Status.INCLUDED}
    assert nodes_on_chain(comet) == ["a", "b"]
    assert comet.chain.sequence("warm") == 1


def test_only_messages_of_another_account_are_wrapped() -> None:
    own = in_own_name([diff("a")], ALICE.address)
    others = in_own_name([diff("a"), diff("b")], key_of("warm").address)

    assert own == [diff("a")]
    assert [type(each).__name__ for each in others] == ["MsgExec"]
    assert len(others[0].msgs) == 2  # type: ignore[attr-defined]


def test_verdicts_get_gas_for_all_that_they_make_the_chain_read(outbox: Outbox) -> None:
    group = poc_pb2.PocVerdictGroup(verdict=poc_pb2.VERDICT_HONEST, places=range(241))
    outbox.put("verdicts", poc_pb2.MsgSubmitPocValidations(creator=ALICE.address, groups=[group]))
    outbox.put("hardware", diff("gpu"))

    verdicts, hardware = outbox.pending()

    # A verdict uses some 7,000, however many voters there are.
    assert 1.4 * 241 * 7_000 < gas_limit([verdicts]) < 3_000_000
    assert gas_limit([hardware]) < 1_000_000


def test_no_transaction_asks_for_more_gas_than_the_chain_gives_for_nothing(outbox: Outbox) -> None:
    group = poc_pb2.PocVerdictGroup(verdict=poc_pb2.VERDICT_HONEST, places=range(10_000))
    outbox.put("verdicts", poc_pb2.MsgSubmitPocValidations(creator=ALICE.address, groups=[group]))

    assert gas_limit(outbox.pending()) == GAS_FREE_MAX == FREE_GAS_MAX


# gas


PAID = Price(Fraction(1, 1000))


def gas_of(comet: Comet) -> list[int]:
    """The gas limits of all transactions that were broadcast."""
    raws = (tx_pb2.TxRaw.FromString(raw) for raw in comet.broadcasts)
    return [tx_pb2.AuthInfo.FromString(raw.auth_info_bytes).fee.gas_limit for raw in raws]


def joining(url: str) -> hardware_pb2.MsgSubmitNewParticipant:
    return hardware_pb2.MsgSubmitNewParticipant(creator=ALICE.address, url=url)


async def test_gas_that_is_paid_for_is_simulated_and_free_gas_follows_the_schedule(
    comet: Comet, outbox: Outbox
) -> None:
    async with sending(comet, outbox, PAID) as sender:
        sender.submit("paid", joining("http://alice.test"))
        sender.submit("free", diff("a"))
        await in_mempool(comet, 2)
        results = await comet.block()
        sender.on_block(comet.chain.height)
        settled = [await sender.outcome(name) for name in ("paid", "free")]

    assert {entry.status for entry in settled} == {Status.INCLUDED}
    paid, free = gas_of(comet)
    # A simulated transaction is a few bytes shorter or longer than the real one.
    assert 1.3 * results[0].gas_used < paid < 1.7 * results[0].gas_used
    assert free == gas_limit([settled[1]])


async def test_without_a_simulation_the_schedule_holds(
    comet: Comet, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise QueryError("Unknown", "simulation is switched off")

    monkeypatch.setattr(comet.chain.app.queries, "_simulate", refused)
    async with sending(comet, outbox, PAID) as sender:
        sender.submit("paid", joining("http://alice.test"))
        await in_mempool(comet)
        await block(comet, sender)
        settled = await sender.outcome("paid")

    assert settled.status == Status.INCLUDED
    assert gas_of(comet) == [gas_limit([settled])]


@pytest.mark.parametrize("little_gas", [30_000, 45_000])
async def test_what_ran_out_of_gas_is_sent_again_with_more_as_simulated(
    comet: Comet, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, little_gas: int
) -> None:
    """The lower one is refused by the mempool, the higher one fails in a block."""
    monkeypatch.setattr(sender_module, "gas_limit", lambda _: little_gas)
    async with sending(comet, outbox) as sender:
        sender.submit("a", diff("a"))
        await in_mempool(comet)
        first = await comet.block()
        sender.on_block(comet.chain.height)
        await wait_for(lambda: len(comet.broadcasts) == 2)
        if first[0].code:
            await in_mempool(comet)
            await block(comet, sender)
        settled = await asyncio.wait_for(sender.outcome("a"), 5)

    assert (first[0].code == 0) == (little_gas == 30_000)
    assert (settled.status, settled.gas_factor) == (Status.INCLUDED, 2)
    assert nodes_on_chain(comet) == ["a"]
    low, high = gas_of(comet)
    assert low == little_gas < high <= GAS_FREE_MAX


# the process ends at any point


class Killed(BaseException):
    """The process ended here."""


class Mortal:
    """Ends the process before or after the nth step on disk or towards the chain."""

    def __init__(self, at: int) -> None:
        self.left = at

    def wrap(self, thing: object, name: str) -> None:
        method = getattr(thing, name)

        def step(*values: object, **named: object) -> object:
            self._live()
            result = method(*values, **named)
            self._live()
            return result

        async def async_step(*values: object, **named: object) -> object:
            self._live()
            result = await method(*values, **named)
            self._live()
            return result

        setattr(thing, name, async_step if inspect.iscoroutinefunction(method) else step)

    def _live(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


PAYMENTS_NEVG = (1, 10, 100)


async def life(comet: Comet, url: str, path: Path, mortal: Mortal | None) -> bool:
    """One process: queues all payments and sends until they are in blocks; false where it was killed."""
    chain, outbox = AsyncChainClient(url), Outbox(path)
    sender = Sender(chain, ALICE, outbox, Metrics())
    try:
        if mortal:
            for name in ("sent", "again", "landed", "finish"):
                mortal.wrap(outbox, name)
            for name in ("broadcast", "tx", "account"):
                mortal.wrap(chain, name)
        for amount in PAYMENTS_NEVG:
            # Each in a transaction of its own.
            sender.submit(f"pay/{amount}", payment(amount), 1000 + amount)
        for _ in range(12):
            if await sender.flush():
                return True
            await comet.block()
            sender.on_block(comet.chain.height)
        pytest.fail("not all payments are in blocks")
    except Killed:
        return False
    finally:
        outbox.close()
        await chain.close()


def payment(amount: int) -> bank_tx_pb2.MsgSend:
    coins = [coin_pb2.Coin(denom="nevg", amount=str(amount))]
    return bank_tx_pb2.MsgSend(from_address=ALICE.address, to_address=key_of("bob").address, amount=coins)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_without_an_index_the_blocks_tell_which_transaction_used_a_sequence(
    comet: Comet, outbox: Outbox, elsewhere: bool
) -> None:
    comet.index_lag = 10**6
    comet.drop = lambda _: elsewhere
    before = comet.chain.balance("bob")
    async with sending(comet, outbox) as sender:
        sender.submit("pay", payment(7))
        await wait_for(lambda: comet.broadcasts)
        if elsewhere:
            # The key is used by somebody else, in the place of a transaction that the mempool lost.
            comet.chain.must("alice", diff("elsewhere"))
            comet.drop = lambda _: False
        for _ in range(5):
            await block(comet, sender)
            await asyncio.sleep(0.3)
        settled = await asyncio.wait_for(sender.outcome("pay"), 5)

    assert settled.status == Status.INCLUDED
    assert comet.chain.balance("bob") - before == 7
    assert len(comet.broadcasts) == (2 if elsewhere else 1)


@pytest.mark.slow
async def test_wherever_the_process_is_killed_each_message_takes_effect_once(tmp_path: Path) -> None:
    survived, at = False, 0
    while not survived:
        at += 1
        chain = Chain(
            app_state([GenesisParticipant("alice", 10), GenesisParticipant("bob", 10)], [a_model()])
        )
        chain.run_to(1)
        comet = Comet(chain)
        before = chain.balance("bob")
        path = tmp_path / f"{at}.sqlite"
        async with served(comet.app()) as url:
            survived = await life(comet, url, path, Mortal(at))
            await comet.block()
            assert await life(comet, url, path, None)

        assert chain.balance("bob") - before == sum(PAYMENTS_NEVG), f"killed at step {at}"
    assert at > 20
