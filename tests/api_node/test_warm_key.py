"""A participant whose own key stays cold: its API node mines, judges and serves with a key of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cli.tx_authz import grant_messages, protocol_messages
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import api_node, fleet, run_to
from tests.api_node.serving import served
from tests.chain import Chain, GenesisParticipant, a_model, app_state, key_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

X = "org/x"
ALICE, BOB, WARM = (key_of(name).address for name in ("alice", "bob", "warm"))


async def test_a_warm_key_registers_mines_judges_and_serves_for_its_participant(tmp_path: Path) -> None:
    genesis = [GenesisParticipant("alice", 50), GenesisParticipant("bob", 40)]
    comet = Comet(Chain(app_state(genesis, [a_model(X)])))
    comet.chain.must("alice", *grant_messages(ALICE, WARM, protocol_messages(), ""))
    sequence = comet.chain.sequence("alice")
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(fleet({"a1": FakeMLNode(), "b1": FakeMLNode()}))
        rpc = await stack.enter_async_context(served(comet.app()))
        public = key_of("alice").public.hex()
        warm = await stack.enter_async_context(
            api_node(rpc, tmp_path / "warm", "warm", {"a1": (urls["a1"], X)}, participant_key=public)
        )
        bob = await stack.enter_async_context(api_node(rpc, tmp_path / "bob", "bob", {"b1": (urls["b1"], X)}))
        await run_to(comet, 27, (warm, bob))
        reply = await bob.chat(X)
        await run_to(comet, 29, (warm, bob))

    chain = comet.chain
    participant = chain.query(
        hardware_pb2.QueryParticipantRequest(address=ALICE), hardware_pb2.QueryParticipantResponse
    ).participant
    answer = chain.query(
        poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=10), poc_pb2.QueryPocValidationsResponse
    )
    assert participant.worker_key == key_of("warm").public.hex()
    assert participant.public_key == key_of("alice").public
    honest = poc_pb2.VERDICT_HONEST
    assert {(v.validator, v.participant): v.verdict for v in answer.validations} == {
        (ALICE, BOB): honest,
        (BOB, ALICE): honest,
    }
    assert {o.participant: o.outcome for o in answer.outcomes} == dict.fromkeys(
        (ALICE, BOB), reasons_pb2.REASON_ACCEPTED
    )
    assert reply.status_code == 200, reply.text
    assert chain.sequence("alice") == sequence
    assert chain.sequence("warm") > 0
