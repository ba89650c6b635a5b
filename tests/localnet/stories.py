"""A demo in which everything happened as promised, in plain values."""

from __future__ import annotations

from cli.demo_checks import Expected
from cli.demo_facts import (
    BETWEEN,
    IN_POC,
    AmountFact,
    Cast,
    EpochFact,
    ExtensionFact,
    NodeFact,
    NodeKey,
    PocFact,
    ProposalFact,
    RequestFact,
    SettlementFact,
    Snapshot,
    StageFact,
    Story,
    TargetFact,
    VerdictFact,
)

ALICE, BOB = "evergrid1alice", "evergrid1bob"
A, B = "model/a", "model/b"
NODE_1, NODE_2, NODE_3 = (ALICE, "node-1"), (BOB, "node-2"), (ALICE, "node-3")
CAST = Cast({ALICE: "participant-1", BOB: "participant-2"}, A, B, (NODE_1, NODE_2, NODE_3))
EPOCHS = 3
EXPECTED = Expected(CAST, EPOCHS)
MODELS = {NODE_1: A, NODE_2: A, NODE_3: B}


def start_of(epoch: int) -> int:
    """S of the PoC that forms an epoch: the first with nodes is at 40, the next ones 30 later each."""
    return 10 + 30 * epoch


def server(epoch: int) -> NodeKey | None:
    """Who serves model A in the PoC that forms an epoch."""
    return None if epoch < 2 else (NODE_1 if epoch % 2 == 0 else NODE_2)


def node(key: NodeKey, source: str = "mined", *, poc_slot: bool = False) -> NodeFact:
    return NodeFact(key[0], key[1], MODELS[key], 300, source, poc_slot)


def poc(epoch: int) -> PocFact:
    serving = server(epoch)
    nodes = tuple(node(key, poc_slot=key == serving) for key in MODELS) if epoch > 1 else ()
    verdicts = (VerdictFact(ALICE, BOB, "honest", 200, 0), VerdictFact(BOB, ALICE, "honest", 200, 0))
    nonces = {key: 300 for key in MODELS if key != serving}
    start = start_of(epoch)
    return PocFact(
        epoch, start, start + 15, nodes, {}, verdicts, {ALICE: "accepted", BOB: "accepted"}, nonces
    )


def request(number: int, phase: str, epoch: int, key: NodeKey, to: str) -> RequestFact:
    """An answered request; between PoCs it ran before S of the next one, else after it."""
    start = start_of(epoch + 1)
    first = start + 2 if phase == IN_POC else start - 10
    return RequestFact(
        number,
        phase,
        epoch,
        MODELS[key],
        to,
        key,
        text="Rayleigh scattering",
        seconds=2.5,
        inference_id=f"chatcmpl-{number}",
        answered_by={key: 1},
        executed_by=key[0],
        status="final",
        height_started=first,
        height_finished=first + 3,
        tokens=32,
    )


def requests() -> list[RequestFact]:
    wanted = []
    for epoch in range(1, EPOCHS + 1):
        wanted += [(BETWEEN, epoch, key, key[0]) for key in MODELS]
        holder = server(epoch + 1)
        assert holder is not None
        wanted += [(IN_POC, epoch, holder, to) for to in (ALICE, BOB)]
    return [request(number, *rest) for number, rest in enumerate(wanted, 1)]


def amount(participant: str, base: int, bonus: int) -> AmountFact:
    return AmountFact(participant, base, bonus, 7, base + bonus + 7, bonus > 0, 10_000, 55, base + bonus + 7)


def good_story() -> Story:
    """Three epochs with weight, after one that was extended."""
    story = Story(
        models_registered=(A, B),
        nodes_declared=(NODE_1, NODE_3, NODE_2),
        targets=[TargetFact("chain 1", "http://127.0.0.1:1/metrics")],
        app_hashes={"validator 1": "AB", "validator 2": "AB"},
        requests=requests(),
    )
    for number in (1, 2):
        story.proposals[number] = ProposalFact(number, "Register", "passed", (ALICE, BOB), 200)
    story.extensions[10] = ExtensionFact(10, "empty_group", 0)
    for epoch in range(1, EPOCHS + 2):
        story.pocs[epoch] = poc(epoch)
        nodes = tuple(node(key, "preserved" if key == server(epoch) else "mined") for key in MODELS)
        story.epochs[epoch] = EpochFact(epoch, start_of(epoch) + 15, nodes, {ALICE: 300, BOB: 300})
    for epoch in range(1, EPOCHS + 1):
        amounts = (amount(ALICE, 600, 60), amount(BOB, 300, 0))
        story.settlements[epoch] = SettlementFact(epoch, 85, 1000, 961, 1, amounts)
        story.served |= {(epoch, A, ALICE): 1, (epoch, A, BOB): 1}
    return story


def snapshot(height: int, epoch: int = 1, **changes: object) -> Snapshot:
    """The network of the good story at a height of the inference time or the PoC after an epoch."""
    start = start_of(epoch + 1)
    under_way = height >= start
    holder = server(epoch + 1)
    states = {key[1]: "serving" if not under_way or key == holder else "generating" for key in MODELS}
    fields: dict[str, object] = {
        "height": height,
        "epoch": epoch,
        "stage": "start_of_poc" if under_way else "inference",
        "stages": (
            StageFact("start_of_poc", start, under_way),
            StageFact("end_of_poc", start + 5, done=False),
        ),
        "slot_in_force": "POC_SLOT" if under_way else "PRE_POC_SLOT",
        "height_start": start,
        "height_switch": start + 15,
        "poc_under_way": under_way,
        "nodes": tuple(node(key, poc_slot=key == holder) for key in MODELS),
        "registered": tuple(MODELS),
        "heights": {"validator 1": height, "validator 2": height},
        "voting_powers": {ALICE: 300, BOB: 300},
        "node_states": states,
        "node_models": {key[1]: MODELS[key] if states[key[1]] == "serving" else "" for key in MODELS},
    }
    return Snapshot(**(fields | changes))  # type: ignore[arg-type]
