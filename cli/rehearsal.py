"""The next draw of slots before it happens: the chain's own rule over all its outcomes, or many of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate, permutations
from math import factorial, sqrt
from typing import TYPE_CHECKING

from abci_app.modules.uptime import rules
from protocol.draw import Draw
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_NOT_DRAWN, REASON_SELECTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from protocol.gen.evergrid.uptime.v1.uptime_pb2 import QueryDrawInputsResponse, SlotAllocation

NodeKey = tuple[str, str, str]  # model, participant, node_id


@dataclass
class Chances:
    """How often each node serves: a probability, and its standard error (0 where it is exact)."""

    exact: bool
    draws: int
    serves: dict[NodeKey, float] = field(default_factory=dict)
    # Expected tokens of demand that fall on a node in the PoC window, given that it serves.
    tokens: dict[NodeKey, float] = field(default_factory=dict)

    def error(self, key: NodeKey) -> float:
        """The standard error of a node's probability; with few draws never below what one draw can tell."""
        if self.exact:
            return 0.0
        chance = min(max(self.serves[key], 1 / self.draws), 1 - 1 / self.draws)
        return sqrt(chance * (1 - chance) / self.draws)


class _Scripted(Draw):
    """Draws the numbers of a script, and zeros past its end; `path` has what was drawn."""

    def __init__(self, path: list[int], script: Sequence[int]) -> None:
        super().__init__()
        self._path, self._script = path, script

    def below(self, bound: int) -> int:
        at = len(self._path)
        number = self._script[at] if at < len(self._script) else 0
        assert number < bound
        self._path.append(number)
        return number


@dataclass(frozen=True)
class _ScriptedSeed(rules.Seed):
    ids: tuple[str, ...] = ()
    path: list[int] = field(default_factory=list)
    script: tuple[int, ...] = ()

    def order(self, model_id: str) -> bytes:
        return self.ids.index(model_id).to_bytes(4, "big")

    def draw(self, model_id: str) -> Draw:  # noqa: ARG002 - one script holds the draws of all models
        return _Scripted(self.path, self.script)


class TooManyError(Exception):
    """The draw has more outcomes than are to be walked."""


def rehearse(inputs: QueryDrawInputsResponse, *, outcomes_max: int, samples: int, seed: int) -> Chances:
    """The chance of every node: exact where there are at most so many outcomes, else of seeded samples."""
    try:
        weighted = list(_outcomes(inputs, outcomes_max))
    except TooManyError:
        share = Fraction(1, samples)
        weighted = [(share, each) for each in _samples(inputs, samples, seed)]
        return _count(weighted, exact=False)
    return _count(weighted, exact=True)


def _demands(inputs: QueryDrawInputsResponse) -> tuple[list[rules.ModelDemand], rules.Group]:
    demands = [rules.demand_of(each, inputs.params) for each in inputs.models]
    group = rules.Group(
        {each.participant: each.weight for each in inputs.members},
        {each.participant: each.voting_power for each in inputs.members if each.voting_power},
        {each.participant: each.nodes_weighted for each in inputs.members},
    )
    return demands, group


def _outcomes(
    inputs: QueryDrawInputsResponse, outcomes_max: int
) -> Iterator[tuple[Fraction, list[SlotAllocation]]]:
    """Every way in which the draws can go, with its probability."""
    demands, group = _demands(inputs)
    ids = [each.model_id for each in demands]
    orders = factorial(len(ids))
    if orders > outcomes_max:
        raise TooManyError
    walked = 0
    for order in permutations(ids):
        script: tuple[int, ...] | None = ()
        while script is not None:
            walked += 1
            if walked > outcomes_max:
                raise TooManyError
            seed = _ScriptedSeed("", inputs.epoch_index, b"", order, [], script)
            made = rules.allocate_slots(demands, group, inputs.params, seed)
            turns = [step for each in made for step in _choices(each, group)]
            chance = Fraction(1, orders)
            for number, weights in zip(seed.path, turns, strict=True):
                chance *= Fraction(weights[_index(number, weights)], sum(weights))
            yield chance, made
            script = _next(seed.path, turns)


def _choices(made: SlotAllocation, group: rules.Group) -> Iterator[list[int]]:
    """For each turn of a model the weights of the participants that were waiting, by address."""
    drawn = [turn for turn in made.turns if turn.weight_total]
    waiting = Counter(turn.participant for turn in drawn)
    waiting.update(turn.participant for turn in made.turns if turn.reason == REASON_NOT_DRAWN)
    for turn in drawn:
        weights = [group.weights[address] for address in sorted(waiting) if waiting[address]]
        assert sum(weights) == turn.weight_total
        yield weights
        waiting[turn.participant] -= 1


def _index(number: int, weights: Sequence[int]) -> int:
    """The participant on whom a number falls."""
    return bisect_right(list(accumulate(weights)), number)


def _next(path: Sequence[int], turns: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """The script of the outcome that follows: the last number that can fall on another; None behind all."""
    for at in range(len(path) - 1, -1, -1):
        following = sum(turns[at][: _index(path[at], turns[at]) + 1])
        if following < sum(turns[at]):
            return (*path[:at], following)
    return None


def _samples(inputs: QueryDrawInputsResponse, samples: int, seed: int) -> Iterator[list[SlotAllocation]]:
    """Draws as the chain makes them, for block hashes that follow from the seed."""
    demands, group = _demands(inputs)
    for number in range(samples):
        block_hash = sha256(f"rehearsal {seed} {number}".encode()).digest()
        yield rules.allocate_slots(
            demands, group, inputs.params, rules.Seed("rehearsal", inputs.epoch_index, block_hash)
        )


def _count(weighted: list[tuple[Fraction, list[SlotAllocation]]], *, exact: bool) -> Chances:
    serves: dict[NodeKey, Fraction] = {}
    tokens: dict[NodeKey, Fraction] = {}
    for chance, made in weighted:
        for allocation in made:
            for turn in allocation.turns:
                key = (allocation.model_id, turn.participant, turn.node_id)
                selected = turn.reason == REASON_SELECTED
                serves[key] = serves.get(key, Fraction(0)) + (chance if selected else 0)
                if selected:
                    carried = min(allocation.expected, allocation.selected)
                    share = Fraction(carried * turn.throughput, allocation.selected)
                    tokens[key] = tokens.get(key, Fraction(0)) + chance * share
    found = Chances(exact, len(weighted))
    for key, chance in serves.items():
        found.serves[key] = float(chance)
        found.tokens[key] = float(tokens[key] / chance) if chance else 0.0
    return found
