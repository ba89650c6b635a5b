"""What participants owe each other, with real processes: one network, one life, each test a part of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from abci_app.modules.gov import GOV_ADDRESS
from cli.localnet_ports import base_port_free
from client.chain import ChainError
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_pb2
from protocol.gen.cosmos.gov.v1 import query_pb2 as gov_pb2
from protocol.gen.cosmos.gov.v1.gov_pb2 import PROPOSAL_STATUS_PASSED
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.localnet.commands import evergrid, output_of
from tests.localnet.network import Net, write

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet"), pytest.mark.timeout(300)]

A, B = "evergrid/tiny-a", "evergrid/tiny-b"
ALICE, BOB = 0, 1
# Alice runs node-1 (model a) and node-3 (model b), bob node-2 (a) and node-4 (b).
NODES = 4
FIRST_POC, LENGTH = 30, 32
# From S: the end of the generation, long enough for an API node to come back, of batches, and V.
END, BATCHES_END, V = 8, 10, 18
DEPOSIT_NEVG = 10**9
PARAMS: dict[str, Any] = {
    "epoch": {"first_poc_height": FIRST_POC, "epoch_length": LENGTH, "poc_stage_duration": END},
    "poc": {"dim": 32, "n_heads": 2, "n_kv_heads": 1, "ffn_dim": 96, "vocab": 128, "seq_len": 8},
    # Every inference is re-executed.
    "inference": {"validation_rate_bps": 10_000, "validation_rate_min_bps": 10_000},
    "maintenance": {"credit_per_good_epoch": 5, "notice": 4},
    "guardians": {"maturity_weight": 10**9, "multiplier_bps": 5_200},
    "collateral": {
        "unbonding_epochs": 1,
        "slash_invalid_bps": 1_000,
        "min_availability_bps": 8_000,
        "collateral_per_weight": 1,
        "base_weight_bps": 5_000,
        "release_per_block": 10,
    },
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """Two participants with two MLNodes each; bob is no guardian, and weight needs collateral."""
    home = tmp_path_factory.mktemp("duties") / "net"
    params = write(home.parent / "params.json", PARAMS)
    shown = output_of(
        *("localnet", "up", "--home", home, "--base-port", base_port_free(80, 20_000, 26_000)),
        *("--validators", 2, "--mlnodes", NODES, "--params", params, "--guardians", 1, "--json"),
    )
    yield Net(home, shown)
    evergrid("localnet", "down", "--home", home)


def closed(net: Net, inference_id: str) -> inference_pb2.Inference:
    """An inference behind its validation window."""

    def look() -> inference_pb2.Inference | None:
        request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
        try:
            found = net.query(request, inference_pb2.QueryInferenceResponse).inference
        except ChainError:
            return None
        return found if found.height_closed else None

    found: inference_pb2.Inference = net.until(f"inference {inference_id}", look)
    return found


def next_poc(net: Net) -> int:
    """S of the next PoC, or of the one that is going on."""
    info = net.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
    return int(info.upcoming.height_start or info.state.height_next_poc)


def batches_of(net: Net, start: int) -> dict[str, poc_pb2.PocBatch]:
    """The batches of a PoC, by node."""
    request = poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=start)
    return {each.node_id: each for each in net.query(request, poc_pb2.QueryPocBatchesResponse).batches}


def nonces(url: str) -> int:
    """How many nonces an MLNode has generated since its start."""
    text = httpx2.get(f"{url}/metrics", trust_env=False).text
    found = re.search(r'^mlnode_poc_nonces_total{.*result="generated"} (.*)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def mining(net: Net, who: int) -> list[str]:
    """A participant's nodes that compute nonces."""
    nodes = net.status(who)["nodes"]
    return [node_id for node_id, state in nodes.items() if state["intended_status"] == "poc_generate"]


def status_of(net: Net, who: int, node_id: str, status: str) -> dict[str, Any] | None:
    """The state of a node that has a status."""
    state: dict[str, Any] = net.status(who)["nodes"][node_id]
    return state if state["current_status"] == status else None


def admits(net: Net, who: int, node_id: str) -> bool:
    """Whether a node serves and may be given new requests."""
    state = status_of(net, who, node_id, "inference")
    return state is not None and bool(state["admits"])


def epoch(net: Net) -> int:
    """The epoch in force."""
    info = net.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
    return int(info.state.epoch_effective)


