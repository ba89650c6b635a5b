"""One signer's queue of messages: batches, signs, broadcasts, and repeats until each is in a block.

Sequences are kept here and corrected by what the chain says. A transaction is on disk before it is broadcast,
so a restart sends the very same bytes again, and nothing can take effect twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Sequence

import structlog
from google.protobuf.message import Message

from api_node.gas import (
    FREE_TYPES,
    GAS_FACTOR_MAX,
    Price,
    gas_limit,
    gas_limit_simulated,
    simulated_gas,
    wants_simulation,
)
from api_node.metrics import Metrics
from api_node.outbox import Entry, Outbox, SentTx, Status
from api_node.sequences import block_of_sequence, in_block
from client.chain import AsyncChainClient, ChainError, ChainUnreachableError, TxReply, is_pending
from client.keys import Key
from client.tx import Signer, build, pack, tx_hash
from protocol.descriptors import signer_field
from protocol.gen.cosmos.authz.v1beta1 import tx_pb2 as authz_pb2

log = structlog.get_logger("api_node.sender")

__all__ = ["Price", "Sender", "expected_sequence", "gather", "in_own_name"]

MESSAGES_PER_TX_MAX = 50
TX_BYTES_MAX = 500_000
TXS_IN_FLIGHT_MAX = 32
# Messages that come together travel together; what is taken back at once was never sent.
GATHER_S = 0.05
RETRY_S = 0.5
# The index of transactions may be behind the blocks.
INDEX_LAG_BLOCKS = 2
KEPT_BLOCKS = 1000
CODE_OUT_OF_GAS = 11
CODE_TX_IN_CACHE = 19
CODE_MEMPOOL_FULL = 20
CODE_TIMEOUT_HEIGHT = 30
CODE_WRONG_SEQUENCE = 32
# What CheckTx says of a transaction that will never be better for waiting.
HOPELESS = (2, 7, 8, 10, 12, 14, 15, 18, 21)
_EXPECTED = re.compile(r"expected ([0-9]{1,18}), got", re.ASCII)


def expected_sequence(text: str) -> int | None:
    """The sequence that the chain says it expects."""
    found = _EXPECTED.search(text)
    return int(found.group(1)) if found else None


def gather(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Which messages share a transaction: neighbours of one type and deadline, within the limits."""
    groups: list[list[Entry]] = []
    size = 0
    for entry in entries:
        last = groups[-1][-1] if groups else None
        fits = (
            last is not None
            and not (entry.alone or last.alone)
            and (entry.type, entry.height_deadline, entry.gas_factor)
            == (last.type, last.height_deadline, last.gas_factor)
            and len(groups[-1]) < MESSAGES_PER_TX_MAX
            and size + len(entry.body) <= TX_BYTES_MAX
        )
        if not fits:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += len(entry.body)
    return groups


def in_own_name(messages: Sequence[Message], address: str) -> list[Message]:
    """The messages as this account may send them: those of another account within one MsgExec."""
    signers = {_signer_of(message) for message in messages}
    if signers <= {address}:
        return list(messages)
    return [authz_pb2.MsgExec(grantee=address, msgs=[pack(message) for message in messages])]


def _signer_of(message: Message) -> str:
    name = signer_field(message.DESCRIPTOR)
    assert name is not None, f"{message.DESCRIPTOR.full_name} declares no signer"
    signer: str = getattr(message, name)
    return signer


