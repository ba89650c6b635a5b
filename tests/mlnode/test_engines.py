"""Engines beside the embedded one. The process engine runs a stand-in with vLLM's command line, not vLLM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from mlnode.engines import engine_names, make_engine
from mlnode.engines.base import Asked, Host, ModelToServe
from mlnode.engines.openai_server import OpenAIServer
from mlnode.engines.vllm import command_line
from mlnode.errors import RefusedError
from mlnode.metrics import Metrics
from mlnode.openai_schemas import ChatRequest
from mlnode.settings import Settings
from mlnode.supervisor import Compute
from mlnode.tiny import make_tiny_llama
from tests.mlnode.service_harness import TINY, Service, wait_for

SECRET = "planted-hub-token"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in as a program of its own."""
    path = tmp_path_factory.mktemp("engine") / "vllm"
    stand_in = Path(__file__).with_name("serve_stand_in.py")
    path.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({str(stand_in)!r})\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def processed(
    start_service: Callable[..., Service], models_dir: Path, program: Path, tmp_path_factory: Any
) -> Service:
    """A node whose engine is a process, with a secret in its own environment."""
    options = {"executable": str(program), "health_interval_s": 0.2, "stop_grace_s": 2}
    os.environ["HF_TOKEN"] = SECRET
    try:
        service = start_service(
            *("--engine", "vllm", "--engine-options", json.dumps(options)),
            *("--models-dir", str(models_dir), "--drain-timeout-s", "2", "--load-timeout-s", "30"),
        )
    finally:
        del os.environ["HF_TOKEN"]
    service.wait_ready()
    return service


@pytest.fixture(scope="module")
def judging(start_service: Callable[..., Service], models_dir: Path, program: Path) -> Service:
    """A node whose engine's process may be deaf for a while, as the stand-in is when it loads torch."""
    options = json.dumps({"executable": str(program), "health_interval_s": 20})
    flags = ("--engine", "vllm", "--engine-options", options, "--models-dir", str(models_dir))
    service = start_service(*flags, "--drain-timeout-s", "2")
    service.wait_ready()
    return service


def up(service: Service, *args: str, dtype: str = "auto") -> None:
    body = {"model": TINY, "dtype": dtype, "additional_args": list(args)}
    assert service.ok("/api/v1/inference/up", body) == {"status": "OK"}


def ask(service: Service, text: str, **changes: Any) -> Any:
    body = {"model": TINY, "messages": [{"role": "user", "content": text}]} | changes
    return service.post("/v1/chat/completions", body)


def pid_of(service: Service) -> int | None:
    pid: int | None = service.state()["engine"]["pid"]
    return pid


def test_the_process_gets_the_arguments_as_words_and_no_secret_and_is_on_loopback(
    processed: Service, models_dir: Path
) -> None:
    up(processed, "--max_model_len=512", "--enforce-eager", "--tool-call-parser", "hermes", dtype="float32")

    how = json.loads(ask(processed, "how").json()["choices"][0]["message"]["content"])

    folder = str(models_dir / TINY.replace("/", "--"))
    assert how["argv"][:4] == ["serve", folder, "--dtype", "float32"]
    governed = ["--max-model-len", "512", "--enforce-eager", "--tool-call-parser", "hermes"]
    assert how["argv"][4:9] == governed
    assert how["argv"][9:13] == ["--max-logprobs", "128", "--host", "127.0.0.1"]
    assert how["argv"][-2:] == ["--served-model-name", TINY]
    assert SECRET not in json.dumps(how)
    assert not any(how["key"] in word for word in how["argv"])
    assert how["env"]["HF_HUB_OFFLINE"] == "1"
    assert processed.get("/v1/models")["data"][0]["max_model_len"] == 512


def test_answers_streams_tools_and_refusals_pass_through_and_are_counted(processed: Service) -> None:
    up(processed)
    before = processed.metric('mlnode_inference_tokens_total{kind="completion"')
    tool: Any = {"type": "function", "function": {"name": "look", "parameters": {}}}

    with openai.OpenAI(base_url=f"{processed.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model=TINY, messages=[{"role": "user", "content": "echo"}], tools=[tool]
        )
        stream = client.chat.completions.create(
            model=TINY, messages=[{"role": "user", "content": "echo"}], stream=True
        )
        chunks = list(stream)
        with pytest.raises(openai.BadRequestError, match="this prompt is refused"):
            client.chat.completions.create(model=TINY, messages=[{"role": "user", "content": "refuse"}])

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["look"]
    assert answer.model == TINY
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "echo"
    assert processed.ok("/tokenize", {"model": TINY, "prompt": "x"})["count"] == 2
    assert processed.metric('mlnode_inference_tokens_total{kind="completion"') == before + 1 + 4


