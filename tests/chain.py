"""A whole chain in one process: the real application on the in-memory store, driven block by block.

Block hashes are SHA-256("block H") and blocks are one second apart, so every run gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import json_format

from abci_app.app import STORES, App
from abci_app.kernel.context import Context
from abci_app.kernel.store import MemoryStore, Overlay
from abci_app.modules import auth, bank
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.gov.genesis import default_params as default_gov_params
from client.chain import route_of
from client.keys import Key
from client.tx import Fee, Signer, build
from protocol import address
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_ACTIVE, Participant
from protocol.gen.evergrid.models.v1.models_pb2 import Model
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.pool import POOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

    from abci_app.app import BlockReport
    from abci_app.kernel.store import Store
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

R = TypeVar("R")

CHAIN_ID = "evergrid-test-1"
DENOM = "nevg"
FUNDS = 10**15
GENESIS_TIME_S = 1_700_000_000
GOV = address.module_account("gov")


@cache
def key_of(name: str) -> Key:
    """The same key for the same name."""
    return Key(sha256(f"key {name}".encode()).digest())


def validator_of(name: str) -> bytes:
    """The seed of the consensus key (32 bytes) of a name."""
    return sha256(f"validator {name}".encode()).digest()


@cache
def validator_key_of(name: str) -> bytes:
    """The public consensus key (32 bytes) of a name."""
    return Ed25519PrivateKey.from_private_bytes(validator_of(name)).public_key().public_bytes_raw()


def a_model(model_id: str = "model/x", throughput_per_nonce: int = 40_000_000, **fields: Any) -> Model:
    """A model that the registry accepts."""
    return Model(
        id=model_id,
        name=model_id,
        version="1",
        units_of_compute_per_token=fields.pop("units_of_compute_per_token", 10),
        hf_repo=model_id,
        hf_commit="ab" * 20,
        v_ram=1024,
        throughput_per_nonce=throughput_per_nonce,
        context_window=2048,
        validation_threshold=9000,
        **fields,
    )


def as_json(message: Message) -> dict[str, Any]:
    """A message as a genesis file holds it."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=POOL)


@dataclass
class GenesisNode:
    """An MLNode that the genesis declares, with its weight in group 0."""

    node_id: str
    models: tuple[str, ...]
    weight: int = 0
    memory_mib: int = 0


@dataclass
class GenesisParticipant:
    """A participant of the genesis; weight is its own, in the parent group alone."""

    name: str
    weight: int = 0
    nodes: tuple[GenesisNode, ...] = ()


def app_state(
    participants: Sequence[GenesisParticipant] = (),
    models: Iterable[Model] = (),
    params: Params | None = None,
    funded: Iterable[str] = (),
    voting_period_s: int = 10,
) -> dict[str, Any]:
    """A genesis of the local profile; participants and `funded` names hold coins."""
    names = sorted({*(p.name for p in participants), *funded})
    balances = [
        {"address": key_of(name).address, "coins": [{"denom": DENOM, "amount": str(FUNDS)}]} for name in names
    ]
    weights, nodes, sequence = [], [], 0
    for participant in participants:
        owner = key_of(participant.name).address
        if participant.weight:
            weights.append({"participant": owner, "weight": str(participant.weight)})
        for node in participant.nodes:
            declared: dict[str, Any] = {
                "node_id": node.node_id,
                "models": list(node.models),
                "host": "127.0.0.1",
                "port": 8080,
            }
            if node.memory_mib:
                declared["hardware"] = [{"type": "gpu", "count": 1, "memory_mib": str(node.memory_mib)}]
            nodes.append({"participant": owner, "node": declared, "sequence": str(sequence)})
            sequence += 1
            if node.weight:
                weights.append({"participant": owner, "node_id": node.node_id, "weight": str(node.weight)})
    return {
        "auth": {"fees": {"denom": DENOM, "minimum_gas_price_micro": "0"}},
        "bank": {"balances": balances},
        "models": {"models": [as_json(model) | {"proposed_by": GOV} for model in models]},
        "hardware": {
            "participants": [_participant(p.name) for p in participants],
            "nodes": nodes,
            "node_sequence": str(sequence),
        },
        "epochs": {"params": as_json(params or default_params("local")), "weights": weights},
        "gov": gov_state(voting_period_s),
    }


def gov_state(voting_period_s: int = 10) -> dict[str, Any]:
    """Governance with the protocol's quorum, threshold, veto and deposit."""
    params = default_gov_params(DENOM, voting_period_s * 10**9)
    return {"starting_proposal_id": "1", "params": as_json(params)}


def _participant(name: str) -> dict[str, Any]:
    return json_format.MessageToDict(
        Participant(
            address=key_of(name).address,
            url=f"http://{name}.test:9000",
            validator_key=validator_key_of(name),
            public_key=key_of(name).public,
            status=PARTICIPANT_STATUS_ACTIVE,
        ),
        preserving_proto_field_name=True,
    )


