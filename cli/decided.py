"""Which proposals of governance changed what: told from the proposals that passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.models.v1 import models_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.protobuf.message import Message

    from client.chain import ChainClient
    from protocol.gen.evergrid.models.v1.models_pb2 import Model

PAGE_SIZE = 100
_KINDS: tuple[type[Message], ...] = (
    epochs_pb2.MsgUpdateParams,
    models_pb2.MsgRegisterModel,
    models_pb2.MsgRetireModel,
)


@dataclass(frozen=True)
class Decided:
    """The messages of passed proposals with their ids, in the order in which the votes ended."""

    messages: tuple[tuple[int, Any], ...] = ()

    def param(self, path: str, value: Any) -> list[int]:
        """The proposals that gave a param, by its path, this value where it had another before."""
        updates = [
            (n, _at(m.params, path)) for n, m in self.messages if isinstance(m, epochs_pb2.MsgUpdateParams)
        ]
        return _turns(updates, lambda found: found == value)

    def registered(self, model: Model) -> list[int]:
        """The proposals that registered a model as it is."""
        same = [
            (n, m.model)
            for n, m in self.messages
            if isinstance(m, models_pb2.MsgRegisterModel) and m.model.id == model.id
        ]
        return _turns(same, lambda found: _plain(found) == _plain(model))

    def retired(self, model_id: str) -> list[int]:
        """The proposals that retired a model."""
        return [
            n for n, m in self.messages if isinstance(m, models_pb2.MsgRetireModel) and m.model_id == model_id
        ]


def load(client: ChainClient, height: int = 0) -> Decided:
    """Asks for all proposals that passed."""
    passed = sorted(_passed(client, height), key=lambda each: (each.voting_end_time.ToNanoseconds(), each.id))
    return Decided(tuple((each.id, found) for each in passed for found in _messages(each)))


def by(proposals: Iterable[int]) -> str:
    """The proposals in words; governance alone where none is known."""
    ids = [str(each) for each in proposals]
    if not ids:
        return "governance"
    return f"proposal {ids[0]}" if len(ids) == 1 else f"proposals {', '.join(ids[:-1])} and {ids[-1]}"


def _passed(client: ChainClient, height: int) -> Iterator[gov_pb2.Proposal]:
    key = b""
    while True:
        request = query_pb2.QueryProposalsRequest(proposal_status=gov_pb2.PROPOSAL_STATUS_PASSED)
        request.pagination.limit, request.pagination.key = PAGE_SIZE, key
        answer = client.query(request, query_pb2.QueryProposalsResponse, height)
        yield from answer.proposals
        key = answer.pagination.next_key
        if not key:
            return


def _messages(proposal: gov_pb2.Proposal) -> Iterator[Message]:
    kinds = {f"/{kind.DESCRIPTOR.full_name}": kind for kind in _KINDS}
    for each in proposal.messages:
        if each.type_url in kinds:
            yield kinds[each.type_url].FromString(each.value)


def _at(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = getattr(message, name)
    return message


def _plain(model: Model) -> bytes:
    """A model without what the registry adds to it."""
    copy = type(model).FromString(model.SerializeToString())
    copy.ClearField("proposed_by")
    return copy.SerializeToString(deterministic=True)


def _turns(values: list[tuple[int, Any]], wanted: Callable[[Any], bool]) -> list[int]:
    """The proposals at which a value became the wanted one."""
    found, had = [], False
    for proposal, value in values:
        has = wanted(value)
        if has and not had:
            found.append(proposal)
        had = has
    return found
