"""The application: its modules in order, its ante chain, and what each ABCI call does with them.

Between Commits nothing is on disk. FinalizeBlock computes a block on an overlay and its app hash; Commit
writes both in one batch. Both can be asked again after a crash.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app import upgrades
from abci_app.ante import ante_chain
from abci_app.block_ends import PRUNE_BUDGET, begin_block, end_block
from abci_app.genesis import load_genesis
from abci_app.kernel.block import (
    MACHINE_FAILURES,
    TxResult,
    TxRunner,
    encode_events,
    encode_messages,
    encode_result,
)
from abci_app.kernel.collections import NAMES, Item
from abci_app.kernel.context import Block, Context, Event, Mode
from abci_app.kernel.errors import InvalidGasLimit, OutOfGas, TxError
from abci_app.kernel.store import Overlay, collector_paused
from abci_app.kernel.tx import decode
from abci_app.modules import auth, epochs
from abci_app.query import QueryRouter
from protocol.gen.cosmos.authz.v1beta1.tx_pb2 import MsgExec
from protocol.gen.evergrid.app.v1 import app_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.gen.tendermint.crypto import keys_pb2
from protocol.gen.tendermint.types import params_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abci_app.kernel.kv import Reader
    from abci_app.kernel.store import KV, Staged, Store
    from abci_app.kernel.tx import Tx
    from abci_app.stages import AroundStep

APP_VERSION = 1
SOFTWARE_VERSION = "0.1.0"
DECODED_MAX = 20_000
NO_BLOCK_GAS = "no block gas left to run tx: out of gas"

LAST_BLOCK: Item[app_pb2.LastBlock] = Item("app/last_block", app_pb2.LastBlock)
CONSENSUS_PARAMS: Item[params_pb2.ConsensusParams] = Item("app/consensus_params", params_pb2.ConsensusParams)

# Names of the store's parts, as the collections declare them; those that begin with a tilde are bulk.
STORES: tuple[str, ...] = tuple(sorted({name.partition("/")[0] for name in NAMES}))


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What metrics tell of an executed block."""

    height: int
    results: tuple[tuple[str, TxResult], ...]
    events: tuple[Event, ...]
    pruned: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class _Pending:
    staged: Staged
    block: Block
    report: BlockReport


