"""Epoch data on disk: what a process that starts while its chain is away still knows to serve."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import structlog
from google.protobuf.message import DecodeError

from api_node.intents import Intent
from api_node.outbox import Outbox
from api_node.phases import NodeFacts, intent_of_slot
from api_node.view import ChainView, EpochData
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.epoch_data")

FACT = "epoch_data"


@dataclass(frozen=True)
class KeptData:
    """EpochModels and EpochMLNodes as one height had them. `in_poc`: from S-1 on, until V."""

    height: int
    in_poc: bool
    data: EpochData


def keep(outbox: Outbox, view: ChainView) -> None:
    """Notes the effective group's data, where it is other than what is noted."""
    in_poc, data = view.upcoming is not None, view.effective
    kept = load(outbox)
    if kept and (kept.in_poc, _served(kept.data)) == (in_poc, _served(data)):
        return
    outbox.remember(
        FACT,
        json.dumps(
            {
                "height": view.height,
                "in_poc": in_poc,
                "epoch_index": data.epoch_index,
                "models": {model_id: _text(model) for model_id, model in sorted(data.models.items())},
                "ml_nodes": {
                    node_id: {model_id: _text(info) for model_id, info in sorted(infos.items())}
                    for node_id, infos in sorted(data.ml_nodes.items())
                },
            }
        ),
    )


def load(outbox: Outbox) -> KeptData | None:
    """What is noted; None where nothing is, or nothing that can be read."""
    text = outbox.fact(FACT)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        data = EpochData(
            epoch_index=int(fields["epoch_index"]),
            models={name: models_pb2.Model.FromString(_raw(raw)) for name, raw in fields["models"].items()},
            ml_nodes={
                node_id: {name: epochs_pb2.MLNodeInfo.FromString(_raw(raw)) for name, raw in infos.items()}
                for node_id, infos in fields["ml_nodes"].items()
            },
        )
        return KeptData(int(fields["height"]), bool(fields["in_poc"]), data)
    except (ValueError, KeyError, TypeError, AttributeError, DecodeError, binascii.Error) as error:
        log.info("epoch data on disk cannot be read", reason="no_epoch_data", problem=str(error))
        return None


def intents_without_chain(kept: KeptData, nodes: Iterable[NodeFacts]) -> dict[str, Intent]:
    """What nodes serve as long as the chain says nothing. Pure.

    Nobody is given requests meanwhile. In a PoC only nodes that serve through it are asked for anything: the
    others may be mining, and what they find is worth more than a model that is up a little earlier.
    """
    slot = epochs_pb2.POC_SLOT if kept.in_poc else epochs_pb2.PRE_POC_SLOT
    intents = {}
    for node in nodes:
        left_alone = kept.in_poc and kept.data.model_of(node.node_id, slot) is None
        if node.enabled and not node.tested and not left_alone:
            intent = intent_of_slot(kept.data, node, slot, admits=False)
            intents[node.node_id] = replace(intent, reason=reasons_pb2.REASON_CHAIN_UNREACHABLE)
    return intents


def _served(data: EpochData) -> tuple[int, Mapping[str, object], Mapping[str, object]]:
    return data.epoch_index, data.models, data.ml_nodes


def _text(message: models_pb2.Model | epochs_pb2.MLNodeInfo) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
