"""What an operator may do to nodes: one operation or several, all checked before the first is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api_node.broker import Broker, unknown_models
from api_node.node_config import NodeConfig, name_all

OPERATIONS = ("add", "remove", "enable", "disable", "drain")
OPERATIONS_MAX = 1000


class Operation(BaseModel):
    """`add` takes `node` and also changes one that is there; the others take `node_id`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    op: Annotated[str, Field(json_schema_extra={"enum": list(OPERATIONS)})]
    node_id: str = ""
    # Read when all operations are checked, so that what is wrong with any of them is named at once.
    node: Annotated[
        dict[str, Any] | None,
        Field(json_schema_extra={"allOf": [{"$ref": "#/components/schemas/NodeConfig"}]}),
    ] = None


class Batch(BaseModel):
    """Operations in the order in which they are done."""

    model_config = ConfigDict(extra="forbid")

    operations: Annotated[list[Operation], Field(min_length=1, max_length=OPERATIONS_MAX)]


def operation_errors(
    operations: Sequence[Operation], nodes: Collection[str], registered: Collection[str] | None
) -> list[str]:
    """All that is wrong with operations on these nodes, each with its place; `registered` None: unknown."""
    known, errors = set(nodes), []
    for place, each in enumerate(operations):
        problems = _add_errors(each, registered) if each.op == "add" else _errors(each, known)
        errors += [f"operations.{place} ({each.op}): {problem}" for problem in problems]
        if each.op == "add" and not problems:
            assert each.node is not None
            known.add(each.node["id"])
        elif each.op == "remove":
            known.discard(each.node_id)
    return errors


def _add_errors(operation: Operation, registered: Collection[str] | None) -> list[str]:
    problems = [] if not operation.node_id else ["node_id does not belong here: the id stands in node"]
    if operation.node is None:
        return [*problems, "node is missing"]
    try:
        config = NodeConfig.model_validate(operation.node)
    except ValidationError as error:
        return [*problems, name_all(error.errors())]
    if registered is not None and (unknown := unknown_models(config, registered)):
        problems.append(f"node {config.id}: models not registered: {', '.join(unknown)}")
    return problems


def _errors(operation: Operation, known: Collection[str]) -> list[str]:
    if operation.op not in OPERATIONS:
        return [f"it is none of {', '.join(OPERATIONS)}"]
    problems = [] if operation.node is None else ["node belongs to add alone"]
    if not operation.node_id:
        problems.append("node_id is missing")
    elif operation.node_id not in known:
        problems.append(f"there is no node {operation.node_id}")
    return problems


async def perform(broker: Broker, operation: Operation) -> dict[str, Any]:
    """Does one operation that was checked, and says what is now so."""
    if operation.op == "add":
        config = NodeConfig.model_validate(operation.node)
        broker.put(config)
        return {"message": "node added", "node_id": config.id}
    node_id = operation.node_id
    if operation.op == "remove":
        await broker.remove_node(node_id)
        return {"message": "node removed", "node_id": node_id}
    if operation.op == "drain":
        broker.drain(node_id)
        return {"message": "node takes no new requests", "node_id": node_id} | emptiness(broker, node_id)
    broker.enable(node_id, enabled=operation.op == "enable")
    return {"message": f"node {operation.op}d", "node_id": node_id}


def emptiness(broker: Broker, node_id: str) -> dict[str, Any]:
    """Whether a node still works on something."""
    left = at_work(broker, node_id)
    return {"at_work": left, "empty": not left}


def at_work(broker: Broker, node_id: str) -> int:
    """Requests that a node works on, and answers of others that it judges."""
    node = broker.nodes.get(node_id)
    return node.worker.lock_count + node.worker.validations if node else 0