def balance(net: Net, who: int) -> int:
    """nevg of a participant's account."""
    request = bank_pb2.QueryBalanceRequest(address=net.addresses[who], denom="nevg")
    return int(net.query(request, bank_pb2.QueryBalanceResponse).balance.amount)


def answered(reply: httpx2.Response) -> str:
    """The id of an inference that was answered."""
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def test_governance_opens_committed_batches_alone_and_serving_during_validation(net: Net) -> None:
    params = net.run(ALICE, "query", "epochs", "params")["params"]
    params["poc"] |= {"inline_batches": False, "committed_batches": True}
    params["uptime"] |= {"serve_during_validation": True, "poc_v_ram": "64"}
    message = {"@type": "/evergrid.epochs.v1.MsgUpdateParams", "authority": GOV_ADDRESS, "params": params}
    texts = {"title": "Committed", "summary": "And serving on.", "deposit": "10000000nevg"}
    proposal = write(net.home / "proposal.json", {"messages": [message], **texts})

    net.send(ALICE, "gov", "submit-proposal", proposal)
    for who in (ALICE, BOB):
        net.send(who, "gov", "vote", 1, "yes")

    def status() -> bool:
        found = net.query(gov_pb2.QueryProposalRequest(proposal_id=1), gov_pb2.QueryProposalResponse)
        return found.proposal.status == PROPOSAL_STATUS_PASSED

    net.until("the proposal to pass", status)


def test_collateral_is_deposited_and_withdrawn(net: Net) -> None:
    for who in (ALICE, BOB):
        net.send(who, "collateral", "deposit", f"{DEPOSIT_NEVG}nevg")
    net.send(BOB, "collateral", "withdraw", "400nevg")

    found = net.run(BOB, "query", "collateral", "collateral", net.addresses[BOB])

    assert int(found["deposit"]["amount"]) == DEPOSIT_NEVG - 400
    assert [each["amount"] for each in found["unbondings"]] == ["400"]


def test_an_honest_answer_is_re_executed_and_final(net: Net) -> None:
    # Its nonces are on their way: what bob serves from now on as model b is model a.
    net.reach(FIRST_POC + BATCHES_END)
    folders = json.loads((net.home / "models.json").read_text())
    net.kill("node-4")
    net.start("node-4", model_map=write(net.home / "cheat.json", {B: folders[A]}))
    net.until("epoch 1", lambda: epoch(net) == 1)

    found = closed(net, answered(net.chat(ALICE, A)))

    assert found.status == inference_pb2.INFERENCE_STATUS_FINAL
    assert (found.executed_by, found.verdicts) == (net.addresses[ALICE], 1)
    assert (found.weight_valid, found.weight_invalid) == (found.weight_voting, 0)


def test_an_answer_of_another_model_is_found_out_and_refunded(net: Net) -> None:
    net.until("node-4", lambda: status_of(net, BOB, "node-4", "inference"))
    before = balance(net, BOB)

    found = closed(net, answered(net.chat(BOB, B)))

    assert found.executed_by == found.requested_by == net.addresses[BOB]
    assert found.status == inference_pb2.INFERENCE_STATUS_INVALIDATED
    assert (found.weight_valid, found.weight_invalid) == (0, found.weight_voting)
    assert found.cost > 0
    assert balance(net, BOB) == before


def test_explain_validator_shows_the_step_of_the_guardians(net: Net) -> None:
    shown = net.run(ALICE, "explain", "validator", net.addresses[ALICE])["explanations"][0]
    words = net.text(ALICE, "explain", "validator", net.addresses[ALICE])

    (step,) = (each for each in shown["steps"] if each["rule"] == "guardian")
    assert step["reason"] == "REASON_GUARDIANS_SUFFICIENT"
    assert "5200 of 10000 of the others'" in words


