"""One run of a scenario: in every block each participant does what it would do on a network."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from abci_app.app import STORES
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs
from abci_app.sim import traffic
from abci_app.sim.actors import Fleet, actors_of, fleet, stage_of
from abci_app.sim.chain import UnsignedChain, packed
from abci_app.sim.ground import DENOM, GOV, GenesisNode, GenesisParticipant, a_model, app_state
from abci_app.sim.identity import identity_of
from abci_app.sim.measure import Ledger
from abci_app.sim.scenario import merge
from abci_app.sim.upkeep import Upkeep
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.poc_samples import effective_slots, sampled_validators

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from abci_app.sim.actors import Actor, Stage
    from abci_app.sim.identity import Identity
    from abci_app.sim.scenario import Scenario
    from protocol.gen.tendermint.abci import types_pb2 as abci

CHAIN_ID = "evergrid-sim-1"
VOTING_PERIOD_S = 2
DEPOSIT = "10000000"
RETAINED_HEIGHTS = 10
NODES_CACHED = 1 << 18
_REASON = re.compile(r"message index: \d+: ([a-z_]+): ")


class World:
    """A scenario under one seed. `ledger` holds what was measured, `refused` counts refusals by reason."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        actors: Sequence[Actor] | None = None,
        chain: UnsignedChain | None = None,
    ) -> None:
        self.scenario, self.seed = scenario, seed
        self.random = Random(seed)  # noqa: S311 - a simulation has to be repeatable
        self.actors = actors_of(scenario) if actors is None else list(actors)
        self.gateways = [identity_of(name) for name in gateway_names(scenario)]
        self.chain = chain or UnsignedChain(
            genesis(scenario, self.actors),
            MemoryStore(STORES, nodes_cached=NODES_CACHED),
            CHAIN_ID,
            hash_seed=str(seed),
            retain_heights=RETAINED_HEIGHTS,
        )
        self.chain.block()
        self._by_address = {actor.address: actor for actor in self.actors}
        self.traffic = traffic.Traffic(scenario, self._by_address, self.random)
        self.upkeep = Upkeep(scenario, self.actors)
        self.ledger = Ledger(self.actors)
        self.refused: Counter[str] = Counter()
        self.fleet = Fleet()
        self._fleet_of: tuple[int, int, bool] = (-1, -1, False)
        self._open: list[traffic.Request] = []
        self._proposals = 0

    def run(self, epochs_wanted: int) -> None:
        """So many PoC rounds, each of which ends in a switch or in an extension."""
        while self.ledger.rounds < epochs_wanted:
            self.block()

    def block(self) -> None:
        """One block of what everybody does now."""
        ctx = self.chain.context()
        state, record = epochs.state(ctx), epochs.upcoming_record(ctx)
        self._look(ctx, state, record)
        plan: list[tuple[Identity, list[Message], Any]] = []
        plan += self._joins(state.epoch_effective)
        plan += [(who.identity, found, None) for who, found in self.upkeep.messages(self.chain, ctx)]
        plan += self._inference(ctx, state)
        if record is not None:
            plan += self._governance(ctx, record)
            # Last, since a trick that fails before its messages leaves its sender's sequence as it was.
            plan += self._poc(ctx, state.epoch_effective, record)
        txs = [self.chain.unsigned(who, *messages) for who, messages, _ in plan]
        for (_, messages, about), result in zip(plan, self.chain.block(*txs), strict=True):
            self._settle(about, messages, result)
        self.ledger.look(self.chain, self.traffic, self.fleet)

    # What each block brings

    def _look(
        self, ctx: Context, state: epochs_pb2.EpochState, record: epochs_pb2.EpochRecord | None
    ) -> None:
        """Who serves changes at the draw, once nonces are generated, at the switch, and at an extension."""
        start, generated = 0, False
        if record is not None:
            at = epochs.stage_heights(record.params.epoch, record.height_start)
            start, generated = at.start, at.end <= ctx.height < at.switch - 1
        now = (state.epoch_effective, start, generated)
        if now != self._fleet_of:
            self._fleet_of, self.fleet = now, fleet(ctx, state.epoch_effective, generated=generated)

    def _joins(self, epoch: int) -> list[tuple[Identity, list[Message], Any]]:
        found: list[tuple[Identity, list[Message], Any]] = []
        for actor in self.actors:
            if not actor.joined and epoch >= actor.group.join_epoch:
                actor.joined = True
                found.append((actor.identity, [actor.hardware()], None))
        return found

    def _poc(
        self, ctx: Context, epoch: int, record: epochs_pb2.EpochRecord
    ) -> list[tuple[Identity, list[Message], Any]]:
        at = epochs.stage_heights(record.params.epoch, record.height_start)
        stage = stage_of(record, self.scenario.params.epoch.poc_stage_duration)
        height = ctx.height + 1
        if height == at.start:
            return self._early(stage)
        if height == at.end:
            return self._batches(epoch, stage)
        if height == at.end + 1:
            return self._tricks(stage)
        if height == at.validation_start + 1:
            return self._verdicts(ctx, epoch, record)
        return []

    def _early(self, stage: Stage) -> list[tuple[Identity, list[Message], Any]]:
        return [
            (actor.identity, [actor.batch(actor.nodes[0].node_id, stage, 100)], None)
            for actor in self.actors
            if actor.joined and "early_batch" in actor.group.tricks
        ]

    def _batches(self, epoch: int, stage: Stage) -> list[tuple[Identity, list[Message], Any]]:
        found: list[tuple[Identity, list[Message], Any]] = []
        for actor in self.actors:
            serving = self.fleet.serving_nodes.get(actor.address, set())
            if batches := actor.mine(epoch, stage, serving, self.random):
                found.append((actor.identity, list(batches), None))
        return found

    def _tricks(self, stage: Stage) -> list[tuple[Identity, list[Message], Any]]:
        found: list[tuple[Identity, list[Message], Any]] = []
        for actor in self.actors:
            if not actor.joined or not actor.group.tricks:
                continue
            victim = next((other for other in self.actors if other.group is not actor.group), None)
            serving = self.fleet.serving_nodes.get(actor.address, set())
            found += [(actor.identity, [each], None) for each in actor.tricks(victim, stage, serving)]
        return found

    def _verdicts(
        self, ctx: Context, epoch: int, record: epochs_pb2.EpochRecord
    ) -> list[tuple[Identity, list[Message], Any]]:
        start, powers = record.height_start, epochs.voting_powers(ctx)
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
        nodes = self.chain.query(request, poc_pb2.QueryNodeNoncesResponse).nodes
        names = dict.fromkeys(node.participant for node in nodes)
        mined = [self._by_address[name] for name in names if name in self._by_address]
        drawn = {actor.address: _validators(ctx, record, powers, actor.address) for actor in mined}
        found: list[tuple[Identity, list[Message], Any]] = []
        for actor in self.actors:
            if not powers.get(actor.address):
                continue
            own = [other for other in mined if actor.address in drawn[other.address]]
            verdicts = actor.judge(epoch, start, own, alone=len(powers) == 1)
            if verdicts is not None:
                found.append((actor.identity, [verdicts], None))
        return found

    def _governance(
        self, ctx: Context, record: epochs_pb2.EpochRecord
    ) -> list[tuple[Identity, list[Message], Any]]:
        after = ctx.height + 1 - record.height_start
        found: list[tuple[Identity, list[Message], Any]] = []
        for spec in self.scenario.proposals:
            if spec.epoch != record.index:
                continue
            if after == spec.after_start:
                found.append((self.actors[0].identity, [self._proposal(ctx, spec.params)], None))
                self._proposals += 1
            elif after == spec.after_start + 1:
                found += [(actor.identity, [self._vote(actor)], None) for actor in self.actors]
        return found

    def _proposal(self, ctx: Context, changes: dict[str, Any]) -> gov_tx.MsgSubmitProposal:
        params = Params()
        params.CopyFrom(epochs.params(ctx))
        merge(params, changes)
        return gov_tx.MsgSubmitProposal(
            messages=[packed(epochs_pb2.MsgUpdateParams(authority=GOV, params=params))],
            initial_deposit=[Coin(denom=DENOM, amount=DEPOSIT)],
            proposer=self.actors[0].address,
            title="params",
            summary="params",
        )

    def _vote(self, actor: Actor) -> gov_tx.MsgVote:
        return gov_tx.MsgVote(
            proposal_id=self._proposals, voter=actor.address, option=gov_pb2.VOTE_OPTION_YES
        )

    def _inference(
        self, ctx: Context, state: epochs_pb2.EpochState
    ) -> list[tuple[Identity, list[Message], Any]]:
        found: list[tuple[Identity, list[Message], Any]] = []
        by_executor: dict[str, list[traffic.Request]] = {}
        for request in self._open:
            by_executor.setdefault(request.executor.address, []).append(request)
        self._open = []
        for requests in by_executor.values():
            finishes: list[Message] = [traffic.finish(each) for each in requests]
            found.append((requests[0].executor.identity, finishes, ("finish", requests)))
        height = ctx.height + 1
        made = self.traffic.requests(
            self.fleet,
            state.epoch_effective,
            epochs.slot_in_force(ctx, height),
            epochs.params(ctx).epoch.poc_stage_duration,
            state.height_next_poc - height,
        )
        for n, gateway in enumerate(self.gateways):
            own = made[n :: len(self.gateways)]
            if own:
                starts: list[Message] = [traffic.start(each, gateway.address) for each in own]
                found.append((gateway, starts, ("start", own)))
        return found

    # What became of it

    def _settle(self, about: Any, messages: list[Message], result: abci.ExecTxResult) -> None:
        if result.code:
            self.refused[_reason(result)] += len(messages)
        elif isinstance(about, tuple):
            kind, requests = about
            if kind == "start":
                self._open += [each for each in requests if each.answered]
            else:
                for each in requests:
                    self.traffic.count(each)
                    if each.executor.makes_up(self.random):
                        self.upkeep.made_up[each.inference_id] = each.executor


