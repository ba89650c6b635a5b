"""A small OpenAI-compatible server that is started as `vllm serve FOLDER ...` is: it tells how.

It answers with the words that it was asked with. A prompt that begins with `crash` ends it, after its last
words have quoted the prompt; `deaf` makes it unhealthy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    ):
        parser.add_argument(flag)
    parser.add_argument("--enforce-eager", action="store_true")
    return parser.parse_args()


ARGS = arguments()
if ARGS.dtype == "half":
    sys.exit("RuntimeError: this device has no half")


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