@dataclass
class Chain:
    """Drives an App; `results` are those of the last block, `updates` every validator update so far."""

    state: dict[str, Any]
    store: Store = field(default_factory=lambda: MemoryStore(STORES))
    chain_id: str = CHAIN_ID
    initial_height: int = 1
    seconds_ahead: int = 0  # of the time of the next blocks
    max_gas: int = -1

    def __post_init__(self) -> None:
        self.bugs: list[tuple[str, BaseException]] = []
        self.reports: list[BlockReport] = []
        self.app = App(
            self.store,
            on_bug=lambda where, bug: self.bugs.append((where, bug)),
            on_commit=lambda _app, report: self.reports.append(report),
        )
        self.updates: list[tuple[int, list[tuple[bytes, int]]]] = []
        self.last: abci.ResponseFinalizeBlock = abci.ResponseFinalizeBlock()
        self.height = self.store.version or self.initial_height - 1
        self._sequences: dict[str, int] = {}
        if self.store.version == 0:
            self._init()

    def _init(self) -> None:
        request = abci.RequestInitChain(chain_id=self.chain_id, initial_height=self.initial_height)
        request.time.seconds = GENESIS_TIME_S
        request.consensus_params.block.max_bytes = 22_020_096
        request.consensus_params.block.max_gas = self.max_gas
        request.app_state_bytes = json.dumps(self.state).encode()
        response = self.app.init_chain(request)
        self.updates.append((0, [(u.pub_key.ed25519, u.power) for u in response.validators]))

    def request(
        self, txs: Sequence[bytes] = (), misbehaving: Sequence[bytes] = ()
    ) -> abci.RequestFinalizeBlock:
        """The next block as CometBFT would hand it over."""
        height = self.height + 1
        request = abci.RequestFinalizeBlock(height=height, txs=txs, hash=block_hash(height))
        request.time.seconds = GENESIS_TIME_S + height + self.seconds_ahead
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
        self._sequences.clear()  # what a failed ante took back counts no more
        if self.last.validator_updates:
            updates = [(u.pub_key.ed25519, u.power) for u in self.last.validator_updates]
            self.updates.append((self.height, updates))
        assert self.bugs == [], f"a bug of ours inside a transaction: {self.bugs}"
        return list(self.last.tx_results)

    def run_to(self, height: int) -> None:
        """Empty blocks up to and with this height."""
        while self.height < height:
            self.block()

    def sign(self, name: str, *messages: Message, gas: int = 10**8, fee: int = 0, granter: str = "") -> bytes:
        """A transaction of one signer with its next sequence; `granter`: the address that pays the fee."""
        key = key_of(name)
        number = self.account_number(name)
        sequence = self._sequences.get(name, self.sequence(name))
        self._sequences[name] = sequence + 1
        offered = Fee(gas, str(fee) if fee else "", DENOM, granter)
        return build(messages, [Signer(key, number, sequence)], self.chain_id, offered)

    def deliver(self, name: str, *messages: Message, **options: Any) -> abci.ExecTxResult:
        """Signs, puts into a block of its own, and returns the result."""
        return self.block(self.sign(name, *messages, **options))[0]

    def must(self, name: str, *messages: Message) -> abci.ExecTxResult:
        """As `deliver`, and it has to succeed."""
        result = self.deliver(name, *messages)
        assert result.code == 0, result.log
        return result

    def query(self, request: Message, response: type[R], height: int = 0) -> R:
        """The answer to a query, through the bytes of the wire."""
        path = route_of(type(request)).path
        message, _ = self.app.queries.answer(path, request.SerializeToString(), height)
        assert isinstance(message, response)
        return message

    def account_number(self, name: str) -> int:

        account = auth.account(self.context(), key_of(name).address)
        assert account is not None, f"{name} has no account"
        return account.account_number

    def sequence(self, name: str) -> int:

        account = auth.account(self.context(), key_of(name).address)
        return account.sequence if account is not None else 0

    def balance(self, who: str) -> int:
        """nevg of a name or an address."""
        where = who if who.startswith(address.PREFIX + "1") else key_of(who).address
        return bank.balance(self.context(), where, DENOM)

    def context(self) -> Context:
        """A look at the state after the last block."""
        return Context(self.app.last_block, Overlay(self.app.committed_state()))

    @property
    def events(self) -> list[tuple[str, dict[str, str]]]:
        """Events of the end of the last block."""
        # All of them carry a mode as well, which is shown by a test of its own.
        return [(e.type, {a.key: a.value for a in e.attributes if a.key != "mode"}) for e in self.last.events]


def block_hash(height: int) -> bytes:
    """The hash of a block of these chains."""
    return sha256(f"block {height}".encode()).digest()
