"""Transactions for a live node, chosen by height and seed: sends good and bad, hardware, PoC."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from client.chain import ChainError
from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.chain import DENOM, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.crash.replay import acknowledged

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from bench.live import LiveNode

CHAIN_ID = "evergrid-crash-1"
OWNERS = ("ann", "ben")
CLIENTS = ("eve", "fay")
MODEL = "m/small"
# Ann runs the one node that there is, and has the power to go on alone; ben only sends transactions.
WEIGHTS = {"ann": 90, "ben": 10}
NONCES = {"ann": 60, "ben": 6}
# The stages of the local profile, from the start of a PoC on.
START, POC_END, BATCHES_END, VALIDATION_START, VALIDATION_END, SWITCH = 10, 15, 17, 18, 22, 25


def genesis(validator_key: bytes) -> dict[str, Any]:
    """Two owners with a node each; the first one's validator is the live node."""
    owners = [GenesisParticipant(n, 0, (GenesisNode("gpu", (MODEL,), WEIGHTS[n]),)) for n in OWNERS]
    state = app_state(owners, [a_model(MODEL)], funded=CLIENTS)
    state["hardware"]["participants"][0]["validator_key"] = base64.b64encode(validator_key).decode()
    return state


@dataclass
class Traffic:
    """Feeds a node, one transaction of each sender a block; `seen` is what the node said was committed."""

    node: LiveNode
    seed: int = 1
    seen: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    height: int = 0

    def run_to(self, height: int) -> None:
        """Feeds the node until it has committed the height."""
        self.node.wait(f"height {height}", lambda: self.step() >= height)

    def step(self) -> int:
        """At a new height: notes what was committed, sends what follows. Returns the node's height."""
        height = self.node.height()
        if height <= self.height:
            return height
        try:
            self.seen |= acknowledged(self.node, max(self.seen, default=0) + 1)
            for name, message in self._messages(height + 1):
                self._send(name, message)
        except ChainError:
            # Killed meanwhile: what was not sent is sent when it is back.
            return height
        self.height = height
        return height

    def _send(self, name: str, message: Message) -> None:
        account = self.node.client.account(key_of(name).address)
        signer = Signer(key_of(name), account.account_number, account.sequence)
        self.node.client.broadcast(build([message], [signer], CHAIN_ID, Fee(10**8)))

    def _messages(self, height: int) -> list[tuple[str, Message]]:
        rng = random.Random(self.seed * 10**6 + height)
        found: list[tuple[str, Message]] = [(name, _send(name, rng)) for name in CLIENTS]
        info = self.node.client.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
        start = info.upcoming.height_start if info.HasField("upcoming") else height
        after = height - start + START
        if START < after <= BATCHES_END:
            return found + [(name, self._batch(name, start)) for name in OWNERS]
        if VALIDATION_START < after <= VALIDATION_END:
            return found + [(a, _verdict(a, b, start)) for a, b in (OWNERS, OWNERS[::-1])]
        if height % 4 == 0:
            found.append(("ben", _hardware("ben", rng)))
        return found

    def _batch(self, name: str, start: int) -> poc_pb2.MsgSubmitPocBatch:
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
        known = self.node.client.query(request, poc_pb2.QueryNodeNoncesResponse).nodes
        first = next((n.nonce_next for n in known if n.participant == key_of(name).address), 0)
        claims = b"".join((first + n).to_bytes(4, "big") for n in range(NONCES[name]))
        return poc_pb2.MsgSubmitPocBatch(
            creator=key_of(name).address,
            poc_stage_start_height=start,
            node_id="gpu",
            batch_id=f"{name}-{start}-{first}",
            nonce_first=first,
            nonce_count=NONCES[name],
            claims=claims,
        )


def _verdict(validator: str, validated: str, start: int) -> poc_pb2.MsgSubmitPocValidations:
    verdict = poc_pb2.PocVerdict(
        participant=key_of(validated).address, verdict=poc_pb2.VERDICT_HONEST, sampled=5
    )
    return poc_pb2.MsgSubmitPocValidations(
        creator=key_of(validator).address, poc_stage_start_height=start, verdicts=[verdict]
    )


def _hardware(name: str, rng: random.Random) -> hardware_pb2.MsgSubmitHardwareDiff:
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(name).address)
    diff.new_or_modified.add(
        node_id=rng.choice(("spare-1", "spare-2")), models=[MODEL], host="127.0.0.1", port=8080
    )
    return diff


def _send(name: str, rng: random.Random) -> MsgSend:
    # Once in a while more than the sender has: a transaction that fails is in the block all the same.
    amount = rng.choice((1, 7, 10**6, 10**30))
    other = CLIENTS[1 - CLIENTS.index(name)]
    return MsgSend(
        from_address=key_of(name).address,
        to_address=key_of(other).address,
        amount=[Coin(denom=DENOM, amount=str(amount))],
    )