def _validators(
    ctx: Context, record: epochs_pb2.EpochRecord, powers: dict[str, int], participant: str
) -> Mapping[str, int]:
    """Who may judge a participant: everybody with power, or those whom the slots drew."""
    slots = effective_slots(record.params.poc.validation_slots, len(powers))
    if not slots:
        return powers
    return sampled_validators(
        powers,
        slots,
        chain_id=ctx.chain_id,
        height_start=record.height_start,
        block_hash=record.validation_seed,
        participant=participant,
    )


def _reason(result: abci.ExecTxResult) -> str:
    """The reason's name where the log gives one, else codespace and code."""
    found = _REASON.search(result.log)
    return found.group(1) if found else f"{result.codespace}_{result.code}"


def gateway_names(scenario: Scenario) -> list[str]:
    """Who starts inferences: several, since one counts for at most a quarter of the missed ones."""
    return [f"{scenario.name} gateway {n + 1}" for n in range(scenario.gateways)]


def genesis(scenario: Scenario, actors: list[Actor]) -> dict[str, Any]:
    """Those who are there from the beginning start with what their nodes find, unproved."""
    participants = [
        GenesisParticipant(
            actor.name,
            0,
            tuple(GenesisNode(n.node_id, (n.model,), n.nonces, actor.group.memory_mib) for n in actor.nodes)
            if actor.joined
            else (),
        )
        for actor in actors
    ]
    models = [
        a_model(m.id, m.throughput_per_nonce, units_of_compute_per_token=m.units_of_compute_per_token)
        for m in scenario.models
    ]
    identities = {actor.name: actor.identity for actor in actors}
    state = app_state(
        participants,
        models,
        scenario.params,
        gateway_names(scenario),
        identity=lambda name: identities.get(name) or identity_of(name),
        voting_period_s=VOTING_PERIOD_S,
    )
    if scenario.guardians:
        named = [actor.address for actor in actors if actor.group.label in scenario.guardians]
        state["guardians"] = {"guardians": named}
    return state
