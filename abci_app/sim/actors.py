"""Participants of a simulation: what they declare, mine, judge and try."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.sim.identity import identity_of
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from abci_app.sim.identity import Identity
    from abci_app.sim.scenario import FaultSpec, GroupSpec, Scenario
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord

BPS = 10_000
VERDICTS = {
    "fraud": poc_pb2.VERDICT_FRAUD,
    "abstain": poc_pb2.VERDICT_ABSTAIN,
    "honest": poc_pb2.VERDICT_HONEST,
}


@dataclass(frozen=True)
class Stage:
    """A PoC as those see it who mine: S, its length, and the length for which nodes declare their nonces."""

    start: int
    duration: int
    duration_declared: int
    every_nonce: bool = True
    claim: bytes = bytes(4)


def stage_of(record: EpochRecord, duration_declared: int) -> Stage:
    """The PoC of a record."""
    poc = record.params.poc
    return Stage(
        record.height_start,
        record.params.epoch.poc_stage_duration,
        duration_declared,
        poc.acceptance_bps >= BPS,
        poc.z_target.to_bytes(4, "big", signed=True),
    )


@dataclass(frozen=True)
class SimNode:
    """A node of a simulated participant; nonces is what it finds in a PoC."""

    node_id: str
    model: str
    nonces: int


@dataclass
class Actor:
    """One simulated participant."""

    name: str
    group: GroupSpec
    identity: Identity
    nodes: tuple[SimNode, ...]
    joined: bool
    faults: tuple[FaultSpec, ...] = ()
    batches: list[poc_pb2.MsgSubmitPocBatch] = field(default_factory=list)
    down: bool = False  # for maintenance

    @property
    def address(self) -> str:
        """Its account."""
        return self.identity.address

    @property
    def capacity(self) -> int:
        """Nonces that all its nodes together find in a PoC."""
        return sum(node.nonces for node in self.nodes)

    def fails(self, epoch: int, *kinds: str) -> bool:
        """Whether a fault of these kinds, or being offline, holds in an epoch."""
        wanted = {"offline", *kinds}
        return any(f.kind in wanted and f.epoch_from <= epoch <= f.epoch_to for f in self.faults)

    def serves(self, epoch: int, random: Random) -> bool:
        """Whether it answers one request."""
        if self.down:
            return False
        if self.group.serves_bps < BPS and random.randrange(BPS) >= self.group.serves_bps:
            return False
        return not self.fails(epoch, "no_serving")

    def makes_up(self, random: Random) -> bool:
        """Whether one of its answers is not the model's."""
        chance = self.group.makes_up_bps
        return bool(chance) and random.randrange(BPS) < chance

    def hardware(self) -> hardware_pb2.MsgSubmitHardwareDiff:
        """The declaration of all its nodes."""
        diff = hardware_pb2.MsgSubmitHardwareDiff(creator=self.address)
        for node in self.nodes:
            declared = diff.new_or_modified.add(
                node_id=node.node_id, models=[node.model], host="127.0.0.1", port=8080
            )
            if self.group.memory_mib:
                declared.hardware.add(type="gpu", count=1, memory_mib=self.group.memory_mib)
        return diff

    def mine(
        self, epoch: int, stage: Stage, serving: Iterable[str], random: Random
    ) -> list[poc_pb2.MsgSubmitPocBatch]:
        """A batch of each node that found nonces and does not serve through this PoC."""
        self.batches = []
        if not self.joined or self.fails(epoch, "no_mining"):
            return []
        busy = set(serving)
        for node in self.nodes:
            lucky = self.group.mines_bps == BPS or random.randrange(BPS) < self.group.mines_bps
            if node.node_id not in busy and lucky:
                self.batches.append(self.batch(node.node_id, stage, self._found(node, stage, random)))
        return self.batches

    def _found(self, node: SimNode, stage: Stage, random: Random) -> int:
        noise = self.group.noise_bps
        factor = BPS + (random.randint(-noise, noise) if noise else 0)
        return max(1, node.nonces * factor * stage.duration // (BPS * stage.duration_declared))

    def batch(self, node_id: str, stage: Stage, count: int, first: int = 0) -> poc_pb2.MsgSubmitPocBatch:
        """A batch of so many nonces; who checks it goes by `forged_claims`, so the claims say nothing."""
        found = poc_pb2.MsgSubmitPocBatch(
            creator=self.address,
            poc_stage_start_height=stage.start,
            node_id=node_id,
            batch_id=f"{node_id}-{first}",
        )
        if self.group.committed:
            # Whoever judges knows what the leaves are worth, so the root says nothing.
            found.root = sha256(f"{self.address} {node_id} {stage.start}".encode()).digest()
        else:
            found.claims = stage.claim * count
        if stage.every_nonce:
            found.nonce_first, found.nonce_count = first, count
        else:
            found.nonces.extend(range(first, first + count))
        return found

    def judge(
        self, epoch: int, start: int, mined: Sequence[Actor], *, alone: bool
    ) -> poc_pb2.MsgSubmitPocValidations | None:
        """Its verdicts on all that mined; None where it stays silent."""
        if self.group.verdict == "silent" or self.fails(epoch, "silent"):
            return None
        verdicts = [
            poc_pb2.PocVerdict(participant=other.address, verdict=self._verdict(other), sampled=10)
            for other in mined
            if other is not self or alone
        ]
        if not verdicts:
            return None
        return poc_pb2.MsgSubmitPocValidations(
            creator=self.address, poc_stage_start_height=start, verdicts=verdicts
        )

    def _verdict(self, other: Actor) -> poc_pb2.Verdict:
        if self.group.verdict == "fraud" and other.group is self.group:
            return poc_pb2.VERDICT_HONEST
        if self.group.verdict == "honest" and other.group.forged_claims:
            return poc_pb2.VERDICT_FRAUD
        return VERDICTS[self.group.verdict]

    def tricks(self, victim: Actor | None, stage: Stage, serving: Iterable[str]) -> list[Message]:
        """What it sends besides its batches, each in a transaction of its own."""
        wanted, found = self.group.tricks, list[poc_pb2.MsgSubmitPocBatch]()
        for own in self.batches[:1]:
            if "repeat_batch" in wanted:
                found.append(own)
            if "overlap_batch" in wanted:
                found.append(self.batch(own.node_id, stage, 100, own.nonce_count - 1))
        if "serving_node" in wanted:
            found += [self.batch(node_id, stage, 100) for node_id in sorted(serving)]
        if victim is not None and "others_node" in wanted:
            found.append(self.batch(victim.nodes[0].node_id, stage, 100))
        if victim is not None and "forged_creator" in wanted:
            # Claims a node of the victim as the victim itself, with its own key under it.
            found.append(victim.batch(victim.nodes[0].node_id, stage, 100, first=10_000))
        return list(found)


def actors_of(scenario: Scenario) -> list[Actor]:
    """All participants of a scenario."""
    return [_actor(scenario, group, index) for group in scenario.groups for index in range(group.count)]


def _actor(scenario: Scenario, group: GroupSpec, index: int) -> Actor:
    name = group.name_of(index)
    nodes = tuple(
        SimNode(f"{group.node_prefix}{n + 1}", group.model_of(n), group.nonces_of(n))
        for n in range(group.nodes)
    )
    faults = tuple(fault for fault in scenario.faults if fault.label == group.label)
    return Actor(name, group, identity_of(name, group.address_prefix), nodes, group.join_epoch == 0, faults)


@dataclass
class Fleet:
    """Which nodes serve in which slot, as the effective group has it: (participant, model) to throughput."""

    pre_poc: dict[str, dict[str, int]] = field(default_factory=dict)
    poc: dict[str, dict[str, int]] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)
    serving_nodes: dict[str, set[str]] = field(default_factory=dict)  # participant to nodes with POC_SLOT

    def of_slot(self, slot: int) -> dict[str, dict[str, int]]:
        """Model and participant to the throughput of nodes that serve in a slot, in tokens per PoC window."""
        return self.poc if slot == POC_SLOT else self.pre_poc


def fleet(ctx: Context, epoch: int, *, generated: bool = False) -> Fleet:
    """The nodes of an epoch's group; once nonces are generated, those that serve again count as well."""
    found = Fleet()
    for group in epochs.subgroups(ctx, epoch):
        model = group.model_id
        found.capacity[model] = group.total_throughput
        pre, poc = found.pre_poc.setdefault(model, {}), found.poc.setdefault(model, {})
        for member in epochs.members(ctx, epoch, model):
            owner = member.member_address
            at = ctx.height + 1
            again = epochs.serving_nodes(ctx, group, member, at, at) if generated else []
            returned = {node.node_id for node in again}
            for node in member.ml_nodes:
                if not node.throughput:
                    continue
                if node.timeslot_allocation[PRE_POC_SLOT]:
                    pre[owner] = pre.get(owner, 0) + node.throughput
                if node.timeslot_allocation[POC_SLOT] or node.node_id in returned:
                    poc[owner] = poc.get(owner, 0) + node.throughput
                if node.timeslot_allocation[POC_SLOT]:
                    found.serving_nodes.setdefault(owner, set()).add(node.node_id)
    return found
