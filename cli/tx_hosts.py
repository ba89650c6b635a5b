"""`evergrid tx participants` and `evergrid tx hardware`: who hosts MLNodes, and which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_json, read_object
from cli.options import TX, shared
from cli.send import sender, submit
from client.registry import MessageError, from_json, to_json, unpack_base64
from protocol import possession
from protocol.gen.evergrid.hardware.v1 import hardware_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cli.session import Session

SEED_BYTES, PUBLIC_BYTES = 32, 32


@click.group()
def participants() -> None:
    """Become a participant."""


@click.group()
def hardware() -> None:
    """Declare MLNodes."""


@participants.command(name="submit")
@click.option("--url", required=True, help="Public address of the API node.")
@click.option(
    "--validator-key-file",
    type=FILE,
    help="CometBFT's key of this validator (default: HOME/config/priv_validator_key.json).",
)
@click.option(
    "--no-validator-key", is_flag=True, help="Give no consensus key: no vote, and no proof of compute."
)
@click.option("--worker-key", default="", help="Address that may act for the participant.")
@shared(*TX)
def submit_participant(
    session: Session, url: str, validator_key_file: str | None, *, no_validator_key: bool, worker_key: str
) -> None:
    """Become a participant, or change url and keys; proves that the validator key is yours."""
    if validator_key_file and no_validator_key:
        raise click.UsageError("use only one of --validator-key-file and --no-validator-key")
    creator = sender(session)
    message = hardware_pb2.MsgSubmitNewParticipant(creator=creator, url=url, worker_key=worker_key)
    if not no_validator_key:
        path = Path(validator_key_file or session.home / "config" / "priv_validator_key.json")
        seed, message.validator_key = validator_key(path)
        chain_id = session.get("chain_id") or session.client.status()["node_info"]["network"]
        message.proof_of_possession = possession.sign(seed, chain_id, creator)
    submit(session, [message])


def validator_key(path: Path) -> tuple[bytes, bytes]:
    """Seed and public key of CometBFT's ed25519 key file; raises ClickException."""
    fields = read_object(path)
    try:
        secret = unpack_base64(fields["priv_key"]["value"], "its private key")
        public = unpack_base64(fields["pub_key"]["value"], "its public key")
    except (KeyError, TypeError, MessageError) as error:
        raise click.ClickException(f"{path} is no priv_validator_key.json of CometBFT: {error}") from error
    if len(secret) != SEED_BYTES + PUBLIC_BYTES or secret[SEED_BYTES:] != public:
        raise click.ClickException(f"{path} holds no ed25519 key")
    return secret[:SEED_BYTES], public


@hardware.command(name="submit")
@click.argument("file", type=FILE, required=False)
@click.option(
    "--remove", multiple=True, metavar="NODE_ID", help="Remove this node, and no other; may be repeated."
)
@shared(*TX)
def submit_hardware(session: Session, file: str | None, remove: tuple[str, ...]) -> None:
    """Declare the MLNodes in FILE.

    FILE is a JSON list of nodes: node_id, models (in order of preference), hardware (a list of type and
    count), host, port, status. It is the whole list: what differs from the chain is sent, and nodes that it
    leaves out are removed. With --remove it adds and changes only, and just the named nodes go.
    """
    if file is None and not remove:
        raise click.UsageError("give FILE, --remove, or both")
    creator = sender(session)
    request = hardware_pb2.QueryHardwareNodesRequest(participant=creator)
    known = session.client.query(request, hardware_pb2.QueryHardwareNodesResponse).nodes
    declared = read_nodes(file) if file else []
    changed, removed = difference(
        declared, [entry.node for entry in known], remove, whole=bool(file) and not remove
    )
    if not changed and not removed:
        session.emit(
            {"new_or_modified": [], "removed": []}, "nothing to submit: the chain has these nodes already"
        )
        return
    submit(
        session,
        [hardware_pb2.MsgSubmitHardwareDiff(creator=creator, new_or_modified=changed, removed=removed)],
    )


def read_nodes(path: str) -> list[hardware_pb2.MLNode]:
    """The nodes that a file declares; raises MessageError."""
    content: Any = read_json(path)
    if isinstance(content, dict):
        content = content.get("nodes", [content])
    if not isinstance(content, list):
        raise MessageError(f"{path} must hold a list of nodes")
    nodes = [from_json(entry, hardware_pb2.MLNode) for entry in content]
    ids = [node.node_id for node in nodes]
    if twice := sorted({node_id for node_id in ids if ids.count(node_id) > 1}):
        raise MessageError(f"{path} declares more than once: {', '.join(twice)}")
    return nodes


def difference(
    declared: Sequence[hardware_pb2.MLNode],
    known: Iterable[hardware_pb2.MLNode],
    remove: Sequence[str],
    *,
    whole: bool,
) -> tuple[list[hardware_pb2.MLNode], list[str]]:
    """Nodes to add or change, and ids to remove, in the order of the file and of the chain."""
    before = {node.node_id: normal(node) for node in known}
    changed = [node for node in declared if before.get(node.node_id) != normal(node)]
    if not whole:
        return changed, list(remove)
    names = {node.node_id for node in declared}
    return changed, [node_id for node_id in before if node_id not in names]


def normal(node: hardware_pb2.MLNode) -> dict[str, Any]:
    """A node for comparison: an unspecified status counts as enabled."""
    fields = to_json(node)
    if node.status == hardware_pb2.ML_NODE_STATUS_UNSPECIFIED:
        fields["status"] = "ML_NODE_STATUS_ENABLED"
    return fields
