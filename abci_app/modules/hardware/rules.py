"""What a node and a participant must be, and which model a node serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    ML_NODE_STATUS_DISABLED,
    ML_NODE_STATUS_ENABLED,
    ML_NODE_STATUS_UNSPECIFIED,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
        MLNode,
        MsgSubmitHardwareDiff,
        MsgSubmitNewParticipant,
        Params,
    )

NODE_ID_BYTES_MAX = 64
HOST_CHARS_MAX = 253
PORT_MAX = 65535
MODELS_MAX = 64
HARDWARE_MAX = 64
TEXT_BYTES_MAX = 256
ED25519_BYTES = 32
NODES_LIMIT = 100_000
# 16 TiB each: sums over all hardware of a node stay within 64 bits.
MEMORY_MIB_MAX = 1 << 24

# Whether text is printable must not depend on the Unicode tables of one Python version: what controls, breaks
# lines, reorders or hides is named here, by code point.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]"
)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9_.\[\]:-]+(?:/[A-Za-z0-9._~%/-]*)?", re.ASCII)
_STATUSES = (ML_NODE_STATUS_UNSPECIFIED, ML_NODE_STATUS_ENABLED, ML_NODE_STATUS_DISABLED)


@dataclass(frozen=True, slots=True)
class UnknownModel:
    """A declared model that is not in the registry, and the nodes that declare it."""

    model_id: str
    node_ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model_id} ({', '.join(self.node_ids)})"


def assigned_model(models: Sequence[str], registered: Collection[str]) -> str | None:
    """The model that a node serves: the first of those that it declares which the registry has."""
    for model_id in models:
        if model_id in registered:
            return model_id
    return None


def memory_mib(node: MLNode) -> int:
    """The memory that a node declares, over all its hardware; 0 where it declares none."""
    return sum(part.count * part.memory_mib for part in node.hardware)


def unknown_models(nodes: Iterable[MLNode], registered: Collection[str]) -> list[UnknownModel]:
    """Every declared model that is not in the registry, sorted, each with its nodes, sorted."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        for model_id in node.models:
            if model_id not in registered:
                found.setdefault(model_id, []).append(node.node_id)
    return [UnknownModel(model_id, tuple(sorted({*found[model_id]}))) for model_id in sorted(found)]


def diff_errors(msg: MsgSubmitHardwareDiff, existing: Collection[str], nodes_max: int) -> list[str]:
    """All that is wrong with a diff but its models: of each node, then of the whole; empty: nothing."""
    errors = [f"node {_shown(node.node_id)}: {e}" for node in msg.new_or_modified for e in node_errors(node)]
    changed = [node.node_id for node in msg.new_or_modified]
    removed = list(msg.removed)
    if not changed and not removed:
        errors.append("the diff is empty")
    errors += (f"node {_shown(n)} stands twice in new_or_modified" for n in _repeated(changed))
    errors += (f"node {_shown(n)} stands twice in removed" for n in _repeated(removed))
    errors += (f"node {_shown(n)} is both changed and removed" for n in sorted({*changed} & {*removed}))
    errors += (f"node {_shown(n)} in removed is unknown" for n in sorted({*removed} - {*existing}))
    count = len({*existing, *changed} - {*removed})
    if count > nodes_max:
        errors.append(f"{count} nodes are more than {nodes_max}")
    return errors


def node_errors(node: MLNode) -> list[str]:
    """All that is wrong with one declared node, its models' presence in the registry aside."""
    errors = []
    if not 1 <= len(node.node_id.encode()) <= NODE_ID_BYTES_MAX or _UNPRINTABLE.search(node.node_id):
        errors.append(f"node_id is not 1 to {NODE_ID_BYTES_MAX} bytes of printable UTF-8")
    if node.status not in _STATUSES:
        errors.append(f"status {int(node.status)} is unknown")
    if not 1 <= len(node.models) <= MODELS_MAX:
        errors.append(f"{len(node.models)} models are not 1 to {MODELS_MAX}")
    errors += (f"model {_shown(m)} is declared twice" for m in _repeated(node.models))
    if len(node.hardware) > HARDWARE_MAX:
        errors.append(f"{len(node.hardware)} entries of hardware are more than {HARDWARE_MAX}")
    if any(not part.type or _text_errors("type", part.type) or part.count == 0 for part in node.hardware):
        errors.append("hardware needs a printable type and a count of at least 1")
    if any(part.memory_mib > MEMORY_MIB_MAX for part in node.hardware):
        errors.append(f"hardware has a memory_mib above {MEMORY_MIB_MAX}")
    if len(node.host) > HOST_CHARS_MAX or not _HOST.fullmatch(node.host):
        errors.append(f"host {_shown(node.host)} is no host name or address")
    if not 1 <= node.port <= PORT_MAX:
        errors.append(f"port {node.port} is not 1 to {PORT_MAX}")
    return errors


def participant_errors(msg: MsgSubmitNewParticipant) -> list[str]:
    """All that is wrong with the form of a participant's message; empty: nothing."""
    return url_errors(msg.url) + key_errors(msg.validator_key) + _text_errors("worker_key", msg.worker_key)


def url_errors(url: str) -> list[str]:
    """What is wrong with a participant's URL."""
    if len(url) <= TEXT_BYTES_MAX and _URL.fullmatch(url):
        return []
    return [f"url {_shown(url)} is no http or https URL of at most {TEXT_BYTES_MAX} characters"]


def key_errors(validator_key: bytes) -> list[str]:
    """What is wrong with a consensus key; none given is right."""
    if len(validator_key) in {0, ED25519_BYTES}:
        return []
    return [f"validator_key has {len(validator_key)} bytes, not {ED25519_BYTES}"]


def params_errors(params: Params) -> list[str]:
    """All that is wrong with the module's params."""
    errors = []
    if not 1 <= params.max_nodes_per_participant <= NODES_LIMIT:
        errors.append(f"max_nodes_per_participant must be 1 to {NODES_LIMIT}")
    if not 1 <= params.evidence_age <= 10**9:
        errors.append("evidence_age must be 1 to 1000000000")
    return errors


def _text_errors(name: str, text: str) -> list[str]:
    if len(text.encode()) > TEXT_BYTES_MAX or _UNPRINTABLE.search(text):
        return [f"{name} is not printable text of at most {TEXT_BYTES_MAX} bytes"]
    return []


def _repeated(values: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    repeated: set[str] = set()
    for value in values:
        (repeated if value in seen else seen).add(value)
    return sorted(repeated)


def _shown(text: str) -> str:
    """Text of a sender as an error may repeat it: short and printable, empty in quotes."""
    short = text if len(text) <= NODE_ID_BYTES_MAX else text[:NODE_ID_BYTES_MAX] + "…"
    return _UNPRINTABLE.sub("?", short) or "''"
