"""A whole chain in one process: the real application on a store in memory, driven block by block.

Block hashes are SHA-256("block H", or with a seed "block SEED H") and blocks are evenly apart, so every run
gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from abci_app.app import STORES, App
from abci_app.kernel.context import Context
from abci_app.kernel.store import MemoryStore, Overlay
from abci_app.modules import auth, bank
from abci_app.sim.ground import DENOM, GENESIS_TIME_S
from protocol import address
from protocol.descriptors import routes_of
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.google.protobuf import any_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from abci_app.app import BlockReport
    from abci_app.kernel.store import Store
    from abci_app.sim.identity import Identity

R = TypeVar("R")

CHAIN_ID = "evergrid-test-1"
GAS = 10**12
NO_SIGNATURE = bytes(64)
RETAINED_HEIGHTS = 50


@dataclass
class Chain:
    """Drives an App; `last` is what its last block answered, `updates` are all validator updates so far."""

    state: dict[str, Any]
    store: Store = field(default_factory=lambda: MemoryStore(STORES))
    chain_id: str = CHAIN_ID
    initial_height: int = 1
    seconds_ahead: int = 0  # of the time of the next blocks
    hash_seed: str = ""
    genesis_time_s: int = GENESIS_TIME_S
    retain_heights: int = 1000

    def __post_init__(self) -> None:
        self.bugs: list[tuple[str, BaseException]] = []
        self.reports: list[BlockReport] = []
        self.app = self._app()
        self.updates: list[tuple[int, list[tuple[bytes, int]]]] = []
        self.last: abci.ResponseFinalizeBlock = abci.ResponseFinalizeBlock()
        self.height = self.store.version or self.initial_height - 1
        if self.store.version == 0:
            self._init()

    def _app(self) -> App:
        return App(
            self.store,
            on_bug=lambda where, bug: self.bugs.append((where, bug)),
            on_commit=lambda _app, report: self.reports.append(report),
            retain_heights=self.retain_heights,
        )

    def _init(self) -> None:
        request = abci.RequestInitChain(chain_id=self.chain_id, initial_height=self.initial_height)
        request.time.seconds = self.genesis_time_s
        request.consensus_params.block.max_bytes = 22_020_096
        request.consensus_params.block.max_gas = -1
        request.app_state_bytes = json.dumps(self.state).encode()
        response = self.app.init_chain(request)
        self.updates.append((0, [(u.pub_key.ed25519, u.power) for u in response.validators]))

    def request(
        self, txs: Sequence[bytes] = (), misbehaving: Sequence[bytes] = ()
    ) -> abci.RequestFinalizeBlock:
        """The next block as CometBFT would hand it over."""
        height = self.height + 1
        request = abci.RequestFinalizeBlock(height=height, txs=txs, hash=block_hash(height, self.hash_seed))
        request.time.seconds = self.genesis_time_s + height + self.seconds_ahead
        for key in misbehaving:
            found = request.misbehavior.add(type=abci.DUPLICATE_VOTE, height=height - 1)
            found.validator.address = address.consensus_address(key)
        return request

    def block(self, *txs: bytes, misbehaving: Sequence[bytes] = ()) -> list[abci.ExecTxResult]:
        """Executes and commits one block; returns the results of its transactions."""
        raw = self.app.finalize_block(self.request(txs, misbehaving))
        self.last = abci.ResponseFinalizeBlock.FromString(raw)
        self.app.commit()
        self.height += 1
        if self.last.validator_updates:
            updates = [(u.pub_key.ed25519, u.power) for u in self.last.validator_updates]
            self.updates.append((self.height, updates))
        assert self.bugs == [], f"a bug of ours inside a transaction: {self.bugs}"
        return list(self.last.tx_results)

    def run_to(self, height: int) -> None:
        """Empty blocks up to and with this height."""
        while self.height < height:
            self.block()

    def query(self, request: Message, response: type[R], height: int = 0) -> R:
        """The answer to a query, through the bytes of the wire."""
        name = request.DESCRIPTOR.full_name
        path = next(
            each.path
            for each in routes_of(request.DESCRIPTOR.file)
            if each.request.DESCRIPTOR.full_name == name
        )
        message, _ = self.app.queries.answer(path, request.SerializeToString(), height)
        assert isinstance(message, response)
        return message

    def balance(self, who: str) -> int:
        """nevg of an address."""
        return bank.balance(self.context(), who, DENOM)

    def context(self) -> Context:
        """A look at the state after the last block."""
        return Context(self.app.last_block, Overlay(self.app.committed_state()))

    @property
    def events(self) -> list[tuple[str, dict[str, str]]]:
        """Events of the end of the last block."""
        return [(e.type, {a.key: a.value for a in e.attributes}) for e in self.last.events]


class UnsignedChain(Chain):
    """A chain whose senders hold no keys.

    All of the ante chain runs: sequences, fees, gas. The one thing that is skipped is the check of the
    signature: the application is told that a verifier has found each of them valid, as a node's threads do.
    """

    def __post_init__(self) -> None:
        self._sequences: dict[str, int] = {}
        super().__post_init__()

    def _app(self) -> App:
        return App(
            self.store,
            verify_all=lambda pending: [True] * len(pending),
            on_bug=lambda where, bug: self.bugs.append((where, bug)),
            retain_heights=self.retain_heights,
        )

    def block(self, *txs: bytes, misbehaving: Sequence[bytes] = ()) -> list[abci.ExecTxResult]:
        """As Chain.block."""
        results = super().block(*txs, misbehaving=misbehaving)
        if any(result.code for result in results):
            self._sequences.clear()  # what a failed ante took back counts no more
        return results

    def unsigned(self, who: Identity, *messages: Message) -> bytes:
        """A transaction of one sender with its next sequence and zeros for a signature."""
        body = tx_pb2.TxBody(messages=[packed(message) for message in messages])
        info = tx_pb2.SignerInfo(
            public_key=packed(keys_pb2.PubKey(key=who.public_key)), sequence=self._next_sequence(who.address)
        )
        info.mode_info.single.mode = signing_pb2.SIGN_MODE_DIRECT
        auth_info = tx_pb2.AuthInfo(signer_infos=[info], fee=tx_pb2.Fee(gas_limit=GAS))
        return tx_pb2.TxRaw(
            body_bytes=body.SerializeToString(deterministic=True),
            auth_info_bytes=auth_info.SerializeToString(deterministic=True),
            signatures=[NO_SIGNATURE],
        ).SerializeToString(deterministic=True)

    def _next_sequence(self, owner: str) -> int:
        sequence = self._sequences.get(owner)
        if sequence is None:
            account = auth.account(self.context(), owner)
            sequence = account.sequence if account is not None else 0
        self._sequences[owner] = sequence + 1
        return sequence


def packed(message: Message) -> any_pb2.Any:
    """A message as transactions and proposals carry it."""
    type_url = f"/{message.DESCRIPTOR.full_name}"
    return any_pb2.Any(type_url=type_url, value=message.SerializeToString(deterministic=True))


def block_hash(height: int, seed: str = "") -> bytes:
    """The hash of a block of these chains."""
    return sha256(f"block {seed} {height}".encode() if seed else f"block {height}".encode()).digest()
