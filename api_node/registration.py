"""Keeps the chain's registry equal to the operator's configuration: participant and MLNodes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog

from api_node.broker import unknown_models
from api_node.node_config import NodeConfig
from api_node.node_worker import reason_word
from api_node.sender import Sender
from api_node.view import ChainView
from protocol import possession
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.registration")

# What was refused is tried again after so many blocks, since the chain may have changed.
RETRY_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class ValidatorKey:
    """The consensus key of the participant's validator (ed25519)."""

    public: bytes
    seed: bytes


def read_validator_key(path: Path) -> ValidatorKey:
    """The key in CometBFT's priv_validator_key.json; raises ValueError or OSError."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        public = base64.b64decode(fields["pub_key"]["value"], validate=True)
        private = base64.b64decode(fields["priv_key"]["value"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no priv_validator_key.json: {type(error).__name__}: {error}") from error
    if (len(public), len(private)) != (32, 64):
        raise ValueError(f"{path} holds no ed25519 key")
    return ValidatorKey(public, private[:32])


def participant_message(
    view: ChainView, address: str, url: str, key: ValidatorKey | None, worker_key: str = ""
) -> hardware_pb2.MsgSubmitNewParticipant | None:
    """What makes the account a participant as configured; None where it is one already."""
    former = view.participant
    same_key = key is None or (former is not None and former.validator_key == key.public)
    same_worker = not worker_key or (former is not None and former.worker_key == worker_key)
    if former is not None and former.url == url and same_key and same_worker and former.public_key:
        return None
    message = hardware_pb2.MsgSubmitNewParticipant(creator=address, url=url, worker_key=worker_key)
    if key is not None and not same_key:
        message.validator_key = key.public
        message.proof_of_possession = possession.sign(key.seed, view.chain_id, address)
    return message


@dataclass(frozen=True, slots=True)
class HardwarePlan:
    """The diff that is due, if any, and the nodes that wait for models: by node id, every unknown one."""

    message: hardware_pb2.MsgSubmitHardwareDiff | None
    waiting: Mapping[str, Sequence[str]]


def hardware_diff(view: ChainView, address: str, nodes: Sequence[tuple[NodeConfig, bool]]) -> HardwarePlan:
    """The difference between configuration and registry, for nodes whose models are all registered.

    Nodes are (configuration, enabled). A node that waits for a model keeps what the registry has of it.
    """
    changed: list[hardware_pb2.MLNode] = []
    waiting: dict[str, list[str]] = {}
    for config, enabled in nodes:
        if unknown := unknown_models(config, view.governance_models):
            waiting[config.id] = unknown
            continue
        wanted = config.declared(enabled=enabled)
        former = view.registered.get(config.id)
        if former is None or _normal(former.node) != _normal(wanted):
            changed.append(wanted)
    configured = {config.id for config, _ in nodes}
    removed = sorted(node_id for node_id in view.registered if node_id not in configured)
    if not changed and not removed:
        return HardwarePlan(None, waiting)
    return HardwarePlan(
        hardware_pb2.MsgSubmitHardwareDiff(creator=address, new_or_modified=changed, removed=removed), waiting
    )


def _normal(node: hardware_pb2.MLNode) -> hardware_pb2.MLNode:
    normal = hardware_pb2.MLNode()
    normal.CopyFrom(node)
    if normal.status == hardware_pb2.ML_NODE_STATUS_UNSPECIFIED:
        normal.status = hardware_pb2.ML_NODE_STATUS_ENABLED
    return normal


class Registrar:
    """Sends what is missing, once, and says what it waits for."""

    def __init__(
        self, sender: Sender, address: str, url: str, key: ValidatorKey | None, worker_key: str = ""
    ) -> None:
        self._sender = sender
        self._address = address
        self._url = url
        self._key = key
        self._worker_key = worker_key
        self._tried: dict[str, int] = {}
        self.waiting: dict[str, list[str]] = {}

    def step(self, view: ChainView, nodes: Sequence[tuple[NodeConfig, bool]]) -> None:
        """One block's worth: first the participant, then its nodes."""
        participant = participant_message(view, self._address, self._url, self._key, self._worker_key)
        if participant is not None:
            self._send("participant", participant, view.height)
        plan = hardware_diff(view, self._address, nodes)
        self._tell(plan.waiting)
        if view.participant is not None and plan.message is not None:
            self._send("hardware", plan.message, view.height)

    def _send(
        self,
        kind: str,
        message: hardware_pb2.MsgSubmitNewParticipant | hardware_pb2.MsgSubmitHardwareDiff,
        height: int,
    ) -> None:
        digest = sha256(message.SerializeToString(deterministic=True)).hexdigest()
        if height < self._tried.get(kind, -RETRY_BLOCKS) + RETRY_BLOCKS:
            return
        self._tried[kind] = height
        # The height is part of the key: what was true once may be sent again after it was undone.
        self._sender.submit(f"{kind}/{height}/{digest[:16]}", message, height + RETRY_BLOCKS)
        log.info("registering", what=kind, height=height)

    def _tell(self, waiting: Mapping[str, Sequence[str]]) -> None:
        now = {node_id: list(models) for node_id, models in waiting.items()}
        if now != self.waiting and now:
            log.info(
                "nodes wait for models that governance has not registered",
                nodes=now,
                reason=reason_word(reasons_pb2.REASON_POLICY_REFUSED),
                # How long governance takes nobody knows; it is looked at with every block.
                retry_blocks=1,
            )
        self.waiting = now
