"""Participants tell the chain who they are and which MLNodes they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules import auth, models
from abci_app.modules.auth.signatures import key_of
from abci_app.modules.hardware.errors import (
    InvalidDiff,
    InvalidParams,
    InvalidParticipant,
    KeyTaken,
    NotAParticipant,
    UnknownModels,
)
from abci_app.modules.hardware.frozen import keep_as_it_stands
from abci_app.modules.hardware.registry import params
from abci_app.modules.hardware.rules import diff_errors, params_errors, participant_errors, unknown_models
from abci_app.modules.hardware.state import NODES, PARAMS, PARTICIPANTS
from abci_app.modules.hardware.writes import key_holder, put_node, remove_node, replace_key
from protocol import possession
from protocol.address import module_account
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_ACTIVE,
    MsgSubmitHardwareDiff,
    MsgSubmitNewParticipant,
    MsgUpdateParams,
    Participant,
)

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@handles(MsgSubmitNewParticipant)
def submit_new_participant(ctx: Context, msg: MsgSubmitNewParticipant) -> None:
    """Makes an account a participant, or updates its URL and keys; an empty key leaves the one it had."""
    errors = participant_errors(msg)
    if msg.validator_key and not possession.verify(
        msg.validator_key, msg.proof_of_possession, ctx.chain_id, msg.creator
    ):
        errors.append("proof_of_possession is no signature of the validator key for this chain and creator")
    if errors:
        raise InvalidParticipant("; ".join(errors))
    if msg.validator_key:
        _check_key_free(ctx, msg)

    keep_as_it_stands(ctx, msg.creator)
    former = PARTICIPANTS.get(ctx, msg.creator)
    participant = former or Participant(
        address=msg.creator, status=PARTICIPANT_STATUS_ACTIVE, height_joined=ctx.height
    )
    if msg.validator_key:
        replace_key(ctx, msg.creator, participant.validator_key, msg.validator_key)
        participant.validator_key = msg.validator_key
    participant.url = msg.url
    participant.worker_key = msg.worker_key or participant.worker_key
    participant.public_key = _public_key(ctx, msg.creator) or participant.public_key
    PARTICIPANTS.set(ctx, msg.creator, participant)
    ctx.emit("participant_submitted", participant=msg.creator, url=msg.url, new=former is None)


@handles(MsgSubmitHardwareDiff)
def submit_hardware_diff(ctx: Context, msg: MsgSubmitHardwareDiff) -> None:
    """Applies the whole diff, or rejects it and names everything that is wrong with it."""
    if PARTICIPANTS.get(ctx, msg.creator) is None:
        raise NotAParticipant(msg.creator)
    nodes_max = params(ctx).max_nodes_per_participant
    if max(len(msg.new_or_modified), len(msg.removed)) > nodes_max:
        # Naming all that is wrong would take longer than a block has.
        raise InvalidDiff(
            f"a diff of {len(msg.new_or_modified)} changed and {len(msg.removed)} removed nodes, "
            f"a participant has at most {nodes_max}"
        )
    existing = [node_id for _, node_id in NODES.keys(ctx, (msg.creator,))]
    errors = diff_errors(msg, existing, nodes_max)
    declared = dict.fromkeys(model_id for node in msg.new_or_modified for model_id in node.models)
    registered = [model_id for model_id in declared if models.is_valid_governance_model(ctx, model_id)]
    if unknown := unknown_models(msg.new_or_modified, registered):
        raise UnknownModels("; ".join([", ".join(map(str, unknown)), *errors]))
    if errors:
        raise InvalidDiff("; ".join(errors))

    keep_as_it_stands(ctx, msg.creator)
    for node_id in msg.removed:
        remove_node(ctx, msg.creator, node_id)
    for node in msg.new_or_modified:
        put_node(ctx, msg.creator, node)
    ctx.emit(
        "hardware_changed",
        participant=msg.creator,
        nodes_changed=len(msg.new_or_modified),
        nodes_removed=len(msg.removed),
    )


@handles(MsgUpdateParams)
def update_params(ctx: Context, msg: MsgUpdateParams) -> None:
    """Replaces the module's params, by a passed proposal alone."""
    expected = module_account("gov")
    if msg.authority != expected:
        raise Unauthorized(f"invalid authority; expected {expected}, got {msg.authority}")
    if errors := params_errors(msg.params):
        raise InvalidParams("; ".join(errors))

    PARAMS.set(ctx, msg.params)
    ctx.emit("params_updated", module="hardware")


def _public_key(ctx: Context, address: str) -> bytes | None:
    account = auth.account(ctx, address)
    return key_of(account.pub_key) if account is not None and account.HasField("pub_key") else None


def _check_key_free(ctx: Context, msg: MsgSubmitNewParticipant) -> None:
    holder = key_holder(ctx, msg.validator_key, params(ctx).evidence_age)
    if holder not in {None, msg.creator}:
        raise KeyTaken(f"{msg.validator_key.hex()} is or was held by {holder}")
