"""node-config.json: the operator's MLNodes, in the format that operators already have."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.model_args import argument_errors


class NodeConfigError(ValueError):
    """The file or an entry cannot be used; the text names all that is wrong."""


def _allowed(args: list[str]) -> list[str]:
    if problems := argument_errors(args):
        raise ValueError("; ".join(problems))
    return args


class ModelConfig(BaseModel):
    """What an operator adds to a model's governed arguments."""

    args: Annotated[list[str], AfterValidator(_allowed)] = []


class HardwareConfig(BaseModel):
    type: Annotated[str, Field(min_length=1)]
    count: Annotated[int, Field(ge=1)] = 1
    # Of each; what is not declared does not serve while nonces are validated.
    memory_mib: Annotated[int, Field(ge=0, le=1 << 24)] = 0


def _none_is_absent(value: Any) -> Any:
    """Operators' files say null for what they leave open, as an entry or as a value."""
    if not isinstance(value, dict):
        return value
    given = {name: each for name, each in value.items() if each is not None}
    if isinstance(models := given.get("models"), dict):
        given["models"] = {model_id: _none_is_absent(model or {}) for model_id, model in models.items()}
    return given


_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_METADATA = {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")}


def _reachable(host: str) -> str:
    """A host of an MLNode; link-local addresses are those of a cloud's metadata, and of nobody's worker."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _NAME.fullmatch(host) is None:
            raise ValueError("it is neither an address nor a name, without scheme and port") from None
        return host
    inner = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in _METADATA:
        raise ValueError("no MLNode has such an address")
    return host


Port = Annotated[int, Field(ge=1, le=65535)]
Segment = Annotated[str, Field(max_length=256, pattern=r"^(/[A-Za-z0-9._~-]+)*/?$")]


class NodeConfig(BaseModel):
    """One MLNode. Models stand in order of preference: the first that is registered is served."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
    host: Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_reachable)]
    inference_segment: Segment = ""
    inference_port: Port
    poc_segment: Segment = ""
    poc_port: Port
    models: Annotated[dict[str, ModelConfig], Field(min_length=1)]
    max_concurrent: Annotated[int, Field(ge=1)] = 500
    hardware: list[HardwareConfig] = []
    version: str = ""

    @model_validator(mode="before")
    @classmethod
    def none_is_absent(cls, value: Any) -> Any:
        return _none_is_absent(value)

    @property
    def poc_url(self) -> str:
        """Where the MLNode is steered."""
        return f"http://{_bracketed(self.host)}:{self.poc_port}{self.poc_segment}/api/v1"

    @property
    def inference_url(self) -> str:
        """Where it answers prompts."""
        return f"http://{_bracketed(self.host)}:{self.inference_port}{self.inference_segment}/v1"

    def declared(self, *, enabled: bool) -> hardware_pb2.MLNode:
        """The node as the chain's registry holds it."""
        disabled, usable = hardware_pb2.ML_NODE_STATUS_DISABLED, hardware_pb2.ML_NODE_STATUS_ENABLED
        return hardware_pb2.MLNode(
            node_id=self.id,
            status=usable if enabled else disabled,
            models=list(self.models),
            hardware=[
                hardware_pb2.Hardware(type=part.type, count=part.count, memory_mib=part.memory_mib)
                for part in self.hardware
            ],
            host=self.host,
            port=self.poc_port,
        )


_NODES = TypeAdapter(list[NodeConfig])


def parse_nodes(raw: Any) -> list[NodeConfig]:
    """The nodes of a decoded file; raises NodeConfigError."""
    entries = raw if isinstance(raw, list) else []
    ids = Counter(str(each["id"]) for each in entries if isinstance(each, dict) and each.get("id"))
    twice = sorted(node_id for node_id, count in ids.items() if count > 1)
    problems = [f"node ids stand twice: {', '.join(twice)}"] if twice else []
    try:
        nodes = _NODES.validate_python(raw)
    except ValidationError as error:
        raise NodeConfigError("; ".join([name_all(error.errors()), *problems])) from error
    if problems:
        raise NodeConfigError("; ".join(problems))
    return nodes


def load_nodes(path: Path) -> list[NodeConfig]:
    """The nodes of a file; raises NodeConfigError when it is missing, no JSON, or wrong."""
    try:
        return parse_nodes(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise NodeConfigError(f"{path} cannot be read: {error}") from error
    except NodeConfigError as error:
        raise NodeConfigError(f"{path}: {error}") from error


def save_nodes(path: Path, nodes: Iterable[NodeConfig]) -> None:
    """Writes the file as a whole or not at all."""
    text = json.dumps([node.model_dump() for node in nodes], indent=2) + "\n"
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def name_all(errors: Sequence[Any]) -> str:
    """One sentence of all that is wrong with an input."""
    parts = []
    for error in errors[:20]:
        place = ".".join(str(part) for part in error["loc"] if part != "body")
        parts.append(f"{place}: {error['msg']}" if place else str(error["msg"]))
    return "; ".join(parts) + (f"; and {len(errors) - 20} more" if len(errors) > 20 else "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
