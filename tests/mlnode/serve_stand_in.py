"""A small OpenAI-compatible server that is started as `vllm serve FOLDER ...` is: it tells how.

It answers with the words that it was asked with. A prompt that begins with `crash` ends it, after its last
words have quoted the prompt; `deaf` makes it unhealthy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("folder")
    for flag in (
        "--host",
        "--port",
        "--served-model-name",
        "--dtype",
        "--max-model-len",
        "--tool-call-parser",
        "--max-logprobs",
    ):
        parser.add_argument(flag)
    parser.add_argument("--enforce-eager", action="store_true")
    return parser.parse_args()


ARGS = arguments()
if ARGS.dtype == "half":
    sys.exit("RuntimeError: this device has no half")


@cache
def model() -> Any:
    """The folder's model, for what vLLM tells of its prompts."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import torch

    from mlnode.model import load_model

    torch.set_num_threads(1)
    return load_model(Path(ARGS.folder), "float32", None, torch.device("cpu"))


def judged(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A completion with prompt_logprobs as vLLM documents them: of all tokens but the first the likeliest.

    The token that stands at a place is listed even if it is not among them.
    """
    import torch

    count, ids = body["prompt_logprobs"], body["prompt"]
    if count > int(ARGS.max_logprobs or 20):
        return 400, {"error": {"message": f"prompt_logprobs of {count}, which is greater than max allowed"}}
    with torch.inference_mode():
        logprobs = model().network(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    places: list[Any] = [None]
    for token, row in zip(ids[1:], logprobs[:-1], strict=True):
        order = row.argsort(descending=True).tolist()
        shown = order[:count] + ([token] if token not in order[:count] else [])
        places.append(
            {
                str(each): {"logprob": float(row[each]), "rank": order.index(each) + 1, "decoded_token": "?"}
                for each in shown
            }
        )
    choice = {"index": 0, "text": "x", "logprobs": None, "finish_reason": "length", "prompt_logprobs": places}
    usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
    return 200, {"id": "cmpl-x", "object": "text_completion", "choices": [choice], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    deaf = False

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(500 if Handler.deaf else 200, {})
        elif not self.is_allowed():
            self.answer(401, {"error": {"message": "Unauthorized"}})
        else:
            model = {"id": ARGS.served_model_name, "max_model_len": int(ARGS.max_model_len or 2048)}
            self.answer(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_allowed():
            self.answer(401, {"error": {"message": "Unauthorized"}})
            return
        if self.path == "/tokenize" and "messages" in body:
            ids = model().encode_chat(body["messages"], add_generation_prompt=body["add_generation_prompt"])
            self.answer(200, {"count": len(ids), "max_model_len": 2048, "tokens": ids})
            return
        if body.get("prompt_logprobs"):
            self.answer(*judged(body))
            return
        if self.path == "/tokenize":
            self.answer(200, {"count": 2, "max_model_len": 2048, "tokens": [1, 2]})
            return
        said = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        if said.startswith("crash"):
            sys.stdout.write(f"the engine died of {said}\n")
            sys.stdout.flush()
            os._exit(3)
        Handler.deaf = said == "deaf"
        if said == "how":
            shown = {name: value for name, value in os.environ.items() if name != "VLLM_API_KEY"}
            said = json.dumps({"argv": sys.argv[1:], "env": shown, "key": os.environ["VLLM_API_KEY"]})
        if said == "refuse":
            self.answer(400, {"error": {"message": "this prompt is refused", "code": "bad"}})
        elif body.get("stream"):
            self.stream(body, said)
        else:
            self.answer(200, self.whole(body, said))

    def is_allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {os.environ['VLLM_API_KEY']}"

    def whole(self, body: dict[str, Any], said: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if body.get("tools"):
            function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
            message |= {"tool_calls": [{"id": "1", "type": "function", "function": function}]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        head = {"id": "chatcmpl-x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return head | {"choices": [choice], "usage": usage}

    def stream(self, body: dict[str, Any], said: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        head = {"id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        for letter in said:
            self.event(
                head | {"choices": [{"index": 0, "delta": {"content": letter}, "finish_reason": None}]}
            )
        self.event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self.event(head | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(said)}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


sys.stdout.write("serving\n")
sys.stdout.flush()
ThreadingHTTPServer((ARGS.host, int(ARGS.port)), Handler).serve_forever()