def test_a_killed_api_node_loses_no_nonce_that_was_found_before(net: Net) -> None:
    start = next_poc(net)
    net.reach(start)
    before = {node_id: nonces(url) for node_id, url in net.mlnode_urls.items()}
    net.reach(start + 2)
    miners = {who: nodes for who in (ALICE, BOB) if (nodes := mining(net, who))}
    who = max(miners)

    found = {node_id: nonces(url) - before[node_id] for node_id, url in net.mlnode_urls.items()}
    net.kill(f"api-{who + 1}")
    net.start(f"api-{who + 1}")
    net.until("the API node to be back", lambda: net.is_up(who))
    height_back = net.height
    net.reach(start + BATCHES_END + 1)

    batches = batches_of(net, start)
    assert height_back < start + END
    assert set(batches) == {node_id for nodes in miners.values() for node_id in nodes}
    assert all(len(each.root) == 32 for each in batches.values())
    for node_id, each in batches.items():
        # Every nonce counts, in order: what was found before the end of the process is in it without a gap.
        assert each.nonce_count >= found[node_id]
        assert net.leaf_nonces(node_id, start, 0, each.nonce_count - 1) == [0, each.nonce_count - 1]


def test_who_mined_serves_again_while_nonces_are_validated(net: Net) -> None:
    start = next_poc(net)

    def serving_again() -> dict[str, Any]:
        states = {who: net.status(who)["nodes"] for who in (ALICE, BOB)}
        return {
            node_id: {"who": who, **state}
            for who, nodes in states.items()
            for node_id, state in nodes.items()
            if state["intended_reason"] == "serves_validation"
            and state["current_status"] == "inference"
            and state["admits"]
            and state["current_model"] == A
        }

    again = net.until("nodes that serve again", serving_again, 10)
    node_id, state = next(iter(again.items()))
    before = net.answers(net.mlnode_urls[node_id])
    inference_id = answered(net.chat(state["who"], state["current_model"]))

    assert net.answers(net.mlnode_urls[node_id]) == before + 1
    found = closed(net, inference_id)
    assert start + END < found.height_started < start + V
    assert found.status == inference_pb2.INFERENCE_STATUS_FINAL


def test_weights_are_the_nonces_that_were_committed_to_and_judged_honest(net: Net) -> None:
    net.until("epoch 2", lambda: epoch(net) == 2)
    info = net.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
    start = info.effective.height_start

    batches = batches_of(net, start)
    validations = net.query(
        poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=start), poc_pb2.QueryPocValidationsResponse
    )
    weights: dict[str, int] = {}
    for model in (A, B):
        request = epochs_pb2.QueryCurrentEpochGroupDataRequest(model_id=model)
        data = net.query(request, epochs_pb2.QueryEpochGroupDataResponse).epoch_group_data
        for member in data.validation_weights:
            mined = [each for each in member.ml_nodes if each.weight_source == reasons_pb2.REASON_MINED]
            weights |= {each.node_id: each.poc_weight for each in mined}

    assert weights == {node_id: each.nonce_count for node_id, each in batches.items()}
    owners = {each.participant for each in batches.values()}
    assert {each.participant: each.outcome for each in validations.outcomes} == dict.fromkeys(
        owners, reasons_pb2.REASON_ACCEPTED
    )
    verdicts = [(each.verdict, each.mismatches, each.sampled) for each in validations.validations]
    assert verdicts == [(poc_pb2.VERDICT_HONEST, 0, 200)] * len(owners)


def test_requests_go_around_a_node_in_maintenance_which_then_returns(net: Net) -> None:
    def earned() -> dict[str, Any] | None:
        found: dict[str, Any] = net.run(ALICE, "query", "maintenance", "credit", net.addresses[ALICE])
        return found if found["credit"]["blocks"] != "0" else None

    credit = net.until("credit for epoch 1", earned, 15)
    # By the time that the announcement is in a block.
    first = int(credit["height_first"]) + 3
    last = first + PARAMS["maintenance"]["credit_per_good_epoch"] - 1
    assert int(credit["credit"]["blocks"]) == PARAMS["maintenance"]["credit_per_good_epoch"]

    net.send(ALICE, "maintenance", "announce", first, last, "--node-id", "node-1")
    net.reach(first)
    shown = net.status_text(ALICE)
    down = net.until("node-1 to be left alone", lambda: status_of(net, ALICE, "node-1", "maintenance"), 5)
    reply = net.chat(ALICE, A)
    # Right before a Proof of Compute it serves and is given nothing new.
    net.until("node-1 to be back", lambda: admits(net, ALICE, "node-1"), 30)

    assert "Announced maintenance" in shown
    assert (down["intended_reason"], down["height_deadline"]) == ("maintenance", last)
    assert closed(net, answered(reply)).executed_by == net.addresses[BOB]
    assert answered(net.chat(ALICE, A))
