"""Beside mining and serving: participants deposit, announce downtime and re-execute others' answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.sim.ground import DENOM
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import MsgDepositCollateral
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MsgAnnounceMaintenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from abci_app.sim.actors import Actor
    from abci_app.sim.chain import Chain
    from abci_app.sim.scenario import MaintenanceSpec, Scenario

# How like a re-computed answer is to one of the model, and to one that was made up.
VALUE_TRUE, VALUE_FALSE = 10_000, 0


@dataclass
class Upkeep:
    """Makes these messages block by block. `made_up` are the ids of answers that are not the model's."""

    scenario: Scenario
    actors: Sequence[Actor]
    made_up: dict[str, Actor] = field(default_factory=dict)
    _deposited: set[str] = field(default_factory=set)

    def messages(self, chain: Chain, ctx: Context) -> Iterator[tuple[Actor, list[Message]]]:
        """What each sends in the next block."""
        effective = epochs.state(ctx)
        first = effective.height_effective + 1 + max(1, epochs.params(ctx).maintenance.notice)
        for actor in self.actors:
            found: list[Message] = [*self._deposit(actor)]
            window = self._window(actor, effective.epoch_effective)
            if window is not None:
                last = first + window.blocks - 1
                actor.down = first <= ctx.height + 1 <= last
                if window.announced and ctx.height == effective.height_effective:
                    announcement = MsgAnnounceMaintenance(
                        creator=actor.address, height_from=first, height_to=last
                    )
                    found.append(announcement)
            found += self._verdicts(chain, actor)
            if found:
                yield actor, found

    def _deposit(self, actor: Actor) -> Iterator[MsgDepositCollateral]:
        amount = actor.group.collateral_nevg
        if amount and actor.joined and actor.address not in self._deposited:
            self._deposited.add(actor.address)
            yield MsgDepositCollateral(creator=actor.address, amount=Coin(denom=DENOM, amount=str(amount)))

    def _window(self, actor: Actor, epoch: int) -> MaintenanceSpec | None:
        actor.down = False
        for each in self.scenario.maintenance:
            if each.label == actor.group.label and each.epoch_from <= epoch <= each.epoch_to:
                return each
        return None

    def _verdicts(self, chain: Chain, actor: Actor) -> list[inference_pb2.MsgValidateInference]:
        """On all that it is drawn for, or may vote on; friends call one another's answers true."""
        if not self.scenario.re_executes or not actor.group.re_executes or not actor.joined:
            return []
        request = inference_pb2.QueryPendingValidationsRequest(participant=actor.address)
        pending = chain.query(request, inference_pb2.QueryPendingValidationsResponse).pending
        return [self._verdict(actor, each.inference.inference_id) for each in pending]

    def _verdict(self, actor: Actor, inference_id: str) -> inference_pb2.MsgValidateInference:
        executor = self.made_up.get(inference_id)
        true = executor is None or executor.group is actor.group
        return inference_pb2.MsgValidateInference(
            creator=actor.address,
            inference_id=inference_id,
            result=inference_pb2.VALIDATION_RESULT_VALID if true else inference_pb2.VALIDATION_RESULT_INVALID,
            value_bps=VALUE_TRUE if true else VALUE_FALSE,
        )
