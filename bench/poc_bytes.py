"""Bytes of one PoC round in blocks and in state, by the form of the batches and by who validates.

Run `python -m bench.poc_bytes`; prints JSON. Messages are built and signed as real ones, and the state's
entries are those that the chain's handlers write, of one participant, times how many there are: each of a
kind has the same size up to a varint. Nothing here is executed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abci_app.modules.poc import state
from bench.growth import owner
from bench.sends import senders
from client.tx import Fee, Signer, build
from protocol.gen.evergrid.poc.v1 import poc_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

SIZES = (100, 1_000, 10_000)
NODES = 10
NONCES = 1_600
"""Of a node: a PoC of five minutes in the model that these figures stand beside (docs/performance.md)."""
SAMPLED = 200
SLOTS = (0, 128, 256)
HEIGHT, COUNTER = 5_100, 2**31
BLOCK_TX_OVERHEAD = 4
"""Tag and length of a transaction in a block."""


@dataclass(frozen=True, slots=True)
class Round:
    """One PoC of `participants` with NODES nodes each, NONCES nonces a node."""

    participants: int
    committed: bool
    slots: int

    @property
    def judged_by_each(self) -> int:
        """On how many a validator speaks: all others, or those of whom it draws a slot, at equal powers."""
        others = self.participants - 1
        if not self.slots:
            return others
        # A validator misses one participant's every slot with (1 - 1/others)^slots.
        return round(others * (1 - (1 - 1 / others) ** self.slots))


def tx_bytes(*messages: Message) -> int:
    """What a signed transaction takes in a block."""
    key = senders(1)[0]
    return len(build(messages, [Signer(key, COUNTER, COUNTER)], "evergrid-1", Fee(10**7))) + BLOCK_TX_OVERHEAD


def batch_message(creator: str, node: str, round_: Round) -> poc_pb2.MsgSubmitPocBatch:
    """One node's nonces in one message."""
    return poc_pb2.MsgSubmitPocBatch(
        creator=creator,
        poc_stage_start_height=HEIGHT,
        node_id=node,
        batch_id=f"{HEIGHT}-0",
        nonce_count=NONCES,
        claims=b"" if round_.committed else bytes(4 * NONCES),
        root=bytes(32) if round_.committed else b"",
    )


def block_bytes(round_: Round) -> dict[str, int]:
    """Bytes in blocks: a participant's batches go in one transaction, so do a validator's verdicts."""
    me = owner(0).address
    batches = [batch_message(me, f"node-{place:03d}", round_) for place in range(NODES)]
    honest = poc_pb2.PocVerdictGroup(
        verdict=poc_pb2.VERDICT_HONEST, sampled=SAMPLED, places=places_judged(round_)
    )
    verdicts = poc_pb2.MsgSubmitPocValidations(creator=me, poc_stage_start_height=HEIGHT, groups=[honest])
    return {
        "batches": round_.participants * tx_bytes(*batches),
        "verdicts": round_.participants * tx_bytes(verdicts),
    }


def places_judged(round_: Round) -> list[int]:
    """The places of those on whom a validator speaks, spread over all."""
    count = round_.judged_by_each
    return [at * round_.participants // count for at in range(count)]


def block_bytes_by_address(round_: Round) -> int:
    """Bytes of the verdicts in blocks where each names its participant by address."""
    me = owner(0).address
    verdict = poc_pb2.PocVerdict(participant=me, verdict=poc_pb2.VERDICT_HONEST, sampled=SAMPLED)
    verdicts = poc_pb2.MsgSubmitPocValidations(
        creator=me, poc_stage_start_height=HEIGHT, verdicts=[verdict] * round_.judged_by_each
    )
    return round_.participants * tx_bytes(verdicts)


def state_bytes(round_: Round) -> dict[str, int]:
    """Bytes of keys and values under the app hash, and of claims beside it."""
    me = owner(0).address
    node = poc_pb2.NodeNonces(
        participant=me,
        node_id="node-000",
        nonce_next=NONCES,
        nonces_total=NONCES,
        batches=1,
        committed=round_.committed,
    )
    batch = poc_pb2.PocBatch(
        participant=me,
        node_id="node-000",
        poc_stage_start_height=HEIGHT,
        batch_id=f"{HEIGHT}-0",
        nonce_count=NONCES,
        height_submitted=HEIGHT,
        claims_sha256=b"" if round_.committed else bytes(32),
        root=bytes(32) if round_.committed else b"",
    )
    places = places_judged(round_)
    group = poc_pb2.JudgedGroup(
        verdict=poc_pb2.VERDICT_HONEST,
        sampled=SAMPLED,
        places=places,
        slots=[1] * len(places) if round_.slots else [],
    )
    part = poc_pb2.JudgementPart(height_submitted=HEIGHT, voting_power=10**6, groups=[group])
    said = poc_pb2.ValidatorJudgements(parts=[part])
    last = round_.participants - 1
    tally = poc_pb2.PocTally(participant=me, honest_power=10**9, honest_slots=round_.slots, place=last)
    key = (HEIGHT, me, "node-000")
    nodes = round_.participants * NODES
    batch_key = state.BATCHES.key_bytes((*key, 0))
    claims = 0 if round_.committed else len(state.CLAIMS.key_bytes((*key, 0))) + 4 * NONCES
    return {
        "batches": nodes * (len(batch_key) + batch.ByteSize()),
        "node_totals": nodes * (len(state.NODES.key_bytes(key)) + node.ByteSize()),
        "verdicts": round_.participants * (len(state.VALIDATIONS.key_bytes((HEIGHT, me))) + said.ByteSize()),
        "places": round_.participants * (len(state.PLACES.key_bytes((HEIGHT, last))) + len(me)),
        "tallies": round_.participants * (len(state.TALLIES.key_bytes((HEIGHT, me))) + tally.ByteSize()),
        "claims_beside_the_tree": nodes * claims,
    }


def measure() -> list[dict[str, Any]]:
    """Every size, in both forms, with all or with drawn validators."""
    found = []
    for participants in SIZES:
        for committed in (False, True):
            for slots in SLOTS:
                round_ = Round(participants, committed, slots)
                blocks, kept = block_bytes(round_), state_bytes(round_)
                found.append(
                    {
                        "participants": participants,
                        "form": "committed" if committed else "inline",
                        "validation_slots": slots,
                        "verdicts_each": round_.judged_by_each,
                        "block_mb": round(sum(blocks.values()) / 1e6, 2),
                        "block_bytes": blocks,
                        "verdicts_by_address": block_bytes_by_address(round_),
                        "state_mb": round(sum(kept.values()) / 1e6, 2),
                        "state_bytes": kept,
                    }
                )
    return found


def main() -> int:
    """Prints the figures."""
    sys.stdout.write(json.dumps({"benchmark": "poc_bytes", "rounds": measure()}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
