"""Demand and how it is routed: by throughput of the nodes whose slot is in force, within what they can do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocol.gen.evergrid.inference.v1 import inference_pb2

if TYPE_CHECKING:
    from random import Random

    from abci_app.sim.actors import Actor, Fleet
    from abci_app.sim.scenario import Scenario, TrafficSpec

HASH = "ab" * 32
BPS = 10_000
CREDIT_BLOCKS = 2


@dataclass
class Request:
    """One inference on its way."""

    inference_id: str
    model: str
    executor: Actor
    tokens: int
    answered: bool
    slot: int


@dataclass
class Demand:
    """Tokens asked for and answered, by slot; `tokens` of each participant's own."""

    asked: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)


@dataclass
class Traffic:
    """Makes the requests of each block. A node that has done all it can in a while gets no more."""

    scenario: Scenario
    actors: dict[str, Actor]
    random: Random
    demand: Demand = field(default_factory=Demand)
    made: int = 0
    _credit: dict[tuple[str, str], int] = field(default_factory=dict)

    def requests(self, fleet: Fleet, epoch: int, slot: int, window: int, blocks_to_poc: int) -> list[Request]:
        """What the next block brings and somebody can take. window: blocks of a PoC window."""
        found = []
        serving = fleet.of_slot(slot)
        for spec in self.scenario.traffic:
            if not spec.epoch_from <= epoch <= spec.epoch_to:
                continue
            if spec.only_before_poc and not 0 < blocks_to_poc <= spec.only_before_poc:
                continue
            able = serving.get(spec.model, {})
            self._refill(spec, able, window)
            if blocks_to_poc % spec.every:
                continue
            found += self._of_model(spec, fleet.capacity.get(spec.model, 0), able, (epoch, slot, window))
        return found

    def _refill(self, spec: TrafficSpec, able: dict[str, int], window: int) -> None:
        for owner, throughput in able.items():
            gain = throughput // window + 1
            credit = self._credit.get((spec.model, owner), 0) + gain
            self._credit[spec.model, owner] = min(credit, CREDIT_BLOCKS * spec.every * gain)

    def _of_model(
        self, spec: TrafficSpec, capacity: int, able: dict[str, int], now: tuple[int, int, int]
    ) -> list[Request]:
        epoch, slot, window = now
        tokens = max(2, capacity * spec.load_bps * spec.every // BPS // window // spec.requests)
        found = []
        for _ in range(spec.requests if spec.load_bps else 0):
            self.demand.asked[slot] += tokens
            free = [owner for owner in able if self._credit[spec.model, owner] > 0]
            if not free:
                continue
            owner = self.random.choices(free, [able[each] for each in free])[0]
            self._credit[spec.model, owner] -= tokens
            self.made += 1
            executor = self.actors[owner]
            answered = executor.serves(epoch, self.random)
            found.append(
                Request(f"{self.scenario.name}-{self.made}", spec.model, executor, tokens, answered, slot)
            )
        return found

    def count(self, request: Request) -> None:
        """A request was answered on chain."""
        self.demand.answered[request.slot] += request.tokens
        self.demand.tokens[request.executor.address] += request.tokens

    def take(self) -> Demand:
        """What was counted since the last call."""
        taken, self.demand = self.demand, Demand()
        return taken


def start(request: Request, creator: str) -> inference_pb2.MsgStartInference:
    """The message with which a gateway starts a request."""
    prompt = request.tokens // 2
    return inference_pb2.MsgStartInference(
        creator=creator,
        inference_id=request.inference_id,
        model_id=request.model,
        executor=request.executor.address,
        prompt_hash=HASH,
        prompt_token_count=prompt,
        max_tokens=request.tokens - prompt,
    )


def finish(request: Request) -> inference_pb2.MsgFinishInference:
    """The message with which the executor finishes it."""
    prompt = request.tokens // 2
    return inference_pb2.MsgFinishInference(
        creator=request.executor.address,
        inference_id=request.inference_id,
        model_id=request.model,
        response_hash=HASH,
        prompt_token_count=prompt,
        completion_token_count=request.tokens - prompt,
    )