class Sender:
    """Sends what is put into its outbox with one account's key; for others by what they granted it."""

    def __init__(
        self, chain: AsyncChainClient, key: Key, outbox: Outbox, metrics: Metrics, price: Price | None = None
    ) -> None:
        self.outbox = outbox
        self.problem = ""
        self._chain = chain
        self._key = key
        self._metrics = metrics
        self._price = price or Price()
        self._chain_id = ""
        self._account_number = 0
        self._sequence: int | None = None
        self._height = 0
        self._wake = asyncio.Event()
        self._waiters: dict[str, list[asyncio.Future[Entry]]] = {}
        self._missed_since: dict[str, int] = {}

    # for those who have something to say

    def submit(self, key: str, message: Message, height_deadline: int = 0, *, retry: bool = False) -> bool:
        """Queues a message once by its key; it is in a block by the deadline or given up. False: known."""
        put = self.outbox.retry if retry else self.outbox.put
        fresh = put(key, message, height_deadline)
        if fresh:
            self._metrics.tx_queue.set(self.outbox.waiting())
            self._wake.set()
        return fresh

    def withdraw(self, key: str) -> bool:
        """Takes back what was not sent yet."""
        return self.outbox.withdraw(key)

    async def outcome(self, key: str) -> Entry:
        """The message once its fate is known; raises KeyError where no such message was queued."""
        entry = self.outbox.get(key)
        if entry is None:
            raise KeyError(key)
        if entry.status in {Status.INCLUDED, Status.FAILED, Status.EXPIRED}:
            return entry
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, []).append(future)
        return await future

    def on_block(self, height: int) -> None:
        """A new block: what is in flight may be in it, and what waited may be sent."""
        self._height = max(self._height, height)
        self._wake.set()

    # the loop

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            try:
                if await self.flush():
                    continue
                wait_s = RETRY_S
            except ChainUnreachableError as error:
                self._note(str(error))
                wait_s = 2 * RETRY_S
            except ChainError as error:
                self._note(str(error))
                wait_s = RETRY_S
            if self.outbox.waiting():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait_s)
                self._wake.set()

    async def flush(self) -> bool:
        """One round: settle what landed, give up what is late, send what waits; true when nothing is left."""
        if not self._chain_id:
            await self._learn()
        await self._settle()
        self._finished(self.outbox.expire(self._height), Status.EXPIRED)
        await self._send_pending()
        self.outbox.prune(self._height - KEPT_BLOCKS)
        waiting = self.outbox.waiting()
        self._metrics.tx_queue.set(waiting)
        return waiting == 0

    async def _learn(self) -> None:
        status = await self._chain.status()
        self._height = max(self._height, int(status["sync_info"]["latest_block_height"]))
        account = await self._chain.account(self._key.address)
        self._account_number, self._sequence = account.account_number, account.sequence
        self._chain_id = status["node_info"]["network"]
        flying = self.outbox.in_flight()
        if flying:
            # They are broadcast again with their own bytes; new ones come behind them.
            self._sequence = max(account.sequence, flying[-1].sequence + 1)

    # what is in flight

    async def _settle(self) -> None:
        flying = self.outbox.in_flight()
        if not flying:
            return
        committed: int | None = None
        for sent in flying:
            reply = await self._found(sent)
            if reply is not None:
                with self.outbox.whole():
                    self._landed(sent, reply)
                continue
            if committed is None:
                committed = (await self._chain.account(self._key.address)).sequence
            if committed > sent.sequence:
                await self._overtaken(sent)
            elif not await self._broadcast_again(sent):
                break

    async def _found(self, sent: SentTx) -> TxReply | None:
        try:
            return await self._chain.tx(sent.hash)
        except ChainUnreachableError:
            raise
        except ChainError as error:
            if is_pending(error):
                return None
            raise

    async def _overtaken(self, sent: SentTx) -> None:
        """Its sequence is used up: by itself, and the index is behind, or by another one. The block tells."""
        try:
            height = await block_of_sequence(self._chain, self._key.address, sent.sequence, self._height)
            reply = await in_block(self._chain, height, sent.hash) if height else None
        except ChainUnreachableError:
            raise
        except ChainError as error:
            log.info("states behind former blocks are not kept, waiting for the index", problem=str(error))
            height = reply = None
        since = self._missed_since.setdefault(sent.hash, self._height)
        if reply is not None:
            with self.outbox.whole():
                self._landed(sent, reply)
        elif height or self._height >= since + INDEX_LAG_BLOCKS:
            del self._missed_since[sent.hash]
            with self.outbox.whole():
                self.outbox.again(self.outbox.of_tx(sent.hash))
                self.outbox.landed(sent.hash)

    async def _broadcast_again(self, sent: SentTx) -> bool:
        """Puts a transaction back where the mempool lost it; false where those behind it must wait."""
        reply = await self._hand_over(sent.raw)
        if reply.code in {0, CODE_TX_IN_CACHE}:
            return True
        if reply.code == CODE_WRONG_SEQUENCE and (expected_sequence(reply.log) or 0) > sent.sequence:
            return True  # another of ours with its number is in the mempool: the next block tells which
        # Its number was not used, so it is in no block and can be in none before it is signed anew.
        self._release(sent, reply)
        self._sequence = None
        return False

    def _release(self, sent: SentTx, reply: TxReply) -> None:
        entries = self.outbox.of_tx(sent.hash)
        with self.outbox.whole():
            self.outbox.again(entries)
            self.outbox.landed(sent.hash)
        if reply.code in HOPELESS:
            self._refused(entries, reply)

    def _landed(self, sent: SentTx, reply: TxReply) -> None:
        entries = self.outbox.of_tx(sent.hash)
        self.outbox.landed(sent.hash)
        self._missed_since.pop(sent.hash, None)
        if reply.code == 0:
            self.problem = ""
            self.outbox.finish(entries, Status.INCLUDED, height=reply.height)
            self._finished(entries, Status.INCLUDED)
        elif reply.code == CODE_OUT_OF_GAS and entries and entries[0].gas_factor < GAS_FACTOR_MAX:
            self.outbox.again(entries, gas_factor=2 * entries[0].gas_factor)
        elif reply.code == CODE_WRONG_SEQUENCE and reply.codespace == "sdk":
            self.outbox.again(entries)
            self._sequence = None
        elif len(entries) > 1:
            # One of them is at fault: each shows on its own which.
            self.outbox.again(entries, alone=True)
        else:
            self._refused(entries, reply)

    def _refused(self, entries: Sequence[Entry], reply: TxReply) -> None:
        for entry in entries:
            log.warning("message refused", key=entry.key, code=reply.code, text=reply.log)
        self.outbox.finish(entries, Status.FAILED, reply.code, reply.log, reply.height)
        self._finished(entries, Status.FAILED)

    def _finished(self, entries: Iterable[Entry], status: Status) -> None:
        for entry in entries:
            kind = entry.type.rpartition(".")[2]
            self._metrics.tx_broadcast.labels(kind, str(status)).inc()
            if status == Status.EXPIRED:
                log.warning("message given up", key=entry.key, height_deadline=entry.height_deadline)
            settled = self.outbox.get(entry.key)
            assert settled is not None, "a finished message is kept for a while"
            for future in self._waiters.pop(entry.key, ()):
                if not future.done():
                    future.set_result(settled)

    # what waits

    async def _send_pending(self) -> None:
        room = TXS_IN_FLIGHT_MAX - len(self.outbox.in_flight())
        for group in gather(self.outbox.pending())[: max(0, room)]:
            if not await self._send(group):
                return

    async def _send(self, group: list[Entry]) -> bool:
        """Signs and broadcasts one transaction; false where what follows must wait."""
        gas = await self._gas(group)
        for _ in range(3):
            if self._sequence is None:
                self._sequence = (await self._chain.account(self._key.address)).sequence
            raw = self._signed(group, self._sequence, gas)
            digest = tx_hash(raw)
            self.outbox.sent(group, digest, raw, self._sequence)
            reply = await self._hand_over(raw)
            if reply.code in {0, CODE_TX_IN_CACHE}:
                self._sequence += 1
                return True
            with self.outbox.whole():
                self.outbox.again(group)
                self.outbox.landed(digest)
            if reply.code != CODE_WRONG_SEQUENCE:
                return self._not_taken(group, reply)
            self._sequence = expected_sequence(reply.log)
        self._note("the account's sequence does not settle: is its key in use elsewhere?")
        return False

    def _not_taken(self, group: list[Entry], reply: TxReply) -> bool:
        self._note(reply.log)
        if reply.code == CODE_OUT_OF_GAS and group[0].gas_factor < GAS_FACTOR_MAX:
            self.outbox.again(group, gas_factor=2 * group[0].gas_factor)
            return True
        if reply.code not in HOPELESS:
            return False
        if len(group) > 1:
            self.outbox.again(group, alone=True)
        else:
            self._refused(group, reply)
        return True

    async def _hand_over(self, raw: bytes) -> TxReply:
        """What CheckTx says; the mempool's own refusals as codes."""
        try:
            return await self._chain.broadcast(raw)
        except ChainUnreachableError:
            raise
        except ChainError as error:
            if "already exists in cache" in str(error):
                return TxReply(tx_hash(raw), CODE_TX_IN_CACHE, "sdk", str(error))
            return TxReply(tx_hash(raw), CODE_MEMPOOL_FULL, "sdk", str(error))

    async def _gas(self, group: list[Entry]) -> int:
        """The gas limit: by simulation where that is worth an answer of the chain, else by the schedule."""
        if not wants_simulation(group, self._price):
            return gas_limit(group)
        account = await self._chain.account(self._key.address)
        # A simulation runs on the last block, where what is in the mempool is not yet.
        raw = self._signed(group, account.sequence, gas_limit(group))
        used = await simulated_gas(self._chain, raw)
        return gas_limit(group) if used is None else gas_limit_simulated(group, used)

    def _signed(self, group: list[Entry], sequence: int, gas: int) -> bytes:
        free = all(entry.type in FREE_TYPES for entry in group)
        signer = Signer(self._key, self._account_number, sequence)
        messages = in_own_name([entry.message for entry in group], self._key.address)
        fee = self._price.fee(gas, free=free)
        return build(messages, [signer], self._chain_id, fee, timeout_height=group[0].height_deadline)

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            log.info("transactions wait", reason=problem, waiting=self.outbox.waiting(), retry_s=RETRY_S)
        self.problem = problem