def test_the_process_decides_itself_which_kinds_of_models_it_serves(
    processed: Service, models_dir: Path
) -> None:
    folder = make_tiny_llama(models_dir / "seeing")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["SeesAndTalks"]}))

    processed.up("seeing")

    assert processed.state()["model"] == "seeing"


def test_a_process_that_ends_is_reported_and_started_again_while_http_stays_up(processed: Service) -> None:
    up(processed)
    first = pid_of(processed)

    crashed = ask(processed, "crash")
    wait_for(lambda: processed.state()["engine"]["restarts"] == 1)
    wait_for(lambda: processed.state()["engine"]["status"] == "ready")
    second = pid_of(processed)
    assert second is not None
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: "SIGKILL" in str(processed.state()["engine"]["reason"]))
    down = ask(processed, "hello")
    wait_for(lambda: processed.state()["engine"]["status"] == "ready")

    assert first != second
    assert crashed.status_code == 503
    assert down.status_code == 503
    assert int(down.headers["Retry-After"]) > 0
    assert ask(processed, "hello").json()["choices"][0]["message"]["content"] == "hello"
    assert processed.metric('mlnode_engine_restarts_total{engine="vllm"}') >= 2


def test_a_process_that_answers_no_health_check_any_more_is_replaced(processed: Service) -> None:
    up(processed, "--max-model-len", "300")
    first = pid_of(processed)

    ask(processed, "deaf")

    wait_for(lambda: pid_of(processed) not in {first, None})
    wait_for(lambda: processed.state()["engine"]["status"] == "ready")
    assert ask(processed, "hello").status_code == 200


def test_a_process_that_cannot_start_makes_up_fail_with_its_own_last_words(processed: Service) -> None:
    processed.ok("/api/v1/stop")

    answer = processed.post("/api/v1/inference/up", {"model": TINY, "dtype": "half", "additional_args": []})

    assert answer.status_code == 500
    assert "this device has no half" in answer.json()["detail"]
    assert processed.state()["state"] == "STOPPED"
    assert pid_of(processed) is None


def test_a_stop_and_the_nodes_own_end_leave_no_process_behind(
    start_service: Callable[..., Service], models_dir: Path, program: Path, processed: Service
) -> None:
    up(processed)
    stopped = pid_of(processed)
    processed.ok("/api/v1/stop")
    options = json.dumps({"executable": str(program), "health_interval_s": 0.2})
    flags = ("--engine", "vllm", "--engine-options", options, "--models-dir", str(models_dir))
    other = Service.started_alone(*flags)
    other.wait_ready()
    up(other)
    orphan = pid_of(other)

    other.process.kill()
    other.process.wait()

    assert stopped is not None
    assert orphan is not None
    wait_for(lambda: not Path(f"/proc/{stopped}").exists())
    wait_for(lambda: not Path(f"/proc/{orphan}").exists() or _is_zombie(orphan))


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(("temperature", "top_p"), [(0, 1.0), (1.0, 0.8), (0.7, 1.0)])
def test_a_process_judges_a_given_answer_as_the_embedded_engine_does(
    judging: Service, node: Service, temperature: float, top_p: float
) -> None:
    up(judging)
    node.up()
    ask: dict[str, Any] = {"model": TINY, "messages": [{"role": "user", "content": "tell"}], "max_tokens": 24}
    ask |= {"temperature": temperature, "top_p": top_p, "seed": 4}
    choice = node.ok("/v1/chat/completions", ask | {"return_token_ids": True})["choices"][0]
    text, ids = choice["message"]["content"], choice["token_ids"]
    score = {"request": ask, "text": text, "token_ids": ids, "top_logprobs": 2}
    # Not drawn by anybody: the last token is one that the model finds unlikely.
    false = score | {"token_ids": [*ids[:-1], 0]}

    ours, theirs = (each.ok("/v1/chat/completions/score", score) for each in (judging, node))
    faked, exposed = (each.ok("/v1/chat/completions/score", false) for each in (judging, node))

    def numbers(body: dict[str, Any]) -> list[list[float]]:
        return [
            [each[name] for name in ("gap", "surprise", "entropy", "variance")] for each in body["tokens"]
        ]

    assert {**ours, "tokens": 0} == {**theirs, "tokens": 0}
    assert ours["text_matches"] is True
    for one, other in ((ours, theirs), (faked, exposed)):
        for mine, embedded in zip(numbers(one), numbers(other), strict=True):
            assert mine == pytest.approx(embedded, abs=0.05)
    assert [each[0] for each in ours["tokens"][0]["top"]] == [each[0] for each in theirs["tokens"][0]["top"]]
    assert faked["text_matches"] is False