class App:
    """The chain behind the ABCI server.

    `verify_all` checks many signatures at once, on the node's threads. Each named step at the end of a block
    runs within `around_step`, so that the node can take its time.
    """

    def __init__(
        self,
        store: Store,
        *,
        verify_all: Callable[[list[tuple[bytes, bytes, bytes]]], list[bool]] | None = None,
        on_bug: Callable[[str, BaseException], None] = lambda _where, _bug: None,
        on_commit: Callable[[App, BlockReport], None] = lambda _app, _report: None,
        around_step: AroundStep = nullcontext,
        retain_heights: int = 1000,
    ) -> None:
        self.store = store
        self._verify_all = verify_all
        self._on_commit = on_commit
        self._around_step = around_step
        self.retain_heights = retain_heights
        self.on_bug = on_bug
        self._runner = TxRunner(ante_chain(), on_bug)
        self._decoded: OrderedDict[bytes, Tx] = OrderedDict()
        self._pending: _Pending | None = None
        self._genesis: Overlay | None = None
        self._check: Overlay = Overlay(store)
        self.last_block = self._read_last_block()
        self.queries = QueryRouter(self)

    # Facts

    @property
    def chain_id(self) -> str:
        """The chain's id; empty before InitChain."""
        return self.last_block.chain_id

    def _read_last_block(self) -> Block:
        last = LAST_BLOCK.get(Context(Block("", 0), Overlay(self.store)))
        return Block("", 0) if last is None else Block(last.chain_id, last.height, last.time_ns, last.hash)

    def context_at(self, height: int = 0) -> Context:
        """A read-only look at a committed height, 0 for the latest; raises HeightNotRetained."""
        view = self.store.at(height or self.store.version)
        ctx = Context(Block("", 0), Overlay(view))
        last = LAST_BLOCK.get(ctx)
        if last is not None:
            ctx.block = Block(last.chain_id, last.height, last.time_ns, last.hash)
        ctx.gas.used = 0
        return ctx

    def consensus_params(self, ctx: Context) -> params_pb2.ConsensusParams:
        """CometBFT's params as the genesis gave them."""
        return CONSENSUS_PARAMS.get(ctx) or params_pb2.ConsensusParams()

    # ABCI

    def info(self, _req: abci.RequestInfo) -> abci.ResponseInfo:
        """Reads only what the last Commit wrote; raises UpgradeNeededError on a state of newer software."""
        if self.store.version:
            upgrades.check_known(self.context_at())
        return abci.ResponseInfo(
            data="evergrid",
            version=SOFTWARE_VERSION,
            app_version=APP_VERSION,
            last_block_height=self.store.version,
            last_block_app_hash=self.store.app_hash if self.store.version else b"",
        )

    def init_chain(self, req: abci.RequestInitChain) -> abci.ResponseInitChain:
        """Builds the genesis state; raises GenesisError with every reason why it cannot."""
        overlay = Overlay(self.store)
        time_ns = req.time.seconds * 10**9 + req.time.nanos
        block = Block(req.chain_id, req.initial_height - 1 if req.initial_height > 1 else 0, time_ns)
        ctx = Context(block, overlay)
        CONSENSUS_PARAMS.set(ctx, req.consensus_params)
        LAST_BLOCK.set(ctx, app_pb2.LastBlock(chain_id=req.chain_id, height=block.height, time_ns=time_ns))
        load_genesis(ctx, json.loads(req.app_state_bytes or b"{}"))
        updates = epochs.take_validator_updates(ctx)
        if not updates:
            # Without weights in the genesis the genesis file's validators begin, until the first switch.
            given = [(each.pub_key.ed25519, each.power) for each in req.validators]
            epochs.adopt_validators(ctx, given)
        self._genesis = overlay
        self.last_block = block
        self._check = Overlay(overlay)
        response = abci.ResponseInitChain(app_hash=self.store.stage(overlay.changes, 1).app_hash)
        response.validators.extend(_validator_update(key, power) for key, power in updates)
        return response

    def check_tx(self, tx: bytes, recheck: bool) -> bytes:  # noqa: FBT001 - the wire's own flag
        """Runs the ante chain on the state of the mempool."""
        mode = Mode.RECHECK if recheck else Mode.CHECK
        result = self._over_block_gas(tx) or self._run(self._check, self._next_block(), tx, mode)
        return abci.ResponseCheckTx(
            code=result.code,
            codespace=result.codespace,
            log=result.log,
            gas_wanted=result.gas_wanted,
            gas_used=result.gas_used,
        ).SerializeToString()

    def prepare_proposal(self, req: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        """The transactions that pass the ante chain one after another, within the limits of bytes and gas."""
        overlay = Overlay(self.committed_state())
        block = Block(self.chain_id, req.height, req.time.seconds * 10**9 + req.time.nanos)
        gas_max, bytes_left, gas_left = self._max_gas(), req.max_tx_bytes, self._max_gas()
        chosen: list[bytes] = []
        for raw in req.txs:
            size = len(raw) + 8  # the field's tag and length in the block
            # What does not fit leaves no sequence behind, on which its sender's next one would build.
            if size > bytes_left or (gas_max > 0 and self._block_gas(raw) > gas_left):
                continue
            result = self._run(overlay, block, raw, Mode.RECHECK)
            if result.code:
                continue
            chosen.append(raw)
            bytes_left -= size
            gas_left -= self._block_gas(raw)
        return abci.ResponsePrepareProposal(txs=chosen)

    def process_proposal(self, req: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        """Accepts what decodes and keeps the block's gas; what then fails, fails as a result."""
        gas_max, gas = self._max_gas(), 0
        for raw in req.txs:
            try:
                gas += self._decode(raw).block_gas
            except TxError:
                return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.REJECT)
            # At once: what is behind costs as much to decode as what is before.
            if 0 < gas_max < gas:
                return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.REJECT)
        return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT)

    def finalize_block(self, req: abci.RequestFinalizeBlock) -> bytes:
        """Executes a block: transactions, then the end of the block; nothing is written to disk."""
        block = Block(
            self.chain_id,
            req.height,
            req.time.seconds * 10**9 + req.time.nanos,
            req.hash,
            req.proposer_address,
        )
        overlay = Overlay(self.committed_state())
        txs = [(raw, self._try_decode(raw)) for raw in req.txs]
        self._verify_ahead(overlay, block, [tx for _, tx in txs if tx is not None])

        ctx = Context(block, overlay, on_bug=self.on_bug)
        begin_block(ctx, (misbehaviour.validator.address for misbehaviour in req.misbehavior))
        begun = len(ctx.events)
        results = self._deliver(overlay, block, txs)
        with collector_paused():
            pruned = end_block(ctx, self._around_step)
        LAST_BLOCK.set(
            ctx,
            app_pb2.LastBlock(
                chain_id=block.chain_id, height=block.height, time_ns=block.time_ns, hash=block.hash
            ),
        )
        updates = epochs.take_validator_updates(ctx)

        staged = self.store.stage(self._with_genesis(overlay), block.height)
        kinds = (_kind(tx) for _, tx in txs)
        report = BlockReport(block.height, tuple(zip(kinds, results, strict=True)), tuple(ctx.events), pruned)
        self._pending = _Pending(staged, block, report)
        tail = abci.ResponseFinalizeBlock(
            validator_updates=[_validator_update(key, power) for key, power in updates],
            app_hash=staged.app_hash,
        ).SerializeToString()
        encoded = [encode_result(result) for result in results]
        events = _with_mode(ctx.events[:begun], "BeginBlock") + _with_mode(ctx.events[begun:], "EndBlock")
        return encode_events(1, events) + encode_messages(2, encoded) + tail

    def commit(self) -> abci.ResponseCommit:
        """Writes what FinalizeBlock computed, in one synced batch."""
        pending = self._pending
        assert pending is not None, "Commit without FinalizeBlock"
        self.store.commit(pending.staged, pending.block.height)
        self._pending, self._genesis = None, None
        self.last_block = pending.block
        self._check = Overlay(self.store)
        if pending.block.height > self.retain_heights:
            self.store.prune(pending.block.height - self.retain_heights, PRUNE_BUDGET * 20)
        self._on_commit(self, pending.report)
        return abci.ResponseCommit()

    def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
        """Answers from committed state alone, on any thread."""
        return self.queries.abci_query(req)

    def simulate(self, raw: bytes) -> TxResult:
        """Runs a transaction on the latest state and forgets it; gas is counted, not bounded."""
        ctx = self.context_at()
        block = Block(ctx.chain_id, ctx.height + 1, ctx.block.time_ns)
        return self._runner.run(ctx.kv, block, raw, Mode.SIMULATE)

    def reopen(self) -> None:
        """Goes on from what the store holds after a snapshot was taken in."""
        self.store.reopen()
        self._pending = self._genesis = None
        self.last_block = self._read_last_block()
        self._check = Overlay(self.store)

    # Within

    def committed_state(self) -> Reader:
        """The latest state, also between InitChain and the first Commit."""
        return self._genesis if self._genesis is not None else self.store

    def _with_genesis(self, overlay: Overlay) -> dict[bytes, bytes | None]:
        # The genesis state is committed with the first block: CometBFT sends no Commit after InitChain.
        return overlay.changes if self._genesis is None else {**self._genesis.changes, **overlay.changes}

    def _next_block(self) -> Block:
        return Block(self.chain_id, self.last_block.height + 1, self.last_block.time_ns)

    def _max_gas(self) -> int:
        params = CONSENSUS_PARAMS.get(Context(self.last_block, Overlay(self.committed_state())))
        return params.block.max_gas if params is not None else -1

    def _decode(self, raw: bytes) -> Tx:
        tx = self._decoded.get(raw)
        if tx is None:
            tx = decode(raw)
            self._decoded[raw] = tx
            if len(self._decoded) > DECODED_MAX:
                self._decoded.popitem(last=False)
        return tx

    def _block_gas(self, raw: bytes) -> int:
        try:
            return self._decode(raw).block_gas
        except TxError:
            return 0

    def _over_block_gas(self, raw: bytes) -> TxResult | None:
        """The refusal of what no block has room for, None for all else.

        CometBFT would drop it behind our yes, with its sequence used up in the state of the mempool.
        """
        gas_max, gas = self._max_gas(), self._block_gas(raw)
        if not 0 < gas_max < gas:
            return None
        error = InvalidGasLimit(f"tx gas limit {gas} exceeds block max gas {gas_max}")
        return TxResult(error.code, error.codespace, str(error))

    def _try_decode(self, raw: bytes) -> Tx | None:
        try:
            # Handlers get messages that nobody else holds.
            return self._decoded.pop(raw, None) or decode(raw)
        except TxError:
            return None
        except MACHINE_FAILURES:
            raise
        except Exception:  # noqa: BLE001 # determinism: the runner decodes it again and makes a result of it
            return None

    def _run(self, kv: KV, block: Block, raw: bytes, mode: Mode) -> TxResult:
        try:
            tx = self._decode(raw)
        except TxError as error:
            return TxResult(error.code, error.codespace, str(error))
        return self._runner.run(kv, block, raw, mode, tx)

    def _deliver(self, kv: KV, block: Block, txs: Sequence[tuple[bytes, Tx | None]]) -> list[TxResult]:
        """Runs transactions in order; one for whose gas the block has no room is refused and leaves nothing.

        No honest proposer makes such a block and ProcessProposal refuses it, but what is decided must run.
        """
        gas_max, gas, results = self._max_gas(), 0, []
        for raw, tx in txs:
            wanted = tx.block_gas if tx is not None else 0
            if 0 < gas_max < gas + wanted:
                results.append(TxResult(OutOfGas.code, OutOfGas.codespace, NO_BLOCK_GAS))
                continue
            gas += wanted
            results.append(self._runner.run(kv, block, raw, Mode.DELIVER, tx))
        return results

    def _verify_ahead(self, kv: KV, block: Block, txs: Sequence[Tx]) -> None:
        """Verifies what no CheckTx has, all at once: block sync and replay bring whole blocks of it."""
        if self._verify_all is None:
            return
        pending = auth.pending_signatures(Context(block, kv), txs)
        if pending:
            auth.remember_signatures(pending, self._verify_all(pending))


def _with_mode(events: list[Event], mode: str) -> list[Event]:
    """Events of no transaction, with the attribute by which clients tell where in the block they arose."""
    return [Event(event.type, (*event.attributes, ("mode", mode))) for event in events]


def _kind(tx: Tx | None) -> str:
    """The type of a transaction's first message, or of the one within; empty where there is none."""
    if tx is None or not tx.messages:
        return ""
    route, message = tx.messages[0]
    return message.msgs[0].type_url if isinstance(message, MsgExec) and message.msgs else route.type_url


def _validator_update(key: bytes, power: int) -> abci.ValidatorUpdate:
    return abci.ValidatorUpdate(pub_key=keys_pb2.PublicKey(ed25519=key), power=power)
