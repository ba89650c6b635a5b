"""What a model must be to enter the registry, and when one may leave it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, TRILLION
from protocol.model_args import argument_errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from protocol.gen.evergrid.models.v1.models_pb2 import Model

ID_CHARS_MAX = 128
TEXT_BYTES_MAX = 256
# The formation after which a retired model is gone: the next one still counts it.
FORMATIONS_LEFT = 1

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*", re.ASCII)
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TEXTS = ("name", "version", "hf_repo", "quantization", "kv_cache_quantization")


def model_errors(model: Model) -> list[str]:
    """All that keeps a model out of the registry, in the order of its fields; empty: nothing."""
    errors = id_errors(model.id)
    if not 0 < model.units_of_compute_per_token <= TRILLION:
        errors.append(f"units_of_compute_per_token must be 1 to {TRILLION}")
    for field in _TEXTS:
        text = getattr(model, field)
        if len(text.encode()) > TEXT_BYTES_MAX:
            errors.append(f"{field} is longer than {TEXT_BYTES_MAX} bytes")
        if _CONTROL.search(text):
            errors.append(f"{field} has control characters")
    # What is built on the spot has no repository and no commit; all else is pinned.
    if (model.hf_commit or model.hf_repo) and not _COMMIT.fullmatch(model.hf_commit):
        errors.append("hf_commit is no hex id of 40 or 64 lower-case digits")
    elif model.hf_commit and not model.hf_repo:
        errors.append("hf_commit is given without a hf_repo")
    errors += (f"model_args: {error}" for error in argument_errors(model.model_args))
    # The bound keeps sums over many nodes within 64 bits; it is a million tokens per nonce.
    if not 0 < model.throughput_per_nonce <= TRILLION:
        errors.append(f"throughput_per_nonce must be 1 to {TRILLION}")
    if model.validation_threshold > BPS:
        errors.append(f"validation_threshold is above {BPS}")
    return errors


def id_errors(model_id: str) -> list[str]:
    """What is wrong with a model's id; empty: nothing."""
    if not model_id:
        return ["id is empty"]
    if len(model_id) > ID_CHARS_MAX:
        return [f"id is longer than {ID_CHARS_MAX} characters"]
    return [] if _ID.fullmatch(model_id) else ["id has characters other than letters, digits and ._/:@+-"]


def retirement_errors(model_id: str, registered: Collection[str], retiring: Collection[str]) -> list[str]:
    """Why a model cannot be retired; empty: it can."""
    if model_id not in registered:
        return [f"{model_id} is not in the registry"]
    if model_id in retiring:
        return [f"{model_id} is being retired already"]
    if len(registered) - len(retiring) == 1:
        return [f"{model_id} is the last model"]
    return []