def test_a_process_refuses_to_judge_what_it_cannot_tell(judging: Service) -> None:
    up(judging)
    ask = {"model": TINY, "messages": [{"role": "user", "content": "tell"}], "max_tokens": 4}
    score = {"request": ask, "text": "aaaa", "token_ids": [66] * 4}
    flat = score | {"request": ask | {"temperature": 2.0}}
    late = score | {"token_ids": [66] * 5}
    tools = score | {"request": ask | {"tools": [{"type": "function", "function": {"name": "f"}}]}}

    answers = [judging.post("/v1/chat/completions/score", each) for each in (flat, late, tools)]

    assert [answer.status_code for answer in answers] == [501, 400, 501]
    for answer, part in zip(answers, ("128 likeliest", "4 end the answer", "tools"), strict=True):
        assert part in answer.json()["error"]["message"]


def test_a_remote_engine_serves_what_another_mlnode_serves(
    start_service: Callable[..., Service], node: Service
) -> None:
    node.up()
    options = json.dumps({"url": f"{node.url}/v1", "models": {"org/renamed": TINY}})
    front = start_service("--engine", "remote", "--engine-options", options)
    front.wait_ready()
    asked: dict[str, Any] = {"model": "org/renamed", "messages": [{"role": "user", "content": "hello"}]}
    asked |= {"max_tokens": 8, "temperature": 0}

    absent = front.post("/api/v1/inference/up", {"model": "org/none"})
    front.up("org/renamed")
    answer = front.ok("/v1/chat/completions", asked | {"return_token_ids": True})
    streamed = front.post("/v1/chat/completions", asked | {"stream": True})
    choice = answer["choices"][0]
    score = {"request": asked, "text": choice["message"]["content"], "token_ids": choice["token_ids"]}
    judged = front.ok("/v1/chat/completions/score", score)
    refused = front.post("/v1/chat/completions", asked | {"max_tokens": 10**6})
    node.ok("/api/v1/stop")
    down = front.post("/v1/chat/completions", asked)

    direct = "".join(
        json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content", "")
        for line in streamed.text.splitlines()
        if line and not line.endswith("[DONE]")
    )
    assert absent.status_code == 404
    assert TINY in absent.json()["detail"]
    assert answer["model"] == "org/renamed"
    assert direct == choice["message"]["content"]
    assert judged["text_matches"] is True
    assert refused.status_code == 400
    assert "context" in refused.json()["error"]["message"]
    assert down.status_code == 503
    assert int(down.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"error": {"message": "bad key SECRET"}}, "the engine refuses this node's key (status 401)"),
        (500, "Traceback SECRET", "the engine failed (status 500)"),
        (302, "", "the engine failed (status 302)"),
        (200, {"object": "SECRET"}, "the engine's answer has no choices"),
        (200, "<html>SECRET", "the engine's answer cannot be read: JSONDecodeError"),
    ],
)
def test_what_a_server_says_of_itself_does_not_reach_who_asks(status: int, body: Any, told: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    server = OpenAIServer("http://127.0.0.1:9/v1", "SECRET", ours="a", theirs="b", timeout_s=5)
    answer = httpx2.Response(status, text=text, headers={"Location": "http://127.0.0.1:9/other"})
    server._http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer))
    raw = {"model": "a", "messages": [{"role": "user", "content": "hello"}]}
    request = ChatRequest.model_validate(raw)

    with pytest.raises(RefusedError) as refused:
        asyncio.run(anext(server.complete(Asked(request, raw))))

    assert (refused.value.status, str(refused.value)) == (502, told)


def test_engines_are_found_by_their_file_and_their_options_are_checked() -> None:
    def make(**changes: Any) -> None:
        settings = Settings(**changes)
        make_engine(Host(settings, Metrics(), Compute(settings, lambda _: None, lambda _: None)))

    assert engine_names() == ["remote", "transformers", "vllm"]
    with pytest.raises(ValueError, match="sglang is none of remote, transformers, vllm"):
        make(engine="sglang")
    with pytest.raises(ValueError) as caught:
        make(engine="remote", engine_options={"url": "no url", "speed": 1})
    assert all(name in str(caught.value) for name in ("url", "speed"))


def test_words_of_the_node_itself_stand_behind_those_of_governance() -> None:
    model = ModelToServe("org/m", "half", ("--dtype", "float32"), Path("/models/m"))

    words = command_line("vllm", 1234, model)

    assert words[:4] == ["vllm", "serve", "/models/m", "--dtype"]
    assert words.count("--dtype") == 1
    own = ["--max-logprobs", "128", "--host", "127.0.0.1", "--port", "1234", "--served-model-name", "org/m"]
    assert words[5:] == own
    more = command_line("vllm", 1, ModelToServe("m", "auto", ("--max-logprobs", "500"), Path("/m")))
    assert more[more.index("--host") - 1] == "500"
