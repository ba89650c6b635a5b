"""What a client asks for: read out of a body with all that is wrong with it, one request for each choice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api_node.choices import single_bodies
from api_node.errors import ApiError
from api_node.relay import CHAT, COMPLETIONS, canonical

# An estimate that is never too low: every byte a token, and what a template adds.
TOKENS_PER_MESSAGE = 16
CHOICES_MAX = 16
# OpenAI's default of /v1/completions.
COMPLETION_TOKENS_DEFAULT = 16


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A client's request for one choice, as far as routing and paying need it."""

    body: dict[str, Any]
    model_id: str
    stream: bool
    include_usage: bool
    max_tokens: int
    prompt_tokens: int
    # Choices that its prompt has, and all those that are paid from the same account at the same time.
    n: int = 1
    siblings: int = 1

    @property
    def path(self) -> str:
        """What of /v1 an executor is asked for."""
        return CHAT if "messages" in self.body else COMPLETIONS


def read_request(
    raw: bytes, max_tokens_default: int, path: str = CHAT, *, signed: bool = False
) -> list[ChatRequest]:
    """One request for each choice out of a body; raises ApiError that names all that is wrong with it.

    A signed body is executed as it stands, and its signature opens one inference.
    """
    try:
        body = json.loads(raw)
        canonical(body)  # half of a surrogate pair is JSON, but no text
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "the body is no JSON object")
    errors = [*_request_errors(body), *_prompt_errors(body, path)]
    if errors := [*errors, *(_signed_errors(body) if signed and not errors else ())]:
        raise ApiError(400, "; ".join(errors))
    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    options = body.get("stream_options") or {}
    bodies = single_bodies(body)
    if len(bodies) > CHOICES_MAX:
        raise ApiError(400, f"n: {len(bodies)} choices are more than {CHOICES_MAX}")
    return [
        ChatRequest(
            body=single,
            model_id=body["model"],
            stream=bool(body.get("stream")),
            include_usage=bool(options.get("include_usage")),
            max_tokens=asked or (max_tokens_default if path == CHAT else COMPLETION_TOKENS_DEFAULT),
            prompt_tokens=prompt_tokens_estimate(single),
            n=body.get("n") or 1,
            siblings=len(bodies),
        )
        for single in bodies
    ]


def _request_errors(body: dict[str, Any]) -> Iterator[str]:
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model: a model id is needed"
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            yield f"{name}: a whole number above 0 is needed"
    if isinstance(body.get("n"), int) and body["n"] > CHOICES_MAX:
        yield f"n: at most {CHOICES_MAX} choices"
    if body.get("best_of") not in (None, body.get("n") or 1):
        yield "best_of: all choices are returned, so it must equal n"
    if not isinstance(body.get("stream"), bool | None):
        yield "stream: true or false is needed"
    if not isinstance(body.get("stream_options"), dict | None):
        yield "stream_options: an object is needed"


def _signed_errors(body: dict[str, Any]) -> Iterator[str]:
    if not (body.get("max_completion_tokens") or body.get("max_tokens")):
        yield "max_tokens: a signed request names it, since what it may cost follows from it"
    if len(single_bodies(body)) != 1:
        yield "n: a signed request is for one choice of one prompt"


def _prompt_errors(body: dict[str, Any], path: str) -> Iterator[str]:
    """Which of `messages` and `prompt` is there decides what an executor is asked, so it must be one."""
    if path == CHAT:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            yield "messages: a list of at least one message is needed"
        if "prompt" in body:
            yield "prompt: it belongs to /v1/completions"
        return
    prompt = body.get("prompt")
    many = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else [prompt]
    if not all(isinstance(one, str) or _is_tokens(one) for one in many):
        yield "prompt: a text, a list of tokens, or a list of either is needed"
    if "messages" in body:
        yield "messages: they belong to /v1/chat/completions"


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def prompt_tokens_estimate(body: Mapping[str, Any]) -> int:
    """An upper bound of a prompt's tokens; the escrow that is too much comes back."""
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        return len(prompt) + TOKENS_PER_MESSAGE
    if isinstance(prompt, str):
        return len(prompt.encode(errors="replace")) + TOKENS_PER_MESSAGE
    # Everything that a template may write into the prompt counts, tools too.
    shown = [*body["messages"], *(body.get("tools") or ()), *(body.get("functions") or ())]
    sizes = (len(json.dumps(each, ensure_ascii=False).encode(errors="replace")) for each in shown)
    return sum(sizes) + TOKENS_PER_MESSAGE * (len(shown) + 1)


def executor_body(request: ChatRequest, max_tokens: int) -> bytes:
    """The canonical body that the executor gets: the limit is explicit, and a stream ends with its usage."""
    body = {name: value for name, value in request.body.items() if name != "max_completion_tokens"}
    body["max_tokens"] = max_tokens
    # So that the answer can be re-executed, by this node too.
    body["return_token_ids"] = True
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    else:
        body.pop("stream_options", None)
    return canonical(body)
