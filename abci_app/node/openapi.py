"""The REST gateway described: an OpenAPI 3 document from the declarations, and a page that tries it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from abci_app.node.metrics import product_version
from protocol.descriptors import Route

DOCUMENT_PATH: Final = "/swagger/openapi.json"
PAGE_PATHS: Final = frozenset({"/swagger", "/swagger/"})

_FIELD = re.compile(r"\{(\w+)(?:=\*\*)?\}")
_TEXT = {"type": "string"}
_WELL_KNOWN: Final[dict[str, dict[str, Any]]] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": _TEXT},
        "required": ["@type"],
        "additionalProperties": True,
    },
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": _TEXT,
}
_KINDS: Final[dict[int, dict[str, Any]]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "format": "uint32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Every path with its parameters, body and answer; messages once, under components."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in sorted(routes, key=lambda each: each.path):
        for index, (verb, template, body) in enumerate(route.http):
            path = _FIELD.sub(r"{\1}", template)
            operation = _operation(route, template, body, schemas)
            operation["operationId"] = route.path.strip("/").replace("/", ".") + (
                f".{index}" if index else ""
            )
            paths.setdefault(path, {})[verb.lower()] = operation
    return {
        "openapi": "3.0.3",
        "info": {"title": "Evergrid", "version": product_version()},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _operation(route: Route, template: str, body: str, schemas: dict[str, Any]) -> dict[str, Any]:
    request = cast("Descriptor", route.request.DESCRIPTOR)
    in_path = _FIELD.findall(template)
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _schema(request.fields_by_name[name], schemas),
        }
        for name in in_path
    ]
    operation: dict[str, Any] = {
        "tags": [route.service],
        "summary": route.method,
        "responses": {
            "200": {"description": "The answer.", "content": _content(route.response.DESCRIPTOR, schemas)},
            "default": {"description": "An error: code, message and details."},
        },
    }
    if body:
        operation["requestBody"] = {"required": True, "content": _content(request, schemas)}
    else:
        parameters += _query_parameters(request, in_path, schemas)
    if parameters:
        operation["parameters"] = parameters
    return operation


def _query_parameters(
    request: Descriptor, in_path: Iterable[str], schemas: dict[str, Any], head: str = ""
) -> list[dict[str, Any]]:
    """Plain fields, and those of a message one level down by dotted names."""
    found: list[dict[str, Any]] = []
    for field in request.fields:
        if field.name in in_path and not head:
            continue
        if field.message_type is None:
            found.append({"name": head + field.name, "in": "query", "schema": _schema(field, schemas)})
        elif not head and not _is_list(field):
            found += _query_parameters(field.message_type, (), schemas, f"{field.name}.")
    return found


def _content(message: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _message(message, schemas)}}


def _is_list(field: Any) -> bool:
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)


def _schema(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        single = _message(field.message_type, schemas)
    elif field.enum_type is not None:
        single = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    elif field.type == FieldDescriptor.TYPE_BYTES:
        single = {"type": "string", "format": "byte"}
    else:
        single = _KINDS.get(field.cpp_type, _TEXT)
    return {"type": "array", "items": single} if _is_list(field) else single


def _message(message: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    name = message.full_name
    if name in _WELL_KNOWN:
        return _WELL_KNOWN[name]
    if name not in schemas:
        schemas[name] = {"type": "object"}  # there already where the message holds itself
        schemas[name]["properties"] = {field.name: _schema(field, schemas) for field in message.fields}
    return {"$ref": f"#/components/schemas/{name}"}


def document_bytes(routes: Iterable[Route]) -> bytes:
    """The document as it is served."""
    return json.dumps(document(routes), separators=(",", ":")).encode()


# One file without anything from elsewhere: a node's page must not make browsers call strangers.
PAGE: Final = Path(__file__).with_name("swagger.html").read_bytes()
