"""What a simulation measures: one row for each participant and epoch, one for each round of the network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.modules import collateral, epochs, hardware
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.sim.actors import Actor, Fleet
    from abci_app.sim.chain import Chain
    from abci_app.sim.traffic import Demand, Traffic


@dataclass
class ParticipantRow:
    """One participant in one settled epoch. capacity: nonces of its nodes; amounts in nevg.

    block_power: what CometBFT had of it since the switch; collateral: its deposit when the epoch was settled.
    """

    epoch: int
    participant: str
    label: str
    capacity: int
    nodes: int
    nodes_preserved: int
    weight: int
    voting_power: int
    block_power: int
    collateral: int
    invalid: bool
    availability_bps: int
    covered: bool
    base: int
    bonus: int
    fees: int
    tokens: int

    @property
    def reward(self) -> int:
        """What the epoch minted for it."""
        return self.base + self.bonus


@dataclass
class RoundRow:
    """One PoC round of the network: it ends in a switch, or in an extension with its reason."""

    epoch: int
    height: int
    extended: str
    members: int
    weight_total: int
    validators: int
    gini_weight: float
    gini_reward: float
    capacity: int
    preserved: int
    models_dark: int
    asked_pre_poc: int
    answered_pre_poc: int
    asked_poc: int
    answered_poc: int


@dataclass
class _Draw:
    """The slots of one PoC."""

    preserved: Counter[str] = field(default_factory=Counter)
    capacity: int = 0
    selected: int = 0
    dark: int = 0


class Ledger:
    """Collects rows as blocks go by."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self.participants: list[ParticipantRow] = []
        self.rounds_seen: list[RoundRow] = []
        self._actors = list(actors)
        self._names = {actor.address: actor for actor in actors}
        self._members: dict[str, tuple[int, int]] = {}
        self._powers: dict[bytes, int] = {}  # in blocks, by consensus key
        self._block_powers: dict[bytes, int] = {}  # as they were at the last switch
        self._updates_seen = 0
        self._draw = _Draw()

    @property
    def rounds(self) -> int:
        """PoC rounds that have ended."""
        return len(self.rounds_seen)

    def look(self, chain: Chain, traffic: Traffic, _fleet: Fleet) -> None:
        """Reads what the last block told."""
        for event in chain.last.events:
            if event.type == "poc_slots_allocated":
                self._draw = _draws(chain, _number(event.attributes))
            elif event.type == "epoch_started":
                self._switched(chain, _number(event.attributes), traffic.take())
            elif event.type == "epoch_extended":
                reason = next((a.value for a in event.attributes if a.key == "reason"), "extended")
                self._round(chain, epochs.state(chain.context()).epoch_effective, reason, 0.0, traffic.take())

    def _switched(self, chain: Chain, epoch: int, demand: Demand) -> None:
        rows = self._settled(chain, epoch - 1, demand)
        self.participants += rows
        self._members = _members(chain, epoch)
        for _, updates in chain.updates[self._updates_seen :]:
            self._powers.update(updates)
        self._updates_seen = len(chain.updates)
        self._block_powers = dict(self._powers)
        self._round(chain, epoch, "", gini([row.reward for row in rows]), demand)

    def _settled(self, chain: Chain, epoch: int, demand: Demand) -> list[ParticipantRow]:
        if epoch == 0:
            return []  # the genesis group has no reward
        answer = chain.query(
            rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch), rewards_pb2.QuerySettleAmountsResponse
        )
        amounts = {each.participant: each for each in answer.amounts}
        nothing = rewards_pb2.SettleAmount()
        ctx = chain.context()
        invalid = set(hardware.invalid_participants(ctx))
        deposits = collateral.is_on(ctx)
        rows = []
        for actor in self._actors:
            if epoch <= actor.group.join_epoch and actor.group.join_epoch:
                continue
            amount = amounts.get(actor.address, nothing)
            weight, power = self._members.get(actor.address, (0, 0))
            row = ParticipantRow(
                epoch=epoch,
                participant=actor.name,
                label=actor.group.label,
                capacity=actor.capacity,
                nodes=len(actor.nodes),
                nodes_preserved=self._draw.preserved[actor.address],
                weight=weight,
                voting_power=power,
                block_power=self._block_powers.get(actor.identity.validator_key, 0),
                collateral=collateral.deposit_of(ctx, actor.address) if deposits else 0,
                invalid=actor.address in invalid,
                availability_bps=amount.availability_bps,
                covered=amount.covered,
                base=amount.base,
                bonus=amount.bonus,
                fees=amount.fees,
                tokens=demand.tokens[actor.address],
            )
            rows.append(row)
        return rows

    def _round(self, chain: Chain, epoch: int, extended: str, gini_reward: float, demand: Demand) -> None:
        members = self._members or _members(chain, epoch)
        row = RoundRow(
            epoch=epoch,
            height=chain.height,
            extended=extended,
            members=len(members),
            weight_total=sum(weight for weight, _ in members.values()),
            validators=sum(1 for _, power in members.values() if power),
            gini_weight=gini([weight for weight, _ in members.values()]),
            gini_reward=gini_reward,
            capacity=self._draw.capacity,
            preserved=self._draw.selected,
            models_dark=self._draw.dark,
            asked_pre_poc=demand.asked[PRE_POC_SLOT],
            answered_pre_poc=demand.answered[PRE_POC_SLOT],
            asked_poc=demand.asked[POC_SLOT],
            answered_poc=demand.answered[POC_SLOT],
        )
        self.rounds_seen.append(row)


def _number(attributes: Sequence[object]) -> int:
    return next(int(a.value) for a in attributes if a.key == "epoch")  # type: ignore[attr-defined]


def _members(chain: Chain, epoch: int) -> dict[str, tuple[int, int]]:
    """Weight and voting power of an epoch's members."""
    ctx = chain.context()
    return {m.member_address: (m.weight, m.voting_power) for m in epochs.members(ctx, epoch)}


def _draws(chain: Chain, epoch: int) -> _Draw:
    found = _Draw()
    answer = chain.query(
        uptime_pb2.QuerySlotAllocationsRequest(epoch_index=epoch), uptime_pb2.QuerySlotAllocationsResponse
    )
    for allocation in answer.allocations:
        found.capacity += allocation.capacity
        found.selected += allocation.selected
        found.dark += not allocation.selected
        for turn in allocation.turns:
            found.preserved[turn.participant] += turn.reason == reasons_pb2.REASON_SELECTED
    return found


def gini(values: Sequence[int]) -> float:
    """The Gini coefficient: 0 where all are equal, towards 1 where one has everything."""
    total = sum(values)
    if not total:
        return 0.0
    n = len(values)
    ranked = sum((2 * rank - n - 1) * value for rank, value in enumerate(sorted(values), start=1))
    return ranked / (n * total)
