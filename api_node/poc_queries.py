"""What the validation of a PoC asks the chain: who votes, who has which place, what was said already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api_node.chain import ChainReader
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.poc_samples import ValidatorDraw


@dataclass(frozen=True, slots=True)
class Bench:
    """Who judges in one PoC, and whom. `draw` is None where all validate all."""

    voters: Mapping[str, int]
    draw: ValidatorDraw | None
    # Of everybody who showed nonces: its short name in verdicts.
    places: Mapping[str, int]
    judged_already: frozenset[str]

    def judged_by(self, address: str) -> list[str]:
        """On whom a participant still has to give a verdict, sorted; empty where it has no vote."""
        if address not in self.voters:
            return []
        alone = list(self.voters) == [address]
        candidates = [each for each in sorted(self.places) if alone or each != address]
        return [
            each
            for each in candidates
            if each not in self.judged_already and (self.draw is None or self.draw.slots_of(address, each))
        ]


async def read_bench(reader: ChainReader, chain_id: str, height_start: int, seed: bytes) -> Bench:
    """The bench of the PoC under way; `seed` is the hash of block T. Raises ChainError."""
    asked = poc_pb2.QueryPocVotersRequest(poc_stage_start_height=height_start)
    answer = await reader.chain.query(asked, poc_pb2.QueryPocVotersResponse)
    voters = {each.address: each.voting_power for each in answer.voters}
    slots = answer.validation_slots
    own = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=height_start, validator=reader.address)
    said = await reader.chain.query(own, poc_pb2.QueryPocValidationsResponse)
    return Bench(
        voters=voters,
        draw=ValidatorDraw(voters.items(), slots, chain_id, height_start, seed) if slots else None,
        places={tally.participant: tally.place for tally in said.tallies},
        judged_already=frozenset(each.participant for each in said.validations),
    )
