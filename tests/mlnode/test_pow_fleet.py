"""Compute processes that are late, or that fail one after another, are taken in and reported."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from mlnode.nonce_ledger import Ledger
from mlnode.pow_fleet import Fleet, Spread
from mlnode.supervisor import Compute


class StandIn(SimpleNamespace):
    """Has a process's answers, at once, and keeps what it was asked."""

    def __init__(self, *, is_ready: bool) -> None:
        super().__init__(is_ready=is_ready, asked=[], told=[], ready_info={}, device="cpu", reason=None)
        self.gate = asyncio.Event()
        self.gate.set()

    async def request(self, op: str, **fields: Any) -> dict[str, Any]:
        self.asked.append((op, fields))
        await self.gate.wait()
        return {"batch_size": 8, "params": {}}

    def tell(self, op: str, **fields: Any) -> None:
        self.told.append((op, fields))


def fleet_of(*stand_ins: StandIn) -> Fleet:
    return Fleet([cast("Compute", each) for each in stand_ins], 5)


def spread() -> Spread:
    return Spread(1, "02" + "11" * 32, "node-1", Ledger(0, 1000))


def test_a_process_that_comes_up_while_the_others_load_joins_when_they_have() -> None:
    async def life() -> list[list[str]]:
        quick, late = StandIn(is_ready=True), StandIn(is_ready=False)
        fleet = fleet_of(quick, late)
        quick.gate.clear()
        load = asyncio.create_task(fleet.load({"poc_seed": "ab"}))
        await asyncio.sleep(0)
        late.is_ready = True
        fleet.is_ready(fleet.processes[1])
        asked_early = [op for op, _ in late.asked]
        quick.gate.set()
        await load
        await fleet.begin(spread())
        for _ in range(5):
            await asyncio.sleep(0)
        return [asked_early, [op for op, _ in late.asked]]

    early, later = asyncio.run(life())

    assert early == []
    assert later == ["pow_load", "pow_generate"]


def test_what_one_process_leaves_is_handed_to_the_others_even_if_they_had_nothing_left() -> None:
    async def life() -> list[tuple[int, int]]:
        one, other = StandIn(is_ready=True), StandIn(is_ready=True)
        fleet = fleet_of(one, other)
        await fleet.load({})
        await fleet.begin(Spread(1, "02", "node-1", Ledger(0, 40)))
        for first in (24, 32):
            message = {"run_id": 1, "nonce_first": first, "computed": 8, "piece_nonces": 8}
            fleet.computed(fleet.processes[1], message | {"nonces": [], "claims": []})
        fleet.lost(fleet.processes[0])
        return [span for _, fields in other.told for span in fields["spans"]]

    assert asyncio.run(life()) == [(0, 8), (8, 16), (16, 24)]


def test_a_run_without_any_process_left_is_seen_as_such() -> None:
    async def life() -> list[bool]:
        fleet = fleet_of(StandIn(is_ready=True), StandIn(is_ready=True))
        await fleet.load({})
        await fleet.begin(spread())
        seen = [fleet.any_generating]
        fleet.failed(fleet.processes[0], {"run_id": 1, "message": "no kernel image"})
        seen.append(fleet.any_generating)
        fleet.lost(fleet.processes[1])
        return [*seen, fleet.any_generating, fleet.any_loaded]

    assert asyncio.run(life()) == [True, True, False, True]
