"""Drawn validators through blocks: who may judge, how slots decide, and what is told of it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.poc import explain
from protocol.gen.evergrid.explain.v1 import explain_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.poc_samples import sampled_validators
from tests.chain import CHAIN_ID, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_epoch import MODEL, E, S, T, batch

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
ADDRESS = {name: key_of(name).address for name in NAMES}
# So few that some validators draw none.
SLOTS = 3


def members(*names: str, slots: int = SLOTS) -> Chain:
    """Members of equal power, with a node each."""
    params = default_params("local")
    params.poc.validation_slots = slots
    params.poc.committed_batches = True
    owners = [GenesisParticipant(name, 10, (GenesisNode("gpu", (MODEL,), 0),)) for name in names]
    return Chain(app_state(owners, [a_model(MODEL)], params))


def mined(chain: Chain, *names: str) -> Chain:
    """At T, with nonces of these; those of alice are committed to."""
    chain.run_to(S)
    for name in names:
        message = batch(name, S, 20)
        if name == "alice":
            message.claims, message.root = b"", sha256(b"a root").digest()
        chain.must(name, message)
    chain.run_to(T)
    return chain


def drawn(chain: Chain, judged: str, slots: int = SLOTS) -> dict[str, int]:
    """By name, the slots of a participant that each validator drew: from what everybody can ask the chain."""
    request = poc_pb2.QueryPocVotersRequest(poc_stage_start_height=S)
    answer = chain.query(request, poc_pb2.QueryPocVotersResponse)
    assert answer.validation_slots == slots
    found = sampled_validators(
        {each.address: each.voting_power for each in answer.voters},
        slots,
        chain_id=CHAIN_ID,
        height_start=S,
        block_hash=sha256(f"block {T}".encode()).digest(),
        participant=key_of(judged).address,
    )
    names = {key_of(name).address: name for name in NAMES}
    return {names.get(address, address): count for address, count in found.items()}


def place(chain: Chain, name: str) -> int:
    request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=S)
    tallies = chain.query(request, poc_pb2.QueryPocValidationsResponse).tallies
    return next(each.place for each in tallies if each.participant == key_of(name).address)


def says(
    chain: Chain, validator: str, verdict: poc_pb2.Verdict, judged: str
) -> poc_pb2.MsgSubmitPocValidations:
    group = poc_pb2.PocVerdictGroup(verdict=verdict, sampled=20, places=[place(chain, judged)])
    return poc_pb2.MsgSubmitPocValidations(
        creator=key_of(validator).address, poc_stage_start_height=S, groups=[group]
    )


def outcome(chain: Chain, name: str) -> poc_pb2.PocOutcome:
    request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=S)
    outcomes = chain.query(request, poc_pb2.QueryPocValidationsResponse).outcomes
    return next(each for each in outcomes if each.participant == key_of(name).address)


def test_the_verdict_of_who_drew_a_slot_is_taken_and_of_nobody_else() -> None:
    chain = mined(members(*NAMES), *NAMES)
    chosen = drawn(chain, "bob")
    assert sum(chosen.values()) == SLOTS
    assert "bob" not in chosen

    others = [name for name in NAMES if name != "bob"]
    txs = [chain.sign(name, says(chain, name, poc_pb2.VERDICT_HONEST, "bob")) for name in others]
    results = dict(zip(others, chain.block(*txs), strict=True))

    assert {name for name, result in results.items() if result.code == 0} == set(chosen)
    refused = {result.log for result in results.values() if result.code}
    assert refused
    assert all("not_sampled: " in log for log in refused)


@pytest.mark.parametrize(
    ("verdict", "ended"),
    [
        (poc_pb2.VERDICT_HONEST, reasons.REASON_ACCEPTED),
        (poc_pb2.VERDICT_FRAUD, reasons.REASON_FRAUD),
        (poc_pb2.VERDICT_ABSTAIN, reasons.REASON_UNDECIDED),
    ],
)
def test_slots_decide_and_the_explanation_of_the_weight_says_so(
    verdict: poc_pb2.Verdict, ended: reasons.Reason
) -> None:
    chain = mined(members(*NAMES), *NAMES)

    # The others are accepted, so that a group follows.
    everybody_speaks(chain, on_alice=verdict)
    chain.run_to(E)

    found = outcome(chain, "alice")
    assert (found.outcome, found.slots) == (ended, SLOTS)
    request = explain_pb2.QueryExplainWeightRequest(
        epoch_index=1, participant=ADDRESS["alice"], node_id="gpu"
    )
    (told,) = chain.query(request, explain_pb2.QueryExplainResponse).explanations
    vote = next(step for step in told.steps if step.rule == "vote")
    honest = SLOTS if verdict == poc_pb2.VERDICT_HONEST else 0
    assert f"{honest} of {SLOTS} drawn slots said honest" in vote.text
    assert vote.reason == ended
    assert each_verdict(told) == {
        (ADDRESS[name], poc_pb2.Verdict.Name(verdict).removeprefix("VERDICT_").lower(), slots)
        for name, slots in drawn(chain, "alice").items()
    }
    assert outcome(chain, "bob").outcome == reasons.REASON_ACCEPTED


def each_verdict(told: explain_pb2.Explanation) -> set[tuple[str, str, int]]:
    """Validator, verdict and drawn slots of every step that tells of one."""
    steps = [
        {figure.name: figure.value for figure in step.figures}
        for step in told.steps
        if step.rule == "vote.verdict"
    ]
    return {(each["validator"], each["verdict"], int(each["slots"])) for each in steps}


def test_more_verdicts_than_are_told_one_by_one_are_told_as_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = mined(members(*NAMES), *NAMES)
    everybody_speaks(chain, on_alice=poc_pb2.VERDICT_FRAUD)
    chain.run_to(E)

    monkeypatch.setattr(explain, "VERDICTS_TOLD", 1)
    request = explain_pb2.QueryExplainWeightRequest(epoch_index=1, participant=ADDRESS["alice"])
    told = chain.query(request, explain_pb2.QueryExplainResponse).explanations[0]

    slots = sorted(drawn(chain, "alice").values(), reverse=True)
    assert [each[1:] for each in each_verdict(told)] == [("fraud", slots[0])]
    others = next(step for step in told.steps if step.rule == "vote.others")
    left = f"{len(slots) - 1} more verdicts are not shown one by one: 0 slots honest, {sum(slots[1:])} fraud"
    assert others.text == left


def everybody_speaks(chain: Chain, *, on_alice: poc_pb2.Verdict) -> None:
    """In one block: everybody on all whom it drew, on alice as given."""
    by_validator: dict[str, list[poc_pb2.PocVerdictGroup]] = {}
    for judged in NAMES:
        said = on_alice if judged == "alice" else poc_pb2.VERDICT_HONEST
        for validator in drawn(chain, judged):
            group = poc_pb2.PocVerdictGroup(verdict=said, sampled=20, places=[place(chain, judged)])
            by_validator.setdefault(validator, []).append(group)
    txs = [
        chain.sign(
            name,
            poc_pb2.MsgSubmitPocValidations(creator=ADDRESS[name], poc_stage_start_height=S, groups=groups),
        )
        for name, groups in by_validator.items()
    ]
    assert [result.code for result in chain.block(*txs)] == [0] * len(txs)


def test_a_quarter_of_the_slots_is_not_enough_and_silence_counts_against() -> None:
    chain = mined(members(*NAMES, slots=4), *NAMES)
    chosen = drawn(chain, "alice", slots=4)
    spoken = 0
    for name, count in chosen.items():
        if spoken + count <= 1:
            chain.must(name, says(chain, name, poc_pb2.VERDICT_HONEST, "alice"))
            spoken += count
    chain.run_to(E - 1)
    request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=S)
    tallies = chain.query(request, poc_pb2.QueryPocValidationsResponse).tallies
    assert next(each for each in tallies if each.participant == ADDRESS["alice"]).honest_slots == spoken

    chain.block()

    kind, fields = next(
        event
        for event in chain.events
        if event[0] == "poc_not_accepted" and event[1]["participant"] == ADDRESS["alice"]
    )
    assert (kind, fields["reason"]) == ("poc_not_accepted", "undecided")


def test_above_250_voters_slots_are_drawn_without_a_param() -> None:
    crowd = [f"member-{number}" for number in range(251)]
    chain = mined(members(*crowd, slots=0), crowd[0])

    request = poc_pb2.QueryPocVotersRequest(poc_stage_start_height=S)
    answer = chain.query(request, poc_pb2.QueryPocVotersResponse)

    assert (answer.validation_slots, len(answer.voters)) == (256, 251)
    chosen = drawn(chain, crowd[0], slots=256)
    idle = next(name for name in crowd[1:] if key_of(name).address not in chosen)
    busy = next(name for name in crowd[1:] if key_of(name).address in chosen)
    assert "not_sampled" in chain.deliver(idle, says(chain, idle, poc_pb2.VERDICT_HONEST, crowd[0])).log
    assert chain.deliver(busy, says(chain, busy, poc_pb2.VERDICT_HONEST, crowd[0])).code == 0
