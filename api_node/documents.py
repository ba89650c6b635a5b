"""What the OpenAPI document says beside what the types say: bodies, errors, and those alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path

from api_node.relay import CHAT, COMPLETIONS

INFERENCE_ID = Annotated[str, Path(min_length=1, max_length=256, description="the `id` of an answer")]
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": "null"},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_TEXTS = {
    400: "All that is wrong with the request",
    401: "No valid key or signature",
    402: "The account cannot pay",
    403: "Not for this one to ask",
    404: "Unknown",
    405: "Another method",
    408: "The body did not come in time",
    409: "It was taken already, or is not there yet",
    413: "The body is too large",
    429: "Too many requests: come again after Retry-After",
    500: "A fault of this node",
    502: "Whoever executed it failed; it may be asked again",
    503: "Nobody can do it now, the reason is named: come again after Retry-After",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
    for status, text in _TEXTS.items()
}
_LIMIT = {"type": ["integer", "null"], "minimum": 1}
_SHARED: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "max_tokens": _LIMIT,
    "n": _LIMIT,
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"]},
    "seed": {"type": ["integer", "null"]},
}
_MESSAGES = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer"}}
_PROMPT = {
    "oneOf": [{"type": "string"}, _TOKENS, {"type": "array", "minItems": 1, "items": {"type": "string"}}]
}
_FIELDS: dict[str | None, tuple[list[str], dict[str, Any]]] = {
    CHAT: (["model", "messages"], {"messages": _MESSAGES, "max_completion_tokens": _LIMIT}),
    COMPLETIONS: (["model", "prompt"], {"prompt": _PROMPT}),
    None: (["model"], {"messages": _MESSAGES, "prompt": _PROMPT}),
}
_OBJECTS = {CHAT: "chat.completion", COMPLETIONS: "text_completion"}


def body_of(path: str | None) -> dict[str, Any]:
    """The request body of a route of OpenAI's; None: of either."""
    required, fields = _FIELDS[path]
    schema = {"type": "object", "required": required, "properties": _SHARED | fields}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def answers_of(path: str | None) -> dict[int | str, dict[str, Any]]:
    """The answers of such a route: whole, or server-sent events."""
    fields = {"id": {"type": "string"}, "choices": {"type": "array", "items": {"type": "object"}}}
    whole = {"type": "object", "required": ["id", "choices"], "properties": fields}
    content = {"application/json": {"schema": whole}, "text/event-stream": {}}
    return {
        200: {
            "description": f"{_OBJECTS.get(path or '', 'the answer')}, whole or as events",
            "content": content,
        }
    }


def true_document(app: FastAPI) -> FastAPI:
    """Takes out of the document what this node never answers: what is malformed is a 400 here."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            for methods in found["paths"].values():
                for operation in methods.values():
                    operation["responses"].pop("422", None)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    return app
