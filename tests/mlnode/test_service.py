"""An MLNode through its whole life, over real sockets and with its real compute process."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlnode.callbacks import Poster
from mlnode.metrics import Metrics
from mlnode.settings import Settings
from tests.mlnode.service_harness import TINY, Receiver, Service, wait_for

SEED = "ab" * 32
OTHER_SEED = "cd" * 32
KEY = "02" + "11" * 32
OTHER_KEY = "03" + "22" * 32
NODE = "node-1"


def tiny_params(**changes: int) -> dict[str, Any]:
    from mlnode.pow import PRESETS

    return PRESETS["tiny"].to_json() | changes


def init(receiver: Receiver, **changes: Any) -> dict[str, Any]:
    request = {"node_id": NODE, "block_hash": SEED, "block_height": 30, "public_key": KEY}
    return request | {"params": tiny_params(), "url": receiver.url} | changes


@cache
def expected_claims(public_key: str, node_id: str, count: int) -> list[int]:
    from mlnode.pow import PRESETS, Puzzle

    with Puzzle(PRESETS["tiny"], bytes.fromhex(SEED), "cpu", 1) as puzzle:
        claims = puzzle.generate(bytes.fromhex(public_key), node_id, 0, count)
    return [claim for claim in claims if claim is not None]


def batch(request_id: str, count: int = 60, wrong: int = 0, **changes: Any) -> dict[str, Any]:
    claims = expected_claims(OTHER_KEY, "their-node", count)
    dist = [claim + 500_000 if i < wrong else claim for i, claim in enumerate(claims)]
    proof = {"public_key": OTHER_KEY, "block_hash": SEED, "block_height": 30, "node_id": "their-node"}
    return proof | {"nonces": list(range(count)), "dist": dist, "request_id": request_id} | changes


def chat(**changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hello"}]
    return {"model": TINY, "messages": messages, "max_tokens": 8, "temperature": 0} | changes


def test_a_fresh_node_is_stopped_and_has_no_puzzle_and_no_model(node: Service) -> None:
    state = node.state()

    assert (state["state"], state["model"], state["switching_to"]) == ("STOPPED", None, None)
    assert node.get("/api/v1/pow/status") == {"status": "NOT_LOADED"}
    assert node.get("/v1/models") == {"object": "list", "data": []}


def test_nonces_arrive_dense_and_in_order_and_equal_those_of_the_puzzle(
    node: Service, receiver: Receiver
) -> None:
    answer = node.ok("/api/v1/pow/init/generate", init(receiver))
    assert answer["pow_status"]["status"] == "GENERATING"
    assert node.state()["state"] == "POW"
    wait_for(lambda: len(receiver.claims()) >= 200)
    node.ok("/api/v1/stop")

    nonces = [nonce for nonce, _ in receiver.claims()]
    assert nonces == list(range(len(nonces)))
    differences = [
        abs(claim - mine)
        for (_, claim), mine in zip(receiver.claims(), expected_claims(KEY, NODE, 200), strict=False)
    ]
    assert len(differences) == 200
    assert max(differences) <= tiny_params()["epsilon"]
    assert {body["node_id"] for body in receiver.bodies("generated")} == {NODE}
    assert {body["block_height"] for body in receiver.bodies("generated")} == {30}


def test_posts_are_rare_and_hold_at_most_the_governed_number_of_nonces(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver, params=tiny_params(max_nonces_per_batch=40)))
    wait_for(lambda: len(receiver.bodies("generated")) >= 4)

    gaps = [after - before for before, after in zip(receiver.times, receiver.times[1:], strict=False)]
    assert min(gaps[:3]) >= 0.15
    assert max(len(body["nonces"]) for body in receiver.bodies("generated")) <= 40


def test_an_unacknowledged_batch_is_posted_again_unchanged_and_nothing_is_lost_at_the_phase_change(
    node: Service, receiver: Receiver
) -> None:
    receiver.refuse_next = 3
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(lambda: len(receiver.posts) >= 1)

    answer = node.ok("/api/v1/pow/phase/validate")

    found = answer["pow_status"]["nonces_found"]
    assert answer["pow_status"]["status"] == "VALIDATING"
    wait_for(lambda: len(receiver.claims()) == found)
    assert [nonce for nonce, _ in receiver.claims()] == list(range(found))
    assert receiver.posts[0] == receiver.posts[1] == receiver.posts[2] == receiver.posts[3]


def test_an_equal_request_does_not_start_again_and_a_resumed_phase_goes_on_densely(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)
    node.ok("/api/v1/pow/init/generate", init(receiver))
    paused = node.ok("/api/v1/pow/phase/validate")["pow_status"]["nonce_next"]

    node.ok("/api/v1/pow/phase/generate")

    wait_for(lambda: len(receiver.claims()) > paused + 20)
    nonces = [nonce for nonce, _ in receiver.claims()]
    assert nonces == list(range(len(nonces)))


def test_another_stage_replaces_the_running_one_and_a_first_nonce_is_heeded(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)

    node.ok(
        "/api/v1/pow/init/generate", init(receiver, block_hash=OTHER_SEED, block_height=60, first_nonce=1000)
    )

    def later() -> list[int]:
        bodies = [body for body in receiver.bodies("generated") if body["block_height"] == 60]
        return [nonce for body in bodies for nonce in body["nonces"]]

    wait_for(lambda: len(later()) > 50)
    assert later()[:50] == list(range(1000, 1050))


def test_generation_ends_at_the_governed_number_of_nonces(node: Service, receiver: Receiver) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver, params=tiny_params(max_nonces_per_node=100)))

    wait_for(lambda: node.get("/api/v1/pow/status").get("exhausted"))

    wait_for(lambda: len(receiver.claims()) == 100)
    assert node.get("/api/v1/pow/status")["nonce_next"] == 100


def test_all_that_is_wrong_with_a_request_is_named_and_nothing_changes(
    node: Service, receiver: Receiver
) -> None:
    request = init(receiver, block_hash="zz", public_key="04aa", first_nonce=-1)
    answer = node.post("/api/v1/pow/init/generate", request)
    params = node.post("/api/v1/pow/init/generate", init(receiver, params={"dim": "x", "colour": 1}))
    huge = [
        node.post("/api/v1/pow/init/generate", init(receiver, params=tiny_params(**{name: 1 << 40})))
        for name in ("dim", "seq_len", "vocab")
    ]
    broken = node.client.post(
        "/api/v1/pow/init", content=b'{"node_id"', headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert all(name in answer.json()["detail"] for name in ("block_hash", "public_key", "first_nonce"))
    assert params.status_code == 400
    assert all(name in params.json()["detail"] for name in ("dim is not an integer", "colour is unknown"))
    assert [each.status_code for each in huge] == [400] * 3
    assert all("are free" in each.json()["detail"] for each in huge)
    assert broken.status_code == 422
    assert broken.json()["detail"].startswith("the body is no JSON: ")
    assert node.state()["state"] == "STOPPED"


def test_phases_and_batches_need_an_initialised_puzzle(node: Service) -> None:
    refused = [node.post("/api/v1/pow/phase/generate"), node.post("/api/v1/pow/phase/validate")]
    refused.append(node.post("/api/v1/pow/validate", batch("early")))

    assert {answer.status_code for answer in refused} == {400}
    assert all("no PoC is initialised" in answer.json()["detail"] for answer in refused)


def test_an_honest_and_a_fraudulent_batch_get_their_verdicts_beside_inference(
    node: Service, receiver: Receiver
) -> None:
    node.up()
    node.ok("/api/v1/pow/init/validate", init(receiver))

    for proof in (batch("honest"), batch("fraud", wrong=30), batch("one-wrong", wrong=1)):
        assert node.ok("/api/v1/pow/validate", proof) is None
    answer = node.ok("/v1/chat/completions", chat())

    assert answer["usage"]["completion_tokens"] == 8
    assert node.state()["state"] == "INFERENCE"
    assert node.state()["pow_status"]["status"] == "VALIDATING"
    names = ("honest", "fraud", "one-wrong")
    honest, fraud, one = (wait_for(partial(receiver.verdict, name)) for name in names)
    assert (honest["verdict"], honest["fraud_detected"], honest["n_invalid"]) == ("honest", False, 0)
    assert (fraud["verdict"], fraud["fraud_detected"], fraud["n_invalid"]) == ("fraud", True, 30)
    assert (one["verdict"], one["n_invalid"]) == ("honest", 1)
    assert fraud["probability_honest"] < fraud["fraud_threshold"] < honest["probability_honest"]
    assert fraud["reasons"] == ["difference"] * 30 + ["match"] * 30
    assert fraud["received_dist"] == batch("fraud", wrong=30)["dist"]
    assert max(abs(a - b) for a, b in zip(honest["dist"], honest["received_dist"], strict=True)) <= 1000


def test_a_batch_of_another_stage_or_with_a_broken_claim_is_refused_and_stops_no_other(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/validate", init(receiver))

    stray = node.post("/api/v1/pow/validate", batch("stray", block_hash=OTHER_SEED))
    broken = node.post("/api/v1/pow/validate", batch("broken", dist=[1.5] * 60, nonces=[0, *range(59)]))
    node.ok("/api/v1/pow/validate", batch("huge", dist=[2**62] * 60))
    node.ok("/api/v1/pow/validate", batch("good"))

    assert stray.status_code == 409
    assert "initialised is that of height 30" in stray.json()["detail"]
    assert broken.status_code == 422
    assert wait_for(lambda: receiver.verdict("huge"))["verdict"] == "fraud"
    assert wait_for(lambda: receiver.verdict("good"))["verdict"] == "honest"


def test_a_batch_that_waits_when_the_stage_is_replaced_is_reported_as_failed(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/validate", init(receiver))
    many = list(range(100_000))

    node.ok("/api/v1/pow/validate", batch("late", nonces=many, dist=[0] * len(many)))
    node.ok("/api/v1/pow/init/validate", init(receiver, block_hash=OTHER_SEED, block_height=60))

    late = wait_for(lambda: receiver.verdict("late"))
    assert late["verdict"] == "error"
    assert "another PoC" in late["error"]
    assert (late["n_invalid"], late["fraud_detected"]) == (-1, False)


def test_generating_and_serving_exclude_each_other_with_a_sentence_that_says_what_to_do(
    node: Service, receiver: Receiver
) -> None:
    node.up()
    generate = node.post("/api/v1/pow/init/generate", init(receiver))
    assert node.state()["state"] == "INFERENCE"
    node.ok("/api/v1/inference/down")
    node.ok("/api/v1/pow/init/generate", init(receiver))
    serve = node.post("/api/v1/inference/up", {"model": TINY})

    assert (generate.status_code, serve.status_code) == (409, 409)
    assert "/api/v1/inference/down" in generate.json()["detail"]
    assert "/api/v1/pow/stop" in serve.json()["detail"]
    assert node.state()["state"] == "POW"


def test_a_model_that_cannot_be_served_leaves_the_running_one_alone(node: Service) -> None:
    node.up()

    unknown = node.post("/api/v1/inference/up", {"model": "no/such"})
    wrong = node.post("/api/v1/inference/up", {"model": TINY, "additional_args": ["--max-model-len=many"]})

    assert (unknown.status_code, wrong.status_code) == (404, 400)
    assert node.state()["model"] == TINY
    assert node.state()["reason"] is None
    node.up("evergrid/other")
    assert node.state()["model"] == "evergrid/other"


def test_the_reason_why_no_model_is_up_stays_visible_until_one_is(node: Service) -> None:
    node.post("/api/v1/inference/up", {"model": "no/such"})
    failed = node.state()
    node.up()

    assert failed["state"] == "STOPPED"
    assert "no/such" in failed["reason"]
    assert (node.state()["model"], node.state()["reason"]) == (TINY, None)


def test_an_equal_request_for_a_model_keeps_it_and_a_stop_frees_it(node: Service) -> None:
    node.up()
    since = node.get("/v1/models")["data"][0]["created"]
    loads = node.metric("mlnode_switch_seconds_count")

    node.up()

    assert node.get("/v1/models")["data"][0]["created"] == since
    assert node.metric("mlnode_switch_seconds_count") == loads + 1
    node.ok("/api/v1/stop")
    refused = node.post("/v1/chat/completions", chat())
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["error"]["code"] == "unavailable"


def test_a_killed_compute_process_is_reported_and_replaced_while_http_stays_up(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)
    many = list(range(100_000))
    node.ok("/api/v1/pow/validate", batch("waiting", nonces=many, dist=[0] * len(many)))
    before = node.state()["compute"]

    os.kill(before["pid"], signal.SIGKILL)

    state = wait_for(lambda: (s := node.state())["state"] == "STOPPED" and s)
    assert "SIGKILL" in state["reason"]
    assert state["compute"]["restarts"] == before["restarts"] + 1
    assert node.client.get("/health").status_code == 503
    node.wait_ready()
    assert node.state()["compute"]["pid"] != before["pid"]
    node.ok("/api/v1/pow/init/generate", init(receiver))
    arrived = len(receiver.claims())
    wait_for(lambda: len(receiver.claims()) > arrived + 50)
    nonces = [nonce for nonce, _ in receiver.claims()]
    assert nonces == list(range(len(nonces)))
    assert node.state()["reason"] is None
    waiting = receiver.verdict("waiting")
    assert waiting["verdict"] == "error"
    assert "SIGKILL" in waiting["error"]


def test_callbacks_carry_the_token_and_go_only_where_the_request_says(receiver: Receiver) -> None:
    async def post() -> str | None:
        poster = Poster(Settings(), "secret", Metrics())
        try:
            return await poster.post(receiver.url, "generated", {"nonces": []})
        finally:
            await poster.close()

    assert asyncio.run(post()) is None
    assert receiver.headers[0]["authorization"] == "Bearer secret"
    assert receiver.accepted == [("/v1/poc-batches/generated", {"nonces": []})]


def test_the_metrics_tell_state_nonces_and_switches(node: Service, receiver: Receiver) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)

    assert node.metric('mlnode_state{state="pow_generate"}') == 1
    assert node.metric("mlnode_state{") == 1
    assert node.metric('mlnode_poc_nonces_total{model="",result="sent"}') >= len(receiver.claims())
    assert node.metric("mlnode_compute_resident_memory_bytes") > 50e6
    assert node.metric('mlnode_model_load_seconds{model="evergrid/tiny",phase="weights"}') > 0


def test_the_http_process_never_imports_torch(node: Service) -> None:
    libraries = Path(f"/proc/{node.process.pid}/maps").read_text()
    theirs = Path(f"/proc/{node.state()['compute']['pid']}/maps").read_text()

    assert "libtorch" in theirs
    assert "libtorch" not in libraries


def test_proof_of_compute_runs_behind_everything_else_and_inference_does_not(
    node: Service, receiver: Receiver
) -> None:
    node.ok("/api/v1/pow/init/generate", init(receiver))
    wait_for(receiver.claims)
    node.ok("/api/v1/stop")

    tasks = Path(f"/proc/{node.state()['compute']['pid']}/task").glob("*/stat")
    nices = [int(stat.read_text().rpartition(")")[2].split()[16]) for stat in tasks]
    assert nices.count(19) == 2, "one computes, one sends"
    assert min(nices) == os.getpriority(os.PRIO_PROCESS, 0)
