"""What a proposal would do: two copies of a state live through the next epoch, one of them with the proposal.

In both, everybody goes on as before: nodes find the nonces that their weight says, requests come as they did,
and are missed as they were. So what differs is the proposal's doing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format

from abci_app.app import STORES
from abci_app.kernel.context import Context
from abci_app.kernel.store import MemoryStore
from abci_app.modules import auth, epochs, gov, hardware
from abci_app.sim.actors import Actor, SimNode
from abci_app.sim.chain import UnsignedChain
from abci_app.sim.ground import DENOM, FUNDS
from abci_app.sim.identity import Identity, identity_of
from abci_app.sim.scenario import GroupSpec, Scenario, TrafficSpec
from abci_app.sim.world import RETAINED_HEIGHTS, World, gateway_names
from protocol.gen.cosmos.gov.v1 import genesis_pb2
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import PRE_POC_SLOT
from protocol.gen.evergrid.models.v1.models_pb2 import MsgRetireModel
from protocol.pool import POOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from abci_app.kernel.store import KV
    from abci_app.sim.measure import ParticipantRow
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
    from protocol.gen.google.protobuf import any_pb2

BPS = 10_000
SEED = 1
REQUESTS, BURSTS_PER_EPOCH = 6, 60
ROUNDS_MAX = 6


class PreviewError(ValueError):
    """The proposal cannot be previewed; the text says why."""


@dataclass(frozen=True)
class Change:
    """One participant in the first epoch under the proposal, and in the same one without it; nevg."""

    participant: str
    weight: int
    weight_new: int
    reward: int
    reward_new: int
    fees: int
    fees_new: int


@dataclass(frozen=True)
class Preview:
    """The changes by participant. epoch: the first whose record and group have what the proposal changes."""

    epoch: int
    changes: tuple[Change, ...]


def proposal_messages(document: dict[str, Any], proposal_id: int) -> list[any_pb2.Any]:
    """The messages of a proposal in an exported state; raises PreviewError where it is not there."""
    state = genesis_pb2.GenesisState()
    json_format.ParseDict(document["app_state"].get("gov", {}), state, descriptor_pool=POOL)
    for proposal in state.proposals:
        if proposal.id == proposal_id:
            return list(proposal.messages)
    known = ", ".join(str(each.id) for each in state.proposals) or "none"
    raise PreviewError(f"the state has no proposal {proposal_id}; it has: {known}")


def preview(document: dict[str, Any], messages: Sequence[any_pb2.Any], proposal_id: int = 0) -> Preview:
    """The next whole epoch with and without the messages of a proposal, from an exported genesis document.

    proposal_id: of one that the state holds; the votes on it are left out, else it might pass in both copies.
    """
    document = _without_votes(document, proposal_id)
    # A model that is retired still counts at the next formation.
    later = any(each.type_url == f"/{MsgRetireModel.DESCRIPTOR.full_name}" for each in messages)
    epoch, without = _lived(document, [], epochs_later=int(later))
    _, with_it = _lived(document, messages, epochs_later=int(later))
    names = sorted({*without, *with_it})
    return Preview(epoch, tuple(_change(name, without.get(name), with_it.get(name)) for name in names))


def _without_votes(document: dict[str, Any], proposal_id: int) -> dict[str, Any]:
    governance = document["app_state"].get("gov", {})
    votes = [each for each in governance.get("votes", []) if int(each["proposal_id"]) != proposal_id]
    app_state = document["app_state"] | {"gov": governance | {"votes": votes}}
    return document | {"app_state": app_state}


def _change(name: str, old: ParticipantRow | None, new: ParticipantRow | None) -> Change:
    return Change(
        name,
        old.weight if old else 0,
        new.weight if new else 0,
        old.reward if old else 0,
        new.reward if new else 0,
        old.fees if old else 0,
        new.fees if new else 0,
    )


def _lived(
    document: dict[str, Any], messages: Sequence[any_pb2.Any], epochs_later: int
) -> tuple[int, dict[str, ParticipantRow]]:
    """The epoch looked at, and its rows by participant."""
    chain = _copy(document)
    ctx = chain.context()
    scenario, actors = _scenario(ctx), _actors(ctx, document)
    target = _first_epoch_under_new_params(ctx) + epochs_later
    _apply(chain, messages)
    world = World(scenario, SEED, actors, chain)
    while not any(row.epoch == target for row in world.ledger.participants):
        world.block()
        if world.ledger.rounds >= ROUNDS_MAX:
            reasons = sorted({each.extended for each in world.ledger.rounds_seen if each.extended})
            why = ", ".join(reasons) or "too few rounds"
            raise PreviewError(f"epoch {target} did not come about in {ROUNDS_MAX} rounds: {why}")
    return target, {row.participant: row for row in world.ledger.participants if row.epoch == target}


def _copy(document: dict[str, Any]) -> UnsignedChain:
    """A chain that goes on from the document; gateways hold coins in it, and no fees are asked."""
    state = copy.deepcopy(document["app_state"])
    state.setdefault("auth", {}).setdefault("fees", {})["minimum_gas_price_micro"] = "0"
    bank = state.setdefault("bank", {})
    bank.pop("supply", None)
    bank["balances"] = bank.get("balances", []) + [
        {"address": identity_of(name).address, "coins": [{"denom": _denom(state), "amount": str(FUNDS)}]}
        for name in gateway_names(_empty_scenario())
    ]
    initial = int(document.get("initial_height") or 1)
    return UnsignedChain(
        state,
        MemoryStore(STORES),
        document["chain_id"],
        initial_height=initial,
        hash_seed="preview",
        genesis_time_s=_seconds(document["genesis_time"]) - initial + 1,
        retain_heights=RETAINED_HEIGHTS,
    )


def _denom(state: dict[str, Any]) -> str:
    return str(state["auth"]["fees"].get("denom", DENOM))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text[:19] + "+00:00").timestamp())


def _first_epoch_under_new_params(ctx: Context) -> int:
    upcoming = epochs.upcoming_record(ctx)
    return upcoming.index + 1 if upcoming is not None else epochs.state(ctx).epoch_effective + 1


def _apply(chain: UnsignedChain, messages: Sequence[any_pb2.Any]) -> None:
    # Before the first block the genesis state is still an overlay that its first Commit will write.
    ctx = Context(chain.app.last_block, cast("KV", chain.app.committed_state()))
    if failure := gov.run_messages(ctx, messages):
        raise PreviewError(f"the proposal would fail: {failure}")


# Everybody as before


def _empty_scenario(params: Params | None = None, traffic: Iterable[TrafficSpec] = ()) -> Scenario:
    return Scenario("preview", "", params or epochs.default_params("local"), (), (), tuple(traffic))


def _scenario(ctx: Context) -> Scenario:
    """The traffic that each model had, as a part of its capacity."""
    params = epochs.params(ctx)
    now = epochs.state(ctx).epoch_effective
    every = max(1, params.epoch.epoch_length // BURSTS_PER_EPOCH)
    traffic = []
    for group in epochs.subgroups(ctx, now):
        former = epochs.group(ctx, now - 1, group.model_id) if now else None
        vectors = [each.real_throughput_vector for each in (group, former) if each is not None]
        tokens = next((v[PRE_POC_SLOT] for v in vectors if len(v) > PRE_POC_SLOT and v[PRE_POC_SLOT]), 0)
        load = min(BPS, tokens * BPS // group.total_throughput) if group.total_throughput else 0
        if load:
            traffic.append(TrafficSpec(group.model_id, load, REQUESTS, every=every))
    return _empty_scenario(params, traffic)


def _actors(ctx: Context, document: dict[str, Any]) -> list[Actor]:
    """Each participant, with nodes that find what they weigh and answer as they did when last settled."""
    weights = _node_weights(ctx)
    answered = _answered_bps(document)
    actors = []
    for participant in hardware.participants(ctx):
        owner = participant.address
        key = participant.public_key or auth.public_key(ctx, owner)
        nodes = tuple(
            SimNode(each.node.node_id, each.node.models[0], weights[owner, each.node.node_id])
            for each in hardware.nodes_of(ctx, owner)
            if (owner, each.node.node_id) in weights
        )
        group = GroupSpec(owner, nodes=len(nodes), serves_bps=answered.get(owner, BPS))
        actors.append(
            Actor(owner, group, Identity(owner, key, participant.validator_key), nodes, joined=True)
        )
    return actors


def _node_weights(ctx: Context) -> dict[tuple[str, str], int]:
    """The weight of each node, where it serves, in the effective group."""
    now = epochs.state(ctx).epoch_effective
    found: dict[tuple[str, str], int] = {}
    for model_id in ["", *(group.model_id for group in epochs.subgroups(ctx, now))]:
        for member in epochs.members(ctx, now, model_id):
            for node in member.ml_nodes:
                if node.poc_weight:
                    found[member.member_address, node.node_id] = node.poc_weight
    return found


def _answered_bps(document: dict[str, Any]) -> dict[str, int]:
    """The part of its inferences that each participant finished in the last settled epoch that it was in."""
    found: dict[str, int] = {}
    amounts = document["app_state"].get("rewards", {}).get("amounts", [])
    for each in sorted(amounts, key=lambda amount: int(amount.get("epoch_index", 0))):
        total, missed = (int(each.get(f"inferences_{name}", 0)) for name in ("total", "missed"))
        if total:
            found[each["participant"]] = BPS * (total - missed) // total
    return found
